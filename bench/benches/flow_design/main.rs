//! Three designs of the flow table, side by side: `docs/adr/0002-flow-table.md` draws the conclusion.
//!
//! Packets of random flows and directions are looked up and touched, in batches of 64. The runs of all designs
//! are interleaved, so that other load on the machine hits all alike. Times are taken over chunks of 64 batches,
//! and a chunk counts only if no thread had to wait for a processor (`meter.rs`). The table shows how many
//! chunks counted, and their first, fifth and ninth decile. A worker that waits for room in a ring is busy.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark stops where it goes wrong")]

mod handoff;
mod load;
mod meter;
mod sharded;
mod shared;

use load::{Design, Fetch, Generator, Load};
use meter::Meter;

const FLOWS: [u32; 3] = [1000, 100_000, 1_000_000];
/// Packets of one run, a thread.
const PACKETS: u32 = 500_000;
const ROUNDS: usize = 10;

/// A row of the result.
struct Row {
    flows: u32,
    design: &'static str,
    threads: usize,
    fetch: Fetch,
    bytes_per_pair: u64,
    nanos: Vec<f64>,
}

fn main() {
    // `cargo test --benches` calls this with other arguments; there is nothing to test here.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    println!(
        "| pairs | design | threads | passes | bytes/pair | chunks | 10 % ns | median ns | 90 % ns | Mpps |"
    );
    println!("|--:|---|--:|---|--:|--:|--:|--:|--:|--:|");
    for flows in FLOWS {
        measure(flows).iter_mut().for_each(Row::print);
    }
}

fn measure(flows: u32) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut designs = Vec::new();
    for threads in [1, 2] {
        let built: [(Box<dyn Design>, u64); 4] = [
            load::weighed(flows, || Box::new(Generator)),
            load::weighed(flows, || Box::new(shared::Shared::new(flows))),
            load::weighed(flows, || Box::new(handoff::Handoff::new(flows, threads))),
            load::weighed(flows, || Box::new(sharded::Sharded::new(flows))),
        ];
        for (design, bytes_per_pair) in built {
            for fetch in [Fetch::None, Fetch::Ahead] {
                let design = design.name();
                rows.push(Row { flows, design, threads, fetch, bytes_per_pair, nanos: Vec::new() });
            }
            designs.push(design);
        }
    }
    for round in 0..ROUNDS {
        for (design, rows) in designs.iter_mut().zip(rows.chunks_mut(2)) {
            for row in rows {
                let meter = Meter::new(row.threads);
                let seed = round as u64 + 1;
                let load = Load { flows, packets: PACKETS, fetch: row.fetch, seed, meter: &meter };
                let found = design.run(&load, row.threads);
                assert_eq!(found, u64::from(PACKETS) * row.threads as u64, "{} lost a flow", row.design);
                row.nanos.extend(meter.samples());
            }
        }
    }
    rows
}

impl Row {
    fn print(&mut self) {
        self.nanos.sort_by(f64::total_cmp);
        let Row { flows, design, threads, bytes_per_pair, nanos, .. } = self;
        let fetch = match self.fetch {
            Fetch::None => "one",
            Fetch::Ahead => "two",
        };
        print!("| {flows} | {design} | {threads} | {fetch} | {bytes_per_pair} | {} |", nanos.len());
        if nanos.is_empty() {
            return println!(" - | - | - | - |");
        }
        let [low, median, high] = [1, 5, 9].map(|decile| nanos[nanos.len() * decile / 10]);
        let rate = *threads as f64 * 1000.0 / median;
        println!(" {low:.1} | {median:.1} | {high:.1} | {rate:.1} |");
    }
}
