//! What every design gets to do, and the cost of asking alone.

use std::hint::black_box;
use std::sync::Barrier;

use crate::meter::{ChunkClock, Meter};
use bench::pairs;
use bench::visits::Visits;
use flow_table::{Action, Direction, FlowKey, Millis, Rewrite};

pub(crate) const BATCH: usize = 64;

/// Whether a first pass over the batch brings the lines of the table into the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fetch {
    None,
    Ahead,
}

/// A run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load<'a> {
    pub(crate) flows: u32,
    /// Packets each thread receives.
    pub(crate) packets: u32,
    pub(crate) fetch: Fetch,
    pub(crate) seed: u64,
    pub(crate) meter: &'a Meter,
}

pub(crate) trait Design {
    fn name(&self) -> &'static str;
    /// Lets `threads` workers receive `load`; says how many packets found their flow.
    fn run(&mut self, load: &Load<'_>, threads: usize) -> u64;
}

/// What designs (b) and (c) keep per direction: the same facts that a slot of the shared table holds.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) action: Action,
    pub(crate) rewrite: Rewrite,
    last: Millis,
    packets: u64,
    bytes: u64,
}

impl Entry {
    /// The entry of a direction of flow `n`, by way of the table that knows how to translate.
    pub(crate) fn of(action: Action, rewrite: Rewrite) -> Self {
        Self { action, rewrite, last: Millis(0), packets: 0, bytes: 0 }
    }

    pub(crate) fn touch(&mut self, now: Millis) {
        self.last = now;
        self.packets += 1;
        self.bytes += 64;
    }
}

/// Both directions of flow `n` as map entries.
pub(crate) fn entries(n: u32) -> [(FlowKey, Entry); 2] {
    let table = flow_table::FlowTable::new(bench::node::table_config(1), [1, 2, 3, 4]);
    table.insert(&pairs::pair(n), Millis(0)).expect("the table is empty");
    [Direction::Forward, Direction::Reverse].map(|direction| {
        let key = pairs::key(n, direction);
        let hit = table.lookup(table.hash(&key), &key).expect("just inserted");
        (key, Entry::of(hit.action, hit.rewrite))
    })
}

/// Packets in batches, timed by the way.
pub(crate) struct Packets<'a> {
    visits: Visits,
    flows: u32,
    left: u32,
    clock: ChunkClock<'a>,
}

/// A received packet.
#[derive(Clone, Copy)]
pub(crate) struct Packet {
    pub(crate) key: FlowKey,
    pub(crate) direction: Direction,
    pub(crate) now: Millis,
}

impl<'a> Packets<'a> {
    pub(crate) fn new(load: &Load<'a>, thread: usize) -> Self {
        let seed = (load.seed << 8) + thread as u64 + 1;
        let visits = Visits::new(seed.wrapping_mul(0x9e37_79b9));
        Self { visits, flows: load.flows, left: load.packets, clock: ChunkClock::new(load.meter, thread) }
    }

    /// The next batch; empty at the end. The clock goes on by a millisecond every 10,000 packets.
    pub(crate) fn fill(&mut self, batch: &mut Vec<Packet>) {
        batch.clear();
        self.clock.batch();
        let count = self.left.min(BATCH as u32);
        self.left -= count;
        let now = Millis(2_000_000 + u64::from(u32::MAX - self.left) / 10_000);
        batch.extend((0..count).map(|_| {
            let direction =
                if self.visits.bits() >> 63 == 0 { Direction::Forward } else { Direction::Reverse };
            Packet { key: pairs::key(self.visits.below(self.flows), direction), direction, now }
        }));
    }
}

/// Runs `work` on every thread at once; it returns how many flows it has found.
pub(crate) fn together(works: Vec<impl FnOnce() -> u64 + Send>) -> u64 {
    let barrier = Barrier::new(works.len());
    std::thread::scope(|scope| {
        let threads: Vec<_> = works
            .into_iter()
            .map(|work| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    work()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

/// A design and the heap bytes it takes per pair.
pub(crate) fn weighed(flows: u32, build: impl FnOnce() -> Box<dyn Design>) -> (Box<dyn Design>, u64) {
    let mut built = None;
    let info = allocation_counter::measure(|| built = Some(build()));
    (built.unwrap(), info.bytes_current.unsigned_abs() / u64::from(flows))
}

/// No table: what making the packets costs.
pub(crate) struct Generator;

impl Design for Generator {
    fn name(&self) -> &'static str {
        "(no table)"
    }

    fn run(&mut self, load: &Load<'_>, threads: usize) -> u64 {
        let work = |thread| {
            move || {
                let (mut packets, mut batch) = (Packets::new(load, thread), Vec::with_capacity(BATCH));
                let mut found = 0;
                loop {
                    packets.fill(&mut batch);
                    if batch.is_empty() {
                        return found;
                    }
                    found += black_box(&batch).len() as u64;
                }
            }
        };
        together((0..threads).map(work).collect())
    }
}
