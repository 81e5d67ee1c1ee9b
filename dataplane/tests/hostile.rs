//! What a hostile pod or node tries, and what comes of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it goes wrong"
)]

mod support;

use dataplane::desired::{Desired, Transport, VifKind};
use dataplane::io::Side;
use etherparse::PacketBuilder;
use support::frames::{error4, fabric, tagged, udp4, udp6};
use support::{Node, desired, route, service, to_tunnel, to_vif, vif, vrf};

const POD: [u8; 6] = [2, 0, 0, 0, 0, 1];
const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// A pod (slot 1), another (slot 2), the host (slot 3) with a default route to it, a remote pod.
fn state() -> Desired {
    let mut state = desired("172.30.0.1", &["172.30.0.2"]);
    state.vrfs = vec![vrf("blue")];
    state.vifs = vec![
        vif("pod", "blue", &["10.0.0.1", "fd00::1"], "02:00:00:00:00:01", 17),
        vif("other", "blue", &["10.0.0.2", "fd00::2"], "02:00:00:00:00:02", 18),
        vif("host", "blue", &["10.0.0.3"], "02:00:00:00:00:03", 19),
    ];
    state.vifs[2].kind = VifKind::Host;
    state.routes = vec![
        route("blue", "10.9.9.9/32", vec![to_tunnel("172.30.0.2", 40)]),
        route("blue", "0.0.0.0/0", vec![to_vif("host")]),
    ];
    state.services = vec![service("blue", "10.96.0.1", &[(Transport::Tcp, 80, 8080)], vec![to_vif("other")])];
    state
}

#[track_caller]
fn assert_silent_drop(node: &mut Node, side: Side, frame: &[u8], counters: &[(&str, u64)]) {
    let output = node.step(side, frame);
    assert!(output.trunk.is_empty() && output.uplink.is_empty(), "{:?}", output.moved);
    output.assert_moved(counters);
}

#[test]
fn an_icmp_error_goes_to_the_sender_it_quotes_and_nowhere_else() {
    let mut node = Node::new(&state());
    let request = udp4([10, 0, 0, 2], [10, 0, 0, 1], (4000, 53), 64, 8);
    let seen = node.step(Side::Trunk, &tagged(2, OTHER, &request)).trunk[0][18..].to_vec();
    let astray = error4([10, 0, 0, 1], [8, 8, 8, 8], (3, 3), &seen);
    let moved = [("pod.rx", 1), ("pod.icmp_error_unmatched", 1)];
    assert_silent_drop(&mut node, Side::Trunk, &tagged(1, POD, &astray), &moved);
    let right = error4([10, 0, 0, 1], [10, 0, 0, 2], (3, 3), &seen);
    assert_eq!(node.step(Side::Trunk, &tagged(1, POD, &right)).trunk.len(), 1);

    let request = udp4([10, 0, 0, 1], [10, 9, 9, 9], (4000, 53), 64, 8);
    node.step(Side::Trunk, &tagged(1, POD, &request));
    let martian = error4([127, 0, 0, 1], [10, 0, 0, 1], (3, 1), &request);
    let moved = [("uplink.rx", 1), ("pod.martian_address", 1)];
    assert_silent_drop(&mut node, Side::Uplink, &fabric(17, &martian), &moved);
}

#[test]
fn an_icmp_error_survives_a_change_of_routes() {
    let mut node = Node::new(&state());
    let request = udp4([10, 0, 0, 1], [10, 9, 9, 9], (4000, 53), 64, 8);
    node.step(Side::Trunk, &tagged(1, POD, &request));
    let mut changed = state();
    changed.routes.push(route("blue", "192.0.2.0/24", vec![to_tunnel("172.30.0.2", 41)]));
    node.publish(&changed);
    let error = error4([10, 9, 9, 9], [10, 0, 0, 1], (3, 3), &request);
    let output = node.step(Side::Uplink, &fabric(17, &error));
    output.assert_moved(&[("uplink.rx", 1), ("pod.tx", 1)]);
}

#[test]
fn a_pod_can_not_send_tunnel_packets_with_the_nodes_voice() {
    let mut node = Node::new(&state());
    for (dst, port) in [([172, 30, 0, 2], 6635), ([172, 30, 0, 1], 6635), ([172, 30, 0, 77], 51234)] {
        let frame = tagged(1, POD, &udp4([10, 0, 0, 1], dst, (4000, port), 64, 40));
        let moved = [("pod.rx", 1), ("pod.tunnel_recursion", 1), ("misses", 1)];
        assert_silent_drop(&mut node, Side::Trunk, &frame, &moved);
    }
    // Between pods the port is one like any other.
    let frame = tagged(1, POD, &udp4([10, 0, 0, 1], [10, 0, 0, 2], (4000, 6635), 64, 40));
    assert_eq!(node.step(Side::Trunk, &frame).trunk.len(), 1);
}

#[test]
fn a_flow_to_a_tunnel_port_ends_when_its_destination_becomes_a_node() {
    let mut state = state();
    state.vrfs.push(vrf("red"));
    state.routes.push(route("blue", "10.8.8.8/32", vec![to_tunnel("172.30.0.2", 40)]));
    let mut node = Node::new(&state);
    let frame = tagged(1, POD, &udp4([10, 0, 0, 1], [10, 8, 8, 8], (4000, 6635), 64, 40));
    assert_eq!(node.step(Side::Trunk, &frame).uplink.len(), 1);
    // No route and no service of the flow's VRF changes.
    let backends = vec![to_tunnel("10.8.8.8", 50)];
    state.services.push(service("red", "10.96.0.2", &[(Transport::Tcp, 80, 8080)], backends));
    node.publish(&state);
    let moved =
        [("pod.rx", 1), ("pod.tunnel_recursion", 1), ("hits", 1), ("revalidations", 1), ("purged", 1)];
    assert_silent_drop(&mut node, Side::Trunk, &frame, &moved);
}

#[test]
fn frames_for_another_host_on_the_underlay_are_not_taken() {
    let mut node = Node::new(&state());
    let mut frame = fabric(17, &udp4([10, 9, 9, 9], [10, 0, 0, 1], (1, 2), 63, 8));
    frame[5] ^= 1;
    assert_silent_drop(&mut node, Side::Uplink, &frame, &[("uplink.rx", 1), ("uplink.not_for_us", 1)]);
}

#[test]
fn a_unicast_packet_in_a_broadcast_frame_is_neither_forwarded_nor_answered() {
    let mut node = Node::new(&state());
    for dst in [[10, 0, 0, 2], [10, 96, 0, 1]] {
        let mut frame = tagged(1, POD, &udp4([10, 0, 0, 1], dst, (4000, 53), 64, 8));
        frame[..6].fill(0xff);
        assert_silent_drop(&mut node, Side::Trunk, &frame, &[("pod.rx", 1), ("pod.not_for_us", 1)]);
    }
}

#[test]
fn udp_over_ipv6_has_a_checksum() {
    let mut node = Node::new(&state());
    let mut packet = udp6("fd00::1", "fd00::2", (4000, 53), 64, 8);
    packet[46..48].fill(0);
    let moved = [("pod.rx", 1), ("pod.malformed_l4", 1)];
    assert_silent_drop(&mut node, Side::Trunk, &tagged(1, POD, &packet), &moved);
}

#[test]
fn segments_that_no_connection_begins_with_make_no_flow() {
    let segment = |flags: u8, dst: [u8; 4]| {
        let mut packet = Vec::new();
        let builder = PacketBuilder::ipv4([10, 0, 0, 1], dst, 64).tcp(4000, 80, 1, 1000);
        builder.write(&mut packet, &[]).unwrap();
        packet[33] = flags;
        tagged(1, POD, &packet)
    };
    let mut node = Node::new(&state());
    for flags in [0x00, 0x03, 0x06, 0x01, 0x29, 0x08] {
        for dst in [[10, 96, 0, 1], [10, 0, 0, 2]] {
            let moved = [("pod.rx", 1), ("pod.tcp_bad_flags", 1), ("misses", 1)];
            assert_silent_drop(&mut node, Side::Trunk, &segment(flags, dst), &moved);
        }
    }
    for flags in [0x02, 0x12, 0x10, 0x04, 0x11, 0xc2] {
        let mut node = Node::new(&state());
        let output = node.step(Side::Trunk, &segment(flags, [10, 0, 0, 2]));
        output.assert_moved(&[("pod.rx", 1), ("other.tx", 1), ("misses", 1), ("pairs", 1)]);
    }
}
