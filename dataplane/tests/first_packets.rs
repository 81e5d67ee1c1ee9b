//! What the first packets of flows leave behind, in unlucky orders.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it goes wrong"
)]

mod support;

use dataplane::desired::{Desired, Transport};
use dataplane::io::Side;
use support::frames::{fabric, tagged, tunnelled, udp4};
use support::{Node, desired, hex, route, service, to_tunnel, to_vif, vif, vrf};

const A: [u8; 6] = [2, 0, 0, 0, 0, 1];
const B: [u8; 6] = [2, 0, 0, 0, 0, 2];
const CLIENT: [u8; 4] = [10, 9, 0, 5];

/// Pods a (slot 1) and b (slot 2), a client behind `node`, and a service with b behind it.
fn state(node: &str) -> Desired {
    let mut state = desired("172.30.0.1", &["172.30.0.2", "172.30.0.3"]);
    state.vrfs = vec![vrf("blue")];
    state.vifs = vec![
        vif("a", "blue", &["10.0.0.1"], "02:00:00:00:00:01", 17),
        vif("b", "blue", &["10.0.0.2"], "02:00:00:00:00:02", 18),
    ];
    state.routes = vec![
        route("blue", "10.9.0.0/16", vec![to_tunnel(node, 40)]),
        // Known as a node whatever the route above says.
        route("blue", "10.10.0.0/16", vec![to_tunnel("172.30.0.2", 40)]),
        route("blue", "10.11.0.0/16", vec![to_tunnel("172.30.0.3", 40)]),
    ];
    state.services = vec![service("blue", "10.96.0.1", &[(Transport::Udp, 80, 8080)], vec![to_vif("b")])];
    state
}

fn with_dont_fragment(mut packet: Vec<u8>) -> Vec<u8> {
    packet[6] = 0x40;
    packet[10..12].fill(0);
    let sum = encap::Sum::of(&packet[..20]).finish();
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}

#[test]
fn a_packet_that_dies_on_its_way_out_makes_no_flow() {
    let (up, mut down) = (state("172.30.0.2"), state("172.30.0.2"));
    down.vifs[1].link = dataplane::desired::Link::Down("test".to_owned());
    let to_b = |ttl, len| udp4([10, 0, 0, 1], [10, 0, 0, 2], (7000, 8080), ttl, len);
    let rows = [
        (&up, to_b(1, 4), "a.ttl_exceeded"),
        (&up, with_dont_fragment(to_b(64, 1600)), "a.frame_too_big"),
        (&down, to_b(64, 4), "a.vif_down"),
    ];
    for (state, packet, counter) in rows {
        let mut node = Node::new(state);
        let output = node.step(Side::Trunk, &tagged(1, A, &packet));
        assert_eq!((output.moved.get(counter), output.moved.get("pairs")), (Some(&1), None), "{counter}");
    }
    let mut node = Node::new(&up);
    let output = node.step(Side::Trunk, &tagged(1, A, &to_b(2, 4)));
    output.assert_moved(&[("a.rx", 1), ("b.tx", 1), ("misses", 1), ("pairs", 1)]);
}

#[test]
fn a_reply_seen_before_its_request_gives_way_to_it() {
    let request = udp4(CLIENT, [10, 96, 0, 1], (7000, 80), 63, 4);
    let reply = udp4([10, 0, 0, 2], CLIENT, (8080, 7000), 64, 4);
    let mut node = Node::new(&state("172.30.0.2"));
    let output = node.step(Side::Trunk, &tagged(2, B, &reply));
    output.assert_moved(&[("b.rx", 1), ("uplink.tx", 1), ("misses", 1), ("pairs", 1)]);
    assert_eq!(output.uplink[0][46 + 12..][..4], [10, 0, 0, 2], "nobody knows of the service yet");
    let output = node.step(Side::Uplink, &fabric(18, &request));
    output.assert_moved(&[("uplink.rx", 1), ("b.tx", 1), ("misses", 1), ("purged", 1), ("pairs", 1)]);
    let output = node.step(Side::Trunk, &tagged(2, B, &reply));
    output.assert_moved(&[("b.rx", 1), ("uplink.tx", 1), ("hits", 1)]);
    assert_eq!(output.uplink[0][46 + 12..][..4], [10, 96, 0, 1]);
}

/// A flow of its own between the same ports, which both ends know of, is not taken apart.
#[test]
fn a_flow_that_was_answered_does_not_give_way() {
    let mut node = Node::new(&state("172.30.0.2"));
    let own = udp4([10, 0, 0, 2], CLIENT, (8080, 7000), 64, 4);
    node.step(Side::Trunk, &tagged(2, B, &own));
    let answer = udp4(CLIENT, [10, 0, 0, 2], (7000, 8080), 63, 4);
    node.step(Side::Uplink, &fabric(18, &answer)).assert_moved(&[("uplink.rx", 1), ("b.tx", 1), ("hits", 1)]);
    let request = udp4(CLIENT, [10, 96, 0, 1], (7000, 80), 63, 4);
    let output = node.step(Side::Uplink, &fabric(18, &request));
    output.assert_moved(&[("uplink.rx", 1), ("b.nat_port_exhausted", 1), ("misses", 1)]);
    node.step(Side::Trunk, &tagged(2, B, &own)).assert_moved(&[("b.rx", 1), ("uplink.tx", 1), ("hits", 1)]);
}

#[test]
fn the_first_packet_from_the_node_that_a_client_has_moved_to_is_delivered() {
    let request = udp4(CLIENT, [10, 0, 0, 2], (7000, 8080), 63, 4);
    let mut node = Node::new(&state("172.30.0.2"));
    node.step(Side::Uplink, &fabric(18, &request));
    node.publish(&state("172.30.0.3"));
    let from_there = tunnelled(("172.30.0.3", "172.30.0.1"), 18, &request);
    let output = node.step(Side::Uplink, &from_there);
    let anew = [("hits", 1), ("revalidations", 1), ("purged", 1), ("pairs", 1)];
    output.assert_moved(&[&[("uplink.rx", 1), ("b.tx", 1)][..], &anew].concat());
    let reply = udp4([10, 0, 0, 2], CLIENT, (8080, 7000), 64, 4);
    let output = node.step(Side::Trunk, &tagged(2, B, &reply));
    assert_eq!(output.uplink[0][30..34], hex("ac1e0003"), "answers go there too");
    let output = node.step(Side::Uplink, &fabric(18, &request));
    assert_eq!(output.moved.get("b.tunnel_source_mismatch"), Some(&1), "{:?}", output.moved);
}
