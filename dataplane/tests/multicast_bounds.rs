//! Broadcast and link-local multicast: what one packet may cost, and who has a say in it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it goes wrong"
)]

mod support;

use dataplane::compile::{CompileError, Compiler};
use dataplane::desired::{Desired, Link, Peers, Policy, Rule, RuleTraffic, Transport};
use dataplane::io::Side;
use encap::Label;
use support::crowd::{A, EVERYONE, MDNS, assert_silent_drop, from_node, node, state, to_nodes, to_pods};
use support::frames::{tagged, udp4, udp6};
use support::{Node, vif};

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
    state.broadcasts[0].nodes = vec![support::crowd::node("172.30.0.2", 700)];
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
