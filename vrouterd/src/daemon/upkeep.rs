//! What comes round by the clock: the sweep of the flow table, and a look at everything once a second.

use std::sync::Arc;
use std::time::Instant;

use flow_table::Millis;

use super::control::Control;
use super::error::DaemonError;
use crate::state::ProgramCounters;

/// Flow pairs looked at in one sweep: a million pairs are passed in under half a minute.
const SWEEP_BUDGET: usize = 4096;

impl Control {
    /// Lets idle flows go, and those of vifs and VRFs that are gone: these would hold their places
    /// for up to hours, and count for whoever has the slot next.
    pub(super) fn sweep(&mut self) {
        let now = Millis(self.parts.state.epoch.elapsed().as_millis() as u64);
        // What goes has been counted before.
        self.parts.state.account(now, SWEEP_BUDGET);
        let snapshot = self.parts.publisher.current();
        self.parts.state.flows.sweep(now, SWEEP_BUDGET, |forward, reverse| {
            snapshot.has_context(forward.context) && snapshot.has_context(reverse.context)
        });
    }

    /// Once a second: dropped packets, counters of the programs, old snapshots, health.
    pub(super) async fn housekeeping(&mut self) -> Result<(), DaemonError> {
        let started = Instant::now();
        self.parts.state.drain_drops();
        self.parts.state.sample_load(started);
        self.parts.state.sample_vifs(started);
        self.parts.publisher.reclaim();
        self.parts.state.forget_networks();
        let state = &self.parts.state;
        state.traces.tidy(&state.snapshot.load(), state.now());
        let (fabric, trunk) = (self.parts.fabric.counters(), self.parts.trunk.counters());
        if let (Ok(fabric), Ok(trunk)) = (fabric, trunk) {
            self.parts.state.programs.store(Arc::new(ProgramCounters { fabric, trunk }));
        }
        self.end_quarantine();
        if self.parts.ports.forget_refusals() {
            self.follow().await?;
        }
        tracing::trace!(took = ?started.elapsed(), "housekeeping");
        if self.parts.engine.is_running() { Ok(()) } else { Err(DaemonError::WorkerGone) }
    }

    /// Gives labels that have rested to their new owners.
    fn end_quarantine(&mut self) {
        if self.quarantine.has_ended(Instant::now())
            && let Err(error) = self.publish(Arc::clone(&self.parts.config), self.parts.desired.clone())
        {
            tracing::error!(%error, "labels in quarantine stay there");
        }
    }
}
