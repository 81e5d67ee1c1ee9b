//! A network whose pods hear each other's broadcast and link-local multicast.

use dataplane::desired::{Broadcast, BroadcastNode, Desired, Link, VifKind};
use dataplane::io::Side;
use encap::{Label, Ports, ZeroChecksum6};

use super::frames::tunnelled;
use super::{Node, Output, desired, route, to_tunnel, vif, vrf};

/// Label of this node for all pods of the VRF.
pub(crate) const ALL: u32 = 600;
pub(crate) const A: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(crate) const HOST: [u8; 6] = [2, 0, 0, 0, 0, 5];
pub(crate) const RED: [u8; 6] = [2, 0, 0, 0, 0, 6];
pub(crate) const MDNS: [u8; 4] = [224, 0, 0, 251];
pub(crate) const EVERYONE: [u8; 4] = [255; 4];

/// Pods a, b, c (slots 1 to 3), one that is down and the host (4, 5) in a VRF that two other nodes have
/// pods of as well; a pod of another VRF (6).
pub(crate) fn state() -> Desired {
    let mut state = desired("172.30.0.1", &["172.30.0.2", "172.30.0.3", "172.30.0.4"]);
    state.vrfs = vec![vrf("blue"), vrf("red")];
    let pod = |name: &str, vrf: &str, n: u32| {
        let addresses = [format!("10.0.0.{n}"), format!("fd00::{n}")];
        let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
        vif(name, vrf, &addresses, &format!("02:00:00:00:00:0{n}"), 16 + n)
    };
    state.vifs = vec![
        pod("a", "blue", 1),
        pod("b", "blue", 2),
        pod("c", "blue", 3),
        pod("down", "blue", 4),
        pod("host", "blue", 5),
        pod("red", "red", 6),
    ];
    state.vifs[3].link = Link::Down("test".to_owned());
    state.vifs[4].kind = VifKind::Host;
    state.routes = vec![
        route("blue", "10.0.2.0/24", vec![to_tunnel("172.30.0.2", 40)]),
        route("blue", "fd00:2::/64", vec![to_tunnel("172.30.0.2", 40)]),
        route("blue", "10.0.4.0/24", vec![to_tunnel("172.30.0.4", 40)]),
    ];
    state.broadcasts = vec![Broadcast {
        vrf: "blue".into(),
        label: Label::new(ALL),
        subnets: vec!["10.0.0.0/16".parse().unwrap()],
        nodes: vec![node("172.30.0.2", 700), node("172.30.0.3", 701)],
    }];
    state
}

pub(crate) fn node(address: &str, label: u32) -> BroadcastNode {
    BroadcastNode { node: address.parse().unwrap(), label: Label::new(label).unwrap() }
}

pub(crate) fn from_node(node: &str, packet: &[u8]) -> Vec<u8> {
    tunnelled((node, "172.30.0.1"), ALL, packet)
}

/// Frames to pods without their Ethernet header, which must be of this group.
#[track_caller]
pub(crate) fn to_pods(output: &Output, group: [u8; 6]) -> Vec<(u16, Vec<u8>)> {
    let split = |frame: &Vec<u8>| {
        assert_eq!(frame[..12], [&group[..], &[0, 0, 0x5e, 0, 1, 0]].concat());
        assert_eq!(frame[12..14], [0x81, 0]);
        let ethertype = if frame[18] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] };
        assert_eq!(frame[16..18], ethertype);
        (u16::from_be_bytes([frame[14], frame[15]]), frame[18..].to_vec())
    };
    output.trunk.iter().map(split).collect()
}

/// Frames to other nodes: node, label, MPLS TTL, inner packet.
pub(crate) fn to_nodes(output: &Output) -> Vec<(String, u32, u8, Vec<u8>)> {
    let split = |frame: &Vec<u8>| {
        let outer = encap::decapsulate(&frame[14..], &Ports::default(), ZeroChecksum6::Refuse).unwrap();
        let inner = frame[14..][outer.payload.clone()].to_vec();
        (outer.dst.to_string(), outer.label.get(), outer.ttl, inner)
    };
    output.uplink.iter().map(split).collect()
}

#[track_caller]
pub(crate) fn assert_silent_drop(node: &mut Node, side: Side, frame: &[u8], counters: &[(&str, u64)]) {
    let output = node.step(side, frame);
    assert!(output.trunk.is_empty() && output.uplink.is_empty(), "{:?}", output.moved);
    output.assert_moved(counters);
}
