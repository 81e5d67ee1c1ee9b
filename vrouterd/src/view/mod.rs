//! What the operator sees: one set of plain structs that feeds the HTML pages, their JSON and the
//! command line.
//!
//! ```text
//! VifView -> VrfView -> RouteView -> NextHopView -> LabelView      every noun names the next one
//!     \-> FlowView, ServiceView, DroppedPacket                     by the key of its page
//! ```
//!
//! The structs are values: filled by the control code at the moment of asking, read by nobody
//! while a packet is forwarded. Counters may be a batch old.

mod broadcast;
mod control;
mod decode;
mod drops;
mod export;
mod flow;
mod latency;
mod node;
mod pair_traffic;
mod policy;
mod program;
mod protocol;
mod rates;
mod route;
mod search;
mod service;
mod source;
mod state;
mod trace;
mod traffic;
mod trouble;
mod tunnel;
mod vif;
mod worker;

pub use broadcast::{BroadcastNodeView, BroadcastView};
pub use control::ControlView;
pub use drops::{DropView, DroppedPacket, PortDrops, PortName};
pub use export::ExportView;
pub use flow::{
    Endpoint, FLOW_STATES, FlowFilter, FlowOrder, FlowSide, FlowView, FlowsView, RuleView, TranslatedField,
    Translation,
};
pub use latency::{BucketView, FlowTableView, LatencyView, RequestTimesView, TimingsView};
pub use node::{Attach, CopyMode, Counts, NodeView, QueueView, UplinkView};
pub use pair_traffic::{FlowOrigin, PairTotals, PairTrafficView, TrafficView};
pub use policy::{PolicyRuleView, PolicyView};
pub use program::ProgramView;
pub use protocol::{BadProtocol, Protocol};
pub use rates::{RateSample, RatesView, VifStatus};
pub use route::{
    HopView, LabelTarget, LabelView, NextHopView, RouteHop, RouteOrigin, RouteView, SourceNatView, VrfView,
};
pub use search::{Found, Needle, Noun, SearchView};
pub use service::{BackendView, ServicePortView, ServiceView};
pub use source::ViewSource;
pub use state::{Health, State};
pub use trace::{CaughtView, Outcome, TraceStepView, TraceView, caught, outcome};
pub use traffic::{DropCount, PortView};
pub use trouble::{StatusView, Subject, Trouble};
pub use tunnel::{ReachView, TunnelView};
pub use vif::{VifFloatingIp, VifPolicy, VifService, VifView};
pub use worker::{RingFrames, RingView, UmemView, WorkerView};
