//! One handler per page: which parameters it knows, which view it reads, which template shows it.

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::Uri;
use axum::response::Response;
use axum::routing::get;
use dataplane::ids::VifName;

use super::chart;
use super::chrome::{Chrome, Tab};
use super::filter::{FLOW_FILTERS, FLOW_LIST, flow_filter};
use super::html::{
    ControlPage, DropsPage, FlowForm, FlowsPage, LabelsPage, NextHopsPage, NodePage, PoliciesPage,
    TrafficPage, TunnelsPage, VifPage, VrfsPage, WorkersPage,
};
use super::problem::Problem;
use super::query::{Format, Query};
use super::render::Reader;
use crate::view::{ControlView, StatusView, ViewSource, VifStatus};

/// The pages.
pub(super) fn routes() -> Router<Reader> {
    Router::new()
        .route(Tab::Node.path(), get(node))
        .route("/vif/{name}", get(vif))
        .route(Tab::Vrfs.path(), get(vrfs))
        .route(Tab::NextHops.path(), get(next_hops))
        .route(Tab::Labels.path(), get(labels))
        .route(Tab::Flows.path(), get(flows))
        .route(Tab::Drops.path(), get(drops))
        .route(Tab::Tunnels.path(), get(tunnels))
        .route(Tab::Workers.path(), get(workers))
        .route(Tab::Policies.path(), get(policies))
        .route(Tab::Traffic.path(), get(traffic))
        .route(Tab::Control.path(), get(control))
}

/// Answers for every other path.
pub(super) async fn unknown(uri: Uri) -> Response {
    let format = Query::parse(uri.query(), &[]).and_then(|query| query.format()).unwrap_or(Format::Html);
    Problem::not_found(format!("There is no page {}.", uri.path())).respond(format)
}

async fn node(State(reader): State<Reader>, RawQuery(raw): RawQuery) -> Response {
    let query = Query::parse(raw.as_deref(), &[]);
    let read = |source: &dyn ViewSource, _: &Query| Ok(StatusView::read(source));
    reader.answer(query, Tab::Node, read, |chrome, _, status| NodePage { chrome, status }).await
}

async fn vif(State(reader): State<Reader>, Path(name): Path<String>, RawQuery(raw): RawQuery) -> Response {
    let query = Query::parse(raw.as_deref(), &[]);
    let read = move |source: &dyn ViewSource, _: &Query| {
        let known = VifName::from(name.as_str());
        let vif = source.vif(&known).ok_or_else(|| {
            Problem::not_found(format!("There is no vif {name:?} on this node; the page Vifs lists them."))
        })?;
        Ok(VifStatus { vif, rates: source.rates(&known) })
    };
    let page = |chrome: Chrome, _: &Query, VifStatus { vif, rates }: VifStatus| {
        let title = format!("Vif {}", vif.name);
        VifPage { chrome: Chrome { title, ..chrome }, vif, charts: chart::of_vif(&rates) }
    };
    reader.answer(query, Tab::Vifs, read, page).await
}

async fn vrfs(State(reader): State<Reader>, RawQuery(raw): RawQuery) -> Response {
    let query = Query::parse(raw.as_deref(), &[]);
    let read = |source: &dyn ViewSource, _: &Query| Ok(source.vrfs());
    reader.answer(query, Tab::Vrfs, read, |chrome, _, vrfs| VrfsPage { chrome, vrfs }).await
}

async fn next_hops(State(reader): State<Reader>, RawQuery(raw): RawQuery) -> Response {
    let query = Query::parse(raw.as_deref(), &[]);
    let read = |source: &dyn ViewSource, _: &Query| Ok(source.next_hops());
    let page = |chrome, _: &Query, next_hops| NextHopsPage { chrome, next_hops };
    reader.answer(query, Tab::NextHops, read, page).await
}

async fn labels(State(reader): State<Reader>, RawQuery(raw): RawQuery) -> Response {
    let query = Query::parse(raw.as_deref(), &[]);
    let read = |source: &dyn ViewSource, _: &Query| Ok(source.labels());
    reader.answer(query, Tab::Labels, read, |chrome, _, labels| LabelsPage { chrome, labels }).await
}

async fn flows(State(reader): State<Reader>, RawQuery(raw): RawQuery) -> Response {
    let known: Vec<&str> = FLOW_FILTERS.iter().chain(&FLOW_LIST).copied().collect();
    let query = Query::parse(raw.as_deref(), &known);
    let read = |source: &dyn ViewSource, query: &Query| Ok(source.flows(&flow_filter(query)?));
    let page = |chrome, query: &Query, view| FlowsPage { chrome, form: FlowForm::new(query), view };
    reader.answer(query, Tab::Flows, read, page).await
}

async fn drops(State(reader): State<Reader>, RawQuery(raw): RawQuery) -> Response {
    let query = Query::parse(raw.as_deref(), &[]);
    let read = |source: &dyn ViewSource, _: &Query| Ok(source.drops());
    reader.answer(query, Tab::Drops, read, |chrome, _, drops| DropsPage { chrome, drops }).await
}

async fn tunnels(State(reader): State<Reader>, RawQuery(raw): RawQuery) -> Response {
    let query = Query::parse(raw.as_deref(), &[]);
    let read = |source: &dyn ViewSource, _: &Query| Ok(source.tunnels());
    reader.answer(query, Tab::Tunnels, read, |chrome, _, tunnels| TunnelsPage { chrome, tunnels }).await
}

async fn workers(State(reader): State<Reader>, RawQuery(raw): RawQuery) -> Response {
    let query = Query::parse(raw.as_deref(), &[]);
    let read = |source: &dyn ViewSource, _: &Query| Ok(source.workers());
    reader.answer(query, Tab::Workers, read, |chrome, _, workers| WorkersPage { chrome, workers }).await
}

async fn policies(State(reader): State<Reader>, RawQuery(raw): RawQuery) -> Response {
    let query = Query::parse(raw.as_deref(), &[]);
    let read = |source: &dyn ViewSource, _: &Query| Ok(source.policies());
    let page = |chrome, _: &Query, policies| PoliciesPage { chrome, policies };
    reader.answer(query, Tab::Policies, read, page).await
}

async fn traffic(State(reader): State<Reader>, RawQuery(raw): RawQuery) -> Response {
    let query = Query::parse(raw.as_deref(), &[]);
    let read = |source: &dyn ViewSource, _: &Query| Ok(source.traffic());
    reader.answer(query, Tab::Traffic, read, |chrome, _, view| TrafficPage { chrome, view }).await
}

async fn control(State(reader): State<Reader>, RawQuery(raw): RawQuery) -> Response {
    let query = Query::parse(raw.as_deref(), &[]);
    let read = |source: &dyn ViewSource, _: &Query| Ok(ControlView::read(source));
    reader.answer(query, Tab::Control, read, |chrome, _, view| ControlPage { chrome, view }).await
}
