//! Broadcast and link-local multicast: who hears a packet, and who does not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it goes wrong"
)]

mod support;

use dataplane::compile::{CompileError, Compiler};
use dataplane::desired::{
    Broadcast, BroadcastNode, Desired, Link, Peers, Policy, Rule, RuleTraffic, Transport, VifKind,
};
use dataplane::io::Side;
use encap::{Label, Ports, ZeroChecksum6};
use support::frames::{error4, tagged, tunnelled, udp4, udp6};
use support::{Node, Output, desired, hex, route, to_tunnel, vif, vrf};

/// Label of this node for all pods of the VRF.
const ALL: u32 = 600;
const A: [u8; 6] = [2, 0, 0, 0, 0, 1];
const HOST: [u8; 6] = [2, 0, 0, 0, 0, 5];
const RED: [u8; 6] = [2, 0, 0, 0, 0, 6];
const MDNS: [u8; 4] = [224, 0, 0, 251];
const EVERYONE: [u8; 4] = [255; 4];

/// Pods a, b, c (slots 1 to 3), one that is down and the host (4, 5) in a VRF that two other nodes have
/// pods of as well; a pod of another VRF (6).
fn state() -> Desired {
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

fn node(address: &str, label: u32) -> BroadcastNode {
    BroadcastNode { node: address.parse().unwrap(), label: Label::new(label).unwrap() }
}

fn from_node(node: &str, packet: &[u8]) -> Vec<u8> {
    tunnelled((node, "172.30.0.1"), ALL, packet)
}

/// Frames to pods without their Ethernet header, which must be of this group.
#[track_caller]
fn to_pods(output: &Output, group: [u8; 6]) -> Vec<(u16, Vec<u8>)> {
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
fn to_nodes(output: &Output) -> Vec<(String, u32, u8, Vec<u8>)> {
    let split = |frame: &Vec<u8>| {
        let outer = encap::decapsulate(&frame[14..], &Ports::default(), ZeroChecksum6::Refuse).unwrap();
        let inner = frame[14..][outer.payload.clone()].to_vec();
        (outer.dst.to_string(), outer.label.get(), outer.ttl, inner)
    };
    output.uplink.iter().map(split).collect()
}

#[track_caller]
fn assert_silent_drop(node: &mut Node, side: Side, frame: &[u8], counters: &[(&str, u64)]) {
    let output = node.step(side, frame);
    assert!(output.trunk.is_empty() && output.uplink.is_empty(), "{:?}", output.moved);
    output.assert_moved(counters);
}

#[test]
fn each_other_pod_and_each_node_gets_one_copy_as_it_was_sent() {
    let rows = [
        (udp4([10, 0, 0, 1], EVERYONE, (68, 67), 64, 20), [0xff; 6]),
        (udp4([10, 0, 0, 1], [10, 0, 255, 255], (4000, 4000), 64, 20), [0xff; 6]),
        (udp4([10, 0, 0, 1], MDNS, (5353, 5353), 255, 20), [1, 0, 0x5e, 0, 0, 0xfb]),
        (udp4([10, 0, 0, 1], [224, 0, 0, 1], (4000, 4000), 1, 20), [1, 0, 0x5e, 0, 0, 1]),
        (udp6("fd00::1", "ff02::fb", (5353, 5353), 255, 20), [0x33, 0x33, 0, 0, 0, 0xfb]),
        (udp6("fe80::77", "ff02::1:3", (5355, 5355), 1, 20), [0x33, 0x33, 0, 1, 0, 3]),
        (udp6("fd00::1", "ff02::abcd:ef01", (1, 2), 64, 0), [0x33, 0x33, 0xab, 0xcd, 0xef, 1]),
    ];
    for (packet, group) in rows {
        let mut node = Node::new(&state());
        let ttl = if packet[0] >> 4 == 4 { packet[8] } else { packet[7] };
        // A host with a route of its own sends to the gateway, one that is on the subnet to all.
        let mut to_group = tagged(1, A, &packet);
        to_group[..6].copy_from_slice(&group);
        for frame in [tagged(1, A, &packet), to_group] {
            let output = node.step(Side::Trunk, &frame);
            assert_eq!(to_pods(&output, group), [(2, packet.clone()), (3, packet.clone())]);
            let expected = [("172.30.0.2", 700), ("172.30.0.3", 701)]
                .map(|(node, label)| (node.to_owned(), label, ttl, packet.clone()));
            assert_eq!(to_nodes(&output), expected);
            output.assert_moved(&[("a.rx", 1), ("generated", 3), ("b.tx", 1), ("c.tx", 1), ("uplink.tx", 2)]);
        }
    }
}

#[test]
fn literal_bytes_of_a_copy_to_a_pod_and_to_a_node() {
    let mut node = Node::new(&state());
    let packet = hex("4500002400094000ff1190c3 0a000001e00000fb 14e914e90010f6d5 6d756c7469636173");
    let output = node.step(Side::Trunk, &tagged(1, A, &packet));
    let to_b = hex("01005e0000fb 00005e000100 8100 0002 0800");
    assert_eq!(output.trunk[0], [to_b, packet.clone()].concat());
    let [ethernet, outer, udp] = [
        hex("020000000102 020000000101 0800"),
        hex("45000044 00050000 4011 2264 ac1e0001 ac1e0003"),
        hex("19eb 0030 0000 002bd1ff"),
    ];
    let to_node = &output.uplink[1];
    assert_eq!(to_node[..34], [ethernet, outer].concat());
    // Behind the entropy port: port 6635, no checksum; label 701, bottom of stack, TTL 255.
    assert_eq!(to_node[36..46], udp);
    assert_eq!(to_node[46..], packet);
}

#[test]
fn what_comes_from_another_node_goes_to_the_pods_here_and_no_further() {
    let rows = [
        (udp4([10, 0, 2, 9], EVERYONE, (68, 67), 64, 20), [0xff; 6]),
        (udp4([10, 0, 2, 9], [10, 0, 255, 255], (1, 2), 64, 20), [0xff; 6]),
        (udp4([10, 0, 2, 9], MDNS, (5353, 5353), 1, 20), [1, 0, 0x5e, 0, 0, 0xfb]),
        (udp6("fd00:2::9", "ff02::fb", (5353, 5353), 255, 20), [0x33, 0x33, 0, 0, 0, 0xfb]),
        (udp6("fe80::9", "ff02::fb", (5353, 5353), 255, 20), [0x33, 0x33, 0, 0, 0, 0xfb]),
    ];
    for (packet, group) in rows {
        let mut node = Node::new(&state());
        let output = node.step(Side::Uplink, &with_mpls_ttl(from_node("172.30.0.2", &packet), 1));
        let expected = [1, 2, 3].map(|slot| (slot, packet.clone()));
        assert_eq!(to_pods(&output, group), expected);
        output.assert_moved(&[("uplink.rx", 1), ("generated", 2), ("a.tx", 1), ("b.tx", 1), ("c.tx", 1)]);
    }
}

fn with_mpls_ttl(mut frame: Vec<u8>, ttl: u8) -> Vec<u8> {
    frame[14 + 20 + 8 + 3] = ttl;
    frame
}

#[test]
fn only_nodes_that_are_listed_may_send_and_only_for_pods_behind_them() {
    let mut node = Node::new(&state());
    let behind = udp4([10, 0, 2, 9], EVERYONE, (1, 2), 64, 20);
    let rows = [
        ("a node that is not listed", "172.30.0.4", udp4([10, 0, 4, 9], EVERYONE, (1, 2), 64, 20)),
        ("no node at all", "172.30.0.77", behind.clone()),
        ("a pod behind another node", "172.30.0.3", behind.clone()),
        ("a pod of this node", "172.30.0.2", udp4([10, 0, 0, 1], EVERYONE, (1, 2), 64, 20)),
        ("a pod without a route", "172.30.0.2", udp4([10, 0, 7, 7], EVERYONE, (1, 2), 64, 20)),
    ];
    for (name, from, packet) in rows {
        let output = node.step(Side::Uplink, &from_node(from, &packet));
        assert!(output.trunk.is_empty() && output.uplink.is_empty(), "{name}");
        output.assert_moved(&[("uplink.rx", 1), ("uplink.tunnel_source_mismatch", 1)]);
    }
    let rows = [
        ("uplink.label_destination_mismatch", udp4([10, 0, 2, 9], [10, 0, 0, 1], (1, 2), 64, 20)),
        ("uplink.multicast_unsupported", udp4([10, 0, 2, 9], [239, 1, 1, 1], (1, 2), 64, 20)),
        ("uplink.multicast_unsupported", udp6("fd00:2::9", "ff05::1", (1, 2), 64, 20)),
        ("uplink.martian_address", udp4([127, 0, 0, 1], EVERYONE, (1, 2), 64, 20)),
        ("uplink.ttl_exceeded", udp4([10, 0, 2, 9], EVERYONE, (1, 2), 0, 20)),
    ];
    for (counter, packet) in rows {
        let frame = from_node("172.30.0.2", &packet);
        assert_silent_drop(&mut node, Side::Uplink, &frame, &[("uplink.rx", 1), (counter, 1)]);
    }
    let dead = with_mpls_ttl(from_node("172.30.0.2", &behind), 0);
    assert_silent_drop(&mut node, Side::Uplink, &dead, &[("uplink.rx", 1), ("uplink.ttl_exceeded", 1)]);
}

#[test]
fn what_a_vrf_does_not_carry_is_a_drop() {
    let mut node = Node::new(&state());
    let rows = [
        ("a wider scope", 1, A, udp4([10, 0, 0, 1], [239, 1, 1, 1], (1, 2), 64, 8), "a"),
        ("the next block", 1, A, udp4([10, 0, 0, 1], [224, 0, 1, 1], (1, 2), 64, 8), "a"),
        ("site scope", 1, A, udp6("fd00::1", "ff05::1", (1, 2), 64, 8), "a"),
        ("interface scope", 1, A, udp6("fd00::1", "ff01::1", (1, 2), 64, 8), "a"),
        ("a flag is set", 1, A, udp6("fd00::1", "ff12::1", (1, 2), 64, 8), "a"),
        ("the host", 5, HOST, udp4([10, 0, 0, 5], EVERYONE, (1, 2), 64, 8), "host"),
        ("another VRF", 6, RED, udp4([10, 0, 0, 6], EVERYONE, (1, 2), 64, 8), "red"),
    ];
    for (name, slot, mac, packet, port) in rows {
        let output = node.step(Side::Trunk, &tagged(slot, mac, &packet));
        assert!(output.trunk.is_empty() && output.uplink.is_empty(), "{name}");
        assert_eq!(output.moved.get(&format!("{port}.multicast_unsupported")), Some(&1), "{name}");
    }
    // The last address of another subnet is one like any other, and one of the VRF's own means all of them
    // only to its pods.
    let other = tagged(1, A, &udp4([10, 0, 0, 1], [10, 1, 255, 255], (1, 2), 64, 8));
    assert_eq!(node.step(Side::Trunk, &other).moved["a.no_route"], 1);
    let from_red = tagged(6, RED, &udp4([10, 0, 0, 6], [10, 0, 255, 255], (1, 2), 64, 8));
    assert_eq!(node.step(Side::Trunk, &from_red).moved["red.no_route"], 1);

    let mut off = state();
    off.broadcasts.clear();
    node.publish(&off);
    let frame = tagged(1, A, &udp4([10, 0, 0, 1], EVERYONE, (1, 2), 64, 8));
    let moved = [("a.rx", 1), ("misses", 1), ("a.multicast_unsupported", 1)];
    assert_silent_drop(&mut node, Side::Trunk, &frame, &moved);
    let frame = from_node("172.30.0.2", &udp4([10, 0, 2, 9], EVERYONE, (1, 2), 64, 8));
    assert_silent_drop(&mut node, Side::Uplink, &frame, &[("uplink.rx", 1), ("uplink.invalid_label", 1)]);
}

#[test]
fn a_pod_speaks_for_itself_and_errors_are_not_for_all() {
    let mut node = Node::new(&state());
    let quote = udp4([10, 0, 0, 2], [10, 0, 0, 1], (1, 2), 64, 8);
    let rows = [
        ("a.spoofed_source", udp4([10, 0, 0, 2], EVERYONE, (1, 2), 64, 8)),
        ("a.spoofed_source", udp6("fd00::2", "ff02::fb", (1, 2), 64, 8)),
        ("a.spoofed_source", udp6("fe80::1", "ff02::fb", (1, 2), 64, 8)),
        ("a.martian_address", udp4([0, 0, 0, 0], EVERYONE, (68, 67), 64, 8)),
        ("a.martian_address", udp4([224, 0, 0, 1], MDNS, (1, 2), 64, 8)),
        ("a.ttl_exceeded", udp4([10, 0, 0, 1], MDNS, (1, 2), 0, 8)),
        ("a.icmp_error_unmatched", error4([10, 0, 0, 1], EVERYONE, (3, 3), &quote)),
        ("a.icmp_redirect", error4([10, 0, 0, 1], [224, 0, 0, 1], (5, 1), &quote)),
    ];
    for (counter, packet) in rows {
        assert_silent_drop(&mut node, Side::Trunk, &tagged(1, A, &packet), &[("a.rx", 1), (counter, 1)]);
    }
}

#[test]
fn fragments_go_to_all_as_they_are() {
    let mut node = Node::new(&state());
    let whole = udp4([10, 0, 0, 1], EVERYONE, (4000, 4000), 64, 2000);
    let piece = |from: usize, until: usize, field: u16| {
        let mut piece = [&whole[..20], &whole[20 + from..20 + until]].concat();
        let len = piece.len() as u16;
        piece[2..4].copy_from_slice(&len.to_be_bytes());
        piece[4..6].copy_from_slice(&[0x12, 0x34]);
        piece[6..8].copy_from_slice(&field.to_be_bytes());
        piece[10..12].fill(0);
        let sum = encap::Sum::of(&piece[..20]).finish();
        piece[10..12].copy_from_slice(&sum.to_be_bytes());
        piece
    };
    let mut outer_ports = Vec::new();
    for packet in [piece(1200, 2008, 150), piece(0, 1200, 0x2000)] {
        let output = node.step(Side::Trunk, &tagged(1, A, &packet));
        assert_eq!(to_pods(&output, [0xff; 6]), [(2, packet.clone()), (3, packet.clone())]);
        assert!(to_nodes(&output).iter().all(|(.., inner)| *inner == packet));
        outer_ports.extend(output.uplink.iter().map(|frame| frame[34..36].to_vec()));
    }
    outer_ports.dedup();
    assert_eq!(outer_ports.len(), 1, "one path for all pieces");
    assert_eq!(node.held(), 0);
}

#[test]
fn too_big_for_a_tunnel_is_cut_and_too_big_for_a_pod_is_a_drop() {
    let mut state = state();
    state.vifs[1].mtu = 1000;
    state.underlay.uplink.as_mut().unwrap().mtu = 1232;
    let mut node = Node::new(&state);
    let mut packet = udp4([10, 0, 0, 1], EVERYONE, (4000, 4000), 64, 1300);
    packet[6..8].copy_from_slice(&[0, 0]);
    packet[10..12].fill(0);
    let sum = encap::Sum::of(&packet[..20]).finish();
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    let output = node.step(Side::Trunk, &tagged(1, A, &packet));
    assert_eq!(to_pods(&output, [0xff; 6]), [(3, packet.clone())]);
    let lengths: Vec<_> = to_nodes(&output).into_iter().map(|(node, _, _, p)| (node, p.len())).collect();
    let two = |node: &str| [(node.to_owned(), 1196), (node.to_owned(), 152)];
    assert_eq!(lengths, [two("172.30.0.2"), two("172.30.0.3")].concat());
    let moved = [("a.rx", 1), ("generated", 5), ("c.tx", 1), ("a.frame_too_big", 1), ("uplink.tx", 4)];
    output.assert_moved(&moved);

    // With DF nobody is told (RFC 1122 section 3.2.2), nor about IPv6.
    packet[6] = 0x40;
    packet[10..12].fill(0);
    let sum = encap::Sum::of(&packet[..20]).finish();
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    for packet in [packet, udp6("fd00::1", "ff02::fb", (1, 2), 64, 1300)] {
        let output = node.step(Side::Trunk, &tagged(1, A, &packet));
        output.assert_moved(&[("a.rx", 1), ("generated", 3), ("c.tx", 1), ("a.frame_too_big", 3)]);
    }
}

#[test]
fn copies_go_as_far_as_there_are_frames() {
    for (left, sent, lost) in [(3, 3, 1), (2, 2, 2), (1, 1, 3)] {
        let mut node = Node::new(&state());
        // One buffer is for the packet itself, which is the last copy.
        node.starve(left);
        let frame = tagged(1, A, &udp4([10, 0, 0, 1], EVERYONE, (1, 2), 64, 8));
        let output = node.step(Side::Trunk, &frame);
        assert_eq!(output.trunk.len() + output.uplink.len(), sent, "{left} buffers");
        assert_eq!(output.moved["a.no_free_frame"], lost, "{left} buffers");
        assert_eq!(output.moved["generated"], 3);
    }
}

#[test]
fn one_pod_can_not_multiply_its_traffic_without_bound() {
    let mut node = Node::new(&state());
    let frame = tagged(1, A, &udp4([10, 0, 0, 1], EVERYONE, (1, 2), 64, 8));
    let carried = (0..150).filter(|_| !node.step(Side::Trunk, &frame).trunk.is_empty()).count();
    assert_eq!(carried, 100);
    assert_silent_drop(&mut node, Side::Trunk, &frame, &[("a.rx", 1), ("a.broadcast_ratelimited", 1)]);
    let other = tagged(2, [2, 0, 0, 0, 0, 2], &udp4([10, 0, 0, 2], EVERYONE, (1, 2), 64, 8));
    assert_eq!(node.step(Side::Trunk, &other).trunk.len(), 2, "another pod is heard");
    node.now += 1000;
    let carried = (0..150).filter(|_| !node.step(Side::Trunk, &frame).trunk.is_empty()).count();
    assert_eq!(carried, 100);
}

#[test]
fn a_pod_alone_is_heard_by_nobody() {
    let mut state = state();
    state.vifs.truncate(1);
    state.broadcasts[0].nodes.clear();
    let mut node = Node::new(&state);
    let frame = tagged(1, A, &udp4([10, 0, 0, 1], EVERYONE, (1, 2), 64, 8));
    assert_silent_drop(&mut node, Side::Trunk, &frame, &[("a.rx", 1), ("a.no_member", 1)]);
    state.vifs.clear();
    state.broadcasts[0].nodes = vec![self::node("172.30.0.2", 700)];
    node.publish(&state);
    let frame = from_node("172.30.0.2", &udp4([10, 0, 2, 9], EVERYONE, (1, 2), 64, 8));
    assert_silent_drop(&mut node, Side::Uplink, &frame, &[("uplink.rx", 1), ("uplink.no_member", 1)]);
}

#[test]
fn policies_are_asked_for_each_packet_and_each_that_would_hear_it() {
    let rule = |peer: &str| Rule {
        name: None,
        peers: Peers::Within(vec![peer.parse().unwrap()]),
        traffic: RuleTraffic::Ports { transport: Transport::Udp, ports: 5353..=5353 },
    };
    let mut state = state();
    state.policies = vec![
        Policy { name: "mdns-out".into(), ingress: None, egress: Some(vec![rule("224.0.0.251/32")]) },
        Policy { name: "mdns-in".into(), ingress: Some(vec![rule("10.0.0.0/24")]), egress: None },
    ];
    state.vifs[0].policies = vec!["mdns-out".into()];
    state.vifs[1].policies = vec!["mdns-in".into()];
    let mut node = Node::new(&state);
    let mdns = tagged(1, A, &udp4([10, 0, 0, 1], MDNS, (5353, 5353), 255, 8));
    let moved = [("a.rx", 1), ("generated", 3), ("b.tx", 1), ("c.tx", 1), ("uplink.tx", 2)];
    node.step(Side::Trunk, &mdns).assert_moved(&moved);
    for packet in [
        udp4([10, 0, 0, 1], MDNS, (5353, 5354), 255, 8),
        udp4([10, 0, 0, 1], [224, 0, 0, 252], (5353, 5353), 255, 8),
    ] {
        let moved = [("a.rx", 1), ("a.policy_denied", 1)];
        assert_silent_drop(&mut node, Side::Trunk, &tagged(1, A, &packet), &moved);
    }
    // Another sender is not restricted, but b hears mDNS alone, and that from its own subnet.
    let from_c = tagged(3, [2, 0, 0, 0, 0, 3], &udp4([10, 0, 0, 3], MDNS, (1, 9), 255, 8));
    let moved = [("c.rx", 1), ("generated", 3), ("a.tx", 1), ("c.policy_denied", 1), ("uplink.tx", 2)];
    node.step(Side::Trunk, &from_c).assert_moved(&moved);
    let afar = from_node("172.30.0.2", &udp4([10, 0, 2, 9], MDNS, (5353, 5353), 255, 8));
    let moved = [("uplink.rx", 1), ("generated", 2), ("a.tx", 1), ("b.policy_denied", 1), ("c.tx", 1)];
    node.step(Side::Uplink, &afar).assert_moved(&moved);
}

#[test]
fn a_pod_that_comes_and_goes_is_heard_from_then_on_and_no_more() {
    let mut changed = state();
    let mut node = Node::new(&changed);
    let frame = tagged(1, A, &udp4([10, 0, 0, 1], EVERYONE, (1, 2), 64, 8));
    changed.vifs[3].link = Link::Up;
    changed.vifs.remove(1);
    changed.broadcasts[0].nodes.pop();
    node.publish(&changed);
    let output = node.step(Side::Trunk, &frame);
    output.assert_moved(&[("a.rx", 1), ("generated", 2), ("c.tx", 1), ("down.tx", 1), ("uplink.tx", 1)]);
}

#[test]
fn what_can_not_be_bounded_is_refused() {
    let refused = |change: fn(&mut Desired)| {
        let mut state = state();
        change(&mut state);
        Compiler::default().compile(&state).unwrap_err()
    };
    let too_many = |what, most| CompileError::TooMany { what, most };
    assert_eq!(
        refused(|state| {
            let more = |n: u32| vif(&format!("x{n}"), "blue", &[], "02:00:00:00:01:01", 1000 + n);
            state.vifs.extend((0..254).map(more));
        }),
        too_many("vifs in a VRF with broadcast", 256)
    );
    assert_eq!(
        refused(|state| {
            let nodes = (0..257).map(|n| node(&format!("172.31.{}.{}", n / 256, n % 256), 700));
            state.broadcasts[0].nodes = nodes.collect();
        }),
        too_many("nodes of a broadcast", 256)
    );
    assert_eq!(
        refused(|state| state.broadcasts[0].nodes.push(node("172.30.0.2", 900))),
        too_many("labels of one node in a broadcast", 1)
    );
    assert_eq!(
        refused(|state| state.broadcasts.push(state.broadcasts[0].clone())),
        too_many("broadcasts of a VRF", 1)
    );
    let label = Label::new(17).unwrap();
    assert_eq!(
        refused(|state| state.broadcasts[0].label = Label::new(17)),
        CompileError::BroadcastLabelTaken { label }
    );
}
