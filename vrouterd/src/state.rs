//! What the pages read: shared between the control loop, the workers and the HTTP server.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use dataplane::counters::{PortCounters, PortTotals, WorkerCounters};
use dataplane::desired::Desired;
use dataplane::droplog::{DropLog, DropRecord};
use dataplane::ids::{VifName, VifSlot};
use dataplane::snapshot::Snapshot;
use flow_table::FlowTable;
use xdp_prog::{FabricCounters, TrunkCounters, XdpAttached};

use crate::config::Config;
use crate::engine::GaugeBoard;

/// Dropped packets remembered for each vif and for the uplink.
const RECENT: usize = 16;

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
    /// Start of the daemon; zero of the flow table's time.
    pub epoch: Instant,
    /// The snapshot in force.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// The flows.
    pub flows: Arc<FlowTable>,
    /// The workers.
    pub workers: Vec<WorkerState>,
    /// What the control loop says.
    pub control: ArcSwap<ControlState>,
    /// Counters of the BPF programs.
    pub programs: ArcSwap<ProgramCounters>,
    recent: Mutex<BTreeMap<Option<VifSlot>, VecDeque<DropRecord>>>,
    bases: Mutex<HashMap<VifSlot, (VifName, PortTotals)>>,
    gone: Mutex<PortTotals>,
}

impl NodeState {
    /// State of a node that has just started.
    pub fn new(
        epoch: Instant,
        snapshot: Arc<ArcSwap<Snapshot>>,
        flows: Arc<FlowTable>,
        workers: Vec<WorkerState>,
        control: ControlState,
    ) -> Self {
        Self {
            epoch,
            snapshot,
            flows,
            workers,
            control: ArcSwap::from_pointee(control),
            programs: ArcSwap::default(),
            recent: Mutex::default(),
            bases: Mutex::default(),
            gone: Mutex::default(),
        }
    }

    /// Sum of a port's counters over the workers.
    pub fn totals(&self, port: impl Fn(&WorkerCounters) -> &PortCounters) -> PortTotals {
        let mut totals = PortTotals::default();
        self.workers.iter().for_each(|worker| port(&worker.counters).add_to(&mut totals));
        totals
    }

    /// Counters of the vif that has the slot now, without those of earlier ones.
    pub fn vif_totals(&self, slot: VifSlot) -> PortTotals {
        let totals = self.totals(|worker| worker.vif(slot));
        match lock(&self.bases).get(&slot) {
            Some((_, base)) => totals.since(base),
            None => totals,
        }
    }

    /// Counters of vifs that are gone.
    pub fn gone_totals(&self) -> PortTotals {
        lock(&self.gone).clone()
    }

    /// Notes which vif has which slot, after a publication: what a slot has counted for a vif
    /// that is gone is not shown under its successor.
    pub fn note_slots(&self, snapshot: &Snapshot) {
        let mut bases = lock(&self.bases);
        for vif in snapshot.vifs() {
            let known = bases.get(&vif.slot).is_some_and(|(name, _)| *name == vif.name);
            if known {
                continue;
            }
            let totals = self.totals(|worker| worker.vif(vif.slot));
            let before = bases.insert(vif.slot, (vif.name.clone(), totals.clone()));
            let base = before.map_or_else(PortTotals::default, |(_, base)| base);
            lock(&self.gone).add(&totals.since(&base));
            lock(&self.recent).remove(&Some(vif.slot));
        }
    }

    /// Takes the dropped packets that the workers have left.
    pub fn drain_drops(&self) {
        let mut recent = lock(&self.recent);
        for worker in &self.workers {
            while let Some(record) = worker.drops.take() {
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
