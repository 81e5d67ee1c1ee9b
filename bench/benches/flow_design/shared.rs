//! (a) One table for all workers: crate `flow-table`, a sequence lock per slot.

use std::hint::black_box;

use bench::node::{table_config, use_huge_pages};
use bench::pairs;
use flow_table::{FlowHash, FlowTable, Millis};

use crate::load::{BATCH, Design, Fetch, Load, Packet, Packets, together};

pub(crate) struct Shared(FlowTable);

impl Shared {
    pub(crate) fn new(flows: u32) -> Self {
        let table = FlowTable::new(table_config(flows), [1, 2, 3, 4]);
        use_huge_pages(&table);
        for n in 0..flows {
            table.insert(&pairs::pair(n), Millis(0)).unwrap();
        }
        Self(table)
    }

    fn work(&self, mut packets: Packets<'_>, fetch: Fetch) -> u64 {
        let mut batch: Vec<Packet> = Vec::with_capacity(BATCH);
        let mut hashes: Vec<FlowHash> = Vec::with_capacity(BATCH);
        let mut found = 0;
        loop {
            packets.fill(&mut batch);
            if batch.is_empty() {
                return found;
            }
            hashes.clear();
            hashes.extend(batch.iter().map(|packet| self.0.hash(&packet.key)));
            if fetch == Fetch::Ahead {
                black_box(hashes.iter().fold(0, |folded, hash| folded ^ self.0.prefetch(*hash)));
                black_box(
                    hashes.iter().fold(0, |folded, hash| folded ^ self.0.prefetch_pair(&self.0.begin(*hash))),
                );
            }
            for (hash, packet) in hashes.iter().zip(&batch) {
                if let Some(hit) = self.0.lookup(*hash, &packet.key) {
                    self.0.touch(black_box(&hit), packet.now, 64, None);
                    found += 1;
                }
            }
        }
    }
}

impl Design for Shared {
    fn name(&self) -> &'static str {
        "a: shared, sequence locks"
    }

    fn run(&mut self, load: &Load<'_>, threads: usize) -> u64 {
        let table = &*self;
        let work = |thread| move || table.work(Packets::new(load, thread), load.fetch);
        together((0..threads).map(work).collect())
    }
}
