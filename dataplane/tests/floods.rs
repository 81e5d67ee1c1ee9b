//! Floods: who makes flows without end gets no more than its share, and nobody else notices.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops where it goes wrong")]

mod support;

use dataplane::desired::Desired;
use dataplane::io::Side;
use etherparse::PacketBuilder;
use support::{Node, Output, desired, route, to_tunnel, vif, vrf};

const GATEWAY: [u8; 6] = [0, 0, 0x5e, 0, 1, 0];
/// The pods, by their last number.
const ATTACKER: u8 = 1;
const CLIENT: u8 = 2;
const SERVER: u8 = 3;

const SYN: u8 = 2;
const ACK: u8 = 16;

const SECOND: u64 = 1000;

/// Three pods on the node; everything else is behind another node.
fn state() -> Desired {
    let mut state = desired("10.1.1.1", &["10.1.1.2"]);
    state.vrfs = vec![vrf("eight")];
    for (n, name) in [(ATTACKER, "attacker"), (CLIENT, "client"), (SERVER, "server")] {
        let (address, mac) = (format!("11.1.1.{n}"), format!("02:00:00:00:08:0{n}"));
        state.vifs.push(vif(name, "eight", &[&address], &mac, 100 + u32::from(n)));
    }
    state.routes = vec![route("eight", "0.0.0.0/0", vec![to_tunnel("10.1.1.2", 30)])];
    state
}

/// A TCP segment between pods or from one to the world.
fn tcp(from: u8, to: [u8; 4], ports: (u16, u16), flags: u8, (seq, ack): (u32, u32)) -> Vec<u8> {
    let step = PacketBuilder::ethernet2([2, 0, 0, 0, 8, from], GATEWAY)
        .single_vlan(u16::from(from).try_into().unwrap())
        .ipv4([11, 1, 1, from], to, 64)
        .tcp(ports.0, ports.1, seq, 4096);
    let step = if flags & SYN == 0 { step } else { step.syn() };
    let step = if flags & ACK == 0 { step } else { step.ack(ack) };
    let mut frame = Vec::new();
    step.write(&mut frame, b"").unwrap();
    frame
}

fn between(from: u8, to: u8, ports: (u16, u16), flags: u8, numbers: (u32, u32)) -> Vec<u8> {
    tcp(from, [11, 1, 1, to], ports, flags, numbers)
}

/// The `n`-th SYN of a flood to addresses and ports that differ from packet to packet.
fn flood(n: u32) -> Vec<u8> {
    let [_, a, b, c] = n.to_be_bytes();
    tcp(ATTACKER, [20, a, b, c], ((n % 60_000) as u16 + 1024, 80), SYN, (n, 0))
}

fn count(output: &Output, name: &str) -> u64 {
    output.moved.get(name).copied().unwrap_or_default()
}

/// The frame is delivered to a pod.
#[track_caller]
fn deliver(node: &mut Node, frame: &[u8]) {
    let output = node.step(Side::Trunk, frame);
    assert_eq!((output.trunk.len(), output.uplink.len()), (1, 0), "{:?}", output.moved);
}

/// The client connects to the server, without a packet sent twice.
#[track_caller]
fn connect(node: &mut Node, port: u16) {
    deliver(node, &between(CLIENT, SERVER, (port, 80), SYN, (100, 0)));
    deliver(node, &between(SERVER, CLIENT, (80, port), SYN | ACK, (500, 101)));
    deliver(node, &between(CLIENT, SERVER, (port, 80), ACK, (101, 501)));
}

/// One segment each way in an established connection.
#[track_caller]
fn talk(node: &mut Node, port: u16) {
    deliver(node, &between(CLIENT, SERVER, (port, 80), ACK, (101, 501)));
    deliver(node, &between(SERVER, CLIENT, (80, port), ACK, (501, 101)));
}

#[test]
fn in_a_full_table_new_flows_are_refused_and_established_ones_lose_nothing() {
    let mut node = Node::with_flows(&state(), 64, 1000);
    (0..8).for_each(|port| connect(&mut node, 3000 + port));
    let mut refused = 0;
    for n in 0..200 {
        let output = node.step(Side::Trunk, &flood(n));
        refused += count(&output, "attacker.flow_table_full");
        assert_eq!(count(&output, "pairs") + count(&output, "attacker.flow_table_full"), 1, "{n}");
        talk(&mut node, 3000 + (n % 8) as u16);
    }
    assert_eq!((refused, node.flows.len()), (200 - 56, 64));
    // Also a flow of someone who did nothing wrong finds no place, and says so.
    let output = node.step(Side::Trunk, &between(CLIENT, SERVER, (4000, 80), SYN, (1, 0)));
    assert_eq!(count(&output, "client.flow_table_full"), 1);
    // Half-open ones give way within their short time; without a sweep.
    node.now += 5 * SECOND + 1;
    (0..8).for_each(|port| talk(&mut node, 3000 + port));
    connect(&mut node, 4000);
    (0..8).for_each(|port| talk(&mut node, 3000 + port));
}

#[test]
fn a_vif_at_its_limit_is_refused_and_the_others_are_not() {
    let mut node = Node::with_flows(&state(), 1000, 50);
    let mut refused = 0;
    for n in 0..200 {
        refused += count(&node.step(Side::Trunk, &flood(n)), "attacker.vif_flow_limit");
        if n % 4 == 3 {
            connect(&mut node, 3000 + (n / 4) as u16);
        }
    }
    assert_eq!(refused, 150);
    assert_eq!(node.flows.len(), 100, "fifty of the attacker, fifty of the client");
}

/// HOSTILE row 67: the flood of one pod, a thousand SYNs a second, for 20 s; no sweep comes by.
#[test]
fn a_syn_flood_ages_within_five_seconds_and_leaves_others_alone() {
    const LIMIT: u32 = 100;
    let mut node = Node::with_flows(&state(), 1000, LIMIT);
    connect(&mut node, 2999);
    let (start, mut sent) = (node.now, 0);
    let mut made_at = Vec::new();
    for step in 0..100 {
        node.now = start + step * 200;
        for _ in 0..4 {
            let frames: Vec<_> = (sent..sent + 50).map(flood).collect();
            let frames: Vec<_> = frames.iter().map(Vec::as_slice).collect();
            let made = count(&node.batch(Side::Trunk, &frames), "pairs");
            made_at.extend((0..made).map(|_| node.now - start));
            sent += 50;
        }
        talk(&mut node, 2999);
        if step % 2 == 0 {
            connect(&mut node, 3000 + step as u16);
        }
    }
    // A hundred at the start, then as many each time that five seconds have gone by.
    let generation = |n: u64| made_at.iter().filter(|at| **at / (5 * SECOND) == n).count() as u32;
    assert_eq!([0, 1, 2, 3].map(generation), [LIMIT; 4]);
    assert!(node.flows.statistics().evicted >= u64::from(3 * LIMIT));
    assert_eq!(node.flows.statistics().refused_full, 0);
    assert_eq!(node.flows.statistics().refused_bucket, 0);
}
