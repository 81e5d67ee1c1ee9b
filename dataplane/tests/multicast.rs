//! Broadcast and link-local multicast: who hears a packet, and who does not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it goes wrong"
)]

mod support;

use dataplane::io::Side;
use support::crowd::{A, EVERYONE, HOST, MDNS, RED, assert_silent_drop, from_node, state, to_nodes, to_pods};
use support::frames::{error4, tagged, udp4, udp6};
use support::{Node, hex};

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
