//! The file beside the machine.

use super::{NODE, VIFS, sound};
use crate::config::{HostFacts, LinkFacts, check_against};

fn link(ifname: &str, mtu: u32, addresses: &[&str]) -> LinkFacts {
    let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    LinkFacts { ifname: ifname.to_owned(), mtu, addresses, gateways: Vec::new(), vlan_of: None }
}

fn machine() -> HostFacts {
    let lo = link("lo", 65536, &["127.0.0.1/8"]);
    HostFacts {
        links: vec![lo, link("eth0", 1500, &["172.30.0.1/24", "fe80::1/64"])],
        cpus: (0..2).collect(),
    }
}

fn problems(text: &str, facts: &HostFacts) -> Vec<String> {
    check_against(&sound(text), facts).iter().map(ToString::to_string).collect()
}

#[test]
fn a_file_that_fits_the_machine_has_no_problems() {
    assert_eq!(problems(&format!("{NODE}{VIFS}mtu = 1468\n"), &machine()), Vec::<String>::new());
    let v6 = format!("{NODE}{VIFS}mtu = 1448\n").replace("172.30.0.1", "fd00::1");
    let mut facts = machine();
    facts.links[1].addresses.push("fd00::1/64".parse().unwrap());
    assert_eq!(problems(&v6, &facts), Vec::<String>::new());
}

#[test]
fn a_missing_uplink_is_named_with_those_there_are() {
    let text = NODE.replace("eth0", "eht0");
    let expected =
        "f:3:10: node.uplink: there is no interface \"eht0\" (did you mean \"eth0\"?): use one of eth0";
    assert_eq!(problems(&text, &machine()), [expected]);
}

#[test]
fn the_tunnel_address_must_be_on_the_uplink_or_a_vlan_of_it() {
    let text = NODE.replace("172.30.0.1", "172.30.0.9");
    let expected = "f:4:18: node.tunnel_address: 172.30.0.9 is not on the uplink eth0, which has 172.30.0.1: \
                    add it (ip address add 172.30.0.9 dev eth0) or use one it has";
    let mut facts = machine();
    assert_eq!(problems(&text, &facts), [expected]);

    let vlan = LinkFacts { vlan_of: Some("eth0".to_owned()), ..link("eth0.7", 1500, &["172.30.0.9/24"]) };
    facts.links.push(vlan);
    assert_eq!(problems(&text, &facts), Vec::<String>::new());

    facts.links[2].vlan_of = None;
    assert_eq!(problems(&text, &facts), [expected]);

    let v6 = NODE.replace("172.30.0.1", "2001:db8::1");
    facts.links[1].addresses.retain(|net| net.addr().is_ipv4());
    let expected = "f:4:18: node.tunnel_address: 2001:db8::1 is not on the uplink eth0, which has no address of \
                    that family: add it (ip address add 2001:db8::1 dev eth0) or use one it has";
    assert_eq!(problems(&v6, &facts), [expected]);
}

#[test]
fn a_vif_mtu_must_leave_room_for_the_outer_headers() {
    let text = format!("{NODE}{VIFS}mtu = 1469\n");
    let expected = "f:16:7: vif[0].mtu: 1469 bytes + 32 of outer headers are 1501, more than the MTU 1500 of eth0: \
                    write at most 1468, leave `mtu` out, or raise the uplink's MTU to 1501";
    assert_eq!(problems(&text, &machine()), [expected]);

    let mut facts = machine();
    facts.links[1].addresses.push("fd00::1/64".parse().unwrap());
    let text = format!("{NODE}{VIFS}mtu = 1449\n").replace("172.30.0.1", "fd00::1");
    let expected = "f:16:7: vif[0].mtu: 1449 bytes + 52 of outer headers are 1501, more than the MTU 1500 of eth0: \
                    write at most 1448, leave `mtu` out, or raise the uplink's MTU to 1501";
    assert_eq!(problems(&text, &facts), [expected]);
}

#[test]
fn an_uplink_too_small_for_any_pod_is_refused() {
    let mut facts = machine();
    facts.links[1].mtu = 1311;
    let expected = "f:3:10: node.uplink: the MTU 1311 of eth0 leaves 1279 bytes inside the tunnel (overhead 32), \
                    IPv6 needs 1280: raise the uplink's MTU to at least 1312";
    assert_eq!(problems(&format!("{NODE}{VIFS}"), &facts), [expected]);
    let v4_only = format!("{NODE}{VIFS}").replace(", \"fd00:1::2\"", "");
    assert_eq!(problems(&v4_only, &facts), Vec::<String>::new());
    facts.links[1].mtu = 607;
    let expected = "f:3:10: node.uplink: the MTU 607 of eth0 leaves 575 bytes inside the tunnel (overhead 32), \
                    IPv4 needs 576: raise the uplink's MTU to at least 608";
    assert_eq!(problems(&v4_only, &facts), [expected]);
}

#[test]
fn workers_and_their_cpus_must_be_there() {
    let text = format!("{NODE}[engine]\nworkers = 3\ncpus = [0, 1, 7]\n");
    assert_eq!(
        problems(&text, &machine()),
        [
            "f:6:11: engine.workers: 3 workers, but the daemon may use 2 CPUs: set engine.workers to at most 2",
            "f:7:15: engine.cpus[2]: CPU 7 is not there, or not for the daemon: use some of 0, 1",
        ]
    );
}

#[test]
fn host_routes_inside_the_uplinks_subnet_are_refused() {
    let host =
        "[host]\nvrf = \"blue\"\naddresses = [\"10.0.1.1\"]\nlabel = 16\nroutes = [\"172.30.0.128/25\"]\n";
    let expected = "f:20:11: host.routes[0]: 172.30.0.128/25 lies in 172.30.0.0/24, the subnet of eth0: \
                    list only prefixes of pods and services";
    assert_eq!(problems(&format!("{NODE}{VIFS}{host}"), &machine()), [expected]);
}

#[test]
fn host_routes_over_addresses_and_gateways_of_other_links_are_refused() {
    let mut facts = machine();
    facts.links.push(link("eth1", 1500, &["10.20.0.5/32", "fd00:20::5/64"]));
    facts.links[2].gateways = vec!["10.30.0.1".parse().unwrap()];
    let host = "[host]\nvrf = \"blue\"\naddresses = [\"10.0.1.1\"]\nlabel = 16\n\
                routes = [\"10.0.0.0/16\", \"10.20.0.0/16\", \"10.30.0.0/24\", \"fd00::/16\", \"127.0.0.0/8\", \"10.20.0.6/32\"]\n";
    let expected = [
        "f:20:26: host.routes[1]: 10.20.0.0/16 covers 10.20.0.5, an address of eth1: list only prefixes of pods and \
         services",
        "f:20:42: host.routes[2]: 10.30.0.0/24 covers 10.30.0.1, a gateway on eth1: list only prefixes of pods and \
         services",
        "f:20:58: host.routes[3]: fd00::/16 covers fd00:20::5, an address of eth1: list only prefixes of pods and \
         services",
        "f:20:71: host.routes[4]: 127.0.0.0/8 covers 127.0.0.1, an address of lo: list only prefixes of pods and \
         services",
    ];
    assert_eq!(problems(&format!("{NODE}{VIFS}{host}"), &facts), expected);
}
