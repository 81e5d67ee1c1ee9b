//! The real router in memory: compiler, worker, pipeline and flow table over queues of frames.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ahash::RandomState;
use dataplane::affinity::AffinityTable;
use dataplane::compile::{CompileError, Compiler};
use dataplane::counters::{PortCounters, WorkerCounters};
use dataplane::desired::Desired;
use dataplane::drop::DropReason;
use dataplane::droplog::DropLog;
use dataplane::fib::ip_addr;
use dataplane::fragment::FragmentTable;
use dataplane::ids::TunnelId;
use dataplane::ids::VifSlot;
use dataplane::limiter::VifLimiter;
use dataplane::memory::MemoryIo;
use dataplane::publish::Publisher;
use dataplane::trace::{Trace, Tracer};
use dataplane::verdict::{ContextOwner, context_owner};
use dataplane::worker::{Idle, Worker, WorkerParts};
use flow_table::{
    Action, DirectionView, FlowTable, Millis, Output as Out, Source, TableConfig, Timeouts, Ttl,
};

use crate::foretold;
use crate::packet::Tuple;
use crate::pairs::{Context, Half, Key, Origin, Output, Owner, Plan, Step};
use crate::router::{Ids, Moved, Side, VifIds};

/// Workers that share the tables.
pub const WORKERS: usize = 2;

/// Room in the flow table.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Pairs in all.
    pub pairs: u32,
    /// Pairs of one vif.
    pub per_vif: u32,
}

/// The real router.
#[derive(Debug)]
pub struct Node {
    compiler: Compiler,
    publisher: Publisher,
    workers: Vec<(Worker<MemoryIo>, Arc<WorkerCounters>)>,
    room: Room,
    flows: Arc<FlowTable>,
    tracer: Tracer,
    frames: u64,
    id_of_slot: BTreeMap<u16, u32>,
    ports: BTreeSet<(String, Option<VifSlot>)>,
    readings: Moved,
}

/// When a frame comes, and to which worker.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Time in milliseconds.
    pub now: u64,
    /// Number of the worker, below [`WORKERS`].
    pub worker: usize,
}

/// What came of one frame.
#[derive(Clone, Debug)]
pub struct Observed {
    /// What was sent.
    pub sent: Vec<(Side, Vec<u8>)>,
    /// What was counted.
    pub moved: Moved,
}

/// A pair as the flow table shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeenPair {
    /// Keys, actions, owner.
    pub plan: Plan,
    /// Packets of both directions.
    pub packets: [u64; 2],
    /// Bytes of both directions.
    pub bytes: [u64; 2],
}

impl Node {
    /// A node with a first desired state.
    ///
    /// # Errors
    /// The desired state contradicts itself.
    pub fn new(desired: &Desired, room: Room) -> Result<Self, CompileError> {
        let mut compiler = Compiler::default();
        let publisher = Publisher::new(compiler.compile(desired)?);
        let config = TableConfig {
            max_pairs: room.pairs,
            max_per_owner: room.per_vif,
            max_owners: VifSlot::FLOW_OWNERS,
            timeouts: Timeouts::default(),
        };
        let flows = Arc::new(FlowTable::new(config, [1, 2, 3, 4]));
        let fragments = Arc::new(FragmentTable::new(16, RandomState::with_seeds(9, 10, 11, 12)));
        let affinity = Arc::new(AffinityTable::new(4096, RandomState::with_seeds(13, 14, 15, 16)));
        let limiter = Arc::new(VifLimiter::new());
        let spread = RandomState::with_seeds(5, 6, 7, 8);
        let tracer =
            Tracer { flows: Arc::clone(&flows), spread: spread.clone(), affinity: Arc::clone(&affinity) };
        let worker = |_| {
            let counters = Arc::new(WorkerCounters::new());
            let parts = WorkerParts {
                snapshots: publisher.subscribe(),
                flows: Arc::clone(&flows),
                fragments: Arc::clone(&fragments),
                spread: spread.clone(),
                counters: Arc::clone(&counters),
                drops: Arc::new(DropLog::new(1)),
                affinity: Arc::clone(&affinity),
                limiter: Arc::clone(&limiter),
                batch: 4,
                idle: Idle::Sleep,
            };
            (Worker::new(MemoryIo::new(256, 130), parts), counters)
        };
        let workers = (0..WORKERS).map(worker).collect();
        let ports = BTreeSet::from([("uplink".to_owned(), None), ("trunk".to_owned(), None)]);
        let readings = Moved::new();
        let mut node = Self {
            compiler,
            publisher,
            workers,
            room,
            flows,
            tracer,
            frames: 0,
            id_of_slot: BTreeMap::new(),
            ports,
            readings,
        };
        node.learn();
        Ok(node)
    }

    /// Publishes another desired state.
    ///
    /// # Errors
    /// The desired state contradicts itself.
    pub fn configure(&mut self, desired: &Desired) -> Result<(), CompileError> {
        self.publisher.publish(self.compiler.compile(desired)?);
        self.learn();
        Ok(())
    }

    fn learn(&mut self) {
        for vif in self.publisher.current().vifs() {
            self.id_of_slot.insert(vif.slot.get(), vif.id.0);
            self.ports.insert((vif.name.to_string(), Some(vif.slot)));
        }
        self.readings = self.read();
    }

    /// The numbers it has given.
    pub fn ids(&self) -> Ids {
        let snapshot = self.publisher.current();
        let vif = |vif: &dataplane::snapshot::Vif| VifIds {
            name: vif.name.clone(),
            id: vif.id.0,
            slot: vif.slot.get(),
        };
        Ids {
            vifs: snapshot.vifs().map(vif).collect(),
            vrfs: snapshot.vrfs().map(|vrf| (vrf.name.clone(), vrf.id.0)).collect(),
        }
    }

    /// Runs one frame through one of the workers, after a trace has said what will come of it; then the others look
    /// after the fragments that wait with them.
    ///
    /// # Errors
    /// A conservation law is broken, or the trace was wrong or has changed something.
    pub fn step(&mut self, side: Side, frame: &[u8], at: Moment) -> Result<Observed, String> {
        let io_side = |side| match side {
            Side::Trunk => dataplane::io::Side::Trunk,
            Side::Uplink => dataplane::io::Side::Uplink,
        };
        let Moment { now, worker: first } = at;
        let foretold = self.foretell((io_side(side), frame), Millis(now))?;
        if !self.workers[first].0.io().inject(io_side(side), frame) {
            return Err(format!("no room for a frame of {} bytes", frame.len()));
        }
        let mut sent = Vec::new();
        for turn in (first..WORKERS).chain(0..first) {
            let (worker, counters) = &mut self.workers[turn];
            let processed = worker.round(Millis(now));
            for side in [Side::Trunk, Side::Uplink] {
                sent.extend(worker.io().sent(io_side(side)).into_iter().map(|frame| (side, frame)));
            }
            if processed != usize::from(turn == first)
                || !worker.io().is_conserved(counters.held.get() as usize)
            {
                return Err(format!("{processed} frames processed, or one lost"));
            }
        }
        let readings = self.read();
        let before = core::mem::replace(&mut self.readings, readings);
        let moved = self.readings.iter().filter_map(|(name, now)| {
            let by = now - before.get(name).copied().unwrap_or_default();
            (by > 0).then(|| (name.clone(), by))
        });
        let moved = moved.collect();
        self.check_accounts()?;
        let observed = Observed { sent, moved };
        if let Some(trace) = foretold {
            foretold::check(&trace, &observed)?;
        }
        Ok(observed)
    }

    /// A trace of every fourth frame, which must change nothing.
    fn foretell(
        &mut self,
        frame: (dataplane::io::Side, &[u8]),
        now: Millis,
    ) -> Result<Option<Trace>, String> {
        self.frames += 1;
        if !self.frames.is_multiple_of(4) {
            return Ok(None);
        }
        let before = self.pairs(now.0);
        let trace = self.tracer.trace_frame(&self.publisher.current(), frame, now);
        if self.pairs(now.0) != before || self.read() != self.readings {
            return Err("a trace has changed something".to_owned());
        }
        Ok(Some(trace))
    }

    /// The laws: rx + generated = tx + consumed + drops + held; pairs made = pairs live and gone.
    fn check_accounts(&self) -> Result<(), String> {
        let sum = |end: &str| -> u64 {
            self.readings.iter().filter(|(name, _)| name.ends_with(end)).map(|(_, count)| count).sum()
        };
        let get = |name: &str| self.readings.get(name).copied().unwrap_or_default();
        let drops: u64 = DropReason::ALL.iter().map(|reason| sum(&format!(".{}", reason.name()))).sum();
        let held: u64 = self.workers.iter().map(|(_, counters)| counters.held.get()).sum();
        let (taken, left) = (sum(".rx") + get("generated"), sum(".tx") + get("consumed") + drops + held);
        if taken != left {
            return Err(format!("packets do not add up: {taken} taken, {left} left"));
        }
        let table = self.flows.statistics();
        if table.created != table.live + table.expired + table.evicted + table.purged {
            return Err(format!("flow pairs do not add up: {table:?}"));
        }
        Ok(())
    }

    /// Adds the counters of every port there could be, and says whether others than the known ones have moved.
    pub fn has_strange_counts(&self) -> bool {
        let all: u64 = self.workers.iter().map(|(_, counters)| counters.all_ports().rx.packets).sum();
        let known: u64 =
            self.readings.iter().filter(|(name, _)| name.ends_with(".rx")).map(|(_, count)| count).sum();
        all != known
    }

    /// Removes idle pairs.
    pub fn sweep(&mut self, now: u64) {
        self.flows.sweep(Millis(now), self.room.pairs as usize, |_, _| true);
    }

    fn read(&self) -> Moved {
        let mut readings = Moved::new();
        for (_, counters) in &self.workers {
            for (name, slot) in &self.ports {
                let port = match slot {
                    Some(slot) => counters.vif(*slot),
                    None if name == "uplink" => counters.uplink(),
                    None => counters.trunk(),
                };
                read_port(&mut readings, name, port);
            }
            let own = [
                ("generated", &counters.generated),
                ("consumed", &counters.consumed),
                ("suppressed", &counters.answers_suppressed),
                ("hits", &counters.flow_hits),
                ("misses", &counters.flow_misses),
            ];
            for (name, counter) in own {
                *readings.entry(name.to_owned()).or_default() += counter.get();
            }
        }
        readings.insert("pairs".to_owned(), self.flows.statistics().created);
        readings
    }

    /// All pairs, in order.
    pub fn pairs(&self, now: u64) -> Vec<SeenPair> {
        let views = self.flows.view(Millis(now), 0, self.room.pairs as usize, |_| true);
        let pair = |view: &flow_table::FlowView| SeenPair {
            plan: Plan {
                forward: self.half(&view.forward),
                reverse: self.half(&view.reverse),
                owner: owner(view.owner),
            },
            packets: [view.forward.packets, view.reverse.packets],
            bytes: [view.forward.bytes, view.reverse.bytes],
        };
        let mut pairs: Vec<_> = views.iter().map(pair).collect();
        pairs.sort_unstable();
        pairs
    }

    fn half(&self, view: &DirectionView) -> Half {
        let snapshot = self.publisher.current();
        let node = |index: u16| {
            let tunnel = snapshot.tunnel(TunnelId(index));
            tunnel.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |tunnel| tunnel.address)
        };
        let Action { output, ttl, source, .. } = view.action;
        let tuple = view.key.tuple;
        Half {
            key: Key {
                context: context(view.key.context),
                tuple: Tuple {
                    src: ip_addr(tuple.family, tuple.src),
                    dst: ip_addr(tuple.family, tuple.dst),
                    protocol: tuple.protocol,
                    sport: tuple.sport,
                    dport: tuple.dport,
                },
            },
            output: match output {
                Out::Vif { slot } => Output::Vif(self.id_of_slot.get(&slot).copied().unwrap_or_default()),
                Out::Tunnel { tunnel, label } => Output::Tunnel(node(tunnel), label),
                Out::Drop { reason } => Output::Drop(
                    DropReason::from_index(usize::from(reason)).unwrap_or(DropReason::DiscardRoute),
                ),
            },
            origin: match source {
                Source::Any => Origin::Any,
                Source::Vif => Origin::Vif,
                Source::Tunnel(index) => Origin::Node(node(index)),
            },
            step: match ttl {
                Ttl::Keep => Step::Delivered,
                Ttl::Decrement => Step::Routed,
            },
        }
    }
}

/// Flow table contexts of keys that no packet has: those of the flow with this bit.
const UNANSWERED: u32 = 1 << 30;

fn context(raw: flow_table::Context) -> Context {
    match context_owner(flow_table::Context(raw.0 & !UNANSWERED)) {
        ContextOwner::Vif(id) if raw.0 & UNANSWERED != 0 => Context::Unanswered(id.0),
        ContextOwner::Vif(id) => Context::Vif(id.0),
        ContextOwner::Vrf(vrf) => Context::Vrf(vrf.0),
    }
}

fn owner(raw: u16) -> Owner {
    let table = VifSlot::TABLE as u16;
    if raw < table { Owner::Pod(raw) } else { Owner::Fabric(raw - table) }
}

fn read_port(readings: &mut Moved, name: &str, port: &PortCounters) {
    let mut insert = |what: &str, count: u64| {
        if count > 0 {
            *readings.entry(format!("{name}.{what}")).or_default() += count;
        }
    };
    insert("rx", port.rx.packets.get());
    insert("rx_bytes", port.rx.bytes.get());
    insert("tx", port.tx.packets.get());
    insert("tx_bytes", port.tx.bytes.get());
    for reason in DropReason::ALL {
        insert(reason.name(), port.drops(*reason));
    }
}
