//! The templates: each struct is one file of `templates/`, and everything in it is escaped.

use askama::Template;

use super::chart::Chart;
use super::chrome::{Chrome, Tab};
use super::find::Find;
use super::query::Query;
use super::text::filters;
use crate::view::{
    Attach, ControlView, CopyMode, DropView, FlowsView, HopView, LabelTarget, LabelView, NextHopView, Noun,
    PolicyView, PortName, ReachView, RouteView, SearchView, ServiceView, StatusView, Subject, TrafficView,
    TunnelView, VifView, VrfView, WorkerView,
};

/// A page that only says what is wrong with the request.
#[derive(Template)]
#[template(path = "problem.html")]
pub(super) struct ProblemPage<'a> {
    pub(super) chrome: Chrome,
    pub(super) detail: &'a str,
}

macro_rules! pages {
    ($($(#[$doc:meta])* $page:ident in $path:literal { $($field:ident: $type:ty),+ })+) => {
        $(
            $(#[$doc])*
            #[derive(Template)]
            #[template(path = $path)]
            pub(super) struct $page {
                pub(super) chrome: Chrome,
                $(pub(super) $field: $type,)+
            }
        )+
    };
}

pages! {
    /// `/`
    NodePage in "node.html" { status: StatusView }
    /// `/vifs`
    VifsPage in "vifs.html" { find: Find, vifs: Vec<VifView> }
    /// `/vif/{name}`
    VifPage in "vif.html" { vif: VifView, charts: Vec<Chart> }
    /// `/vrfs`
    VrfsPage in "vrfs.html" { vrfs: Vec<VrfView> }
    /// `/routes`
    RoutesPage in "routes.html" { find: Find, vrf: String, routes: Vec<RouteView> }
    /// `/nexthops`
    NextHopsPage in "next_hops.html" { next_hops: Vec<NextHopView> }
    /// `/labels`
    LabelsPage in "labels.html" { labels: Vec<LabelView> }
    /// `/services`
    ServicesPage in "services.html" { find: Find, services: Vec<ServiceView> }
    /// `/flows`
    FlowsPage in "flows.html" { form: FlowForm, view: FlowsView }
    /// `/policies`
    PoliciesPage in "policies.html" { policies: Vec<PolicyView> }
    /// `/search`
    SearchPage in "search.html" { view: SearchView }
    /// `/traffic`
    TrafficPage in "traffic.html" { view: TrafficView }
    /// `/control`
    ControlPage in "control.html" { view: ControlView }
    /// `/drops`
    DropsPage in "drops.html" { drops: Vec<DropView> }
    /// `/tunnels`
    TunnelsPage in "tunnels.html" { tunnels: Vec<TunnelView> }
    /// `/workers`
    WorkersPage in "workers.html" { workers: Vec<WorkerView> }
}

/// The filter form of `/flows` as it was sent, to be shown again.
pub(super) struct FlowForm {
    pub(super) vif: String,
    pub(super) vrf: String,
    pub(super) proto: String,
    pub(super) addr: String,
    pub(super) src: String,
    pub(super) dst: String,
    pub(super) port: String,
    pub(super) state: String,
    pub(super) top: String,
    pub(super) limit: String,
}

impl FlowForm {
    pub(super) fn new(query: &Query) -> Self {
        let text = |key| query.text(key).unwrap_or_default().to_owned();
        Self {
            vif: text("vif"),
            vrf: text("vrf"),
            proto: text("proto"),
            addr: text("addr"),
            src: text("src"),
            dst: text("dst"),
            port: text("port"),
            state: text("state"),
            top: text("top"),
            limit: text("limit"),
        }
    }

    /// Whether any condition is set.
    pub(super) fn filters(&self) -> bool {
        let conditions =
            [&self.vif, &self.vrf, &self.proto, &self.addr, &self.src, &self.dst, &self.port, &self.state];
        conditions.iter().any(|text| !text.is_empty())
    }
}

impl DropsPage {
    /// Whether no reason has a count.
    pub(super) fn nothing_dropped(&self) -> bool {
        self.drops.iter().all(|drop| drop.count == 0)
    }
}
