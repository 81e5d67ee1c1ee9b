//! Two workers of one node: the two directions of a flow come in at different queues, so at different workers, at
//! the same time. What comes out must be what one worker would have sent, in the same order.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it goes wrong"
)]

mod support;

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use dataplane::desired::{Desired, Transport};
use dataplane::io::Side;
use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use flow_table::{FlowState, Millis};
use support::{Node, desired, service, to_vif, vif, vrf};

const GATEWAY: [u8; 6] = [0, 0, 0x5e, 0, 1, 0];
const SERVICE: [u8; 4] = [14, 1, 1, 100];
const CLIENT: u8 = 1;
const FLOWS: u16 = 50;
/// Packets of each flow and direction.
const PACKETS: u32 = 200;

/// A client and three pods behind a service for UDP and TCP.
fn state() -> Desired {
    let mut state = desired("10.1.1.1", &["10.1.1.2"]);
    state.vrfs = vec![vrf("eight")];
    for n in 1..=4 {
        let (address, mac) = (format!("11.1.1.{n}"), format!("02:00:00:00:08:0{n}"));
        state.vifs.push(vif(&format!("pod{n}"), "eight", &[&address], &mac, 100 + n));
    }
    let ports = [(Transport::Udp, 80, 1080), (Transport::Tcp, 80, 1080)];
    let backends = (2..=4).map(|n| to_vif(&format!("pod{n}"))).collect();
    state.services = vec![service("eight", "14.1.1.100", &ports, backends)];
    state
}

/// Two workers that share everything but their counters and I/O.
fn two_workers() -> [Node; 2] {
    let node = Node::with_flows(&state(), 1000, 1000);
    let colleague = node.colleague(&state());
    [node, colleague]
}

fn udp(from: u8, to: [u8; 4], ports: (u16, u16), number: u32) -> Vec<u8> {
    let step = PacketBuilder::ethernet2([2, 0, 0, 0, 8, from], GATEWAY)
        .single_vlan(u16::from(from).try_into().unwrap())
        .ipv4([11, 1, 1, from], to, 64)
        .udp(ports.0, ports.1);
    let mut frame = Vec::new();
    step.write(&mut frame, &number.to_be_bytes()).unwrap();
    frame
}

fn request(flow: u16, number: u32) -> Vec<u8> {
    udp(CLIENT, SERVICE, (3000 + flow, 80), number)
}

fn answer(backend: u8, flow: u16, number: u32) -> Vec<u8> {
    udp(backend, [11, 1, 1, CLIENT], (1080, 3000 + flow), number)
}

/// VLAN, ports and number of a frame to a pod.
fn seen(frame: &[u8]) -> (u8, (u16, u16), u32) {
    let sliced = SlicedPacket::from_ethernet(frame).unwrap();
    let vlan = sliced.vlan_ids().first().unwrap().value();
    let Some(TransportSlice::Udp(udp)) = sliced.transport else { panic!("not UDP: {frame:02x?}") };
    let number = u32::from_be_bytes(udp.payload().try_into().unwrap());
    (vlan as u8, (udp.source_port(), udp.destination_port()), number)
}

/// Batches of all flows in turn, numbers rising.
fn batches(packet: impl Fn(u16, u32) -> Vec<u8>) -> Vec<Vec<Vec<u8>>> {
    (1..=PACKETS).map(|number| (0..FLOWS).map(|flow| packet(flow, number)).collect()).collect()
}

/// What a node of one worker makes of the same, requests before answers; which backend serves each flow.
fn alone() -> (Vec<Vec<u8>>, Vec<Vec<u8>>, Vec<u8>) {
    let mut node = Node::with_flows(&state(), 1000, 1000);
    let first: Vec<_> = (0..FLOWS).map(|flow| request(flow, 0)).collect();
    let first = node.batch_beside_others(Side::Trunk, &first);
    let backends: Vec<u8> = first.iter().map(|frame| seen(frame).0).collect();
    let mut run = |batches: Vec<Vec<Vec<u8>>>| -> Vec<Vec<u8>> {
        batches.iter().flat_map(|batch| node.batch_beside_others(Side::Trunk, batch)).collect()
    };
    let requests = run(batches(request));
    let answers = run(batches(|flow, number| answer(backends[usize::from(flow)], flow, number)));
    (requests, answers, backends)
}

#[test]
fn of_first_packets_that_two_workers_get_at_once_one_pair_is_made() {
    const TOGETHER: u16 = 20;
    const ROUNDS: u16 = 200;
    let node = Node::with_flows(&state(), u32::from(TOGETHER * ROUNDS), u32::MAX);
    let [mut a, mut b] = [node.colleague(&state()), node.colleague(&state())];
    let start = Barrier::new(2);
    let work = |node: &mut Node| -> Vec<Vec<u8>> {
        let batch = |round| (0..TOGETHER).map(|n| request(round * TOGETHER + n, 7)).collect::<Vec<_>>();
        let step = |round| {
            let batch = batch(round);
            start.wait();
            node.batch_beside_others(Side::Trunk, &batch)
        };
        (0..ROUNDS).flat_map(step).collect()
    };
    let (from_a, from_b) = thread::scope(|scope| {
        let other = scope.spawn(|| work(&mut b));
        (work(&mut a), other.join().unwrap())
    });
    let flows = u64::from(TOGETHER * ROUNDS);
    assert!(from_a == from_b, "the same packet is translated in two ways");
    assert_eq!(from_a.len() as u64, flows);
    let statistics = node.flows.statistics();
    assert_eq!((statistics.created, statistics.live), (flows, flows));
    // Every worker has looked each flow up once. Some were missed by both, else this would prove nothing.
    let ((hits_a, misses_a), (hits_b, misses_b)) = (a.lookups(), b.lookups());
    assert_eq!(hits_a + misses_a + hits_b + misses_b, 2 * flows);
    assert!(misses_a + misses_b > flows, "the workers never met");
}

#[test]
fn both_directions_at_once_come_out_as_from_one_worker_and_in_order() {
    let (requests, answers, backends) = alone();
    let [mut a, mut b] = two_workers();
    let first: Vec<_> = (0..FLOWS).map(|flow| request(flow, 0)).collect();
    a.batch_beside_others(Side::Trunk, &first);
    let (stop, start) = (AtomicBool::new(false), Barrier::new(2));
    let run = |node: &mut Node, batches: Vec<Vec<Vec<u8>>>| -> Vec<Vec<u8>> {
        start.wait();
        batches.iter().flat_map(|batch| node.batch_beside_others(Side::Trunk, batch)).collect()
    };
    let flows = a.flows.clone();
    let (from_a, from_b) = thread::scope(|scope| {
        // Nothing is idle, so the sweep takes nothing away, but it looks at everything.
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                flows.sweep(Millis(1000), 16, |_, _| true);
            }
        });
        let back = batches(|flow, number| answer(backends[usize::from(flow)], flow, number));
        let other = scope.spawn(|| run(&mut b, back));
        let from_a = run(&mut a, batches(request));
        let from_b = other.join().unwrap();
        stop.store(true, Ordering::Relaxed);
        (from_a, from_b)
    });
    assert!(from_a == requests, "the requests differ from what one worker sends");
    assert!(from_b == answers, "the answers differ from what one worker sends");
    for flow in 0..FLOWS {
        let of_flow = |sent: &[Vec<u8>], ports| -> Vec<u32> {
            let all = sent.iter().map(|frame| seen(frame));
            all.filter(|(_, of, _)| *of == ports).map(|(_, _, number)| number).collect()
        };
        assert!(of_flow(&from_a, (3000 + flow, 1080)).into_iter().eq(1..=PACKETS), "order of {flow}");
        assert!(of_flow(&from_b, (80, 3000 + flow)).into_iter().eq(1..=PACKETS), "order of {flow}'s answers");
    }
    let total = u64::from(FLOWS) * u64::from(PACKETS);
    assert_eq!((a.lookups(), b.lookups()), ((total, FLOWS.into()), (total, 0)));
    assert_eq!(flows.statistics().created, FLOWS.into());
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const ACK: u8 = 16;

fn tcp(from: u8, to: [u8; 4], ports: (u16, u16), flags: u8, (seq, ack): (u32, u32)) -> Vec<u8> {
    let step = PacketBuilder::ethernet2([2, 0, 0, 0, 8, from], GATEWAY)
        .single_vlan(u16::from(from).try_into().unwrap())
        .ipv4([11, 1, 1, from], to, 64)
        .tcp(ports.0, ports.1, seq, 4096);
    let step = if flags & SYN == 0 { step } else { step.syn() };
    let step = if flags & FIN == 0 { step } else { step.fin() };
    let step = if flags & ACK == 0 { step } else { step.ack(ack) };
    let mut frame = Vec::new();
    step.write(&mut frame, b"").unwrap();
    frame
}

/// The pod that a frame goes to.
fn receiver(frame: &[u8]) -> u8 {
    let sliced = SlicedPacket::from_ethernet(frame).unwrap();
    let Some(NetSlice::Ipv4(ip)) = sliced.net else { panic!("not IPv4") };
    ip.header().destination()[3]
}

#[test]
fn a_connection_whose_directions_meet_different_workers_has_one_state() {
    let [mut a, mut b] = two_workers();
    let to_service = |flags, numbers| tcp(CLIENT, SERVICE, (4000, 80), flags, numbers);
    let state = |node: &Node| node.flows.view(Millis(node.now), 0, 10, |_| true)[0].state;
    let sent = a.batch_beside_others(Side::Trunk, &[to_service(SYN, (100, 0))]);
    let backend = receiver(&sent[0]);
    let back = |flags, numbers| tcp(backend, [11, 1, 1, CLIENT], (1080, 4000), flags, numbers);
    let steps = [
        (SYN | ACK, (500, 101), FlowState::TcpOpening),
        (ACK, (101, 501), FlowState::TcpEstablished),
        (FIN | ACK, (501, 101), FlowState::TcpEstablished),
        (FIN | ACK, (101, 502), FlowState::TcpClosing),
        (ACK, (502, 102), FlowState::TcpClosed),
    ];
    for (n, (flags, numbers, expected)) in steps.into_iter().enumerate() {
        let (node, frame) = match n % 2 {
            0 => (&mut b, back(flags, numbers)),
            _ => (&mut a, to_service(flags, numbers)),
        };
        let sent = node.batch_beside_others(Side::Trunk, &[frame]);
        assert_eq!(receiver(&sent[0]), if n % 2 == 0 { CLIENT } else { backend }, "step {n}");
        assert_eq!(state(&a), expected, "step {n}");
    }
    a.now += 11_000;
    a.sweep();
    assert!(a.flows.is_empty(), "a closed connection goes within ten seconds");
}
