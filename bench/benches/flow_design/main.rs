//! Three designs of the flow table, side by side: `docs/adr/0002-flow-table.md` draws the conclusion.
//!
//! Packets of random flows and directions are looked up and touched, in batches of 64. The runs of all designs
//! are interleaved, so that other load on the machine hits all alike; the table shows the best and the median
//! of `ROUNDS` runs, in nanoseconds of processor time per packet. A worker that waits for room in a ring is busy.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark stops where it goes wrong")]

mod handoff;
mod load;
mod sharded;
mod shared;

use load::{Design, Fetch, Generator, Load};

const FLOWS: [u32; 3] = [1000, 100_000, 1_000_000];
/// Packets of one run, a thread.
const PACKETS: u32 = 1_000_000;
const ROUNDS: usize = 7;

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
        "| pairs | design | threads | pass | best ns | median ns | worst ns | Mpps, all threads | bytes/pair |"
    );
    println!("|--:|---|--:|---|--:|--:|--:|--:|--:|");
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
                let load = Load { flows, packets: PACKETS, fetch: row.fetch, seed: round as u64 + 1 };
                let run = design.run(&load, row.threads);
                let packets = u64::from(PACKETS) * row.threads as u64;
                row.nanos.push(run.cpu.as_nanos() as f64 / packets as f64);
                assert_eq!(run.found, packets, "{} lost a flow", row.design);
            }
        }
    }
    rows
}

impl Row {
    fn print(&mut self) {
        self.nanos.sort_by(f64::total_cmp);
        let (best, median) = (self.nanos[0], self.nanos[self.nanos.len() / 2]);
        let worst = self.nanos[self.nanos.len() - 1];
        let Row { flows, design, threads, bytes_per_pair, .. } = self;
        let fetch = match self.fetch {
            Fetch::None => "one",
            Fetch::Ahead => "two",
        };
        let rate = *threads as f64 * 1000.0 / best;
        println!(
            "| {flows} | {design} | {threads} | {fetch} | {best:.1} | {median:.1} | {worst:.1} | {rate:.1} | {bytes_per_pair} |"
        );
    }
}
