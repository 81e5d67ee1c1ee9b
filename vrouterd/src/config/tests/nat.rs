//! Pools and floating IPs that are refused, and the exact words.

use super::bad::assert_refused;
use super::{NODE, VIFS, sound};
use dataplane::desired::{Mapping, PortRange};

/// Keys of a VRF named "public" with messages; the keys start at line 18.
const POOLS: &[(&str, &[&str])] = &[
    (
        "source_nat = {}",
        &["f:18:14: vrf[2].source_nat: the key `addresses` is missing: add addresses = [\"192.0.2.1\"]"],
    ),
    (
        "source_nat = { addresses = [], ports = \"3000-2000\", mapping = \"full\" }",
        &[
            "f:18:28: vrf[2].source_nat.addresses: the pool is empty: give at least one address, or remove `source_nat`",
            "f:18:40: vrf[2].source_nat.ports: the range \"3000-2000\" is empty: give the lower port first",
            "f:18:63: vrf[2].source_nat.mapping: \"full\" is not one of the choices: write \
             \"address-and-port-dependent\" or \"endpoint-independent\"",
        ],
    ),
    (
        "source_nat = { addresses = [\"192.0.2.1\", \"192.0.2.1\", \"172.30.0.1\"] }",
        &[
            "f:18:42: vrf[2].source_nat.addresses[1]: 192.0.2.1 is already the address of VRF \"public\" (line 16): \
             give each address to one vif of a VRF",
            "f:18:55: vrf[2].source_nat.addresses[2]: 172.30.0.1 is the tunnel address of a node: give an address \
             that is routed to this node and nobody has",
        ],
    ),
    (
        "source_nat = { addresses = [\"192.0.2.1\"] }\n[[service]]\nvrf = \"public\"\naddress = \"192.0.2.1\"\n\
         ports = [{ protocol = \"tcp\", port = 80 }]\nbackends = []\n[[route]]\nvrf = \"public\"\n\
         prefix = \"192.0.2.1/32\"\naction = \"discard\"",
        &[
            "f:21:11: service[0].address: 192.0.2.1 is already the address of VRF \"public\" (line 16): give the \
             service an address of its own",
            "f:26:10: route[0].prefix: 192.0.2.1 is the address of VRF \"public\" (line 16): remove the route: vifs \
             and services bring their own",
        ],
    ),
    (
        "source_nat = { addresses = [\"192.0.2.1\"] }\n[[route]]\nvrf = \"public\"\nprefix = \"0.0.0.0/0\"\n\
         via = [{ tunnel = \"172.30.0.2\", label = 33 }]",
        &[
            "f:17:8: vrf[2].name: VRF \"public\" has public addresses and leads to other nodes: add a `label` to the \
             VRF: the other nodes send to it what is for those addresses",
        ],
    ),
    (
        "source_nat = { addresses = [\"192.0.2.1\", \"172.30.0.2\"] }\n[[route]]\nvrf = \"public\"\n\
         prefix = \"0.0.0.0/0\"\nvia_vrf = \"green\"\n[[service]]\nvrf = \"green\"\naddress = \"10.96.0.1\"\n\
         ports = [{ protocol = \"tcp\", port = 80 }]\nbackends = [{ tunnel = \"172.30.0.2\", label = 33 }]",
        &[
            "f:17:8: vrf[2].name: VRF \"public\" has public addresses and leads to other nodes: add a `label` to the \
             VRF: the other nodes send to it what is for those addresses",
            "f:18:42: vrf[2].source_nat.addresses[1]: 172.30.0.2 is the tunnel address of a node: give an address \
             that is routed to this node and nobody has",
        ],
    ),
];

/// Lists of floating IPs of the vif "client" of VRF "blue" with messages; they stand in line 16.
const FLOATING_IPS: &[(&str, &[&str])] = &[
    (
        "{}",
        &[
            "f:16:17: vif[0].floating_ips[0]: the key `address` is missing: add address = \"192.0.2.10\"",
            "f:16:17: vif[0].floating_ips[0]: the key `vrf` is missing: add vrf = \"public\"",
        ],
    ),
    (
        "{ address = \"192.0.2.10\", vrf = \"gren\" }",
        &[
            "f:16:49: vif[0].floating_ips[0].vrf: there is no VRF \"gren\" (did you mean \"green\"?): use a configured \
             VRF, or add [[vrf]] with name = \"gren\"",
        ],
    ),
    (
        "{ address = \"192.0.2.10\", vrf = \"blue\" }",
        &[
            "f:16:49: vif[0].floating_ips[0].vrf: \"blue\" is the vif's own VRF: name another VRF, or give the pod the \
             address in `addresses`",
        ],
    ),
    (
        "{ address = \"2001:db8::10\", vrf = \"green\" }",
        &[
            "f:16:29: vif[0].floating_ips[0].address: the vif has no address of the family of 2001:db8::10: give the \
             pod an address of that family",
        ],
    ),
    (
        "{ address = \"192.0.2.10\", vrf = \"green\" }, { address = \"192.0.2.10\", vrf = \"green\" }",
        &[
            "f:16:72: vif[0].floating_ips[1].address: 192.0.2.10 is already the address of vif \"client\" (line 9): \
             give each address to one vif of a VRF",
        ],
    ),
    (
        "{ address = \"172.30.0.1\", vrf = \"green\" }",
        &[
            "f:16:29: vif[0].floating_ips[0].address: 172.30.0.1 is the tunnel address of a node: give an address that \
             is routed to this node and nobody has",
        ],
    ),
];

#[test]
fn bad_pools_are_refused() {
    for (keys, messages) in POOLS {
        assert_refused(&format!("{NODE}{VIFS}[[vrf]]\nname = \"public\"\n{keys}\n"), messages);
    }
}

#[test]
fn bad_floating_ips_are_refused() {
    for (list, messages) in FLOATING_IPS {
        let vifs = VIFS.replace("\"10.0.1.2\", \"fd00:1::2\"", "\"10.0.1.2\"");
        assert_refused(&format!("{NODE}{vifs}floating_ips = [{list}]\n"), messages);
    }
}

#[test]
fn a_pool_gets_the_documented_defaults() {
    let config =
        sound(&format!("{NODE}[[vrf]]\nname = \"public\"\nsource_nat = {{ addresses = [\"192.0.2.1\"] }}\n"));
    let pool = &config.nat.pools[0];
    assert_eq!((pool.ports, pool.mapping), (PortRange::UNPRIVILEGED, Mapping::AddressAndPortDependent));
}

#[test]
fn more_addresses_than_are_asked_in_turn_are_refused() {
    let many: Vec<_> = (1..=65).map(|n| format!("\"192.0.2.{n}\"")).collect();
    let pool = format!("source_nat = {{ addresses = [{}] }}", many.join(", "));
    assert_refused(
        &format!("{NODE}[[vrf]]\nname = \"public\"\n{pool}\n"),
        &["f:7:28: vrf[0].source_nat.addresses: 65 addresses are given: give at most 64"],
    );
}
