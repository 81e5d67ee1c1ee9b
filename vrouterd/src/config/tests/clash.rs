//! Tables that are bad in themselves or clash with others, and the exact words that refuse them.

use super::bad::assert_refused;
use super::{NODE, VIFS};

/// Rows of (lines behind the sound file, messages); they start at line 16.
const ADDED: &[(&str, &[&str])] = &[
    (
        "[[vrf]]\nname = \"blue\"",
        &["f:17:8: vrf[2].name: a VRF \"blue\" is already there (line 6): give each VRF its own name"],
    ),
    (
        "[[vif]]\nname = \"client\"\nifname = \"veth1a\"\nvrf = \"blue\"\naddresses = [\"fd00:1::2\"]\n\
         mac = \"02:00:00:00:0a:02\"\nlabel = 17",
        &[
            "f:17:8: vif[1].name: the name is already that of vif \"client\" (line 9): give each vif its own name",
            "f:18:10: vif[1].ifname: veth1a is already the interface of vif \"client\" (line 9): give each its own \
             interface",
            "f:20:14: vif[1].addresses[0]: fd00:1::2 is already the address of vif \"client\" (line 9): give each \
             address to one vif of a VRF",
            "f:22:9: vif[1].label: 17 is already the label of vif \"client\" (line 9): give each VRF, broadcast and vif its own \
             label, 16 to 1048575",
        ],
    ),
    (
        "[[vrf]]\nname = \"red\"\nlabel = 17\n[[vrf]]\nname = \"pink\"\nlabel = 17",
        &[
            "f:15:9: vif[0].label: 17 is already the label of VRF \"red\" (line 16): give each VRF, broadcast and vif its own \
             label, 16 to 1048575",
            "f:21:9: vrf[3].label: 17 is already the label of VRF \"red\" (line 16): give each VRF, broadcast and vif its own \
             label, 16 to 1048575",
        ],
    ),
    (
        "[[vrf]]\nname = \"red/green\"\nlabel = 2",
        &[
            "f:17:8: vrf[2].name: the name \"red/green\" cannot be part of a URL: use a name without '/' that is \
             neither \".\" nor \"..\"",
            "f:18:9: vrf[2].label: 2 is out of range: write a number from 16 to 1048575",
        ],
    ),
    (
        "[host]\nifname = \"vr-vhost1\"\nvrf = \"blue\"\naddresses = [\"169.254.1.1\"]\nlabel = 16",
        &[
            "f:16:1: host: the address 169.254.1.1 is also that of the gateway if none is given: give the vif another \
             address, or add a `gateway`",
            "f:17:10: host.ifname: \"vr-vhost1\" is an interface that the daemon makes itself: name another interface",
        ],
    ),
    (
        "[[vif]]",
        &[
            "f:16:1: vif[1]: the key `name` is missing: add name = \"client\"",
            "f:16:1: vif[1]: the key `ifname` is missing: add ifname = \"veth1a\", the node's end of the pod's veth",
            "f:16:1: vif[1]: the key `vrf` is missing: add vrf = \"blue\"",
            "f:16:1: vif[1]: the key `addresses` is missing: add addresses = [\"10.0.1.2\"]",
            "f:16:1: vif[1]: the key `mac` is missing: add mac = \"02:00:00:00:0a:01\"",
            "f:16:1: vif[1]: the key `label` is missing: add label = 17",
        ],
    ),
    (
        "[host]\nifname = \"veth1a\"\nvrf = \"blue\"\naddresses = [\"10.0.1.2\"]\nlabel = 17",
        &[
            "f:11:10: vif[0].ifname: veth1a is already the interface of host \"veth1a\" (line 16): give each its own \
             interface",
            "f:13:14: vif[0].addresses[0]: 10.0.1.2 is already the address of host \"veth1a\" (line 16): give each \
             address to one vif of a VRF",
            "f:15:9: vif[0].label: 17 is already the label of host \"veth1a\" (line 16): give each VRF, broadcast and vif its own \
             label, 16 to 1048575",
        ],
    ),
    (
        "[host]\nvrf = \"blue\"\naddresses = [\"172.30.0.1\"]\nlabel = 16",
        &[
            "f:18:13: host.addresses: 172.30.0.1 is node.tunnel_address, which is on the uplink: give the host an \
           address of the VRF",
        ],
    ),
    (
        "[host]\nvrf = \"blue\"\naddresses = [\"10.0.1.1\"]\nlabel = 16\nroutes = [\"172.30.0.0/16\", \"10.0.1.1/8\"]",
        &[
            "f:20:28: host.routes[1]: 10.0.1.1/8 has bits set behind its length: write \"10.0.0.0/8\", or a longer prefix",
        ],
    ),
    (
        "[host]\nvrf = \"blue\"\naddresses = [\"10.0.1.1\"]\nlabel = 16\nroutes = [\"172.30.0.0/16\", \"0.0.0.0/0\"]",
        &[
            "f:20:11: host.routes[0]: 172.30.0.0/16 would lead the tunnel address 172.30.0.1 into the vrouter: list \
             only prefixes of pods and services",
            "f:20:28: host.routes[1]: 0.0.0.0/0 would lead all that the host sends into the vrouter: list only \
             prefixes of pods and services",
        ],
    ),
    (
        "[host]\nvrf = \"blue\"\naddresses = [\"10.0.1.1\"]\nlabel = 16\nroutes = [\"::/0\"]",
        &[
            "f:20:11: host.routes[0]: ::/0 would lead all that the host sends into the vrouter: list only prefixes of \
             pods and services",
        ],
    ),
    (
        "[[route]]\nvrf = \"blue\"\nprefix = \"10.0.2.0/24\"\nvia = []",
        &["f:19:7: route[0].via: the route has no next hop: add a next hop, or write action = \"discard\""],
    ),
    (
        "[[route]]\nvrf = \"red\"\nprefix = \"10.0.2.1/24\"\nvia_vrf = \"gren\"",
        &[
            "f:17:7: route[0].vrf: there is no VRF \"red\": use a configured VRF, or add [[vrf]] with name = \"red\"",
            "f:18:10: route[0].prefix: 10.0.2.1/24 has bits set behind its length: write \"10.0.2.0/24\", or a longer \
             prefix",
            "f:19:11: route[0].via_vrf: there is no VRF \"gren\" (did you mean \"green\"?): use a configured VRF, or \
             add [[vrf]] with name = \"gren\"",
        ],
    ),
    (
        "[[route]]\nvrf = \"blue\"\nprefix = \"10.0.1.2\"",
        &[
            "f:16:1: route[0]: the route leads nowhere: write one of via = [ ... ], via_vrf = \"...\" and action = \
             \"discard\"",
            "f:18:10: route[0].prefix: \"10.0.1.2\" is not a prefix: for one host write \"10.0.1.2/32\"",
        ],
    ),
    (
        "[[route]]\nvrf = \"blue\"\nprefix = \"10.0.1.2/32\"\nvia_vrf = \"green\"\naction = \"discard\"",
        &[
            "f:16:1: route[0]: the route leads to several ends: write one of via = [ ... ], via_vrf = \"...\" and \
             action = \"discard\"",
            "f:18:10: route[0].prefix: 10.0.1.2 is the address of vif \"client\" (line 9): remove the route: vifs and \
             services bring their own",
        ],
    ),
    (
        "[[route]]\nvrf = \"blue\"\nprefix = \"::/0\"\nvia_vrf = \"blue\"\n\
         [[route]]\nvrf = \"blue\"\nprefix = \"::/0\"\naction = \"drop\"",
        &[
            "f:19:11: route[0].via_vrf: the route leads back into its own VRF: name another VRF",
            "f:22:10: route[1].prefix: VRF \"blue\" already has a route for ::/0 (line 18): put all next hops into the \
             `via` of one route",
            "f:23:10: route[1].action: \"drop\" is not one of the choices: write \"discard\"",
        ],
    ),
    (
        "[[route]]\nvrf = \"blue\"\nprefix = \"ff00::/8\"\nvia = [\n{ vif = \"clint\" },\n{ vif = \"client\", label = 20 },\n\
         { tunnel = \"172.30.0.2\" },\n{ tunnel = \"172.30.0.1\", label = 20 },\n{ tunnel = \"fd00::1\", label = 20 },\n\
         { tunnel = \"172.30.0.2\", label = 20, weight = 0 },\n{ vif = \"client\" },\n{ vif = \"client\", weight = 2 },\n\
         {},\n17,\n{ vif = \"client\", tunnel = \"172.30.0.2\" },\n]",
        &[
            "f:18:10: route[0].prefix: ff00::/8 is multicast: route unicast prefixes only",
            "f:20:9: route[0].via[0].vif: there is no vif \"clint\" (did you mean \"client\"?): use the name of a \
             configured vif, or a tunnel for one of another node",
            "f:21:1: route[0].via[1]: label 20 is given for a vif of this node: write { vif = \"web-1\" } or { tunnel \
             = \"172.30.0.2\", label = 33 }",
            "f:22:1: route[0].via[2]: the tunnel has no label: write { vif = \"web-1\" } or { tunnel = \
             \"172.30.0.2\", label = 33 }",
            "f:23:12: route[0].via[3].tunnel: 172.30.0.1 is this node's own tunnel address: name a vif for a pod of \
             this node",
            "f:24:12: route[0].via[4].tunnel: fd00::1 is of another family than node.tunnel_address 172.30.0.1: use \
             tunnel addresses of one family on all nodes",
            "f:25:47: route[0].via[5].weight: 0 is out of range: write a number from 1 to 65535",
            "f:27:1: route[0].via[7]: this next hop is listed twice: list it once; `weight` gives it a larger share",
            "f:28:1: route[0].via[8]: neither a vif nor a tunnel is named: write { vif = \"web-1\" } or { tunnel = \
             \"172.30.0.2\", label = 33 }",
            "f:29:1: route[0].via[9]: a whole number is given where a table is needed: write { key = value, ... } or a \
             [section]",
            "f:30:1: route[0].via[10]: both a vif and a tunnel are named: write { vif = \"web-1\" } or { tunnel = \
             \"172.30.0.2\", label = 33 }",
        ],
    ),
    (
        "[[service]]\nvrf = \"green\"\naddress = \"10.96.0.10\"\nports = []\nbackends = [{ vif = \"client\" }]",
        &[
            "f:19:9: service[0].ports: the service has no ports: add at least one, like { protocol = \"tcp\", port = \
             80, target_port = 8080 }",
            "f:20:13: service[0].backends[0]: vif \"client\" (line 9) is in VRF \"blue\", the service in \"green\": \
             use backends of the service's VRF",
        ],
    ),
    (
        "[[service]]\nname = \"..\"\nvrf = \"blue\"\naddress = \"10.96.0.10\"\n\
         ports = [{ protocol = \"tcp\", port = 80 }]\nbackends = []",
        &[
            "f:17:8: service[0].name: the name \"..\" cannot be part of a URL: use a name without '/' that is neither \
             \".\" nor \"..\"",
        ],
    ),
    (
        "[[service]]\nvrf = \"blue\"",
        &[
            "f:16:1: service[0]: the service has no address: write address = \"10.96.0.10\", or addresses = [ ... ] \
             with one of each family",
            "f:16:1: service[0]: the key `ports` is missing: add ports = [{ protocol = \"tcp\", port = 80, target_port \
             = 8080 }]",
            "f:16:1: service[0]: the key `backends` is missing: add backends = [{ vif = \"web-1\" }], or [] for a \
             service without backends",
        ],
    ),
    (
        "[[service]]\nvrf = \"blue\"\naddresses = [\"10.96.0.10\", \"10.96.0.11\"]\n\
         ports = [{ protocol = \"icmp\", port = 0 }]\nbackends = []",
        &[
            "f:18:13: service[0].addresses: 2 IPv4 and 0 IPv6 addresses are given: write address = \"10.96.0.10\", or \
             addresses = [ ... ] with one of each family",
            "f:19:23: service[0].ports[0].protocol: \"icmp\" is not one of the choices: write \"tcp\" or \"udp\" or \
             \"sctp\"",
            "f:19:38: service[0].ports[0].port: 0 is out of range: write a number from 1 to 65535",
        ],
    ),
    (
        "[[service]]\nname = \"web\"\nvrf = \"blue\"\naddress = \"10.96.0.10\"\nports = [{ protocol = \"tcp\", port = 80 }, \
         { protocol = \"tcp\", port = 80 }]\nbackends = []\n\
         [[service]]\nvrf = \"blue\"\naddress = \"10.0.1.2\"\nports = [{ protocol = \"tcp\", port = 80 }]\nbackends = []",
        &[
            "f:20:43: service[0].ports[1]: port 80 is listed twice for one protocol: list each protocol and port once",
            "f:24:11: service[1].address: 10.0.1.2 is already the address of vif \"client\" (line 9): give the service \
             an address of its own",
        ],
    ),
    (
        "[[service]]\nname = \"web\"\nvrf = \"blue\"\naddress = \"10.96.0.10\"\nports = [{ protocol = \"tcp\", port = 80 }]\n\
         backends = []\n\
         [[service]]\nvrf = \"blue\"\naddress = \"10.96.0.10\"\nports = [{ protocol = \"udp\", port = 80 }, \
         { protocol = \"tcp\", port = 80 }]\nbackends = []\n\
         [[route]]\nvrf = \"blue\"\nprefix = \"10.96.0.10/32\"\naction = \"discard\"",
        &[
            "f:25:43: service[1].ports[1]: 10.96.0.10 port 80 is already taken by service \"web\" (line 16): serve \
             each port of an address once",
            "f:29:10: route[0].prefix: 10.96.0.10 is the address of service \"web\" (line 16): remove the route: vifs \
             and services bring their own",
        ],
    ),
    (
        "[[vif]]\nname = \"v4\"\nifname = \"veth1b\"\nvrf = \"blue\"\naddresses = [\"10.0.1.3\"]\n\
         mac = \"02:00:00:00:0a:02\"\nlabel = 18\n\
         [[service]]\nvrf = \"blue\"\naddress = \"fd00:96::10\"\nports = [{ protocol = \"tcp\", port = 80 }]\n\
         backends = [{ vif = \"v4\" }]",
        &[
            "f:27:13: service[0].backends[0]: vif \"v4\" (line 16) has no IPv6 address, the service is fd00:96::10: use \
           backends that have an address of the service's family",
        ],
    ),
];

#[test]
fn added_lines_are_refused() {
    for (lines, expected) in ADDED {
        assert_refused(&format!("{NODE}{VIFS}{lines}\n"), expected);
    }
}
