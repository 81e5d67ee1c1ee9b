//! A node in memory: the real compiler, pipeline, worker and flow table over [`ReplayIo`].

use std::sync::Arc;

use ahash::RandomState;
use dataplane::affinity::AffinityTable;
use dataplane::compile::Compiler;
use dataplane::counters::WorkerCounters;
use dataplane::droplog::DropLog;
use dataplane::fragment::FragmentTable;
use dataplane::ids::VifSlot;
use dataplane::publish::Publisher;
use dataplane::worker::{Idle, Worker, WorkerParts};
use flow_table::{FlowTable, Millis, TableConfig, Timeouts};

use crate::frames::{Frames, Traffic, Transport};
use crate::replay::{Order, ReplayIo};
use crate::topology::{self, Bystanders};
use crate::visits::Visits;

/// Pairs in the table: just over a million, whatever the number of flows in use.
pub const TABLE_PAIRS: u32 = 1 << 20;
/// Packets in a simulated millisecond: ten million a second.
const PACKETS_PER_MILLI: u64 = 10_000;

/// What goes through a node.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Kind of traffic.
    pub traffic: Traffic,
    /// Transport.
    pub transport: Transport,
    /// Flows, at most 2^20.
    pub flows: u32,
    /// Frames in a batch.
    pub batch: usize,
    /// Policy rules on every pod, of which the last allows the traffic; 0 is no policy.
    pub rules: u16,
    /// What the node has beside what the traffic needs.
    pub bystanders: Bystanders,
}

/// A node and the traffic that goes through it.
#[derive(Debug)]
pub struct Node {
    worker: Worker<ReplayIo>,
    publisher: Publisher,
    compiler: Compiler,
    counters: Arc<WorkerCounters>,
    flows: Arc<FlowTable>,
    load: Load,
    packets: u64,
}

/// Configuration of a table for `pairs` pairs.
pub fn table_config(pairs: u32) -> TableConfig {
    TableConfig {
        max_pairs: pairs,
        max_per_owner: pairs,
        max_owners: VifSlot::FLOW_OWNERS,
        timeouts: Timeouts::default(),
    }
}

/// As the daemon does; a machine that has no huge pages says so.
pub fn use_huge_pages(flows: &FlowTable) {
    for memory in flows.memory() {
        if let Err(error) = af_xdp::move_to_huge_pages(memory) {
            eprintln!("the flow table stays in small pages: {error}");
        }
    }
}

fn parts(
    publisher: &Publisher,
    flows: &Arc<FlowTable>,
    counters: &Arc<WorkerCounters>,
    batch: usize,
) -> WorkerParts {
    WorkerParts {
        snapshots: publisher.subscribe(),
        flows: Arc::clone(flows),
        spread: RandomState::with_seeds(5, 6, 7, 8),
        counters: Arc::clone(counters),
        drops: Arc::new(DropLog::new(16)),
        affinity: Arc::new(AffinityTable::new(1024, RandomState::with_seeds(9, 10, 11, 12))),
        fragments: Arc::new(FragmentTable::new(64, RandomState::with_seeds(13, 14, 15, 16))),
        limiter: Arc::default(),
        batch,
        idle: Idle::Spin,
    }
}

impl Node {
    /// A node that knows no flow yet; the flows will come one after the other.
    pub fn cold(load: Load) -> Self {
        let mut desired = topology::guarded(load.rules);
        topology::add(&mut desired, load.bystanders);
        let mut compiler = Compiler::default();
        let publisher = Publisher::new(compiler.compile(&desired).unwrap());
        let counters = Arc::new(WorkerCounters::new());
        let flows = Arc::new(FlowTable::new(table_config(TABLE_PAIRS), [1, 2, 3, 4]));
        use_huge_pages(&flows);
        let parts = parts(&publisher, &flows, &counters, load.batch);
        let first = match load.traffic {
            Traffic::Client => Traffic::Client,
            // A reply has a flow only after its request.
            Traffic::Backend | Traffic::Reply => Traffic::Backend,
        };
        let io = ReplayIo::new(load.batch, Frames::new(first, load.transport), load.flows);
        Self { worker: Worker::new(io, parts), publisher, compiler, counters, flows, load, packets: 0 }
    }

    /// Worker and control side apart, for two threads.
    pub fn halves(&mut self) -> (&mut Worker<ReplayIo>, &mut Compiler, &mut Publisher) {
        (&mut self.worker, &mut self.compiler, &mut self.publisher)
    }

    /// A worker more over the same flows, with counters of its own.
    pub fn fellow(&self) -> Worker<ReplayIo> {
        let mut io = ReplayIo::new(
            self.load.batch,
            Frames::new(self.load.traffic, self.load.transport),
            self.load.flows,
        );
        io.order = Order::Random(Visits::new(0xfe110));
        let counters = Arc::new(WorkerCounters::new());
        Worker::new(io, parts(&self.publisher, &self.flows, &counters, self.load.batch))
    }

    /// A node that knows all flows and sees them at random from now on.
    pub fn warm(load: Load) -> Self {
        let mut node = Self::cold(load);
        while node.packets < u64::from(load.flows) {
            node.round();
        }
        assert_eq!(node.flows.len(), load.flows as usize, "every flow has a pair");
        let io = node.worker.io();
        io.frames = Frames::new(load.traffic, load.transport);
        io.order = Order::Random(Visits::new(0x5eed));
        node
    }

    /// One batch; says how many packets that were. The clock goes on with the packets.
    pub fn round(&mut self) -> usize {
        let now = Millis(1_000_000 + self.packets / PACKETS_PER_MILLI);
        let packets = self.worker.round(now);
        self.packets += packets as u64;
        packets
    }

    /// Whether another batch of new flows fits before some come again.
    pub fn has_new_flows(&self) -> bool {
        self.flows.len() + self.load.batch <= self.load.flows as usize
    }

    /// Removes all pairs and starts with the first flow again.
    pub fn forget(&mut self) {
        let later = Millis(1_000_000_000 + self.packets);
        self.flows.sweep(later, self.flows.capacity(), |_, _| true);
        assert!(self.flows.is_empty());
        self.worker.io().order = Order::Sequential(0);
    }

    /// Stops the benchmark if a packet was dropped, or missed its flow when all were known.
    pub fn check(&self) {
        let totals = self.counters.all_ports();
        assert_eq!(totals.dropped(), 0, "{:?}", totals.nonzero_drops().collect::<Vec<_>>());
        assert_eq!(totals.tx.packets, self.packets);
        assert_eq!(self.counters.flow_revalidations.get(), 0);
        let misses = self.counters.flow_misses.get();
        assert_eq!(misses, self.flows.statistics().created, "only first packets miss");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_traffic_is_forwarded_and_only_first_packets_miss() {
        for traffic in [Traffic::Client, Traffic::Backend, Traffic::Reply] {
            for transport in [Transport::Udp, Transport::Tcp] {
                let mut node = Node::warm(Load {
                    traffic,
                    transport,
                    flows: 1000,
                    batch: 8,
                    rules: 3,
                    bystanders: Bystanders::NONE,
                });
                for _ in 0..1000 {
                    assert_eq!(node.round(), 8);
                }
                node.check();
                assert_eq!(node.counters.flow_misses.get(), 1000, "{traffic:?} {transport:?}");
            }
        }
    }

    #[test]
    fn after_forgetting_all_flows_are_new_again() {
        let load = Load {
            traffic: Traffic::Client,
            transport: Transport::Udp,
            flows: 64,
            batch: 32,
            rules: 0,
            bystanders: Bystanders::NONE,
        };
        let mut node = Node::cold(load);
        for expected in [true, true, false] {
            assert_eq!(node.has_new_flows(), expected);
            if expected {
                node.round();
            }
        }
        node.forget();
        node.round();
        node.check();
        assert_eq!(node.counters.flow_misses.get(), 96);
    }
}
