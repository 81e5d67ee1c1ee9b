//! Invariant 1: after start a worker allocates nothing; and it frees nothing, old snapshots included.
//!
//! The allocator counts for each thread on its own. The worker runs on the test's thread; another thread
//! compiles and publishes.

#![allow(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ahash::RandomState;
use allocation_counter::measure;
use bench::frames::{Frames, TEMPLATE, Traffic, Transport};
use bench::node::table_config;
use bench::topology;
use dataplane::affinity::AffinityTable;
use dataplane::compile::Compiler;
use dataplane::counters::WorkerCounters;
use dataplane::desired::{Broadcast, Desired, Route, RouteTarget};
use dataplane::droplog::DropLog;
use dataplane::fragment::FragmentTable;
use dataplane::ids::Mac;
use dataplane::io::Side;
use dataplane::memory::MemoryIo;
use dataplane::publish::{Publisher, SnapshotCache};
use dataplane::tap::{Catch, Filter, Order, RING, TapEye, Taps};
use dataplane::worker::{Idle, Worker, WorkerParts};
use etherparse::{ArpHardwareId, ArpOperation, ArpPacket, EtherType, PacketBuilder};
use flow_table::{FlowTable, Millis};

const BATCH: usize = 64;
const ROUNDS: u64 = 200;
/// New flows of each kind of traffic in a round; as many again are known.
const NEW: u64 = 4;
/// Rounds between two snapshots.
const PUBLISH_EVERY: u64 = 10;
/// So few that the table is full before the test is over.
const PAIRS: u32 = 2048;

/// How many snapshots the worker's thread has asked for, and how many there are.
#[derive(Default)]
struct Publications {
    asked: AtomicU64,
    done: AtomicU64,
}

/// The topology, with broadcasts in it.
fn desired() -> Desired {
    let broadcast = Broadcast { vrf: "blue".into(), label: None, subnets: Vec::new(), nodes: Vec::new() };
    Desired { broadcasts: vec![broadcast], ..topology::desired() }
}

/// Compiles and publishes whenever asked; a route comes and goes, so that every flow is derived again.
fn publish(publisher: &mut Publisher, compiler: &mut Compiler, publications: &Publications, total: u64) {
    for number in 1..=total {
        while publications.asked.load(Ordering::Acquire) < number {
            std::thread::yield_now();
        }
        let mut desired = desired();
        if number % 2 == 1 {
            let prefix = "192.0.2.0/24".parse().unwrap();
            desired.routes.push(Route { vrf: "blue".into(), prefix, target: RouteTarget::Discard });
        }
        publisher.publish(compiler.compile(&desired).unwrap());
        publications.done.store(number, Ordering::Release);
    }
}

/// The worker's side.
struct Bed {
    worker: Worker<MemoryIo>,
    counters: Arc<WorkerCounters>,
    flows: Arc<FlowTable>,
    taps: Arc<Taps>,
    traffic: Vec<Frames>,
    arp: Vec<u8>,
    to_all: Vec<u8>,
    round: u64,
}

impl Bed {
    fn new(snapshots: SnapshotCache) -> Self {
        let counters = Arc::new(WorkerCounters::new());
        let flows = Arc::new(FlowTable::new(table_config(PAIRS), [1, 2, 3, 4]));
        let parts = WorkerParts {
            snapshots,
            flows: Arc::clone(&flows),
            spread: RandomState::with_seeds(5, 6, 7, 8),
            counters: Arc::clone(&counters),
            drops: Arc::new(DropLog::new(16)),
            affinity: Arc::new(AffinityTable::new(1024, RandomState::with_seeds(9, 10, 11, 12))),
            fragments: Arc::new(FragmentTable::new(64, RandomState::with_seeds(13, 14, 15, 16))),
            limiter: Arc::default(),
            batch: BATCH,
            idle: Idle::Spin,
        };
        let kinds = [Traffic::Client, Traffic::Backend, Traffic::Reply];
        let traffic = [Transport::Udp, Transport::Tcp]
            .into_iter()
            .flat_map(|transport| kinds.map(|kind| Frames::new(kind, transport)));
        let taps = Arc::new(Taps::new(1));
        let worker = Worker::new(MemoryIo::new(4 * BATCH, 2 * BATCH), parts).with_taps(TapEye::new(&taps, 0));
        Self {
            worker,
            counters,
            flows,
            taps,
            traffic: traffic.collect(),
            arp: arp_request(),
            to_all: to_all(),
            round: 1,
        }
    }

    /// Known and new flows both ways, packets cut short, an ARP request, and a packet for all pods.
    fn round(&mut self) {
        let io = self.worker.io();
        for frames in &self.traffic {
            let first = match frames.traffic() {
                Traffic::Client | Traffic::Backend => self.round * NEW,
                // Answers to requests of the round before.
                Traffic::Reply => (self.round - 1) * NEW,
            };
            let side = frames.traffic().side();
            for n in 0..2 * NEW {
                let mut frame = [0; TEMPLATE];
                let len = frames.write((first + n) as u32, &mut frame);
                assert!(io.inject(side, &frame[..len]));
                if n == 0 {
                    assert!(io.inject(side, &frame[..len - 30]));
                }
            }
        }
        assert!(io.inject(Side::Trunk, &self.arp));
        assert!(io.inject(Side::Trunk, &self.to_all));
        // As fast as one pod may ask, and speak to all.
        self.worker.round(Millis(1_000_000 + 10 * self.round));
        self.worker.io().discard_sent();
        assert!(self.worker.io().is_conserved(0));
        self.round += 1;
    }

    /// Rounds with a new snapshot now and then, which is awaited half the time.
    fn run(&mut self, publications: &Publications) {
        for n in 0..ROUNDS {
            if n.is_multiple_of(PUBLISH_EVERY) {
                let number = publications.asked.fetch_add(1, Ordering::Release) + 1;
                while number.is_multiple_of(2) && publications.done.load(Ordering::Acquire) < number {
                    std::thread::yield_now();
                }
            }
            self.round();
        }
    }
}

/// A pod asks for its gateway.
fn arp_request() -> Vec<u8> {
    let (mac, address) = (topology::pod_mac(0), topology::pod_address(0));
    let gateway = dataplane::desired::Vif::DEFAULT_GATEWAY_V4.octets();
    let request = ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        ArpOperation::REQUEST,
        &mac.0,
        &address,
        &[0; 6],
        &gateway,
    );
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(mac.0, Mac::BROADCAST.0)
        .single_vlan(1u16.try_into().unwrap())
        .arp(request.unwrap())
        .write(&mut frame)
        .unwrap();
    frame
}

/// A pod speaks to all others.
fn to_all() -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(topology::pod_mac(0).0, Mac::BROADCAST.0)
        .single_vlan(1u16.try_into().unwrap())
        .ipv4(topology::pod_address(0), [255; 4], 64)
        .udp(5353, 5353)
        .write(&mut frame, &[0; 100])
        .unwrap();
    frame
}

#[test]
fn the_allocator_counts() {
    assert_eq!(measure(|| drop(black_box(Vec::<u8>::with_capacity(1)))).count_total, 1);
}

/// A trace and a capture of everything; the rings are full soon, and stay so.
#[test]
fn a_worker_that_is_watched_does_not_allocate_either() {
    let publisher = Publisher::new(Compiler::default().compile(&desired()).unwrap());
    let mut bed = Bed::new(publisher.subscribe());
    bed.round();
    let armed = [Catch::Ends, Catch::WireAndDrops].map(|catch| {
        let order = Order { filter: Filter::ALL, catch, count: u64::MAX, until: Millis(u64::MAX) };
        bed.taps.arm(order).unwrap()
    });
    let heap = measure(|| (0..ROUNDS).for_each(|_| bed.round()));
    assert_eq!((heap.count_total, heap.count_current), (0, 0), "allocated, allocated less freed");
    armed.iter().for_each(|tap| bed.taps.disarm(tap));
    let heap = measure(|| bed.round());
    assert_eq!((heap.count_total, heap.count_current), (0, 0), "the worker let go of the taps itself");
    for tap in armed {
        assert_eq!(std::iter::from_fn(|| tap.take()).count(), RING);
        assert!(tap.missed() > ROUNDS, "{}", tap.missed());
    }
}

#[test]
fn a_warm_worker_neither_allocates_nor_frees() {
    let mut compiler = Compiler::default();
    let mut publisher = Publisher::new(compiler.compile(&desired()).unwrap());
    let mut bed = Bed::new(publisher.subscribe());
    bed.round();
    let publications = Publications::default();
    let read = |bed: &Bed| {
        let counters = &bed.counters;
        let drops = counters.all_ports().dropped();
        [&counters.flow_hits, &counters.flow_misses, &counters.flow_revalidations, &counters.generated]
            .map(|counter| counter.get())
            .into_iter()
            .chain([drops])
            .collect::<Vec<_>>()
    };
    let before = read(&bed);
    let (publisher_end, total) = (&mut publisher, ROUNDS / PUBLISH_EVERY);
    let heap = std::thread::scope(|scope| {
        scope.spawn(|| publish(publisher_end, &mut compiler, &publications, total));
        measure(|| bed.run(&publications))
    });
    assert_eq!((heap.count_total, heap.count_current), (0, 0), "allocated, allocated less freed");

    let moved: Vec<u64> = read(&bed).iter().zip(&before).map(|(after, before)| after - before).collect();
    let at_least = [
        ("hits", ROUNDS),
        ("misses", ROUNDS),
        // Every snapshot makes the known flows of the next round stale.
        ("revalidations", total),
        ("ARP answers and copies", ROUNDS * (1 + u64::from(topology::PODS) - 2)),
        ("drops", ROUNDS),
    ];
    for ((name, expected), moved) in at_least.iter().zip(&moved) {
        assert!(moved >= expected, "only {moved} {name}");
    }
    let statistics = bed.flows.statistics();
    assert!(statistics.created >= u64::from(PAIRS), "{statistics:?}");
    assert!(statistics.refused_full + statistics.evicted > 0, "the table was never full: {statistics:?}");
    bed.round();
    assert_eq!(publisher.reclaim(), 0, "the worker still holds an old snapshot");
}
