//! What the pages read: shared between the control loop, the workers and the HTTP server.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use dataplane::counters::{PortCounters, PortTotals, WorkerCounters};
use dataplane::desired::Desired;
use dataplane::droplog::{DropLog, DropRecord};
use dataplane::ids::{VifId, VifName, VifSlot};
use dataplane::snapshot::{Snapshot, Vif};
use dataplane::tap::Taps;
use dataplane::trace::Tracer;
use flow_table::{FlowTable, Millis};
use xdp_prog::{FabricCounters, TrunkCounters, XdpAttached};

use crate::config::Config;
use crate::engine::GaugeBoard;
use crate::history::History;
use crate::traces::Traces;
use crate::view::RatesView;

/// Dropped packets remembered for each vif and for the uplink.
const RECENT: usize = 16;
/// Dropped packets taken over from a worker in one go; what is left waits for the next.
pub const MOST_DRAINED: usize = 256;

/// A worker as the pages see it.
#[derive(Clone, Debug)]
pub struct WorkerState {
    /// CPU it is pinned to.
    pub cpu: Option<u16>,
    /// Its counters.
    pub counters: Arc<WorkerCounters>,
    /// Its frames and sockets.
    pub gauges: Arc<GaugeBoard>,
    /// Its dropped packets, to be drained by the control loop.
    pub drops: Arc<DropLog>,
}

/// What the control loop says; replaced as a whole when it changes.
#[derive(Clone, Debug)]
pub struct ControlState {
    /// The configuration in force.
    pub config: Arc<Config>,
    /// What was compiled last.
    pub desired: Arc<Desired>,
    /// How the uplink's program is attached.
    pub attached: XdpAttached,
    /// Why the newest configuration file is not in force, if it is not.
    pub reload_error: Option<String>,
    /// Why not all that was declared before the start is in force, if it is not.
    pub set_aside: Option<String>,
}

/// How to look at packets, real ones and others.
#[derive(Clone, Debug)]
pub struct Sights {
    /// What would happen.
    pub tracer: Tracer,
    /// What happens.
    pub taps: Arc<Taps>,
}

/// Counters of the BPF programs, read once a second.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProgramCounters {
    /// On the uplink.
    pub fabric: FabricCounters,
    /// On the trunk and the ports.
    pub trunk: TrunkCounters,
}

/// Everything there is to look at.
#[derive(Debug)]
pub struct NodeState {
    /// Zero of the flow table's time.
    pub epoch: Instant,
    /// Start of the daemon.
    pub started: Instant,
    /// The snapshot in force.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// The flows.
    pub flows: Arc<FlowTable>,
    /// What would happen to packets.
    pub tracer: Tracer,
    /// What happens to real ones.
    pub taps: Arc<Taps>,
    /// The armed traces.
    pub traces: Traces,
    /// The workers.
    pub workers: Vec<WorkerState>,
    /// What the control loop says.
    pub control: ArcSwap<ControlState>,
    /// Counters of the BPF programs.
    pub programs: ArcSwap<ProgramCounters>,
    recent: Mutex<BTreeMap<Option<VifSlot>, VecDeque<DropRecord>>>,
    bases: Mutex<HashMap<VifSlot, Base>>,
    loads: Mutex<Loads>,
    history: Mutex<History>,
}

/// Counters of every port, read once. Every packet that was counted is in exactly one of them.
#[derive(Clone, Debug, Default)]
pub struct PortReadings {
    /// The uplink.
    pub uplink: PortTotals,
    /// Frames from the trunk that name no vif.
    pub unknown: PortTotals,
    /// The vifs of the snapshot, by name.
    pub vifs: Vec<(VifName, PortTotals)>,
    /// Vifs that are gone.
    pub removed: PortTotals,
}

impl PortReadings {
    /// Everything that went over the trunk.
    pub fn trunk(&self) -> PortTotals {
        let mut totals = self.unknown.clone();
        totals.add(&self.removed);
        self.vifs.iter().for_each(|(_, vif)| totals.add(vif));
        totals
    }
}

/// The vif that has a slot, and what the slot had counted for its predecessors.
#[derive(Debug)]
struct Base {
    vif: VifId,
    before: PortTotals,
}

/// How busy the workers were between the last two samples.
#[derive(Debug)]
struct Loads {
    at: Instant,
    busy_nanos: Vec<u64>,
    shares: Vec<f64>,
}

impl NodeState {
    /// State of a node that has just started.
    pub fn new(
        epoch: Instant,
        snapshot: Arc<ArcSwap<Snapshot>>,
        sights: Sights,
        workers: Vec<WorkerState>,
        control: ControlState,
    ) -> Self {
        let loads = Loads {
            at: Instant::now(),
            busy_nanos: workers.iter().map(|worker| worker.counters.busy_nanos.get()).collect(),
            shares: vec![0.0; workers.len()],
        };
        let state = Self {
            epoch,
            started: Instant::now(),
            snapshot,
            flows: Arc::clone(&sights.tracer.flows),
            tracer: sights.tracer,
            traces: Traces::new(Arc::clone(&sights.taps)),
            taps: sights.taps,
            workers,
            control: ArcSwap::from_pointee(control),
            programs: ArcSwap::default(),
            recent: Mutex::default(),
            bases: Mutex::default(),
            loads: Mutex::new(loads),
            history: Mutex::default(),
        };
        state.note_slots(&state.snapshot.load());
        state
    }

    /// The flow table's time.
    pub fn now(&self) -> Millis {
        Millis(u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Sum of a port's counters over the workers.
    pub fn totals(&self, port: impl Fn(&WorkerCounters) -> &PortCounters) -> PortTotals {
        let mut totals = PortTotals::default();
        self.workers.iter().for_each(|worker| port(&worker.counters).add_to(&mut totals));
        totals
    }

    /// Counters of a vif, without those of earlier ones in its slot.
    pub fn vif_totals(&self, vif: &Vif) -> PortTotals {
        let bases = lock(&self.bases);
        let totals = self.totals(|worker| worker.vif(vif.slot));
        share(totals, Some(vif), bases.get(&vif.slot)).0
    }

    /// Counters of every port; vifs are those of `snapshot`.
    pub fn ports(&self, snapshot: &Snapshot) -> PortReadings {
        let mut readings = PortReadings {
            uplink: self.totals(WorkerCounters::uplink),
            unknown: self.totals(WorkerCounters::trunk),
            ..PortReadings::default()
        };
        let bases = lock(&self.bases);
        for slot in (VifSlot::FIRST..=VifSlot::LAST).filter_map(VifSlot::new) {
            let vif = snapshot.vif(slot);
            let totals = self.totals(|worker| worker.vif(slot));
            let (own, removed) = share(totals, vif, bases.get(&slot));
            readings.vifs.extend(vif.map(|vif| (vif.name.clone(), own)));
            readings.removed.add(&removed);
        }
        readings.vifs.sort_by(|(one, _), (other, _)| one.cmp(other));
        readings
    }

    /// Notes which vif has which slot, after a publication: what a slot has counted for a vif
    /// that is gone is not shown under its successor.
    pub fn note_slots(&self, snapshot: &Snapshot) {
        let mut bases = lock(&self.bases);
        for vif in snapshot.vifs() {
            let before = match bases.get(&vif.slot) {
                Some(base) if base.vif == vif.id => continue,
                Some(_) => self.totals(|worker| worker.vif(vif.slot)),
                // Frames of a slot without a vif are counted on the trunk, so all is the first vif's.
                None => PortTotals::default(),
            };
            bases.insert(vif.slot, Base { vif: vif.id, before });
            lock(&self.recent).remove(&Some(vif.slot));
        }
    }

    /// Measures how busy the workers were since the last call. Once a second.
    pub fn sample_load(&self, now: Instant) {
        let mut loads = lock(&self.loads);
        let elapsed = now.saturating_duration_since(loads.at).as_nanos() as f64;
        if elapsed == 0.0 {
            return;
        }
        let busy: Vec<u64> = self.workers.iter().map(|worker| worker.counters.busy_nanos.get()).collect();
        let spent = busy.iter().zip(&loads.busy_nanos).map(|(now, then)| now.saturating_sub(*then));
        let shares = spent.map(|nanos| (nanos as f64 / elapsed).min(1.0)).collect();
        *loads = Loads { at: now, busy_nanos: busy, shares };
    }

    /// Notes what every vif has counted, when that is due.
    pub fn sample_vifs(&self, now: Instant) {
        let mut history = lock(&self.history);
        if history.is_due(now) {
            let snapshot = self.snapshot.load();
            history.take(now, snapshot.vifs().map(|vif| (vif.id, self.vif_totals(vif))));
        }
    }

    /// The last ten minutes of a vif.
    pub fn rates(&self, vif: VifId) -> RatesView {
        lock(&self.history).rates(vif)
    }

    /// Share of the last measuring interval that each worker spent on packets, 0 to 1.
    pub fn busy_shares(&self) -> Vec<f64> {
        lock(&self.loads).shares.clone()
    }

    /// Takes the dropped packets that the workers have left, at most [`MOST_DRAINED`] of each: a
    /// worker that drops all the time could keep the caller here for ever.
    pub fn drain_drops(&self) {
        let mut recent = lock(&self.recent);
        for worker in &self.workers {
            let records = std::iter::from_fn(|| worker.drops.take());
            for record in records.take(MOST_DRAINED) {
                let ring = recent.entry(record.vif).or_default();
                if ring.len() == RECENT {
                    ring.pop_front();
                }
                ring.push_back(record);
            }
        }
    }

    /// The last dropped packets of a vif, or of the uplink and trunk for `None`, newest first.
    pub fn recent_drops(&self, vif: Option<VifSlot>) -> Vec<DropRecord> {
        lock(&self.recent).get(&vif).map_or_else(Vec::new, |ring| ring.iter().rev().copied().collect())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a slot has counted: the part of the vif that has it now, and that of vifs that are gone.
fn share(totals: PortTotals, vif: Option<&Vif>, base: Option<&Base>) -> (PortTotals, PortTotals) {
    match (vif, base) {
        (Some(vif), Some(base)) if base.vif == vif.id => (totals.since(&base.before), base.before.clone()),
        (Some(_), None) => (totals, PortTotals::default()),
        // Of a vif that was published a moment ago nothing can be told yet.
        (Some(_), Some(_)) | (None, _) => (PortTotals::default(), totals),
    }
}
