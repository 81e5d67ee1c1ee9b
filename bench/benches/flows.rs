//! The flow table alone: hits, lookups of unknown flows, and making pairs.

#![allow(missing_docs, reason = "criterion's macro makes a public item without one")]
#![allow(clippy::expect_used, reason = "a benchmark stops where it goes wrong")]

use std::hint::black_box;
use std::time::Duration;

use bench::cpu::{CpuTime, thread_time};
use bench::node::{TABLE_PAIRS, table_config, use_huge_pages};
use bench::pairs;
use bench::visits::Visits;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flow_table::{Direction, FlowKey, FlowTable, Millis};

const BATCH: usize = 64;
const NOW: Millis = Millis(1_000_000);
/// Pairs made between two readings of the clock.
const CHUNK: u32 = 1000;

fn filled(flows: u32) -> FlowTable {
    let table = FlowTable::new(table_config(TABLE_PAIRS), [1, 2, 3, 4]);
    use_huge_pages(&table);
    for n in 0..flows {
        table.insert(&pairs::pair(n), NOW).expect("the table has room");
    }
    table
}

fn random_key(visits: &mut Visits, from: u32, flows: u32) -> FlowKey {
    let direction = if visits.bits() >> 63 == 0 { Direction::Forward } else { Direction::Reverse };
    pairs::key(from + visits.below(flows), direction)
}

/// Hashes and fetches a batch, then looks it up and touches what is found, as a worker does.
fn batch(table: &FlowTable, keys: &[FlowKey]) -> usize {
    let hashes: [_; BATCH] = std::array::from_fn(|n| table.hash(&keys[n]));
    black_box(hashes.iter().fold(0, |folded, hash| folded ^ table.prefetch(*hash)));
    black_box(hashes.iter().fold(0, |folded, hash| folded ^ table.prefetch_pair(&table.begin(*hash))));
    let mut found = 0;
    for (hash, key) in hashes.iter().zip(keys) {
        if let Some(hit) = table.lookup(*hash, key) {
            table.touch(black_box(&hit), NOW, 64, None);
            found += 1;
        }
    }
    found
}

fn hit(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("flow");
    group.throughput(Throughput::Elements(BATCH as u64));
    for flows in [1, 1000, 100_000, 1_000_000] {
        let (mut table, mut visits) = (None, Visits::new(13));
        group.bench_function(format!("hit/{flows}"), |bencher| {
            let table = table.get_or_insert_with(|| filled(flows));
            bencher.iter(|| {
                let keys: [_; BATCH] = std::array::from_fn(|_| random_key(&mut visits, 0, flows));
                assert_eq!(batch(table, &keys), BATCH);
            });
        });
    }
    let (mut table, mut visits) = (None, Visits::new(14));
    group.bench_function("absent/40000", |bencher| {
        let table = table.get_or_insert_with(|| filled(1_000_000));
        bencher.iter(|| {
            let keys: [_; BATCH] = std::array::from_fn(|_| random_key(&mut visits, 1_000_000, 40_000));
            assert_eq!(batch(table, &keys), 0);
        });
    });
    group.finish();
}

/// Time to make `count` pairs; the table is emptied whenever it has a million.
fn create(table: &FlowTable, next: &mut u32, count: u64) -> Duration {
    let (mut spent, mut left) = (Duration::ZERO, count);
    while left > 0 {
        if *next + CHUNK > 1_000_000 {
            table.sweep(Millis(NOW.0 * 1000), table.capacity(), |_, _| true);
            assert!(table.is_empty());
            *next = 0;
        }
        let chunk = left.min(CHUNK.into()) as u32;
        let start = thread_time();
        for n in *next..*next + chunk {
            black_box(table.insert(&pairs::pair(n), NOW)).expect("the flow is new");
        }
        spent += thread_time() - start;
        *next += chunk;
        left -= u64::from(chunk);
    }
    spent
}

fn pair_creation(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("flow");
    group.throughput(Throughput::Elements(1));
    let (mut table, mut next) = (None, 0);
    group.bench_function("create", |bencher| {
        let table = table.get_or_insert_with(|| filled(0));
        bencher.iter_custom(|count| create(table, &mut next, count));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = bench::cpu::criterion();
    targets = hit, pair_creation
}
criterion_main!(benches);
