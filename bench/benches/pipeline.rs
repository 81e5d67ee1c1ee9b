//! The whole way of a packet through a worker, over I/O in memory, and that I/O alone.

#![allow(missing_docs, reason = "criterion's macro makes a public item without one")]

use std::hint::black_box;
use std::time::Duration;

use bench::cpu::{CpuTime, thread_time};
use bench::frames::{Frames, Traffic, Transport};
use bench::node::{Load, Node};
use bench::replay::{Order, ReplayIo};
use bench::topology::Bystanders;
use bench::visits::Visits;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};

const FLOWS: [u32; 4] = [1, 1000, 100_000, 1_000_000];
const BATCHES: [usize; 2] = [64, 256];

fn forward(group: &mut BenchmarkGroup<'_, CpuTime>, load: Load) {
    let mut node = None;
    group.throughput(Throughput::Elements(load.batch as u64));
    let name = format!("{}/{:?}/{}/{}", load.traffic.name(), load.transport, load.flows, load.batch);
    group.bench_function(name, |bencher| {
        let node = node.get_or_insert_with(|| Node::warm(load));
        bencher.iter(|| node.round());
        node.check();
    });
}

fn known_flows(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("pipeline");
    for batch in BATCHES {
        for traffic in [Traffic::Client, Traffic::Backend] {
            for flows in FLOWS {
                forward(
                    &mut group,
                    Load {
                        traffic,
                        transport: Transport::Udp,
                        flows,
                        batch,
                        rules: 0,
                        bystanders: Bystanders::NONE,
                    },
                );
            }
        }
    }
    for flows in [1000, 1_000_000] {
        for traffic in [Traffic::Client, Traffic::Backend] {
            forward(
                &mut group,
                Load {
                    traffic,
                    transport: Transport::Tcp,
                    flows,
                    batch: 64,
                    rules: 0,
                    bystanders: Bystanders::NONE,
                },
            );
        }
        let traffic = Traffic::Reply;
        forward(
            &mut group,
            Load {
                traffic,
                transport: Transport::Udp,
                flows,
                batch: 64,
                rules: 0,
                bystanders: Bystanders::NONE,
            },
        );
    }
    group.finish();
}

/// Time of `rounds` rounds in which every packet begins a flow.
fn admit(node: &mut Node, rounds: u64) -> Duration {
    let (mut spent, mut start) = (Duration::ZERO, thread_time());
    for _ in 0..rounds {
        if !node.has_new_flows() {
            spent += thread_time() - start;
            node.forget();
            start = thread_time();
        }
        node.round();
    }
    spent + (thread_time() - start)
}

fn new_flows(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("pipeline");
    group.sample_size(20);
    for traffic in [Traffic::Client, Traffic::Backend] {
        let load = Load {
            traffic,
            transport: Transport::Udp,
            flows: 1_000_000,
            batch: 64,
            rules: 0,
            bystanders: Bystanders::NONE,
        };
        let mut node = None;
        group.throughput(Throughput::Elements(load.batch as u64));
        group.bench_function(format!("{}/new_flow", traffic.name()), |bencher| {
            let node = node.get_or_insert_with(|| Node::cold(load));
            bencher.iter_custom(|rounds| admit(node, rounds));
            node.check();
        });
    }
    group.finish();
}

/// Flows of pods with policies: those that are known, and those that begin.
fn policed_flows(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("policy");
    group.throughput(Throughput::Elements(64));
    for rules in [0, 10, 1000] {
        let load = Load {
            traffic: Traffic::Client,
            transport: Transport::Udp,
            flows: 1000,
            batch: 64,
            rules,
            bystanders: Bystanders::NONE,
        };
        let mut node = None;
        group.bench_function(format!("known/{rules}"), |bencher| {
            let node = node.get_or_insert_with(|| Node::warm(load));
            bencher.iter(|| node.round());
            node.check();
        });
        let mut node = None;
        group.sample_size(20).bench_function(format!("new/{rules}"), |bencher| {
            let node = node.get_or_insert_with(|| Node::cold(Load { flows: 1_000_000, ..load }));
            bencher.iter_custom(|rounds| admit(node, rounds));
            node.check();
        });
    }
    group.finish();
}

fn io_alone(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("replay");
    for traffic in [Traffic::Client, Traffic::Backend] {
        for batch in BATCHES {
            let mut io = ReplayIo::new(batch, Frames::new(traffic, Transport::Udp), 1000);
            io.order = Order::Random(Visits::new(0x5eed));
            let mut frames = Vec::with_capacity(batch);
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(format!("{}/{batch}", traffic.name()), |bencher| {
                bencher.iter(|| black_box(io.pass(&mut frames, batch)));
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = bench::cpu::criterion();
    targets = io_alone, known_flows, new_flows, policed_flows
}
criterion_main!(benches);
