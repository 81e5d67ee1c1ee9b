//! The views of the running node: [`ViewSource`] for [`NodeState`].
//!
//! Each view is made of one [`Reading`]: snapshot and control state as they are at that moment,
//! and counters that move on while they are read.

mod broadcast;
mod drops;
mod flow;
mod mapping;
mod node;
mod policy;
mod route;
mod service;
mod trace;
mod vif;
mod worker;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use dataplane::ids::{VifName, VrfName};
use dataplane::snapshot::Snapshot;
use dataplane::trace::{Probe, ProbeError};
use flow_table::Millis;

use crate::config::Awaited;
use crate::state::{ControlState, NodeState};
use crate::timing::Timings;
use crate::view::{
    DropView, ExportView, FlowFilter, FlowTableView, FlowsView, Health, LabelView, NextHopView, NodeView,
    PolicyView, ProgramView, RatesView, RouteView, ServiceView, State, TraceView, TrafficView, TunnelView,
    ViewSource, VifView, VrfView, WorkerView,
};

/// What one view is made of.
struct Reading<'a> {
    state: &'a NodeState,
    snapshot: Arc<Snapshot>,
    control: Arc<ControlState>,
}

impl<'a> Reading<'a> {
    fn new(state: &'a NodeState) -> Self {
        Self { state, snapshot: state.snapshot.load_full(), control: state.control.load_full() }
    }

    /// The flow table's time.
    fn now(&self) -> Millis {
        self.state.now()
    }
}

impl ViewSource for NodeState {
    fn node(&self) -> NodeView {
        Reading::new(self).node()
    }

    fn vifs(&self) -> Vec<VifView> {
        Reading::new(self).vifs()
    }

    fn vif(&self, name: &VifName) -> Option<VifView> {
        Reading::new(self).vif(name)
    }

    fn rates(&self, name: &VifName) -> RatesView {
        Reading::new(self).rates(name)
    }

    fn vrfs(&self) -> Vec<VrfView> {
        Reading::new(self).vrfs()
    }

    fn routes(&self, vrf: Option<&VrfName>) -> Vec<RouteView> {
        Reading::new(self).routes(vrf)
    }

    fn next_hops(&self) -> Vec<NextHopView> {
        Reading::new(self).next_hops()
    }

    fn labels(&self) -> Vec<LabelView> {
        Reading::new(self).labels()
    }

    fn services(&self) -> Vec<ServiceView> {
        Reading::new(self).services()
    }

    fn policies(&self) -> Vec<PolicyView> {
        Reading::new(self).policies()
    }

    fn flows(&self, filter: &FlowFilter) -> FlowsView {
        Reading::new(self).flows(filter)
    }

    fn flow_table(&self) -> FlowTableView {
        Reading::new(self).flow_table()
    }

    fn traffic(&self) -> TrafficView {
        self.traffic_view()
    }

    fn export(&self) -> Option<ExportView> {
        self.export_view()
    }

    fn timings(&self) -> Arc<Timings> {
        Arc::clone(&self.timings)
    }

    fn drops(&self) -> Vec<DropView> {
        Reading::new(self).drops()
    }

    fn workers(&self) -> Vec<WorkerView> {
        Reading::new(self).workers()
    }

    fn tunnels(&self) -> Vec<TunnelView> {
        Reading::new(self).tunnels()
    }

    fn programs(&self) -> Vec<ProgramView> {
        drops::programs(&self.programs.load())
    }

    fn trace(&self, probe: &Probe) -> Result<TraceView, ProbeError> {
        Reading::new(self).trace(probe)
    }

    fn refused_configuration(&self) -> Option<String> {
        self.control.load().reload_error.clone()
    }

    fn awaited_vifs(&self) -> Vec<Awaited> {
        self.control.load().config.awaited()
    }

    fn set_aside_state(&self) -> Option<String> {
        self.control.load().set_aside.clone()
    }

    fn outer_fragments(&self) -> u64 {
        self.programs.load().fabric.outer_fragment
    }

    fn health(&self) -> Health {
        let ready = match State::from(&self.snapshot.load().fabric.link) {
            State::Up => State::Up,
            State::Down { reason } => State::Down { reason: format!("The uplink is down: {reason}.") },
        };
        Health { live: State::Up, ready }
    }
}
