//! Backends that terminate and go, and clients that stay with theirs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it goes wrong"
)]

mod support;

use std::collections::BTreeSet;

use dataplane::desired::{Affinity, Desired, OnBackendGone, Transport};
use dataplane::io::Side;
use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use flow_table::Millis;
use support::{
    Node, Output, desired, from_fabric, ready, service, service_mut, terminating, to_tunnel, to_vif, vif, vrf,
};

const GATEWAY: [u8; 6] = [0, 0, 0x5e, 0, 1, 0];
const CLUSTER_IP: [u8; 4] = [14, 1, 1, 100];

/// Pods 1 to `count` behind a service, and clients with VLANs from `count` + 1 on.
fn pods(count: u8, clients: u8) -> Desired {
    let mut state = desired("10.1.1.1", &["10.1.1.2"]);
    state.vrfs = vec![vrf("eight")];
    for n in 1..=count + clients {
        let name = if n <= count { format!("pod{n}") } else { format!("client{}", n - count) };
        let (address, mac) = (format!("11.1.1.{n}"), format!("02:00:00:00:08:0{n:x}"));
        state.vifs.push(vif(&name, "eight", &[&address], &mac, 100 + u32::from(n)));
    }
    let backends = (1..=count).map(|n| to_vif(&format!("pod{n}"))).collect();
    let ports = [(Transport::Udp, 80, 1080), (Transport::Tcp, 80, 1080)];
    state.services = vec![service("eight", "14.1.1.100", &ports, backends)];
    state
}

/// A UDP datagram from the vif with VLAN `n`.
fn udp(n: u8, dst: [u8; 4], ports: (u16, u16)) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 8, n], GATEWAY)
        .single_vlan(u16::from(n).try_into().unwrap())
        .ipv4([11, 1, 1, n], dst, 64)
        .udp(ports.0, ports.1);
    let mut frame = Vec::new();
    builder.write(&mut frame, b"data").unwrap();
    frame
}

/// A TCP segment from the vif with VLAN `n`: the opening one, or one in the middle.
fn tcp(n: u8, dst: [u8; 4], ports: (u16, u16), part: Part) -> Vec<u8> {
    let step = PacketBuilder::ethernet2([2, 0, 0, 0, 8, n], GATEWAY)
        .single_vlan(u16::from(n).try_into().unwrap())
        .ipv4([11, 1, 1, n], dst, 64)
        .tcp(ports.0, ports.1, 1000, 4096);
    let step = match part {
        Part::Syn => step.syn(),
        Part::Middle => step.ack(5000),
    };
    let mut frame = Vec::new();
    step.write(&mut frame, b"").unwrap();
    frame
}

#[derive(Clone, Copy)]
enum Part {
    Syn,
    Middle,
}

/// The vif (by VLAN) that got the only frame.
fn delivered(output: &Output) -> u8 {
    assert_eq!(output.trunk.len(), 1, "{:?}", output.moved);
    let sliced = SlicedPacket::from_ethernet(&output.trunk[0]).unwrap();
    sliced.vlan_ids()[0].value() as u8
}

/// Sends a datagram from the client with VLAN `n` to the service; gives the pod that got it.
fn ask(node: &mut Node, n: u8, sport: u16) -> u8 {
    delivered(&node.step(Side::Trunk, &udp(n, CLUSTER_IP, (sport, 80))))
}

/// The backend states, changed in place.
fn drain(state: &mut Desired, pod: &str) {
    for backend in &mut service_mut(state, 0).backends {
        if backend.to == to_vif(pod).to {
            *backend = terminating(to_vif(pod));
        }
    }
}

fn remove(state: &mut Desired, pod: &str) {
    service_mut(state, 0).backends.retain(|backend| backend.to != to_vif(pod).to);
}

#[test]
fn a_terminating_backend_keeps_its_flows_and_gets_no_new_ones() {
    let (mut state, client) = (pods(3, 1), 4);
    let mut node = Node::new(&state);
    let before: Vec<u8> = (0..32).map(|n| ask(&mut node, client, 1000 + n)).collect();
    assert!(before.contains(&2));
    drain(&mut state, "pod2");
    node.publish(&state);
    let after: Vec<u8> = (0..32).map(|n| ask(&mut node, client, 1000 + n)).collect();
    assert_eq!(before, after, "flows drain where they are");
    let new: BTreeSet<u8> = (0..64).map(|n| ask(&mut node, client, 2000 + n)).collect();
    assert_eq!(new, [1, 3].into());
}

#[test]
fn while_none_is_ready_terminating_backends_serve() {
    let (mut state, client) = (pods(2, 1), 3);
    drain(&mut state, "pod1");
    drain(&mut state, "pod2");
    let mut node = Node::new(&state);
    let reached: BTreeSet<u8> = (0..32).map(|n| ask(&mut node, client, 1000 + n)).collect();
    assert_eq!(reached, [1, 2].into());
    let fresh = service_mut(&mut state, 0);
    fresh.backends.push(to_tunnel("10.1.1.2", 34).into());
    node.publish(&state);
    let output = node.step(Side::Trunk, &udp(client, CLUSTER_IP, (5000, 80)));
    output.assert_moved(&[("client1.rx", 1), ("uplink.tx", 1), ("misses", 1), ("pairs", 1)]);
}

#[test]
fn a_udp_flow_whose_backend_is_gone_goes_elsewhere_with_its_next_packet() {
    let (mut state, client) = (pods(2, 1), 3);
    let mut node = Node::new(&state);
    let sport = (1000..).find(|sport| ask(&mut node, client, *sport) == 2).unwrap();
    remove(&mut state, "pod2");
    node.publish(&state);
    let output = node.step(Side::Trunk, &udp(client, CLUSTER_IP, (sport, 80)));
    assert_eq!(delivered(&output), 1);
    let expected =
        [("client1.rx", 1), ("pod1.tx", 1), ("hits", 1), ("revalidations", 1), ("pairs", 1), ("purged", 1)];
    output.assert_moved(&expected);
    // The pod that is gone from the service no longer speaks for it.
    let stray = node.step(Side::Trunk, &udp(2, [11, 1, 1, 3], (1080, sport)));
    let sliced = SlicedPacket::from_ethernet(&stray.trunk[0]).unwrap();
    let Some(NetSlice::Ipv4(ip)) = sliced.net else { panic!("not IPv4") };
    assert_eq!(ip.header().source(), [11, 1, 1, 2]);
}

#[test]
fn the_last_backend_takes_its_udp_flows_along() {
    let (mut state, client) = (pods(1, 1), 2);
    let mut node = Node::new(&state);
    let frame = udp(client, CLUSTER_IP, (1000, 80));
    assert_eq!(delivered(&node.step(Side::Trunk, &frame)), 1);
    remove(&mut state, "pod1");
    node.publish(&state);
    let told = [("client1.rx", 1), ("client1.tx", 1), ("generated", 1), ("client1.service_no_backend", 1)];
    let output = node.step(Side::Trunk, &frame);
    output.assert_moved(&[&told[..], &[("hits", 1), ("revalidations", 1), ("purged", 1)]].concat());
    assert_eq!(node.flows.len(), 0);
    // From now on the refusal is remembered, until the service has a backend again.
    let output = node.step(Side::Trunk, &frame);
    output.assert_moved(&[&told[..], &[("misses", 1), ("pairs", 1)]].concat());
    node.publish(&pods(1, 1));
    assert_eq!(delivered(&node.step(Side::Trunk, &frame)), 1);
}

#[test]
fn a_service_that_goes_takes_its_udp_flows_along() {
    let (mut state, client) = (pods(1, 1), 2);
    let mut node = Node::new(&state);
    let frame = udp(client, CLUSTER_IP, (1000, 80));
    assert_eq!(delivered(&node.step(Side::Trunk, &frame)), 1);
    state.services.clear();
    node.publish(&state);
    let output = node.step(Side::Trunk, &frame);
    let expected = [
        ("client1.rx", 1),
        ("client1.tx", 1),
        ("client1.no_route", 1),
        ("generated", 1),
        ("hits", 1),
        ("revalidations", 1),
        ("purged", 1),
    ];
    output.assert_moved(&expected);
    assert_eq!(node.flows.len(), 0);
}

/// What a frame with a TCP segment says: VLAN, ports, and whether it is a reset.
fn segment(frame: &[u8]) -> (u8, (u16, u16), bool) {
    let sliced = SlicedPacket::from_ethernet(frame).unwrap();
    let vlan = sliced.vlan_ids()[0].value() as u8;
    let Some(NetSlice::Ipv4(ip)) = sliced.net else { panic!("not IPv4") };
    let Some(TransportSlice::Tcp(tcp)) = sliced.transport else { panic!("not TCP") };
    let computed = tcp.to_header().calc_checksum_ipv4(&ip.header().to_header(), tcp.payload()).unwrap();
    assert_eq!(tcp.checksum(), computed);
    (vlan, (tcp.source_port(), tcp.destination_port()), tcp.rst())
}

/// A connection from the client of two pods to the pod 2; then pod 2 goes.
fn orphan(on_gone: OnBackendGone) -> (Node, u16) {
    let mut state = pods(2, 1);
    service_mut(&mut state, 0).on_backend_gone = on_gone;
    let mut node = Node::new(&state);
    let to_pod2 = |sport: &u16| {
        let output = node.step(Side::Trunk, &tcp(3, CLUSTER_IP, (*sport, 80), Part::Syn));
        delivered(&output) == 2
    };
    let sport = (1000..).find(to_pod2).unwrap();
    remove(&mut state, "pod2");
    node.publish(&state);
    (node, sport)
}

#[test]
fn a_tcp_connection_whose_backend_is_gone_is_moved_by_default() {
    let (mut node, sport) = orphan(OnBackendGone::Rechoose);
    let output = node.step(Side::Trunk, &tcp(3, CLUSTER_IP, (sport, 80), Part::Middle));
    assert_eq!(segment(&output.trunk[0]), (1, (sport, 1080), false));
    let expected =
        [("client1.rx", 1), ("pod1.tx", 1), ("hits", 1), ("revalidations", 1), ("pairs", 1), ("purged", 1)];
    output.assert_moved(&expected);
}

#[test]
fn a_tcp_connection_whose_backend_is_gone_is_reset_where_the_service_says_so() {
    let (mut node, sport) = orphan(OnBackendGone::Reset);
    let live = node.flows.len();
    let output = node.step(Side::Trunk, &tcp(3, CLUSTER_IP, (sport, 80), Part::Middle));
    assert_eq!(segment(&output.trunk[0]), (3, (80, sport), true));
    let expected = [
        ("client1.rx", 1),
        ("client1.tx", 1),
        ("client1.service_backend_gone", 1),
        ("generated", 1),
        ("hits", 1),
        ("revalidations", 1),
        ("purged", 1),
    ];
    output.assert_moved(&expected);
    assert_eq!(node.flows.len(), live - 1);
}

#[test]
fn the_backend_that_is_gone_is_reset_too_when_it_speaks_first() {
    let (mut node, sport) = orphan(OnBackendGone::Reset);
    let output = node.step(Side::Trunk, &tcp(2, [11, 1, 1, 3], (1080, sport), Part::Middle));
    assert_eq!(segment(&output.trunk[0]), (2, (sport, 1080), true));
    let expected = [
        ("pod2.rx", 1),
        ("pod2.tx", 1),
        ("pod2.service_backend_gone", 1),
        ("generated", 1),
        ("hits", 1),
        ("revalidations", 1),
        ("purged", 1),
    ];
    output.assert_moved(&expected);
}

#[test]
fn a_new_connection_between_the_same_ports_is_not_reset() {
    let (mut node, sport) = orphan(OnBackendGone::Reset);
    let output = node.step(Side::Trunk, &tcp(3, CLUSTER_IP, (sport, 80), Part::Syn));
    assert_eq!(segment(&output.trunk[0]), (1, (sport, 1080), false));
    let expected =
        [("client1.rx", 1), ("pod1.tx", 1), ("hits", 1), ("revalidations", 1), ("pairs", 1), ("purged", 1)];
    output.assert_moved(&expected);
}

#[test]
fn resetting_is_for_tcp_alone() {
    let (mut state, client) = (pods(2, 1), 3);
    service_mut(&mut state, 0).on_backend_gone = OnBackendGone::Reset;
    let mut node = Node::new(&state);
    let sport = (1000..).find(|sport| ask(&mut node, client, *sport) == 2).unwrap();
    remove(&mut state, "pod2");
    node.publish(&state);
    assert_eq!(ask(&mut node, client, sport), 1);
}

/// Four pods that keep a client for ten seconds.
fn sticky(clients: u8) -> Desired {
    let mut state = pods(4, clients);
    service_mut(&mut state, 0).affinity = Affinity::ClientAddress(Millis(10_000));
    state
}

fn pods_of(node: &mut Node, client: u8, sports: std::ops::Range<u16>) -> BTreeSet<u8> {
    sports.map(|sport| ask(node, client, sport)).collect()
}

#[test]
fn a_client_stays_with_its_backend_and_others_have_theirs() {
    let mut node = Node::new(&sticky(5));
    let of_client = |client| pods_of(&mut node, client, 1000..1040);
    let reached: Vec<BTreeSet<u8>> = (5..=9).map(of_client).collect();
    assert!(reached.iter().all(|pods| pods.len() == 1), "{reached:?}");
    assert!(reached.iter().flatten().collect::<BTreeSet<_>>().len() > 1, "{reached:?}");
    // Without affinity the same flows spread.
    assert_eq!(pods_of(&mut Node::new(&pods(4, 5)), 5, 1000..1040), [1, 2, 3, 4].into());
}

#[test]
fn affinity_expires_after_the_last_new_flow_and_is_not_renewed_by_old_ones() {
    let mut node = Node::new(&sticky(1));
    let first = ask(&mut node, 5, 1000);
    // The port that would choose another pod, found on a node that has not seen the client.
    let other = (2000..).find(|sport| ask(&mut Node::new(&sticky(1)), 5, *sport) != first).unwrap();
    node.now += 9_999;
    assert_eq!(ask(&mut node, 5, 1001), first, "held, and renewed");
    node.now += 9_000;
    assert_eq!(ask(&mut node, 5, 1001), first, "an old flow goes on");
    node.now += 999;
    assert_eq!(ask(&mut node, 5, 1002), first, "still within the time since the last new flow");
    node.now += 9_000;
    assert_eq!(ask(&mut node, 5, 1002), first, "an old flow again");
    node.now += 1_000;
    assert_ne!(ask(&mut node, 5, other), first, "free to choose again");
    assert_eq!(ask(&mut node, 5, 1002), first, "the old flow stays all the same");
}

#[test]
fn backends_that_terminate_or_go_lose_their_clients() {
    for change in [drain, remove] {
        let mut state = sticky(1);
        let mut node = Node::new(&state);
        let first = ask(&mut node, 5, 1000);
        change(&mut state, &format!("pod{first}"));
        node.publish(&state);
        let next = ask(&mut node, 5, 1001);
        assert_ne!(next, first);
        assert_eq!(pods_of(&mut node, 5, 1002..1030), [next].into());
        // Back again it does not get the client back.
        node.publish(&sticky(1));
        assert_eq!(pods_of(&mut node, 5, 1040..1060), [next].into());
    }
}

#[test]
fn affinity_takes_no_part_in_the_way_back() {
    let mut state = sticky(1);
    service_mut(&mut state, 0).backends = ready(vec![to_tunnel("10.1.1.2", 34), to_tunnel("10.1.1.2", 35)]);
    let label = |node: &mut Node, sport| {
        let output = node.step(Side::Trunk, &udp(5, CLUSTER_IP, (sport, 80)));
        encap::decapsulate(&output.uplink[0][14..], &encap::Ports::default(), encap::ZeroChecksum6::Refuse)
            .unwrap()
            .label
            .get()
    };
    let second = (1000..).find(|sport| label(&mut Node::new(&state), *sport) == 35).unwrap();
    // An answer whose flow this node has lost: the way back goes through the service, to label 34.
    let mut node = Node::new(&state);
    let output = node.step(Side::Uplink, &from_fabric(105, CLUSTER_IP, [11, 1, 1, 5], (80, 999)));
    output.assert_moved(&[("uplink.rx", 1), ("client1.tx", 1), ("misses", 1), ("pairs", 1)]);
    assert_eq!(label(&mut node, 999), 34);
    assert_eq!(label(&mut node, second), 35, "the client is still free to choose");
    assert!((1001..1030).all(|sport| label(&mut node, sport) == 35));
}
