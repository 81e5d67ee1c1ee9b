//! The box above a list that filters it, and the search over everything.

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::routing::get;
use dataplane::ids::VrfName;

use super::chrome::Tab;
use super::html::{RoutesPage, SearchPage, ServicesPage, VifsPage};
use super::query::Query;
use super::render::Reader;
use crate::view::{Needle, SearchView, ViewSource};

/// The search and the lists that can be filtered.
pub(super) fn routes() -> Router<Reader> {
    Router::new()
        .route(Tab::Search.path(), get(search))
        .route(Tab::Vifs.path(), get(vifs))
        .route(Tab::Routes.path(), get(route_list))
        .route(Tab::Services.path(), get(services))
}

/// The filter form of a list as it was sent, to be shown again.
pub(super) struct Find {
    pub(super) path: &'static str,
    pub(super) label: &'static str,
    pub(super) text: String,
    /// Other conditions, which stay.
    pub(super) kept: Vec<(&'static str, String)>,
    pub(super) clear: String,
}

impl Find {
    fn new(tab: Tab, label: &'static str, query: &Query, keep: &[&'static str]) -> Self {
        let text = |key| query.text(key).map(str::to_owned);
        Self {
            path: tab.path(),
            label,
            text: text("q").unwrap_or_default(),
            kept: keep.iter().filter_map(|key| Some((*key, text(key)?))).collect(),
            clear: query.link("q", None),
        }
    }
}

fn needle(query: &Query) -> Needle {
    Needle::new(query.text("q").unwrap_or_default())
}

async fn search(State(reader): State<Reader>, RawQuery(raw): RawQuery) -> Response {
    let query = Query::parse(raw.as_deref(), &["q"]);
    let read = |source: &dyn ViewSource, query: &Query| {
        Ok(SearchView::read(source, query.text("q").unwrap_or_default()))
    };
    reader.answer(query, Tab::Search, read, |chrome, _, view| SearchPage { chrome, view }).await
}

async fn vifs(State(reader): State<Reader>, RawQuery(raw): RawQuery) -> Response {
    let query = Query::parse(raw.as_deref(), &["q"]);
    let read = |source: &dyn ViewSource, query: &Query| {
        let needle = needle(query);
        Ok(source.vifs().into_iter().filter(|vif| needle.finds_vif(vif)).collect())
    };
    let page = |chrome, query: &Query, vifs| {
        let find = Find::new(Tab::Vifs, "Name, address, VRF, MAC, label, policy", query, &[]);
        VifsPage { chrome, find, vifs }
    };
    reader.answer(query, Tab::Vifs, read, page).await
}

async fn route_list(State(reader): State<Reader>, RawQuery(raw): RawQuery) -> Response {
    let query = Query::parse(raw.as_deref(), &["vrf", "nh", "q"]);
    let read = |source: &dyn ViewSource, query: &Query| {
        let (vrf, needle) = (query.text("vrf").map(VrfName::from), needle(query));
        let next_hop: Option<u32> = query.value("nh")?;
        let mut routes = source.routes(vrf.as_ref());
        routes.retain(|route| needle.finds_route(route));
        routes.retain(|route| next_hop.is_none_or(|id| route.next_hops.iter().any(|hop| hop.next_hop == id)));
        Ok(routes)
    };
    let page = |chrome, query: &Query, routes| {
        let vrf = query.text("vrf").unwrap_or_default().to_owned();
        let find = Find::new(Tab::Routes, "Prefix, address within, next hop", query, &["vrf", "nh"]);
        RoutesPage { chrome, find, vrf, routes }
    };
    reader.answer(query, Tab::Routes, read, page).await
}

async fn services(State(reader): State<Reader>, RawQuery(raw): RawQuery) -> Response {
    let query = Query::parse(raw.as_deref(), &["q"]);
    let read = |source: &dyn ViewSource, query: &Query| {
        let needle = needle(query);
        Ok(source.services().into_iter().filter(|service| needle.finds_service(service)).collect())
    };
    let page = |chrome, query: &Query, services| {
        let find = Find::new(Tab::Services, "Address, VRF, port, backend", query, &[]);
        ServicesPage { chrome, find, services }
    };
    reader.answer(query, Tab::Services, read, page).await
}
