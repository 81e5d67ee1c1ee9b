//! Files with a bad line, and the exact words that refuse them.

use super::{NODE, VIFS};
use crate::config::parse;

/// What `text` is refused with.
#[track_caller]
pub(super) fn assert_refused(text: &str, expected: &[&str]) {
    match parse("f", text) {
        Ok(config) => panic!("taken: {config}\n{text}"),
        Err(problems) => {
            let found: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "\n{text}");
        }
    }
}

/// Rows of (line of the sound file, what stands there instead, message).
const CHANGED: &[(&str, &str, &str)] = &[
    (
        "name = \"n\"",
        "name = \"\"",
        "f:2:8: node.name: the name is empty: use 1 to 64 letters, digits or signs, with single spaces inside at most",
    ),
    (
        "name = \"n\"",
        "name = \"a\\tb\"",
        "f:2:8: node.name: the name \"a\\tb\" is not printable: use 1 to 64 letters, digits or signs, with single \
         spaces inside at most",
    ),
    (
        "name = \"n\"",
        "name = 7",
        "f:2:8: node.name: a whole number is given where a string is needed: put the value in double quotes",
    ),
    (
        "uplink = \"eth0\"",
        "uplink = \"lo\"",
        "f:3:10: node.uplink: the loopback interface reaches no other node: name the interface that the tunnel \
         address is on",
    ),
    (
        "uplink = \"eth0\"",
        "uplnk = \"eth0\"",
        "f:1:1: node: the key `uplink` is missing: add uplink = \"eth0\", the interface to the other nodes\n\
         f:3:1: node: unknown key \"uplnk\" (did you mean \"uplink\"?): remove it, or use one of name, uplink, \
         tunnel_address, state_dir, udp_port, legacy_udp_port, explicit_null_vrf, mss_clamp, dont_fragment, dscp, udp6_checksum",
    ),
    (
        "tunnel_address = \"172.30.0.1\"",
        "tunnel_address = \"172.30.0.1/24\"",
        "f:4:18: node.tunnel_address: \"172.30.0.1/24\" is not an IP address: write it without a prefix length",
    ),
    (
        "tunnel_address = \"172.30.0.1\"",
        "tunnel_address = \"fe80::1\"",
        "f:4:18: node.tunnel_address: fe80::1 is a link-local address, which is not routed: give the unicast address \
         of one host",
    ),
    (
        "ifname = \"veth1a\"",
        "ifname = \"veth-of-the-client\"",
        "f:11:10: vif[0].ifname: \"veth-of-the-client\" cannot be the name of an interface: use 1 to 15 bytes without \
         spaces, '/', ':' or '%'",
    ),
    (
        "name = \"client\"",
        "name = \".\"",
        "f:10:8: vif[0].name: the name \".\" cannot be part of a URL: use a name without '/' that is neither \".\" nor \
         \"..\"",
    ),
    (
        "name = \"client\"",
        "name = \"a\\u007fb\"",
        "f:10:8: vif[0].name: the name \"a\\u{7f}b\" is not printable: use 1 to 64 letters, digits or signs, with \
         single spaces inside at most",
    ),
    (
        "uplink = \"eth0\"",
        "uplink = \"vr-trunk1\"",
        "f:3:10: node.uplink: \"vr-trunk1\" is an interface that the daemon makes itself: name another interface",
    ),
    (
        "ifname = \"veth1a\"",
        "ifname = \"vr-trunk0\"",
        "f:11:10: vif[0].ifname: \"vr-trunk0\" is an interface that the daemon makes itself: name another interface",
    ),
    (
        "label = 17",
        "label = 17\ngateway = [\"10.0.1.2\", \"fd00:1::2\"]",
        "f:16:12: vif[0].gateway[0]: 10.0.1.2 is an address of the vif itself: give the vrouter another one\n\
         f:16:24: vif[0].gateway[1]: fd00:1::2 is an address of the vif itself: give the vrouter another one",
    ),
    (
        "label = 17",
        "label = 17\ngateway = [\"10.0.1.1\", \"10.0.1.9\", \"fe80::1\"]",
        "f:16:11: vif[0].gateway: 2 IPv4 and 1 IPv6 gateways are given: give at most one of each family",
    ),
    (
        "label = 17",
        "label = 17\ngateway = \"10.0.1.1\"",
        "f:16:11: vif[0].gateway: a string is given where a list is needed: put the values in brackets: [ ... ]",
    ),
    (
        "label = 17",
        "label = 17\ngateway = [\"ff02::1\"]",
        "f:16:12: vif[0].gateway[0]: ff02::1 is a multicast address: give the unicast address of one host",
    ),
    (
        "ifname = \"veth1a\"",
        "ifname = \"eth0\"",
        "f:11:10: vif[0].ifname: eth0 is already the interface of uplink \"eth0\" (line 3): give each its own interface",
    ),
    (
        "vrf = \"blue\"",
        "vrf = \"bleu\"",
        "f:12:7: vif[0].vrf: there is no VRF \"bleu\" (did you mean \"blue\"?): use a configured VRF, or add [[vrf]] \
         with name = \"bleu\"",
    ),
    (
        "addresses = [\"10.0.1.2\", \"fd00:1::2\"]",
        "addresses = []",
        "f:13:13: vif[0].addresses: the list is empty: give at least one address: others are dropped as spoofed",
    ),
    (
        "addresses = [\"10.0.1.2\", \"fd00:1::2\"]",
        "addresses = \"10.0.1.2\"",
        "f:13:13: vif[0].addresses: a string is given where a list is needed: put the values in brackets: [ ... ]",
    ),
    (
        "addresses = [\"10.0.1.2\", \"fd00:1::2\"]",
        "addresses = [\"224.0.0.1\", \"::ffff:1.2.3.4\"]",
        "f:13:14: vif[0].addresses[0]: 224.0.0.1 is a multicast address: give the unicast address of one host\n\
         f:13:27: vif[0].addresses[1]: ::ffff:1.2.3.4 is an IPv4 address in IPv6 clothing: give the unicast address of \
         one host",
    ),
    (
        "mac = \"02:00:00:00:0a:01\"",
        "mac = \"03:00:00:00:0a:01\"",
        "f:14:7: vif[0].mac: 03:00:00:00:0a:01 is a multicast address: give the address of the pod's own interface, \
         as `ip link` shows it inside the pod",
    ),
    (
        "mac = \"02:00:00:00:0a:01\"",
        "mac = \"00:00:00:00:00:00\"",
        "f:14:7: vif[0].mac: an Ethernet address cannot be all zeros: give the address of the pod's own interface, as \
         `ip link` shows it inside the pod",
    ),
    (
        "mac = \"02:00:00:00:0a:01\"",
        "mac = \"00:00:5e:00:01:00\"",
        "f:14:7: vif[0].mac: 00:00:5e:00:01:00 is the vrouter's own address: give the address of the pod's own \
         interface, as `ip link` shows it inside the pod",
    ),
    (
        "mac = \"02:00:00:00:0a:01\"",
        "mac = \"0200.0000.0a01\"",
        "f:14:7: vif[0].mac: \"0200.0000.0a01\" is not an Ethernet address: write six octets like \"02:00:00:00:0a:01\"",
    ),
    (
        "label = 17",
        "label = 15",
        "f:15:9: vif[0].label: 15 is out of range: write a number from 16 to 1048575",
    ),
    (
        "label = 17",
        "label = -1",
        "f:15:9: vif[0].label: -1 is out of range: write a number from 16 to 1048575",
    ),
    (
        "label = 17",
        "label = 0x100000",
        "f:15:9: vif[0].label: 0x100000 is out of range: write a number from 16 to 1048575",
    ),
    (
        "label = 17",
        "label = 17\nmtu = 575",
        "f:16:7: vif[0].mtu: 575 is out of range: write a number from 576 to 3400 bytes",
    ),
    (
        "label = 17",
        "label = 17\nmtu = 1279",
        "f:16:7: vif[0].mtu: 1279 bytes are too few for the IPv6 address \"fd00:1::2\": write at least 1280 bytes, or \
         remove the IPv6 addresses",
    ),
    (
        "label = 17",
        "label = ",
        "f:15:9: string values must be quoted, expected literal string: correct the TOML syntax",
    ),
    ("label = 17", "label = 17\nlabel = 18", "f:16:1: duplicate key: correct the TOML syntax"),
    (
        "[[vif]]",
        "[vif]",
        "f:9:1: vif: there can be several, but this is a single [vif]: write [[vif]] with two brackets, once for each",
    ),
    (
        "[node]",
        "[nod]",
        "f:1:1: the section [node] is missing: add [node] with name, uplink, tunnel_address\n\
         f:1:2: unknown key \"nod\" (did you mean \"node\"?): remove it, or use one of vrf, node, engine, timeouts, \
         http, api, export, host, policy, vif, service, route, broadcast",
    ),
];

#[test]
fn a_changed_line_is_refused() {
    for (from, to, expected) in CHANGED {
        let sound = format!("{NODE}{VIFS}");
        assert!(sound.contains(from), "{from}");
        assert_refused(&sound.replacen(from, to, 1), &expected.split('\n').collect::<Vec<_>>());
    }
}

/// Rows of (lines for `[node]`, message); they start at line 5.
const NODE_KEYS: &[(&str, &str)] = &[
    (
        "state_dir = \"run\"",
        "f:5:13: node.state_dir: \"run\" cannot be the state directory: write an absolute path of at most 80 bytes, \
         like \"/run/vrouter\"",
    ),
    ("udp_port = 65536", "f:5:12: node.udp_port: 65536 is out of range: write a number from 1 to 65535"),
    (
        "legacy_udp_port = \"no\"",
        "f:5:19: node.legacy_udp_port: \"no\" is neither a port nor \"off\": write a number from 1 to 65535, or \
         \"off\" to take no second port",
    ),
    (
        "legacy_udp_port = 6635",
        "f:5:19: node.legacy_udp_port: 6635 is node.udp_port already: write another port, or \"off\" to take no second \
         port",
    ),
    (
        "explicit_null_vrf = \"red\"",
        "f:5:21: node.explicit_null_vrf: there is no VRF \"red\": use a configured VRF, or add [[vrf]] with name = \
         \"red\"",
    ),
    (
        "dont_fragment = true",
        "f:5:17: node.dont_fragment: true or false is given where a string is needed: write \"clear\" or \"set\"",
    ),
    ("dscp = 64", "f:5:8: node.dscp: 64 is out of range: write a number from 0 to 63, or \"copy\""),
    ("dscp = \"ef\"", "f:5:8: node.dscp: \"ef\" is no DSCP: write a number from 0 to 63, or \"copy\""),
    (
        "udp6_checksum = \"off\"",
        "f:5:17: node.udp6_checksum: \"off\" is not one of the choices: write \"compute\" or \"zero\"",
    ),
    ("[engine]\nworkers = 0", "f:6:11: engine.workers: 0 is out of range: write a number from 1 to 64"),
    ("[engine]\nworkers = 65", "f:6:11: engine.workers: 65 is out of range: write a number from 1 to 64"),
    (
        "[engine]\nworkers = 2\ncpus = [0]",
        "f:5:1: engine: `cpus` lists 1, `workers` is 2: list one CPU for each worker, or leave `cpus` out",
    ),
    ("[engine]\ncpus = [3, 3]", "f:6:12: engine.cpus[1]: CPU 3 is listed twice: pin each worker to its own"),
    (
        "[engine]\nattach = \"driver\"",
        "f:6:10: engine.attach: \"driver\" is not one of the choices: write \"auto\" or \"native\" or \"generic\"",
    ),
    (
        "[engine]\nflows = 1024\nflows_per_vif = 1025",
        "f:7:17: engine.flows_per_vif: 1025 is out of range: write a number from 1 to 1024",
    ),
    (
        "[engine]\nframes = 8e3",
        "f:6:10: engine.frames: a decimal number is given where a whole number is needed: write a number from 1024 to \
         1048576",
    ),
    (
        "[timeouts]\nudp = 0",
        "f:6:7: timeouts.udp: 0 is out of range: write a number from 1 to 2592000 seconds",
    ),
    (
        "[timeouts]\nports = [{ protocol = \"icmp\", port = \"53\", idle = 0 }]",
        "f:6:23: timeouts.ports[0].protocol: \"icmp\" is not one of the choices: write \"tcp\" or \"udp\" or \"sctp\"\n\
         f:6:38: timeouts.ports[0].port: \"53\" is no range of ports: write a port like 53, or a range like \
         \"5000-5100\" within 1 to 65535\n\
         f:6:51: timeouts.ports[0].idle: 0 is out of range: write a number from 1 to 2592000 seconds",
    ),
    (
        "[timeouts]\nports = [{ protocol = \"udp\", port = \"0-9\", idle = 1 }, { protocol = \"udp\", port = \"9-8\", idle = 1 }]",
        "f:6:37: timeouts.ports[0].port: \"0-9\" begins with port 0: write a port like 53, or a range like \
         \"5000-5100\" within 1 to 65535\n\
         f:6:83: timeouts.ports[1].port: the range \"9-8\" is empty: give the lower port first",
    ),
    (
        "[timeouts]\nports = [\n{ protocol = \"udp\", port = \"50-60\", idle = 1 },\n\
         { protocol = \"tcp\", port = 60, idle = 1 },\n{ protocol = \"udp\", port = \"60-70\", idle = 1 },\n]",
        "f:9:1: timeouts.ports[2]: ports of 60-70 are also in timeouts.ports[0]: list each port once for a protocol",
    ),
    (
        "[timeouts]\nports = [{ protocol = \"sctp\", port = \"+5-9\", idle = 1 }]",
        "f:6:38: timeouts.ports[0].port: \"+5-9\" is no range of ports: write a port like 53, or a range like \
         \"5000-5100\" within 1 to 65535",
    ),
    (
        "[timeouts]\nports = [{ port = 70000 }]",
        "f:6:10: timeouts.ports[0]: the key `protocol` is missing: add protocol = \"udp\"\n\
         f:6:10: timeouts.ports[0]: the key `idle` is missing: add idle = 30\n\
         f:6:19: timeouts.ports[0].port: 70000 is out of range: write a number from 1 to 65535",
    ),
    (
        "[http]\nlisten = \"0.0.0.0:8085\"",
        "f:6:10: http.listen: 0.0.0.0 can be reached from outside: write a loopback address, or set http.token_file",
    ),
    (
        "[http]\nlisten = \"localhost:8085\"",
        "f:6:10: http.listen: \"localhost:8085\" is not an address with a port: write an address and a port, \
         like \"127.0.0.1:8085\" or \"[::1]:8085\"",
    ),
    (
        "[http]\nlisten = \"127.0.0.1:0\"",
        "f:6:10: http.listen: port 0 leaves the port to chance: write an address and a port, like \
         \"127.0.0.1:8085\" or \"[::1]:8085\"",
    ),
];

#[test]
fn node_and_option_keys_are_refused() {
    for (lines, expected) in NODE_KEYS {
        assert_refused(&format!("{NODE}{lines}\n"), &expected.split('\n').collect::<Vec<_>>());
    }
}

#[test]
fn more_timeouts_by_port_than_the_table_takes_are_refused() {
    let ports = |count: u16| {
        let list: String =
            (1..=count).map(|port| format!("{{ protocol = \"udp\", port = {port}, idle = 1 }},")).collect();
        format!("{NODE}[timeouts]\nports = [{list}]\n")
    };
    super::sound(&ports(256));
    let expected = "f:6:9: timeouts.ports: 257 timeouts by port; at most 256 are possible: merge ranges: or leave \
                    some out";
    assert_refused(&ports(257), &[expected]);
}

#[test]
fn the_trunks_own_names_are_among_those_refused() {
    let plan = crate::kernel::devices::TrunkPlan::new(1500, 1);
    for name in [plan.kernel_end, plan.engine_end] {
        assert!(crate::config::scalar::OWN_IFNAMES.contains(&name.as_str()), "{name}");
    }
}

#[test]
fn an_empty_file_lacks_the_node() {
    assert_refused(
        "",
        &["f:1:1: the section [node] is missing: add [node] with name, uplink, tunnel_address"],
    );
}
