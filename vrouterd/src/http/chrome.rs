//! What surrounds every page: title, navigation, links to its other forms.

use super::problem::Problem;
use super::query::Query;
use crate::view::{State, ViewSource};

/// A page of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Node,
    Vifs,
    Vrfs,
    Routes,
    NextHops,
    Labels,
    Services,
    Policies,
    Flows,
    Traffic,
    Drops,
    Tunnels,
    Workers,
    Control,
    /// Not in the navigation: every page has its box.
    Search,
}

impl Tab {
    /// In the order of the navigation.
    pub(super) const ALL: [Tab; 14] = [
        Tab::Node,
        Tab::Vifs,
        Tab::Vrfs,
        Tab::Routes,
        Tab::NextHops,
        Tab::Labels,
        Tab::Services,
        Tab::Policies,
        Tab::Flows,
        Tab::Traffic,
        Tab::Drops,
        Tab::Tunnels,
        Tab::Workers,
        Tab::Control,
    ];

    /// Path of the page.
    pub(super) const fn path(&self) -> &'static str {
        match self {
            Tab::Node => "/",
            Tab::Vifs => "/vifs",
            Tab::Vrfs => "/vrfs",
            Tab::Routes => "/routes",
            Tab::NextHops => "/nexthops",
            Tab::Labels => "/labels",
            Tab::Services => "/services",
            Tab::Flows => "/flows",
            Tab::Drops => "/drops",
            Tab::Tunnels => "/tunnels",
            Tab::Workers => "/workers",
            Tab::Policies => "/policies",
            Tab::Search => "/search",
            Tab::Traffic => "/traffic",
            Tab::Control => "/control",
        }
    }

    /// Heading of the page.
    pub(super) const fn title(&self) -> &'static str {
        match self {
            Tab::Node => "Node",
            Tab::Vifs => "Vifs",
            Tab::Vrfs => "VRFs",
            Tab::Routes => "Routes",
            Tab::NextHops => "Next hops",
            Tab::Labels => "Labels",
            Tab::Services => "Services",
            Tab::Flows => "Flows",
            Tab::Drops => "Drops",
            Tab::Tunnels => "Tunnels",
            Tab::Workers => "Workers",
            Tab::Policies => "Policies",
            Tab::Search => "Search",
            Tab::Traffic => "Traffic",
            Tab::Control => "Control",
        }
    }
}

/// Title, navigation and links of one page.
#[derive(Clone, Debug)]
pub(super) struct Chrome {
    pub(super) node: Option<String>,
    pub(super) not_ready: Option<String>,
    pub(super) title: String,
    pub(super) active: Option<Tab>,
    pub(super) forms: Option<Forms>,
}

/// The same page in other forms, as relative links.
#[derive(Clone, Debug)]
pub(super) struct Forms {
    pub(super) json: String,
    pub(super) refresh: Option<u16>,
    pub(super) refresh_on: String,
    pub(super) refresh_off: String,
}

impl Chrome {
    /// For a page of `tab`.
    pub(super) fn new(source: &dyn ViewSource, query: &Query, tab: Tab) -> Result<Self, Problem> {
        let not_ready = match source.health().ready {
            State::Up => None,
            State::Down { reason } => Some(reason),
        };
        let forms = Forms {
            json: query.link("format", Some("json")),
            refresh: query.refresh()?,
            refresh_on: query.link("refresh", Some("5")),
            refresh_off: query.link("refresh", None),
        };
        Ok(Self {
            node: Some(source.node().name),
            not_ready,
            title: tab.title().to_owned(),
            active: Some(tab),
            forms: Some(forms),
        })
    }

    /// For a page that shows nothing of the node.
    pub(super) fn bare(title: &str) -> Self {
        Self { node: None, not_ready: None, title: title.to_owned(), active: None, forms: None }
    }
}
