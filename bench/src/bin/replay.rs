//! Sends one kind of traffic through a worker for a profiler to look at:
//! `replay <client|backend|reply> <udp|tcp> <flows> <batch> <rounds>`.

#![allow(clippy::expect_used, reason = "a benchmark stops where it goes wrong")]

use std::process::ExitCode;
use std::time::Instant;

use bench::frames::{Traffic, Transport};
use bench::node::{Load, Node};
use bench::topology::Bystanders;

const USAGE: &str =
    "usage: replay <client|backend|reply> <udp|tcp> <flows, at most 1048576> <batch> <rounds>";

fn arguments() -> Option<(Load, u32)> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [traffic, transport, flows, batch, rounds] = words.as_slice() else { return None };
    let traffic = [Traffic::Client, Traffic::Backend, Traffic::Reply]
        .into_iter()
        .find(|known| known.name() == traffic)?;
    let transport = match transport.as_str() {
        "udp" => Transport::Udp,
        "tcp" => Transport::Tcp,
        _ => return None,
    };
    let flows = flows.parse().ok().filter(|flows| (1..=1 << 20).contains(flows))?;
    Some((
        Load {
            traffic,
            transport,
            flows,
            batch: batch.parse().ok()?,
            rules: 0,
            bystanders: Bystanders::NONE,
        },
        rounds.parse().ok()?,
    ))
}

fn main() -> ExitCode {
    let Some((load, rounds)) = arguments() else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    let mut node = Node::warm(load);
    let start = Instant::now();
    let packets: usize = (0..rounds).map(|_| node.round()).sum();
    let nanos = start.elapsed().as_nanos() as f64 / packets as f64;
    node.check();
    println!("{packets} packets, {nanos:.1} ns each");
    ExitCode::SUCCESS
}
