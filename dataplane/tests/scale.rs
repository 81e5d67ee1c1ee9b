//! Thousands of services: time to compile, memory, and how far a small change reaches.
//!
//! `cargo test --release -p dataplane --test scale -- --nocapture` prints the numbers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it goes wrong"
)]

mod support;

use std::time::{Duration, Instant};

use dataplane::compile::Compiler;
use dataplane::desired::{Desired, Transport};
use dataplane::io::Side;
use dataplane::publish::Publisher;
use etherparse::PacketBuilder;
use support::{Node, desired, ready, service, service_mut, to_tunnel, to_vif, vif, vrf};

/// Services with 10 backends each: one on this node, nine on four hundred others.
fn state(services: u32) -> Desired {
    let mut state = desired("10.1.1.1", &[]);
    state.vrfs = vec![vrf("eight")];
    for n in 1..=100u32 {
        let (address, mac) = (format!("11.1.1.{n}"), format!("02:00:00:00:08:{n:02x}"));
        state.vifs.push(vif(&format!("pod{n}"), "eight", &[&address], &mac, 100 + n));
    }
    for n in 0..services {
        let address = format!("14.1.{}.{}", n / 250, n % 250 + 1);
        let remote =
            |b: u32| to_tunnel(&format!("10.2.{}.{}", b % 2, (n * 7 + b) % 200 + 1), 1000 + n * 10 + b);
        let mut backends = vec![to_vif(&format!("pod{}", n % 100 + 1))];
        backends.extend((1..10).map(remote));
        let ports = [(Transport::Tcp, 80, 8080), (Transport::Udp, 53, 53)];
        state.services.push(service("eight", &address, &ports, backends));
    }
    state
}

/// Memory of this process that is in use, in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[test]
fn five_thousand_services_compile_and_change_in_time() {
    let mut state = state(5000);
    let before = resident();
    let start = Instant::now();
    let mut compiler = Compiler::default();
    let mut publisher = Publisher::new(compiler.compile(&state).unwrap());
    let first = start.elapsed();
    let memory = resident() - before;

    let mut times = Vec::new();
    let mut change = |compiler: &mut Compiler, publisher: &mut Publisher, change: &dyn Fn(&mut Desired)| {
        change(&mut state);
        let start = Instant::now();
        publisher.publish(compiler.compile(&state).unwrap());
        times.push(start.elapsed());
    };
    for n in 0..50 {
        change(&mut compiler, &mut publisher, &|state| drop(service_mut(state, n * 80).backends.pop()));
    }
    for n in 0..10 {
        change(&mut compiler, &mut publisher, &|state| {
            service_mut(state, n).backends = ready(vec![to_vif("pod1")]);
        });
    }
    let grown = resident() - before;
    println!("first compilation: {first:?}, {} KiB; after 60 changes {} KiB", memory >> 10, grown >> 10);
    let (least, most) = (*times.iter().min().unwrap(), *times.iter().max().unwrap());
    let median = median(times);
    println!(
        "change of one backend, compiled and published: least {least:?}, median {median:?}, most {most:?}"
    );
    assert!(first < Duration::from_secs(1), "{first:?}");
    // An unoptimised build is an order of magnitude slower.
    let most = Duration::from_millis(if cfg!(debug_assertions) { 500 } else { 20 });
    assert!(median < most, "{median:?}");
    assert!(memory < 32 << 20, "{memory} bytes");
    assert!(grown < 48 << 20, "{grown} bytes");
}

#[test]
fn a_change_of_one_backend_touches_the_flows_of_its_service_alone() {
    let mut state = state(150);
    let mut node = Node::new(&state);
    let ask = |node: &mut Node, service: u32| {
        let address = [14, 1, (service / 250) as u8, (service % 250 + 1) as u8];
        let mut frame = Vec::new();
        PacketBuilder::ethernet2([2, 0, 0, 0, 8, 1], [0, 0, 0x5e, 0, 1, 0])
            .single_vlan(1.try_into().unwrap())
            .ipv4([11, 1, 1, 1], address, 64)
            .udp(1000, 53)
            .write(&mut frame, b"data")
            .unwrap();
        node.step(Side::Trunk, &frame)
    };
    let local = |state: &mut Desired, n: usize| service_mut(state, n).backends.truncate(1);
    // Services 100 to 149, each with its backend on this node.
    (100..150).for_each(|n| local(&mut state, n));
    node.publish(&state);
    for n in 100..150 {
        assert_eq!(ask(&mut node, n).moved["misses"], 1);
    }
    service_mut(&mut state, 120).backends = ready(vec![to_vif("pod99")]);
    node.publish(&state);
    for n in 100..150 {
        let moved = ask(&mut node, n).moved;
        assert_eq!(moved.get("revalidations").copied().unwrap_or(0), u64::from(n == 120), "{n}: {moved:?}");
        assert_eq!((moved["hits"], moved.get("misses")), (1, None), "{n}: {moved:?}");
    }
}
