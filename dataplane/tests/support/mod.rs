//! A node in memory: the real compiler, pipeline and worker over [`MemoryIo`].
//!
//! Every step checks the two conservation laws and reports every counter that has moved.

#![allow(dead_code, reason = "each test binary uses a part of the node")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "a test stops where it goes wrong"
)]

pub(crate) mod crowd;
pub(crate) mod frames;
pub(crate) mod realm;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ahash::RandomState;
use dataplane::affinity::AffinityTable;
use dataplane::carry::{Adoption, Roster};
use dataplane::compile::Compiler;
use dataplane::counters::{PortCounters, WorkerCounters};
use dataplane::desired::{
    Affinity, Backend, BackendState, Desired, Hop, HopTarget, Link, Node as NodeSettings, OnBackendGone,
    OuterOptions, Reach, Route, RouteTarget, Service, ServicePort, Transport, Underlay, Uplink, Vif, VifKind,
    Vrf,
};
use dataplane::drop::DropReason;
use dataplane::droplog::DropLog;
use dataplane::fragment::FragmentTable;
use dataplane::ids::{Mac, VifSlot};
use dataplane::io::{PacketIo, Side};
use dataplane::limiter::VifLimiter;
use dataplane::memory::{MemoryFrame, MemoryIo};
use dataplane::publish::Publisher;
use dataplane::tap::{TapEye, Taps};
use dataplane::worker::{Idle, Worker, WorkerParts};
use encap::Label;
use flow_table::{FlowTable, Millis, TableConfig, Timeouts};

/// Our Ethernet address on the underlay.
pub(crate) const UPLINK_MAC: Mac = Mac([2, 0, 0, 0, 1, 1]);
/// The next hop's Ethernet address on the underlay.
pub(crate) const PEER_MAC: Mac = Mac([2, 0, 0, 0, 1, 2]);

/// Bytes from hexadecimal text; white space does not count.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Names of counters and by how much they have moved.
pub(crate) type Moved = BTreeMap<String, u64>;

/// What came out of one step.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) trunk: Vec<Vec<u8>>,
    pub(crate) uplink: Vec<Vec<u8>>,
    pub(crate) moved: Moved,
}

impl Output {
    /// Asserts that exactly these counters have moved.
    #[track_caller]
    pub(crate) fn assert_moved(&self, expected: &[(&str, u64)]) {
        let expected: Moved = expected.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        assert_eq!(self.moved, expected);
    }
}

/// A desired state without vifs, on `tunnel_address` with a resolved way to each of `peers`.
pub(crate) fn desired(tunnel_address: &str, peers: &[&str]) -> Desired {
    Desired {
        node: NodeSettings {
            tunnel_address: tunnel_address.parse().unwrap(),
            udp_port: 6635,
            legacy_udp_port: Some(51234),
            outer: OuterOptions::default(),
            mss_clamp: dataplane::desired::MssClamp::On,
            explicit_null_vrf: None,
        },
        vrfs: Vec::new(),
        vifs: Vec::new(),
        routes: Vec::new(),
        services: Vec::new(),
        policies: Vec::new(),
        nat: Default::default(),
        broadcasts: Vec::new(),
        underlay: Underlay {
            uplink: Some(Uplink { mac: UPLINK_MAC, mtu: 1600, vlan: None, link: Link::Up }),
            tunnels: peers.iter().map(|peer| (peer.parse().unwrap(), Reach::Via(PEER_MAC))).collect(),
            ..Underlay::default()
        },
    }
}

pub(crate) fn vrf(name: &str) -> Vrf {
    Vrf { name: name.into(), label: None }
}

pub(crate) fn vif(name: &str, vrf: &str, addresses: &[&str], mac: &str, label: u32) -> Vif {
    Vif {
        name: name.into(),
        kind: VifKind::Pod,
        vrf: vrf.into(),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        mac: mac.parse().unwrap(),
        gateway_v4: Vif::DEFAULT_GATEWAY_V4,
        gateway_v6: Vif::DEFAULT_GATEWAY_V6,
        label: Label::new(label).unwrap(),
        mtu: 1500,
        link: Link::Up,
        policies: Vec::new(),
    }
}

pub(crate) fn to_tunnel(node: &str, label: u32) -> Hop {
    Hop {
        to: HopTarget::Tunnel { node: node.parse().unwrap(), label: Label::new(label).unwrap() },
        weight: 1,
    }
}

pub(crate) fn to_vif(name: &str) -> Hop {
    Hop { to: HopTarget::Vif(name.into()), weight: 1 }
}

pub(crate) fn route(vrf: &str, prefix: &str, hops: Vec<Hop>) -> Route {
    Route { vrf: vrf.into(), prefix: prefix.parse().unwrap(), target: RouteTarget::Hops(hops) }
}

pub(crate) fn service(
    vrf: &str,
    address: &str,
    ports: &[(Transport, u16, u16)],
    backends: Vec<Hop>,
) -> Arc<Service> {
    let port =
        |(protocol, port, target): &(Transport, u16, u16)| ServicePort::single(*protocol, *port, *target);
    let address: IpAddr = address.parse().unwrap();
    Arc::new(Service {
        vrf: vrf.into(),
        address,
        ports: ports.iter().map(port).collect(),
        backends: ready(backends),
        affinity: Affinity::None,
        on_backend_gone: OnBackendGone::Rechoose,
    })
}

/// Backends that take new flows.
pub(crate) fn ready(hops: Vec<Hop>) -> Vec<Backend> {
    hops.into_iter().map(Backend::from).collect()
}

/// A backend that keeps its flows only.
pub(crate) fn terminating(hop: Hop) -> Backend {
    Backend { state: BackendState::Terminating, ..hop.into() }
}

/// The service with this index, for changing it.
pub(crate) fn service_mut(state: &mut Desired, index: usize) -> &mut Service {
    Arc::make_mut(&mut state.services[index])
}

/// Buffers of a node.
const FRAMES: usize = 512;

/// A UDP datagram over IPv4 from node 10.1.1.2 to 10.1.1.1.
pub(crate) fn from_fabric(label: u32, src: [u8; 4], dst: [u8; 4], ports: (u16, u16)) -> Vec<u8> {
    let mut packet = Vec::new();
    etherparse::PacketBuilder::ipv4(src, dst, 63).udp(ports.0, ports.1).write(&mut packet, b"data").unwrap();
    frames::tunnelled(("10.1.1.2", "10.1.1.1"), label, &packet)
}

/// A node in memory.
pub(crate) struct Node {
    compiler: Compiler,
    pub(crate) publisher: Publisher,
    worker: Worker<MemoryIo>,
    pub(crate) counters: Arc<WorkerCounters>,
    pub(crate) flows: Arc<FlowTable>,
    fragments: Arc<FragmentTable>,
    affinity: Arc<AffinityTable>,
    taken: Vec<MemoryFrame>,
    pub(crate) now: u64,
}

impl Node {
    pub(crate) fn new(desired: &Desired) -> Self {
        Self::with_flows(desired, 1000, 1000)
    }

    pub(crate) fn with_flows(desired: &Desired, max_pairs: u32, max_per_owner: u32) -> Self {
        let max_owners = VifSlot::FLOW_OWNERS;
        let config = TableConfig { max_pairs, max_per_owner, max_owners, timeouts: Timeouts::default() };
        let flows = Arc::new(FlowTable::new(config, [1, 2, 3, 4]));
        let fragments = Arc::new(FragmentTable::new(4096, RandomState::with_seeds(9, 10, 11, 12)));
        Self::with_tables(desired, flows, fragments)
    }

    /// A node whose fragment table has a single shard.
    pub(crate) fn with_few_fragments(desired: &Desired) -> Self {
        let node = Self::new(desired);
        let fragments = Arc::new(FragmentTable::new(1, RandomState::with_seeds(9, 10, 11, 12)));
        Self::with_tables(desired, node.flows, fragments)
    }

    /// Another worker of this node.
    pub(crate) fn colleague(&self, desired: &Desired) -> Self {
        Self::with_tables(desired, Arc::clone(&self.flows), Arc::clone(&self.fragments))
    }

    fn with_tables(desired: &Desired, flows: Arc<FlowTable>, fragments: Arc<FragmentTable>) -> Self {
        let mut compiler = Compiler::default();
        let publisher = Publisher::new(compiler.compile(desired).unwrap());
        let counters = Arc::new(WorkerCounters::new());
        let affinity = Arc::new(AffinityTable::new(1024, RandomState::with_seeds(9, 10, 11, 12)));
        let parts = WorkerParts {
            snapshots: publisher.subscribe(),
            flows: Arc::clone(&flows),
            fragments: Arc::clone(&fragments),
            spread: RandomState::with_seeds(5, 6, 7, 8),
            counters: Arc::clone(&counters),
            drops: Arc::new(DropLog::new(16)),
            affinity: Arc::clone(&affinity),
            limiter: Arc::new(VifLimiter::new()),
            batch: 64,
            idle: Idle::Sleep,
        };
        let worker = Worker::new(MemoryIo::new(FRAMES, 128), parts);
        Self {
            compiler,
            publisher,
            worker,
            counters,
            flows,
            fragments,
            affinity,
            taken: Vec::new(),
            now: 1000,
        }
    }

    /// Publishes another desired state.
    pub(crate) fn publish(&mut self, desired: &Desired) {
        self.publisher.publish(self.compiler.compile(desired).unwrap());
    }

    /// Takes over the pairs of an earlier daemon of this node; gives how many.
    pub(crate) fn adopt(&mut self, earlier: &Node) -> usize {
        self.now = earlier.now;
        let roster = Roster::of(&earlier.publisher.current());
        let snapshot = self.publisher.current();
        let (adoption, now) = (Adoption::new(&roster, &snapshot), Millis(self.now));
        let mut adopted = 0;
        earlier.flows.carry(0..earlier.flows.capacity(), |pair| {
            let Some(pair) = adoption.translate(pair) else { return };
            adoption.remember(&pair, &self.affinity, now);
            adopted += usize::from(self.flows.restore(&pair, now).is_ok());
        });
        adopted
    }

    /// Has the worker tell taps.
    pub(crate) fn watched(self, taps: &Arc<Taps>) -> Self {
        Self { worker: self.worker.with_taps(TapEye::new(taps, 0)), ..self }
    }

    /// Runs one frame through the node.
    pub(crate) fn step(&mut self, side: Side, frame: &[u8]) -> Output {
        self.batch(side, &[frame])
    }

    /// Runs a batch through the node.
    pub(crate) fn batch(&mut self, side: Side, frames: &[&[u8]]) -> Output {
        let before = self.readings();
        for frame in frames {
            assert!(self.worker.io().inject(side, frame), "no buffer for a frame");
        }
        let processed = self.worker.round(Millis(self.now));
        assert_eq!(processed, frames.len());
        let output = Output {
            trunk: self.worker.io().sent(Side::Trunk),
            uplink: self.worker.io().sent(Side::Uplink),
            moved: moved(&before, &self.readings()),
        };
        let held = self.held() as usize + self.taken.len();
        assert!(self.worker.io().is_conserved(held), "a frame was lost");
        self.assert_accounts();
        let statistics = self.flows.statistics();
        assert_eq!(
            statistics.created,
            statistics.live + statistics.expired + statistics.evicted + statistics.purged,
            "flow pairs do not add up"
        );
        output
    }

    /// Runs a batch through the node while other workers run too: what they change is not looked at. Gives what
    /// was sent to the pods, and checks what is this worker's own.
    pub(crate) fn batch_beside_others(&mut self, side: Side, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
        for frame in frames {
            assert!(self.worker.io().inject(side, frame), "no buffer for a frame");
        }
        assert_eq!(self.worker.round(Millis(self.now)), frames.len());
        let sent = self.worker.io().sent(Side::Trunk);
        assert_eq!(self.worker.io().sent(Side::Uplink).len(), 0, "nothing leaves the node");
        let held = self.held() as usize;
        assert!(self.worker.io().is_conserved(held), "a frame was lost");
        self.assert_accounts();
        sent
    }

    /// Flow lookups of this worker that found a pair, and that did not.
    pub(crate) fn lookups(&self) -> (u64, u64) {
        (self.counters.flow_hits.get(), self.counters.flow_misses.get())
    }

    /// Sweeps all flow pairs as the control thread does.
    pub(crate) fn sweep(&self) {
        let snapshot = self.publisher.current();
        self.flows.sweep(Millis(self.now), usize::MAX, |forward, reverse| {
            snapshot.has_context(forward.context) && snapshot.has_context(reverse.context)
        });
    }

    /// Fragments that wait for the first one of their datagram.
    pub(crate) fn held(&self) -> u64 {
        self.counters.held.get()
    }

    /// Drops laid to a slot, whatever vif is there now.
    pub(crate) fn drops_of_slot(&self, slot: u16, reason: DropReason) -> u64 {
        self.counters.vif(VifSlot::new(slot).unwrap()).drops(reason)
    }

    /// Takes all free buffers away but `left`, for good.
    pub(crate) fn starve(&mut self, left: usize) {
        let io = self.worker.io();
        self.taken = std::iter::from_fn(|| io.allocate()).collect();
        self.taken.drain(..left).for_each(|frame| io.recycle(frame));
    }

    /// Invariant 4: rx + generated = tx + consumed + sum(drops) + held.
    fn assert_accounts(&self) {
        let totals = self.counters.all_ports();
        assert_eq!(
            totals.rx.packets + self.counters.generated.get(),
            totals.tx.packets + self.counters.consumed.get() + totals.dropped() + self.held(),
            "packets do not add up"
        );
    }

    fn readings(&self) -> Moved {
        let mut readings = Moved::new();
        let snapshot = self.publisher.current();
        let mut port = |name: &str, port: &PortCounters| {
            readings.insert(format!("{name}.rx"), port.rx.packets.get());
            readings.insert(format!("{name}.tx"), port.tx.packets.get());
            for reason in DropReason::ALL {
                readings.insert(format!("{name}.{}", reason.name()), port.drops(*reason));
            }
        };
        port("uplink", self.counters.uplink());
        port("trunk", self.counters.trunk());
        for vif in snapshot.vifs() {
            port(vif.name.as_str(), self.counters.vif(vif.slot));
        }
        let worker = [
            ("generated", &self.counters.generated),
            ("consumed", &self.counters.consumed),
            ("suppressed", &self.counters.answers_suppressed),
            ("hits", &self.counters.flow_hits),
            ("misses", &self.counters.flow_misses),
            ("revalidations", &self.counters.flow_revalidations),
        ];
        readings.extend(worker.map(|(name, counter)| (name.to_owned(), counter.get())));
        readings.insert("pairs".to_owned(), self.flows.statistics().created);
        readings.insert("purged".to_owned(), self.flows.statistics().purged);
        readings
    }
}

fn moved(before: &Moved, after: &Moved) -> Moved {
    after
        .iter()
        .map(|(name, now)| (name.clone(), now - before.get(name).copied().unwrap_or_default()))
        .filter(|(_, by)| *by > 0)
        .collect()
}
