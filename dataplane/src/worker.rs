//! One thread of the engine: receive, forward, send, and sleep when there is nothing to do.

mod outlet;
mod replicate;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;
use flow_table::{FlowHash, FlowTable, Millis, Search};

use crate::affinity::AffinityTable;
use crate::counters::WorkerCounters;
use crate::droplog::DropLog;
use crate::fragment::{FragmentTable, Held, Hold};
use crate::io::{Extent, PacketIo, Side};
use crate::limiter::VifLimiter;
use crate::packet::Packet;
use crate::pipeline::Pipeline;
use crate::publish::SnapshotCache;
use crate::tap::{TapEye, Watch};
use crate::verdict::Prepared;
use outlet::{Desk, Outlet, TAG};
use watched::Arrival;

/// What a worker shares with the rest of the process.
#[derive(Debug)]
pub struct WorkerParts {
    /// The published snapshots.
    pub snapshots: SnapshotCache,
    /// The flow table of the node.
    pub flows: Arc<FlowTable>,
    /// The datagrams of the node whose fragments are under way.
    pub fragments: Arc<FragmentTable>,
    /// Seeded hash for ECMP choices; the same for all workers of the node.
    pub spread: RandomState,
    /// Where this worker counts.
    pub counters: Arc<WorkerCounters>,
    /// Where this worker leaves dropped packets.
    pub drops: Arc<DropLog>,
    /// Which backend served a client last; one for all workers of the node.
    pub affinity: Arc<AffinityTable>,
    /// How much each vif may cause in a second.
    pub limiter: Arc<VifLimiter>,
    /// Most frames taken from one side at once.
    pub batch: usize,
    /// What to do when there is nothing to do.
    pub idle: Idle,
}

/// What a worker does when there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Look again for a while, then sleep until a frame comes.
    Sleep,
    /// Look again without end: least delay, one CPU in full.
    Spin,
}

/// A worker over its packet I/O.
#[derive(Debug)]
pub struct Worker<Io: PacketIo> {
    io: Io,
    parts: WorkerParts,
    frames: Vec<Io::Frame>,
    /// One for each frame of a batch; those behind the frames are of earlier batches.
    prepared: Box<[Prepared]>,
    hashes: Vec<FlowHash>,
    searches: Vec<Search>,
    /// Where the frames lay as they came, while somebody watches.
    origins: Vec<Extent>,
    eye: TapEye,
    desk: Desk<Io::Frame>,
    hold: Hold<Io::Frame>,
    next_tick: Millis,
}

/// Time between two calls of [`PacketIo::tick`], in milliseconds.
const TICK: u64 = 1000;
/// Rounds without a packet before the worker goes to sleep.
const IDLE_ROUNDS: u32 = 32;
/// Longest sleep; sockets wake it earlier.
const MAX_SLEEP: Duration = Duration::from_millis(500);

/// Longest sleep while fragments wait: another worker may have seen what they wait for.
const HOLDING_SLEEP: Duration = Duration::from_millis(1);

/// Whether the worker shall go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continue {
    /// Go on.
    Yes,
    /// Stop after the current batch.
    Stop,
}

impl<Io: PacketIo> Worker<Io> {
    /// A worker; all memory it will need is taken here.
    pub fn new(io: Io, parts: WorkerParts) -> Self {
        let batch = parts.batch.max(1);
        Self {
            io,
            parts,
            frames: Vec::with_capacity(batch),
            prepared: vec![Prepared::UNKNOWN; batch].into(),
            hashes: Vec::with_capacity(batch),
            searches: Vec::with_capacity(batch),
            origins: Vec::with_capacity(batch),
            eye: TapEye::default(),
            desk: Desk::new(),
            hold: Hold::new(),
            next_tick: Millis(0),
        }
    }

    /// The same, with the taps of the node.
    pub fn with_taps(self, eye: TapEye) -> Self {
        Self { eye, ..self }
    }

    /// The packet I/O.
    pub fn io(&mut self) -> &mut Io {
        &mut self.io
    }

    /// Works until `control` says stop. `clock` is read once per round.
    pub fn run(&mut self, clock: impl Fn() -> Duration, control: impl Fn() -> Continue) {
        let mut idle = 0;
        while control() == Continue::Yes {
            let start = clock();
            let packets = self.round(Millis(start.as_millis() as u64));
            if packets > 0 {
                idle = 0;
                let busy = clock().saturating_sub(start);
                self.parts.counters.busy_nanos.add(busy.as_nanos() as u64);
                continue;
            }
            idle += 1;
            if idle > IDLE_ROUNDS && self.parts.idle == Idle::Sleep {
                self.parts.counters.sleeps.add(1);
                self.io.wait(if self.hold.len() == 0 { MAX_SLEEP } else { HOLDING_SLEEP });
                idle = 0;
            }
        }
    }

    /// One batch from each side. Says how many packets there were.
    pub fn round(&mut self, now: Millis) -> usize {
        let packets = self.batch(Side::Trunk, now) + self.batch(Side::Uplink, now);
        if self.hold.len() > 0 {
            self.release(now);
        }
        self.io.flush();
        if now.0 >= self.next_tick.0 {
            self.next_tick = Millis(now.0 + TICK);
            self.io.tick();
        }
        packets
    }

    fn batch(&mut self, side: Side, now: Millis) -> usize {
        let count = self.io.receive(side, &mut self.frames, self.parts.batch);
        if count == 0 {
            return 0;
        }
        debug_assert!(count == self.frames.len() && count <= self.prepared.len(), "what PacketIo promises");
        let pipeline = open(&mut self.parts, now);
        let watch = self.eye.look();
        pipeline.counters.batches.add(1);
        if watch.is_some() {
            self.origins.extend(self.frames.iter_mut().map(|frame| self.io.open(frame).1));
        }
        // A loop for each side, with its stage in it: what it finds is written once, to where it is read.
        match side {
            Side::Trunk => {
                for (frame, into) in self.frames.iter_mut().zip(&mut self.prepared) {
                    let len = prepare(&self.io, frame, |packet| pipeline.prepare_from_trunk(packet, into));
                    let vif = into.vif();
                    let port = vif.map_or(pipeline.counters.trunk(), |slot| pipeline.counters.vif(slot));
                    port.rx.count(len.saturating_sub(TAG));
                }
            }
            Side::Uplink => {
                for (frame, into) in self.frames.iter_mut().zip(&mut self.prepared) {
                    let len = prepare(&self.io, frame, |packet| pipeline.prepare_from_uplink(packet, into));
                    pipeline.counters.uplink().rx.count(len);
                }
            }
        }
        self.hashes.extend(self.prepared.iter_mut().take(count).map(|prepared| {
            pipeline.gate(prepared);
            pipeline.hash(prepared)
        }));
        begin_searches(pipeline.flows, &self.hashes, &mut self.searches);
        let mut outlet = Outlet { io: &mut self.io, pipeline: &pipeline, watch, desk: &mut self.desk };
        let ahead = self.prepared.iter().zip(&self.searches);
        let mut origins = self.origins.iter();
        for (frame, (prepared, search)) in self.frames.drain(..).zip(ahead) {
            let origin = origins.next().copied();
            match prepared {
                Prepared::Wait(waiting) if self.hold.has_room(waiting) => {
                    self.hold.push(Held { frame, side, waiting: *waiting });
                }
                _ => match origin {
                    None => outlet.finish(side, frame, prepared, search),
                    origin => outlet.finish_watched(Arrival { side, origin }, frame, prepared, search),
                },
            }
        }
        if cfg!(debug_assertions) {
            // A stage that forgets to write must not find what an earlier batch has left.
            self.prepared.fill(Prepared::UNKNOWN);
        }
        self.origins.clear();
        self.hashes.clear();
        self.searches.clear();
        count
    }

    /// Lets go of the fragments whose first one has come, or whose time is up.
    fn release(&mut self, now: Millis) {
        let due = self.hold.due(self.parts.fragments.news(), now);
        let pipeline = open(&mut self.parts, now);
        let watch: Option<Watch<'_>> = self.eye.look();
        let mut outlet = Outlet { io: &mut self.io, pipeline: &pipeline, watch, desk: &mut self.desk };
        for _ in 0..due {
            let Some(Held { frame, side, waiting }) = self.hold.pop() else { break };
            match pipeline.prepare_again(waiting) {
                (Prepared::Wait(waiting), _) => self.hold.push(Held { frame, side, waiting }),
                (prepared, hash) => {
                    outlet.finish_watched(Arrival { side, origin: None }, frame, &prepared, &hash.into());
                }
            }
        }
        pipeline.counters.held.set(self.hold.len() as u64);
    }
}

/// What the packets of one batch go through.
fn open(parts: &mut WorkerParts, now: Millis) -> Pipeline<'_> {
    let WorkerParts { snapshots, flows, fragments, spread, counters, drops, affinity, limiter, .. } = parts;
    Pipeline { snapshot: snapshots.load(), flows, fragments, spread, counters, drops, affinity, limiter, now }
}

/// Has the cache misses of a batch overlap: all buckets first, then the pairs they name.
fn begin_searches(flows: &FlowTable, hashes: &[FlowHash], searches: &mut Vec<Search>) {
    // The loads must not be optimised away, so somebody has to look at the result.
    std::hint::black_box(hashes.iter().fold(0, |folded, hash| folded ^ flows.prefetch(*hash)));
    searches.extend(hashes.iter().map(|hash| flows.begin(*hash)));
    std::hint::black_box(searches.iter().fold(0, |folded, search| folded ^ flows.prefetch_pair(search)));
}

/// Lets the first half of the pipeline look at the packet in a frame, and says how long that was.
#[inline(always)]
fn prepare<Io: PacketIo>(io: &Io, frame: &mut Io::Frame, stage: impl FnOnce(&mut Packet<'_>)) -> usize {
    let (buffer, extent) = io.open(frame);
    let mut packet = Packet::new(buffer, extent);
    let len = packet.len();
    stage(&mut packet);
    let extent = packet.extent();
    io.set_extent(frame, extent);
    len
}
