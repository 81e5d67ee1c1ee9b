//! (c) One map for all workers, split into shards with a lock each: dashmap with ahash.

use std::hint::black_box;

use ahash::RandomState;
use dashmap::DashMap;
use flow_table::FlowKey;

use crate::load::{BATCH, Design, Entry, Fetch, Load, Packet, Packets, entries, together};

pub(crate) struct Sharded(DashMap<FlowKey, Entry, RandomState>);

impl Sharded {
    pub(crate) fn new(flows: u32) -> Self {
        let seeded = RandomState::with_seeds(1, 2, 3, 4);
        let map = DashMap::with_capacity_and_hasher(2 * flows as usize, seeded);
        for (key, entry) in (0..flows).flat_map(entries) {
            map.insert(key, entry);
        }
        Self(map)
    }

    fn work(&self, mut packets: Packets<'_>, fetch: Fetch) -> u64 {
        let mut batch: Vec<Packet> = Vec::with_capacity(BATCH);
        let mut found = 0;
        loop {
            packets.fill(&mut batch);
            if batch.is_empty() {
                return found;
            }
            if fetch == Fetch::Ahead {
                black_box(batch.iter().filter(|packet| self.0.contains_key(&packet.key)).count());
            }
            for packet in &batch {
                if let Some(mut entry) = self.0.get_mut(&packet.key) {
                    black_box((entry.action, entry.rewrite));
                    entry.touch(packet.now);
                    found += 1;
                }
            }
        }
    }
}

impl Design for Sharded {
    fn name(&self) -> &'static str {
        "c: dashmap"
    }

    fn run(&mut self, load: &Load<'_>, threads: usize) -> u64 {
        let map = &*self;
        let work = |thread| move || map.work(Packets::new(load, thread), load.fetch);
        together((0..threads).map(work).collect())
    }
}
