//! What a pod says to its router alone, and how much of it is answered.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it goes wrong"
)]

mod support;

use dataplane::desired::Desired;
use dataplane::io::Side;
use support::frames::{tagged, udp4};
use support::{Node, desired, hex, vif, vrf};

const POD: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// A pod (slot 1) and another (slot 2).
fn state() -> Desired {
    let mut state = desired("172.30.0.1", &["172.30.0.2"]);
    state.vrfs = vec![vrf("blue")];
    state.vifs = vec![
        vif("pod", "blue", &["10.0.0.1", "fd00::1"], "02:00:00:00:00:01", 17),
        vif("other", "blue", &["10.0.0.2", "fd00::2"], "02:00:00:00:00:02", 18),
    ];
    state
}

fn arp_for_gateway() -> Vec<u8> {
    hex("ffffffffffff 020000000001 8100 0001 0806 0001 0800 06 04 0001
        020000000001 0a000001 000000000000 a9fe0101")
}

fn solicitation_for_gateway() -> Vec<u8> {
    let packet = hex("6000000000203aff fd000000000000000000000000000001 ff0200000000000000000001ff000001
        87007c1900000000 fe800000000000000000000000000001 0101020000000001");
    tagged(1, POD, &packet)
}

#[test]
fn messages_to_the_router_end_there() {
    let messages = [
        (
            "router solicitation",
            "6000000000083aff fe800000000000000000000000001234
            ff020000000000000000000000000002 85006b0300000000",
        ),
        (
            "MLD report",
            "60000000001c3a01 fe800000000000000000000000001234 ff020000000000000000000000000016
            8f005cdc00000001 04000000ff0200000000000000000000000000fb",
        ),
        ("IGMP report", "4500001c00090000 0102cfc0 0a000001 e0000016 1600fa04e00000fb"),
        (
            "own advertisement",
            "6000000000183aff fd000000000000000000000000000001
            ff020000000000000000000000000001 88005ea520000000 fd000000000000000000000000000001",
        ),
        (
            "own link-local advertisement",
            "6000000000183aff fe800000000000000000000000001234
            ff020000000000000000000000000001 8800373f20000000 fe800000000000000000000000001234",
        ),
    ];
    let mut node = Node::new(&state());
    for (name, packet) in messages {
        let output = node.step(Side::Trunk, &tagged(1, POD, &hex(packet)));
        assert!(output.trunk.is_empty() && output.uplink.is_empty(), "{name}");
        assert_eq!(output.moved, [("pod.rx".to_owned(), 1), ("consumed".to_owned(), 1)].into(), "{name}");
    }
}

#[test]
fn group_membership_to_one_host_is_a_packet_like_any_other() {
    let packet = hex("4500001c00090000 400266d5 0a000001 0a000002 1600fa04e00000fb");
    let output = Node::new(&state()).step(Side::Trunk, &tagged(1, POD, &packet));
    output.assert_moved(&[("pod.rx", 1), ("other.tx", 1), ("misses", 1), ("pairs", 1)]);
}

#[test]
fn a_flood_of_questions_is_answered_in_part_and_costs_nobody_else_anything() {
    for question in [arp_for_gateway(), solicitation_for_gateway()] {
        let mut node = Node::new(&state());
        let answered: usize = (0..80).map(|_| node.step(Side::Trunk, &question).trunk.len()).sum();
        assert_eq!(answered, 50);
        let output = node.step(Side::Trunk, &question);
        output.assert_moved(&[("pod.rx", 1), ("pod.neighbour_ratelimited", 1)]);

        let mut other = arp_for_gateway();
        (other[11], other[15], other[18 + 13], other[18 + 17]) = (2, 2, 2, 2);
        assert_eq!(node.step(Side::Trunk, &other).trunk.len(), 1, "another pod is answered");
        let lost = tagged(1, POD, &udp4([10, 0, 0, 1], [192, 0, 2, 1], (4000, 53), 64, 8));
        assert_eq!(node.step(Side::Trunk, &lost).trunk.len(), 1, "errors have a bucket of their own");
        let through = tagged(1, POD, &udp4([10, 0, 0, 1], [10, 0, 0, 2], (4000, 53), 64, 8));
        assert_eq!(node.step(Side::Trunk, &through).trunk.len(), 1, "packets go on");
        node.now += 10;
        assert_eq!(node.step(Side::Trunk, &question).trunk.len(), 1, "after a hundredth of a second");
    }
}
