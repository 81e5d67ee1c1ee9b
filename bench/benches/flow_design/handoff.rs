//! (b) Every worker owns the flows whose hash is its own, in a plain map; packets of others go through a ring.
//!
//! The owner is chosen by the client's address and port, which the translation leaves alone and which this
//! benchmark knows. A real packet does not say which of its ends is the client's.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

use ahash::RandomState;
use crossbeam::queue::ArrayQueue;
use flow_table::{Direction, FlowKey};

use crate::load::{BATCH, Design, Entry, Fetch, Load, Packet, Packets, entries, together};

/// Descriptors in a ring.
const RING: usize = 1024;

pub(crate) struct Handoff {
    spread: RandomState,
    maps: Vec<HashMap<FlowKey, Entry, RandomState>>,
}

fn owner(spread: &RandomState, owners: usize, key: &FlowKey, direction: Direction) -> usize {
    let tuple = &key.tuple;
    let client = match direction {
        Direction::Forward => (tuple.src.0, tuple.sport),
        Direction::Reverse => (tuple.dst.0, tuple.dport),
    };
    if owners == 1 { 0 } else { (spread.hash_one(client) >> 32) as usize % owners }
}

impl Handoff {
    pub(crate) fn new(flows: u32, threads: usize) -> Self {
        let spread = RandomState::with_seeds(5, 6, 7, 8);
        let capacity = 2 * flows as usize / threads;
        let map = |_| HashMap::with_capacity_and_hasher(capacity, RandomState::with_seeds(1, 2, 3, 4));
        let mut maps: Vec<HashMap<_, _, _>> = (0..threads).map(map).collect();
        for (key, entry) in (0..flows).flat_map(entries) {
            let direction = if key.context.0 == 1 { Direction::Forward } else { Direction::Reverse };
            maps[owner(&spread, threads, &key, direction)].insert(key, entry);
        }
        Self { spread, maps }
    }
}

/// One worker's end.
struct Worker<'a> {
    number: usize,
    spread: &'a RandomState,
    map: &'a mut HashMap<FlowKey, Entry, RandomState>,
    rings: &'a [ArrayQueue<Packet>],
    finished: &'a AtomicUsize,
    fetch: Fetch,
}

impl Worker<'_> {
    fn work(mut self, mut packets: Packets<'_>) -> u64 {
        let mut batch: Vec<Packet> = Vec::with_capacity(BATCH);
        let mut own: Vec<Packet> = Vec::with_capacity(2 * BATCH);
        let mut found = 0;
        loop {
            packets.fill(&mut batch);
            if batch.is_empty() {
                break;
            }
            for packet in batch.drain(..) {
                found += self.steer(packet, &mut own);
            }
            self.collect(&mut own);
            found += self.process(&mut own);
        }
        self.finished.fetch_add(1, Ordering::Release);
        loop {
            let over = self.finished.load(Ordering::Acquire) == self.rings.len();
            self.collect(&mut own);
            if own.is_empty() && over {
                return found;
            }
            found += self.process(&mut own);
        }
    }

    /// Keeps a packet of an own flow and hands on any other. While the other's ring is full, own ones are
    /// processed: a real worker would have to drop.
    fn steer(&mut self, packet: Packet, own: &mut Vec<Packet>) -> u64 {
        let owner = owner(self.spread, self.rings.len(), &packet.key, packet.direction);
        if owner == self.number {
            own.push(packet);
            return 0;
        }
        let (mut waiting, mut found) = (packet, 0);
        while let Err(refused) = self.rings[owner].push(waiting) {
            waiting = refused;
            self.collect(own);
            found += self.process(own);
        }
        found
    }

    fn collect(&self, own: &mut Vec<Packet>) {
        for _ in 0..BATCH {
            let Some(packet) = self.rings[self.number].pop() else { return };
            own.push(packet);
        }
    }

    fn process(&mut self, own: &mut Vec<Packet>) -> u64 {
        if self.fetch == Fetch::Ahead {
            black_box(own.iter().filter(|packet| self.map.contains_key(&packet.key)).count());
        }
        let mut found = 0;
        for packet in own.drain(..) {
            if let Some(entry) = self.map.get_mut(&packet.key) {
                black_box((entry.action, entry.rewrite));
                entry.touch(packet.now);
                found += 1;
            }
        }
        found
    }
}

impl Design for Handoff {
    fn name(&self) -> &'static str {
        "b: owner, hand-off ring"
    }

    fn run(&mut self, load: &Load<'_>, threads: usize) -> u64 {
        let rings: Vec<ArrayQueue<Packet>> = (0..threads).map(|_| ArrayQueue::new(RING)).collect();
        let (finished, spread) = (AtomicUsize::new(0), &self.spread);
        let (rings, finished) = (&rings[..], &finished);
        let work = |(number, map)| {
            let worker = Worker { number, spread, map, rings, finished, fetch: load.fetch };
            move || worker.work(Packets::new(load, number))
        };
        together(self.maps.iter_mut().enumerate().map(work).collect())
    }
}
