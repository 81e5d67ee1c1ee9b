//! A pod that floods, and others beside it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use etherparse::PacketBuilder;
use pnet::datalink::{self, Channel, Config};
use tests::{Lab, Pod, echo, tcp_greeting, transfer};

use crate::{TARGET, remote_backend};

const GATEWAY: [u8; 6] = [0, 0, 0x5e, 0, 1, 0];
/// More than twice what a vif may have (a sixteenth of 262,144).
const SYNS: u32 = 40_000;
/// SYNs between two pauses of 10 ms: at most 10,000 a second.
const BURST: u32 = 100;

/// The `n`-th SYN of the pod, each of another flow.
fn syn(pod: &Pod, to: [u8; 4], n: u32) -> Vec<u8> {
    let mac: Vec<u8> = pod.plan.mac.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    let own: std::net::Ipv4Addr = pod.plan.ip.parse().unwrap();
    let ports = (1024 + (n % 60_000) as u16, 1 + (n.wrapping_mul(40_503) >> 8) as u16 % 60_000);
    let step = PacketBuilder::ethernet2(mac.try_into().unwrap(), GATEWAY).ipv4(own.octets(), to, 64);
    let mut frame = Vec::new();
    step.tcp(ports.0, ports.1, n, 65_535).syn().write(&mut frame, &[]).unwrap();
    frame
}

/// Sends all SYNs past the pod's own stack.
fn flood(pod: &Pod, to: [u8; 4]) {
    pod.namespace.within(|| {
        let eth0 = datalink::interfaces().into_iter().find(|found| found.name == "eth0").unwrap();
        let Channel::Ethernet(mut sender, _) = datalink::channel(&eth0, Config::default()).unwrap() else {
            panic!("eth0 is an Ethernet device");
        };
        for n in 0..SYNS {
            sender.send_to(&syn(pod, to, n), None).unwrap().unwrap();
            if n % BURST == BURST - 1 {
                thread::sleep(Duration::from_millis(10));
            }
        }
    });
}

/// New connections of the client one after the other until `done`; each must stand within a second, so that no
/// SYN of it was lost (RFC 6298: it would be sent again after one).
fn connect_while(client: &Pod, done: &AtomicBool) -> usize {
    let mut count = 0;
    while !done.load(Ordering::Relaxed) {
        let start = Instant::now();
        let mut stream = client.namespace.connect("10.96.0.10:80").unwrap();
        assert_eq!(tcp_greeting(&stream).unwrap().backend, "web");
        let took = start.elapsed();
        assert!(took < Duration::from_secs(1), "connection {count} took {took:?}");
        echo(&mut stream, b"hello").unwrap();
        count += 1;
        thread::sleep(Duration::from_millis(20));
    }
    count
}

#[test]
fn a_syn_flood_of_one_pod_hurts_no_other() {
    let lab = Lab::start("syn-flood", remote_backend().pod("attacker", "node-a").pod("sink", "node-b"));
    let (client, attacker, sink) = (lab.pod("client"), lab.pod("attacker"), lab.pod("sink"));
    let _server = lab.pod("web").serve_tcp(TARGET);
    // The victim's answers, resets of closed ports, must not end the half-open connections.
    sink.namespace.ip(&format!("route add blackhole {}/32\n", attacker.plan.ip));
    let to: std::net::Ipv4Addr = sink.plan.ip.parse().unwrap();
    let established = client.namespace.connect("10.96.0.10:80").unwrap();

    let done = AtomicBool::new(false);
    let connected = thread::scope(|scope| {
        let flooding = scope.spawn(|| {
            flood(attacker, to.octets());
            done.store(true, Ordering::Relaxed);
        });
        let stream = scope.spawn(|| transfer(established, 20_000_000).unwrap());
        let connected = connect_while(client, &done);
        flooding.join().unwrap();
        stream.join().unwrap();
        connected
    });
    assert!(connected >= 30, "{connected} connections beside the flood");

    for name in ["node-a", "node-b"] {
        let node = lab.node(name);
        let metrics = node.metrics();
        let (came, went) = metrics.sides();
        assert_eq!(came, went, "{name}: packets do not add up");
        // On a busy machine a transmit ring may be full for a moment, with or without a flood.
        let expected = metrics.drops("vif_flow_limit") + metrics.drops("tx_ring_full");
        assert_eq!(metrics.sum("vrouter_drops_total", &[]), expected, "{name}: {}", node.json("/drops"));
    }
    let node = lab.node("node-a");
    let refused = node.metrics().drops("vif_flow_limit");
    // All that do not fit and that no half-open one had made room for.
    assert!(refused >= f64::from(SYNS / 8), "{refused} refused");

    // What is half-open makes room once it is five seconds old, though no sweep would take it for minutes.
    thread::sleep(Duration::from_secs(6));
    let start = Instant::now();
    let stream = attacker.namespace.connect("10.96.0.10:80").unwrap();
    assert_eq!(tcp_greeting(&stream).unwrap().backend, "web");
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "the attacker's own connection took {:?}",
        start.elapsed()
    );
}
