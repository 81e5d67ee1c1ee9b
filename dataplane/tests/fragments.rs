//! Fragments through the node, in any order: one path, one backend, translation, and what is
//! refused, with every counter. What comes out is put together again by this file's own means.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "a test stops where it goes wrong"
)]

mod datagrams;
mod support;

use datagrams::{
    Random, cut4, cut6, fragment4, from_fabric, from_pod, put_together, sctp, tunnelled, udp, udp_is_right,
};
use dataplane::desired::{Desired, Transport, Vrf};
use dataplane::drop::DropReason;
use dataplane::io::Side;
use encap::Label;
use support::{Node, Output, desired, route, service, to_tunnel, to_vif, vif, vrf};

const CLIENT: &str = "12.1.1.3";
const CLUSTER: &str = "14.1.1.100";
const CLIENT6: &str = "fd00:12::3";
const CLUSTER6: &str = "fd00:14::100";
const VRF_LABEL: u32 = 60;

/// Three pods behind one service, reached by other nodes through the label of the VRF.
fn backends() -> Desired {
    let mut state = desired("10.1.1.1", &["10.1.1.2"]);
    state.vrfs = vec![Vrf { label: Label::new(VRF_LABEL), ..vrf("red") }];
    for n in 1..=3u32 {
        let addresses = [format!("11.1.1.{n}"), format!("fd00:11::{n}")];
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        state.vifs.push(vif(&format!("pod{n}"), "red", &addresses, &format!("02:00:00:00:08:0{n}"), 100 + n));
    }
    let back = || vec![to_tunnel("10.1.1.2", 30)];
    state.routes = vec![route("red", "12.1.1.3/32", back()), route("red", "fd00:12::3/128", back())];
    let ports = [(Transport::Udp, 80, 1080), (Transport::Tcp, 80, 1080)];
    for address in [CLUSTER, CLUSTER6] {
        let pods = (1..=3).map(|n| to_vif(&format!("pod{n}"))).collect();
        state.services.push(service("red", address, &ports, pods));
    }
    state
}

/// The order fragments come in.
#[derive(Clone, Copy, Debug)]
enum Order {
    AsSent,
    Reversed,
    Shuffled(u64),
}

impl Order {
    const ALL: [Order; 4] = [Order::AsSent, Order::Reversed, Order::Shuffled(1), Order::Shuffled(2)];

    fn of(self, mut frames: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        match self {
            Order::AsSent => {}
            Order::Reversed => frames.reverse(),
            Order::Shuffled(seed) => Random(seed).shuffle(&mut frames),
        }
        frames
    }
}

/// Feeds frames in batches of `size` and gives all that came out.
fn feed(node: &mut Node, side: Side, frames: &[Vec<u8>], size: usize) -> Output {
    let mut sum = Output::default();
    for batch in frames.chunks(size) {
        let batch: Vec<&[u8]> = batch.iter().map(Vec::as_slice).collect();
        let output = node.batch(side, &batch);
        sum.trunk.extend(output.trunk);
        sum.uplink.extend(output.uplink);
        for (name, count) in output.moved {
            *sum.moved.entry(name).or_default() += count;
        }
    }
    sum
}

fn payload(len: usize) -> Vec<u8> {
    let mut random = Random(len as u64);
    (0..len).map(|_| random.next() as u8).collect()
}

/// VLAN of frames to vifs, which must be one, and the IP packets in them.
fn to_one_vif(frames: &[Vec<u8>]) -> (u16, Vec<Vec<u8>>) {
    let vlans: Vec<u16> = frames.iter().map(|frame| u16::from_be_bytes([frame[14], frame[15]])).collect();
    assert!(vlans.iter().all(|vlan| *vlan == vlans[0]), "{vlans:?}");
    (vlans[0], frames.iter().map(|frame| frame[18..].to_vec()).collect())
}

/// Outer source port and label of tunnelled frames, which must be one, and the inner packets.
fn through_one_tunnel(frames: &[Vec<u8>]) -> (u16, u32, Vec<Vec<u8>>) {
    let opened: Vec<(u16, u32, Vec<u8>)> = frames.iter().map(|frame| tunnelled(frame)).collect();
    let (port, label, _) = opened[0];
    assert!(opened.iter().all(|(p, l, _)| (*p, *l) == (port, label)));
    (port, label, opened.into_iter().map(|(_, _, inner)| inner).collect())
}

/// A big request from the fabric through the ClusterIP and a big answer back.
fn exchange(
    order: Order,
    size: usize,
    [client, cluster]: [&str; 2],
    cut: fn(&[u8], usize, u32) -> Vec<Vec<u8>>,
) {
    let mut node = Node::new(&backends());
    let body = payload(60_000);
    let pieces = cut(&udp(client, cluster, (1000, 80), &body), 1500, 7);
    let count = pieces.len() as u64;
    let frames: Vec<_> = pieces.iter().map(|piece| from_fabric(VRF_LABEL, piece)).collect();
    let output = feed(&mut node, Side::Uplink, &order.of(frames), size);
    let (vlan, packets) = to_one_vif(&output.trunk);
    let pod = format!("pod{vlan}");
    output.assert_moved(&[
        ("uplink.rx", count),
        (&format!("{pod}.tx"), count),
        ("misses", 1),
        ("hits", count - 1),
        ("pairs", 1),
    ]);
    let whole = put_together(&packets);
    let pod_address =
        if client.contains(':') { format!("fd00:11::{vlan}") } else { format!("11.1.1.{vlan}") };
    assert_eq!(udp_is_right(&whole), (format!("{client}:1000"), format!("{pod_address}:1080"), body));
    assert_eq!(node.held(), 0);

    let body = payload(59_001);
    let pieces = cut(&udp(&pod_address, client, (1080, 1000), &body), 1500, 7);
    let count = pieces.len() as u64;
    let frames: Vec<_> = pieces.iter().map(|piece| from_pod(vlan, piece)).collect();
    let output = feed(&mut node, Side::Trunk, &order.of(frames), size);
    output.assert_moved(&[(&format!("{pod}.rx"), count), ("uplink.tx", count), ("hits", count)]);
    let (_, label, packets) = through_one_tunnel(&output.uplink);
    assert_eq!(label, 30);
    let whole = put_together(&packets);
    assert_eq!(udp_is_right(&whole), (format!("{cluster}:80"), format!("{client}:1000"), body));
    assert_eq!(node.held(), 0);
}

#[test]
fn ipv4_fragments_of_60_kilobytes_reach_one_backend_in_any_order() {
    for order in Order::ALL {
        for size in [1, 64] {
            exchange(order, size, [CLIENT, CLUSTER], cut4);
        }
    }
}

#[test]
fn ipv6_fragments_of_60_kilobytes_reach_one_backend_in_any_order() {
    for order in Order::ALL {
        for size in [7, 64] {
            exchange(order, size, [CLIENT6, CLUSTER6], cut6);
        }
    }
}

#[test]
fn fragments_towards_another_node_share_member_and_outer_source_port() {
    let mut state = backends();
    support::service_mut(&mut state, 0).backends =
        (0..4).map(|n| to_tunnel("10.1.1.2", 40 + n).into()).collect();
    for order in Order::ALL {
        let mut node = Node::new(&state);
        let mut seen = Vec::new();
        for flow in 0..8 {
            let body = payload(9000);
            let pieces = cut4(&udp("11.1.1.1", CLUSTER, (4000 + flow, 80), &body), 1500, u32::from(flow));
            let frames: Vec<_> = pieces.iter().map(|piece| from_pod(1, piece)).collect();
            let output = feed(&mut node, Side::Trunk, &order.of(frames), 3);
            let (port, label, packets) = through_one_tunnel(&output.uplink);
            seen.push((port, label));
            let whole = put_together(&packets);
            let expected =
                ("11.1.1.1:".to_owned() + &(4000 + flow).to_string(), CLUSTER.to_owned() + ":80", body);
            assert_eq!(udp_is_right(&whole), expected);
            // A packet that needs no fragments takes the same way.
            let small = udp("11.1.1.1", CLUSTER, (4000 + flow, 80), b"small");
            let output = node.step(Side::Trunk, &from_pod(1, &small));
            let (small_port, small_label, _) = through_one_tunnel(&output.uplink);
            assert_eq!((small_port, small_label), (port, label));
        }
        assert!(seen.iter().any(|(_, label)| *label != seen[0].1), "all flows on one member: {seen:?}");
    }
}

/// Pieces of a UDP datagram from pod 1 to pod 2: 8 + 792 bytes in four fragments of 200.
fn four_pieces(id: u32) -> Vec<Vec<u8>> {
    let whole = udp("11.1.1.1", "11.1.1.2", (4000, 5000), &payload(792));
    let pieces = cut4(&whole, 220, id);
    assert_eq!(pieces.len(), 4);
    pieces.iter().map(|piece| from_pod(1, piece)).collect()
}

#[test]
fn a_fragment_without_its_first_waits_two_seconds() {
    let mut node = Node::new(&backends());
    let pieces = four_pieces(1);
    node.step(Side::Trunk, &pieces[1]).assert_moved(&[("pod1.rx", 1)]);
    node.now += 1000;
    node.step(Side::Trunk, &pieces[2]).assert_moved(&[("pod1.rx", 1)]);
    assert_eq!(node.held(), 2);
    node.now += 999;
    node.batch(Side::Trunk, &[]).assert_moved(&[]);
    assert_eq!(node.held(), 2);
    node.now += 1;
    // The clock runs from the first fragment to come, for all of the datagram.
    node.batch(Side::Trunk, &[]).assert_moved(&[("pod1.fragment_timeout", 2)]);
    assert_eq!(node.held(), 0);
    // The first fragment goes on when it comes, and the rest behind it.
    let output = node.step(Side::Trunk, &pieces[0]);
    output.assert_moved(&[("pod1.rx", 1), ("pod2.tx", 1), ("misses", 1), ("pairs", 1)]);
    let output = node.step(Side::Trunk, &pieces[3]);
    output.assert_moved(&[("pod1.rx", 1), ("pod2.tx", 1), ("hits", 1)]);
}

#[test]
fn a_first_fragment_on_another_worker_lets_them_go() {
    let state = backends();
    let mut one = Node::new(&state);
    let mut two = one.colleague(&state);
    let pieces = four_pieces(1);
    one.step(Side::Trunk, &pieces[3]);
    one.step(Side::Trunk, &pieces[1]);
    let first = two.step(Side::Trunk, &pieces[0]);
    first.assert_moved(&[("pod1.rx", 1), ("pod2.tx", 1), ("misses", 1), ("pairs", 1)]);
    assert_eq!((one.held(), two.held()), (2, 0));
    let released = one.batch(Side::Trunk, &[]);
    released.assert_moved(&[("pod2.tx", 2), ("hits", 2)]);
    assert_eq!(one.held(), 0);
    let last = two.step(Side::Trunk, &pieces[2]);
    let frames = [first.trunk, released.trunk, last.trunk].concat();
    let (_, packets) = to_one_vif(&frames);
    assert_eq!(udp_is_right(&put_together(&packets)).2, payload(792));
}

#[test]
fn what_is_refused_of_the_first_is_refused_of_all() {
    let mut node = Node::new(&backends());
    let whole = udp("11.1.1.1", "192.0.2.1", (4000, 5000), &payload(400));
    let frames: Vec<_> = cut4(&whole, 220, 1).iter().map(|piece| from_pod(1, piece)).collect();
    let output = feed(&mut node, Side::Trunk, &Order::Reversed.of(frames), 1);
    // One ICMP error, about the first fragment only (RFC 1812 section 4.3.2.7).
    output.assert_moved(&[
        ("pod1.rx", 3),
        ("pod1.no_route", 3),
        ("misses", 3),
        ("pod1.tx", 1),
        ("generated", 1),
    ]);
    assert_eq!(node.held(), 0);
}

#[test]
fn overlapping_fragments_poison_their_datagram() {
    let body = payload(64);
    let piece = |start, len, more| {
        from_pod(
            1,
            &fragment4("11.1.1.1", "11.1.1.2", 17, 9, (start, more), &udp_bytes(&body)[start..start + len]),
        )
    };
    let mut node = Node::new(&backends());
    let output = node.step(Side::Trunk, &piece(0, 24, true));
    output.assert_moved(&[("pod1.rx", 1), ("pod2.tx", 1), ("misses", 1), ("pairs", 1)]);
    node.step(Side::Trunk, &piece(16, 24, true))
        .assert_moved(&[("pod1.rx", 1), ("pod1.fragment_overlap", 1)]);
    node.step(Side::Trunk, &piece(24, 24, true))
        .assert_moved(&[("pod1.rx", 1), ("pod1.fragment_overlap", 1)]);
    node.step(Side::Trunk, &piece(48, 24, false))
        .assert_moved(&[("pod1.rx", 1), ("pod1.fragment_overlap", 1)]);
    // The identification is free again after the datagram's time.
    node.now += 2000;
    let output = node.step(Side::Trunk, &piece(0, 24, true));
    output.assert_moved(&[("pod1.rx", 1), ("pod2.tx", 1), ("hits", 1)]);
}

#[test]
fn fragments_that_wait_go_with_the_datagram_they_poison() {
    let body = payload(64);
    let piece = |start, len, more| {
        from_pod(
            1,
            &fragment4("11.1.1.1", "11.1.1.2", 17, 9, (start, more), &udp_bytes(&body)[start..start + len]),
        )
    };
    let mut node = Node::new(&backends());
    node.step(Side::Trunk, &piece(24, 24, true)).assert_moved(&[("pod1.rx", 1)]);
    assert_eq!(node.held(), 1);
    let output = node.step(Side::Trunk, &piece(16, 24, true));
    output.assert_moved(&[("pod1.rx", 1), ("pod1.fragment_overlap", 2)]);
    assert_eq!(node.held(), 0);
    node.step(Side::Trunk, &piece(0, 24, true)).assert_moved(&[("pod1.rx", 1), ("pod1.fragment_overlap", 1)]);
}

#[test]
fn a_duplicate_is_dropped_and_the_rest_goes_on() {
    let mut node = Node::new(&backends());
    let pieces = four_pieces(1);
    let mut changed = pieces[1].clone();
    *changed.last_mut().unwrap() ^= 1;
    node.step(Side::Trunk, &pieces[0]);
    node.step(Side::Trunk, &pieces[1]);
    for copy in [&pieces[0], &pieces[1], &changed] {
        let output = node.step(Side::Trunk, copy);
        output.assert_moved(&[("pod1.rx", 1), ("pod1.fragment_duplicate", 1)]);
    }
    let output = feed(&mut node, Side::Trunk, &pieces[2..], 1);
    output.assert_moved(&[("pod1.rx", 2), ("pod2.tx", 2), ("hits", 2)]);
}

#[test]
fn tiny_and_endless_fragments_are_refused() {
    let mut node = Node::new(&backends());
    let tcp = [&[0u8; 12][..], &[5 << 4], &[0; 19]].concat();
    let piece = |protocol, start, more, bytes: &[u8]| {
        from_pod(1, &fragment4("11.1.1.1", "11.1.1.2", protocol, 9, (start, more), bytes))
    };
    let rows = [
        ("fragment_tiny", piece(6, 0, true, &tcp[..16])),
        ("fragment_tiny", piece(6, 8, true, &tcp[8..32])),
        ("fragment_tiny", piece(6, 16, false, &tcp[16..32])),
        ("fragment_tiny", piece(132, 0, true, &tcp[..8])),
        ("fragment_overflow", piece(17, 65528, false, &[0; 8])),
        ("fragment_overflow", piece(1, 65504, false, &[0; 1000])),
        ("malformed_ipv4", piece(17, 8, true, &[0; 9])),
        ("malformed_ipv4", piece(17, 8, true, &[])),
    ];
    for (reason, frame) in rows {
        let output = node.step(Side::Trunk, &frame);
        output.assert_moved(&[("pod1.rx", 1), (&format!("pod1.{reason}"), 1)]);
    }
    assert_eq!(node.held(), 0);
}

#[test]
fn ipv6_fragments_are_refused_for_the_same_reasons() {
    let mut node = Node::new(&backends());
    let whole = udp("fd00:11::1", "fd00:11::2", (4000, 5000), &payload(392));
    let pieces: Vec<_> = cut6(&whole, 248, 5).iter().map(|piece| from_pod(1, piece)).collect();
    assert_eq!(pieces.len(), 2);
    // RFC 6946: an atomic fragment is a whole datagram, and is no part of another.
    let atomic: Vec<_> = cut6(&udp("fd00:11::1", "fd00:11::2", (4000, 5000), b"atomic"), 1500, 5);
    assert_eq!(atomic.len(), 1);
    let output = node.step(Side::Trunk, &from_pod(1, &atomic[0]));
    output.assert_moved(&[("pod1.rx", 1), ("pod2.tx", 1), ("misses", 1), ("pairs", 1)]);
    let output = feed(&mut node, Side::Trunk, &pieces[..1], 1);
    output.assert_moved(&[("pod1.rx", 1), ("pod2.tx", 1), ("hits", 1)]);
    let mut overlap = pieces[1].clone();
    let at = 18 + 40 + 2;
    let place = u16::from_be_bytes([overlap[at], overlap[at + 1]]) - 8;
    overlap[at..at + 2].copy_from_slice(&place.to_be_bytes());
    node.step(Side::Trunk, &overlap).assert_moved(&[("pod1.rx", 1), ("pod1.fragment_overlap", 1)]);
    node.step(Side::Trunk, &pieces[1]).assert_moved(&[("pod1.rx", 1), ("pod1.fragment_overlap", 1)]);
    let mut endless = pieces[1].clone();
    endless[at..at + 2].copy_from_slice(&0xfff8u16.to_be_bytes());
    node.step(Side::Trunk, &endless).assert_moved(&[("pod1.rx", 1), ("pod1.fragment_overflow", 1)]);
}

#[test]
fn ipv6_fragments_with_options_follow_their_first() {
    let mut node = Node::new(&backends());
    let plain = udp("fd00:11::1", "fd00:11::2", (4000, 5000), &payload(800));
    // Destination options between fragment header and UDP: only the first fragment names UDP.
    let mut whole = [&plain[..40], &[17, 0, 1, 4, 0, 0, 0, 0], &plain[40..]].concat();
    whole[6] = 60;
    let pieces: Vec<_> = cut6(&whole, 248, 5).iter().map(|piece| from_pod(1, piece)).collect();
    let count = pieces.len() as u64;
    let output = feed(&mut node, Side::Trunk, &Order::Reversed.of(pieces), 2);
    output.assert_moved(&[
        ("pod1.rx", count),
        ("pod2.tx", count),
        ("misses", 1),
        ("hits", count - 1),
        ("pairs", 1),
    ]);
}

#[test]
fn every_fragment_is_checked_like_a_whole_packet() {
    let mut node = Node::new(&backends());
    let pieces = cut4(&udp("11.1.1.1", "11.1.1.2", (4000, 5000), &payload(792)), 220, 1);
    node.step(Side::Trunk, &from_pod(1, &pieces[0]));
    let forged = cut4(&udp("11.1.1.9", "11.1.1.2", (4000, 5000), &payload(792)), 220, 1);
    for piece in &forged[..2] {
        let output = node.step(Side::Trunk, &from_pod(1, piece));
        output.assert_moved(&[("pod1.rx", 1), ("pod1.spoofed_source", 1)]);
    }
    let mut old = pieces[1].clone();
    datagrams::set_ttl(&mut old, 1);
    let output = node.step(Side::Trunk, &from_pod(1, &old));
    output.assert_moved(&[("pod1.rx", 1), ("pod1.ttl_exceeded", 1), ("hits", 1)]);
    assert_eq!(node.held(), 0);
}

#[test]
fn what_needs_the_whole_is_refused_in_pieces() {
    let mut state = backends();
    let ports = [(Transport::Sctp, 90, 1090)];
    state.services.push(service("red", "14.1.1.101", &ports, vec![to_vif("pod2")]));
    let mut node = Node::new(&state);
    let through_nat = cut4(&sctp("11.1.1.1", "14.1.1.101", (4000, 90), &payload(400)), 220, 1);
    let frames: Vec<_> = through_nat.iter().map(|piece| from_pod(1, piece)).collect();
    let output = feed(&mut node, Side::Trunk, &frames, 1);
    let count = frames.len() as u64;
    output.assert_moved(&[
        ("pod1.rx", count),
        ("pod1.fragment_unsupported", count),
        ("misses", 1),
        ("hits", count - 1),
        ("pairs", 1),
    ]);
    let direct = cut4(&sctp("11.1.1.1", "11.1.1.2", (4000, 90), &payload(400)), 220, 2);
    let frames: Vec<_> = direct.iter().map(|piece| from_pod(1, piece)).collect();
    let output = feed(&mut node, Side::Trunk, &frames, 1);
    output.assert_moved(&[
        ("pod1.rx", count),
        ("pod2.tx", count),
        ("misses", 1),
        ("hits", count - 1),
        ("pairs", 1),
    ]);
    // The reply to a ping would need its later fragments too.
    let ping = fragment4("11.1.1.1", "169.254.1.1", 1, 4, (0, true), &[&[8u8, 0][..], &[0; 62]].concat());
    let output = node.step(Side::Trunk, &from_pod(1, &ping));
    output.assert_moved(&[
        ("pod1.rx", 1),
        ("pod1.no_route", 1),
        ("misses", 1),
        ("pod1.tx", 1),
        ("generated", 1),
    ]);
    let error = fragment4("11.1.1.1", "11.1.1.2", 1, 3, (0, true), &[&[3u8, 3][..], &[0; 62]].concat());
    let output = node.step(Side::Trunk, &from_pod(1, &error));
    output.assert_moved(&[("pod1.rx", 1), ("pod1.fragment_unsupported", 1)]);
}

#[test]
fn a_vif_that_goes_takes_its_waiting_fragments_along() {
    let mut node = Node::new(&backends());
    let mut colleague = node.colleague(&backends());
    let pieces = four_pieces(1);
    node.step(Side::Trunk, &pieces[1]);
    let mut state = backends();
    state.services.clear();
    state.vifs.remove(0);
    node.publish(&state);
    // So many others come that one of them gets the slot, which is 1, and the address.
    for n in 4..=4095u32 {
        let address = if n == 4095 { "11.1.1.1".to_owned() } else { format!("11.2.{}.{}", n >> 8, n & 0xff) };
        let mac = if n == 4095 { "02:00:00:00:08:01" } else { "02:00:00:00:09:01" };
        state.vifs.push(vif(&format!("pod{n}"), "red", &[&address], mac, 100 + n));
    }
    node.publish(&state);
    assert_eq!(node.held(), 1);
    colleague.step(Side::Trunk, &pieces[0]);
    let output = node.batch(Side::Trunk, &[]);
    output.assert_moved(&[("pod4095.unknown_vif", 1)]);
    assert_eq!(node.drops_of_slot(1, DropReason::UnknownVif), 1);
    assert_eq!(node.held(), 0);
}

#[test]
fn the_table_is_shared_out_among_the_vifs() {
    let mut node = Node::with_few_fragments(&backends());
    let first = |slot: u16, id| {
        let whole = udp(&format!("11.1.1.{slot}"), "11.1.1.2", (4000, 5000), &payload(400));
        from_pod(slot, &cut4(&whole, 220, id)[0])
    };
    let share = dataplane::fragment::PER_CONTEXT as u64;
    let frames: Vec<_> = (0..share as u32 + 3).map(|id| first(1, id)).collect();
    let output = feed(&mut node, Side::Trunk, &frames, 64);
    output.assert_moved(&[
        ("pod1.rx", share + 3),
        ("pod1.fragment_table_full", 3),
        ("pod2.tx", share),
        ("misses", 1),
        ("hits", share - 1),
        ("pairs", 1),
    ]);
    let output = node.step(Side::Trunk, &first(3, 1));
    output.assert_moved(&[("pod3.rx", 1), ("pod2.tx", 1), ("misses", 1), ("pairs", 1)]);
    node.now += 2000;
    node.step(Side::Trunk, &first(1, 99)).assert_moved(&[("pod1.rx", 1), ("pod2.tx", 1), ("hits", 1)]);
}

#[test]
fn a_worker_holds_no_more_than_a_vifs_share() {
    let mut node = Node::new(&backends());
    let orphans: Vec<_> = (0..70).map(|id| four_pieces(id).swap_remove(1)).collect();
    let output = feed(&mut node, Side::Trunk, &orphans, 64);
    output.assert_moved(&[("pod1.rx", 70), ("pod1.fragment_table_full", 6)]);
    assert_eq!(node.held(), 64);
    let mut others: Vec<_> = cut4(&udp("11.1.1.3", "11.1.1.2", (4000, 5000), &payload(792)), 220, 1);
    others.reverse();
    let frames: Vec<_> = others.iter().map(|piece| from_pod(3, piece)).collect();
    let output = feed(&mut node, Side::Trunk, &frames, 1);
    output.assert_moved(&[("pod3.rx", 4), ("pod2.tx", 4), ("misses", 1), ("hits", 3), ("pairs", 1)]);
    node.now += 2000;
    node.batch(Side::Trunk, &[]).assert_moved(&[("pod1.fragment_timeout", 64)]);
}

#[test]
fn a_fragment_that_finds_no_room_does_not_keep_its_datagram_alive() {
    let mut node = Node::with_few_fragments(&backends());
    let whole = udp("11.1.1.1", "11.1.1.2", (4000, 5000), &payload(792));
    for id in 0..4 {
        let pieces = cut4(&whole, 68, id);
        let frames: Vec<_> = pieces[1..].iter().map(|piece| from_pod(1, piece)).collect();
        feed(&mut node, Side::Trunk, &frames, 64).assert_moved(&[("pod1.rx", 16)]);
    }
    assert_eq!(node.held(), 64);
    // Datagrams of two fragments come and go: their slots are free again each time.
    for id in 100..120 {
        let pieces = cut4(&whole, 600, id);
        let output = node.step(Side::Trunk, &from_pod(1, &pieces[1]));
        output.assert_moved(&[("pod1.rx", 1), ("pod1.fragment_table_full", 1)]);
        let output = node.step(Side::Trunk, &from_pod(1, &pieces[0]));
        assert_eq!(output.moved.get("pod2.tx"), Some(&1), "{id}");
    }
}

#[test]
fn a_flood_of_identifications_leaves_the_others_alone() {
    let mut node = Node::new(&backends());
    let (mut sent, mut refused, mut passed) = (0, 0, 0);
    for round in 0..125u32 {
        node.now += 10;
        let flood: Vec<_> = (0..64)
            .map(|n| {
                let mut pieces = four_pieces(round * 64 + n);
                pieces.swap_remove(if n % 2 == 0 { 0 } else { 2 })
            })
            .collect();
        let output = feed(&mut node, Side::Trunk, &flood, 64);
        sent += 64;
        refused += output.moved.get("pod1.fragment_table_full").copied().unwrap_or_default();
        passed += output.moved.get("pod2.tx").copied().unwrap_or_default();

        let plain = from_pod(3, &udp("11.1.1.3", "11.1.1.2", (7, 8), b"plain"));
        assert_eq!(node.step(Side::Trunk, &plain).trunk.len(), 1);
        let whole = udp("11.1.1.3", "11.1.1.2", (7, 9), &payload(5000));
        let frames: Vec<_> = cut4(&whole, 1500, round).iter().map(|piece| from_pod(3, piece)).collect();
        let output = feed(&mut node, Side::Trunk, &Order::Shuffled(u64::from(round)).of(frames), 2);
        assert_eq!(put_together(&to_one_vif(&output.trunk).1).len(), 20 + 8 + 5000);
    }
    assert_eq!(sent, 8000);
    assert!(refused > 6000 && passed <= 1024, "{refused} refused, {passed} passed");
    assert!(node.held() <= 64);
}

#[test]
fn outer_fragments_are_not_ours() {
    let mut node = Node::new(&backends());
    let inner = udp(CLIENT, CLUSTER, (1000, 80), b"request");
    for field in [0x2000u16, 0x0001, 0x2010] {
        let mut frame = from_fabric(VRF_LABEL, &inner);
        frame[14 + 6..14 + 8].copy_from_slice(&field.to_be_bytes());
        datagrams::fix_header(&mut frame[14..]);
        let output = node.step(Side::Uplink, &frame);
        output.assert_moved(&[("uplink.rx", 1), ("uplink.tunnel_fragment", 1)]);
    }
}

#[test]
fn a_packet_that_is_too_big_for_a_pod_is_fragmented() {
    let mut state = backends();
    state.vifs.iter_mut().for_each(|vif| vif.mtu = 600);
    let mut node = Node::new(&state);
    let body = payload(1472);
    let whole = udp(CLIENT, CLUSTER, (1000, 80), &body);
    let output = node.step(Side::Uplink, &from_fabric(VRF_LABEL, &whole));
    let (vlan, packets) = to_one_vif(&output.trunk);
    output.assert_moved(&[
        ("uplink.rx", 1),
        (&format!("pod{vlan}.tx"), 3),
        ("generated", 2),
        ("misses", 1),
        ("pairs", 1),
    ]);
    assert!(packets.iter().all(|packet| packet.len() <= 600));
    let expected = (format!("{CLIENT}:1000"), format!("11.1.1.{vlan}:1080"), body);
    assert_eq!(udp_is_right(&put_together(&packets)), expected);
}

#[test]
fn fragments_that_are_too_big_are_fragmented_again() {
    let mut state = backends();
    state.vifs.iter_mut().for_each(|vif| vif.mtu = 600);
    for order in Order::ALL {
        let mut node = Node::new(&state);
        let body = payload(20_000);
        let pieces = cut4(&udp(CLIENT, CLUSTER, (1000, 80), &body), 1500, 7);
        let frames: Vec<_> = pieces.iter().map(|piece| from_fabric(VRF_LABEL, piece)).collect();
        let output = feed(&mut node, Side::Uplink, &order.of(frames), 64);
        let (vlan, packets) = to_one_vif(&output.trunk);
        assert_eq!(output.moved["generated"], packets.len() as u64 - pieces.len() as u64);
        assert!(packets.iter().all(|packet| packet.len() <= 600));
        let expected = (format!("{CLIENT}:1000"), format!("11.1.1.{vlan}:1080"), body);
        assert_eq!(udp_is_right(&put_together(&packets)), expected);
    }
}

#[test]
fn a_packet_that_is_too_big_for_the_tunnel_is_fragmented_inside() {
    let mut state = backends();
    state.underlay.uplink.as_mut().unwrap().mtu = 632;
    let mut node = Node::new(&state);
    let body = payload(1472);
    let whole = udp("11.1.1.1", CLIENT, (4000, 80), &body);
    let output = node.step(Side::Trunk, &from_pod(1, &whole));
    output.assert_moved(&[("pod1.rx", 1), ("uplink.tx", 3), ("generated", 2), ("misses", 1), ("pairs", 1)]);
    let (_, label, packets) = through_one_tunnel(&output.uplink);
    assert_eq!(label, 30);
    let expected = ("11.1.1.1:4000".to_owned(), format!("{CLIENT}:80"), body);
    assert_eq!(udp_is_right(&put_together(&packets)), expected);
    let outer_ids: Vec<&[u8]> = output.uplink.iter().map(|frame| &frame[18..20]).collect();
    assert!(outer_ids[0] != outer_ids[1] && outer_ids[1] != outer_ids[2]);

    // With DF the sender is told instead.
    let mut fixed = whole.clone();
    fixed[6] |= 0x40;
    datagrams::fix_header(&mut fixed);
    let output = node.step(Side::Trunk, &from_pod(1, &fixed));
    output.assert_moved(&[
        ("pod1.rx", 1),
        ("pod1.frame_too_big", 1),
        ("pod1.tx", 1),
        ("generated", 1),
        ("hits", 1),
    ]);

    // All pieces leave or none.
    node.starve(2);
    let output = node.step(Side::Trunk, &from_pod(1, &whole));
    output.assert_moved(&[("pod1.rx", 1), ("pod1.no_free_frame", 1), ("hits", 1)]);
}

/// Nothing random breaks the laws that every step checks.
#[test]
fn random_fragments_are_all_accounted_for() {
    let mut state = backends();
    state.vifs[1].mtu = 100;
    let mut node = Node::new(&state);
    let mut random = Random(99);
    for _ in 0..400 {
        node.now += random.below(200);
        let frames: Vec<_> = (0..random.below(32))
            .map(|_| {
                let (slot, id) = (1 + random.below(3) as u16, random.below(40) as u32);
                let (start, len) = (8 * random.below(30) as usize, random.below(300) as usize);
                let protocol = [1, 6, 17, 17, 132][random.below(5) as usize];
                let dst = ["11.1.1.1", "11.1.1.2", CLIENT, CLUSTER][random.below(4) as usize];
                let more = random.below(3) > 0;
                let bytes = payload(if more { len & !7 } else { len });
                from_pod(
                    slot,
                    &fragment4(&format!("11.1.1.{slot}"), dst, protocol, id, (start, more), &bytes),
                )
            })
            .collect();
        feed(&mut node, Side::Trunk, &frames, 64);
    }
    node.now += 2000;
    node.batch(Side::Trunk, &[]);
    assert_eq!(node.held(), 0);
}

fn udp_bytes(body: &[u8]) -> Vec<u8> {
    udp("11.1.1.1", "11.1.1.2", (4000, 5000), body)[20..].to_vec()
}
