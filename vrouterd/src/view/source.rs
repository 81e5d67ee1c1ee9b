//! Where the views come from.

use std::sync::Arc;

use dataplane::ids::{VifName, VrfName};
use dataplane::trace::{Probe, ProbeError};

use super::{
    DropView, ExportView, FlowFilter, FlowTableView, FlowsView, Health, LabelView, NextHopView, NodeView,
    PolicyView, ProgramView, RatesView, RouteView, ServiceView, TraceView, TrafficView, TunnelView, VifView,
    VrfView, WorkerView,
};
use crate::config::Awaited;
use crate::timing::Timings;

/// Reads the state of the node. Called from threads that may block for a moment (a few at a time),
/// never from a worker; must not wait for one either.
pub trait ViewSource: Send + Sync + 'static {
    /// The node as a whole.
    fn node(&self) -> NodeView;
    /// All interfaces, by name.
    fn vifs(&self) -> Vec<VifView>;
    /// One interface.
    fn vif(&self, name: &VifName) -> Option<VifView>;
    /// The last ten minutes of an interface; empty for one that is not there.
    fn rates(&self, name: &VifName) -> RatesView;
    /// All routing tables, by name.
    fn vrfs(&self) -> Vec<VrfView>;
    /// Routes of one VRF or of all, by VRF and prefix.
    fn routes(&self, vrf: Option<&VrfName>) -> Vec<RouteView>;
    /// All next hops, by id.
    fn next_hops(&self) -> Vec<NextHopView>;
    /// All labels this node has given out, in their order.
    fn labels(&self) -> Vec<LabelView>;
    /// All services, by VRF and address.
    fn services(&self) -> Vec<ServiceView>;
    /// All policies, by name.
    fn policies(&self) -> Vec<PolicyView>;
    /// Flow pairs that match, at most `filter.limit` of them.
    fn flows(&self, filter: &FlowFilter) -> FlowsView;
    /// What became of the flow pairs.
    fn flow_table(&self) -> FlowTableView;
    /// Traffic between networks, and to services.
    fn traffic(&self) -> TrafficView;
    /// What was told to a collector of flow records; none if there is none.
    fn export(&self) -> Option<ExportView>;
    /// How long the control side takes; the server notes its own answers there.
    fn timings(&self) -> Arc<Timings>;
    /// All drop reasons in the order of [`dataplane::drop::DropReason::ALL`], those with zero too.
    fn drops(&self) -> Vec<DropView>;
    /// All workers.
    fn workers(&self) -> Vec<WorkerView>;
    /// All tunnel endpoints, by address.
    fn tunnels(&self) -> Vec<TunnelView>;
    /// What the BPF programs count, each outcome once.
    fn programs(&self) -> Vec<ProgramView>;
    /// What would happen to a packet; nothing is sent.
    ///
    /// # Errors
    /// There is no such packet.
    fn trace(&self, probe: &Probe) -> Result<TraceView, ProbeError>;
    /// Why the newest configuration is not in force, if it is not.
    fn refused_configuration(&self) -> Option<String>;
    /// Why not all that was declared before the start is in force, if it is not.
    fn set_aside_state(&self) -> Option<String>;
    /// Vifs that declared resources name and that are not there, by name.
    fn awaited_vifs(&self) -> Vec<Awaited>;
    /// Frames that the uplink's program left to the kernel because they are fragments of tunnel packets.
    fn outer_fragments(&self) -> u64;
    /// Whether the process lives and whether packets can flow. Called on the HTTP thread itself, so
    /// that a probe is answered however busy the pages are; must return at once.
    fn health(&self) -> Health;
}
