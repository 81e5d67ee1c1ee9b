use dataplane::ids::Mac;

use super::*;
use crate::kernel::facts::{AddressFacts, Event};

fn link(index: u32, name: &str, kind: LinkKind) -> Event {
    Event::Link(LinkFacts {
        index: IfIndex(index),
        name: name.to_owned(),
        mac: Some(Mac([2, 0, 0, 0, 0, 1])),
        mtu: 1500,
        state: LinkState::Up,
        kind,
        group: 0,
        rx_queues: None,
    })
}

fn vlan(parent: u32, id: u16) -> LinkKind {
    LinkKind::Vlan { parent: IfIndex(parent), id }
}

fn address(index: u32, state: AddressState) -> Event {
    Event::Address(IfIndex(index), AddressFacts { address: "172.30.0.1/24".parse().unwrap(), state })
}

fn find(name: &str, events: &[Event]) -> Result<UplinkDevices, String> {
    let mut facts = KernelFacts::default();
    for event in events {
        facts.apply(event.clone());
    }
    find_uplink(&facts, name, "172.30.0.1".parse().unwrap()).map_err(|fault| fault.to_string())
}

#[test]
fn the_devices_of_the_uplink() {
    let eth0 = link(2, "eth0", LinkKind::Other);
    let vlan7 = link(3, "eth0.7", vlan(2, 7));
    let usable = |index| address(index, AddressState::Usable);
    let devices = |physical, layer3, vlan| {
        Ok(UplinkDevices { physical: IfIndex(physical), layer3: IfIndex(layer3), vlan })
    };
    let no_address = Err("tunnel address 172.30.0.1 is not on eth0 or on a VLAN of it".to_owned());
    let table = [
        ("plain", "eth0", vec![eth0.clone(), usable(2)], devices(2, 2, None)),
        ("VLAN on it", "eth0", vec![eth0.clone(), vlan7.clone(), usable(3)], devices(2, 3, Some(7))),
        ("VLAN itself", "eth0.7", vec![eth0.clone(), vlan7.clone(), usable(3)], devices(2, 3, Some(7))),
        ("none", "eth0", vec![], Err("there is no device eth0".to_owned())),
        ("no address", "eth0", vec![eth0.clone(), vlan7.clone()], no_address.clone()),
        (
            "address elsewhere",
            "eth0",
            vec![eth0.clone(), link(9, "eth9", LinkKind::Other), usable(9)],
            no_address,
        ),
        (
            "parent in another namespace",
            "eth0.7",
            vec![vlan7.clone(), usable(3)],
            Err("the device below VLAN eth0.7 is not in this network namespace".to_owned()),
        ),
        (
            "two tags",
            "q",
            vec![eth0.clone(), vlan7, link(4, "q", vlan(3, 8)), usable(4)],
            Err("q is a VLAN on a VLAN; use a VLAN on a device without tags".to_owned()),
        ),
        (
            "tentative",
            "eth0",
            vec![eth0.clone(), address(2, AddressState::Tentative)],
            Err("tunnel address 172.30.0.1 is being checked for duplicates (RFC 4862); wait a second"
                .to_owned()),
        ),
        (
            "duplicate",
            "eth0",
            vec![eth0, address(2, AddressState::Duplicate)],
            Err("tunnel address 172.30.0.1 is in use by another node (duplicate address detection failed)"
                .to_owned()),
        ),
    ];
    for (case, name, events, expected) in table {
        assert_eq!(find(name, &events), expected, "{case}");
    }
}
