//! Finding a noun by what is known of it: a name, an address, a label.

use std::fmt::Display;
use std::net::IpAddr;

use super::{HopView, LabelView, RouteView, ServiceView, ViewSource, VifView};

/// Things found at most; more are cut off.
const MOST: usize = 200;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SearchView {
    /// What was looked for.
    pub query: String,
    /// The things, exact names first in each kind.
    pub found: Vec<Found>,
    /// Whether there are more.
    pub truncated: bool,
}

/// One thing.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Found {
    /// Its kind, and with it its page.
    pub noun: Noun,
    /// What its page knows it by.
    pub key: String,
    /// What else tells it apart.
    pub detail: String,
}

/// Kinds of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Noun {
    /// An interface.
    Vif,
    /// A routing table.
    Vrf,
    /// A service, by its address.
    Service,
    /// A policy.
    Policy,
    /// A label of this node.
    Label,
    /// Another node, by its tunnel address.
    Tunnel,
    /// A next hop, by its id.
    NextHop,
    /// Routes of a VRF, by the name of the VRF.
    Route,
    /// Flows with this address.
    Flows,
    /// A drop reason.
    Drop,
}

impl Noun {
    /// As people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Noun::Vif => "vif",
            Noun::Vrf => "VRF",
            Noun::Service => "service",
            Noun::Policy => "policy",
            Noun::Label => "label",
            Noun::Tunnel => "tunnel",
            Noun::NextHop => "next hop",
            Noun::Route => "route",
            Noun::Flows => "flows",
            Noun::Drop => "drop",
        }
    }
}

/// What to look for: text that occurs anywhere, whatever its case; an address also finds the routes that cover it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needle {
    text: String,
    address: Option<IpAddr>,
}

impl Needle {
    /// From what somebody has typed.
    pub fn new(text: &str) -> Self {
        let text = text.trim().to_lowercase();
        Self { address: text.parse().ok(), text }
    }

    fn is_in(&self, texts: &[&dyn Display]) -> bool {
        texts.iter().any(|text| text.to_string().to_lowercase().contains(&self.text))
    }

    /// Whether a vif is meant.
    pub fn finds_vif(&self, vif: &VifView) -> bool {
        let policies = vif.policies.iter().map(|policy| &policy.name as &dyn Display);
        let addresses = vif.addresses.iter().chain(vif.floating_ips.iter().map(|floating| &floating.address));
        let services = vif.services.iter().map(|service| &service.address as &dyn Display);
        let mut texts: Vec<&dyn Display> = vec![&vif.name, &vif.ifname, &vif.vrf, &vif.mac, &vif.label];
        texts.extend(addresses.map(|address| address as &dyn Display).chain(policies).chain(services));
        self.is_in(&texts)
    }

    /// Whether a route is meant.
    pub fn finds_route(&self, route: &RouteView) -> bool {
        let covers = self.address.is_some_and(|address| route.prefix.contains(&address));
        let hops: Vec<_> = route.next_hops.iter().map(|hop| Hop(&hop.to)).collect();
        let mut texts: Vec<&dyn Display> = vec![&route.prefix, &route.vrf];
        texts.extend(hops.iter().map(|hop| hop as &dyn Display));
        covers || self.is_in(&texts)
    }

    /// Whether a service is meant.
    pub fn finds_service(&self, service: &ServiceView) -> bool {
        let hops: Vec<_> = service.backends.iter().map(|backend| Hop(&backend.to)).collect();
        let mut texts: Vec<&dyn Display> = vec![&service.address, &service.vrf];
        texts.extend(service.ports.iter().map(|port| &port.port as &dyn Display));
        texts.extend(hops.iter().map(|hop| hop as &dyn Display));
        self.is_in(&texts)
    }
}

/// A next hop in words.
struct Hop<'a>(&'a HopView);

impl Display for Hop<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            HopView::Vif { vif } => write!(f, "{vif}"),
            HopView::Tunnel { node, label } => write!(f, "{node} label {label}"),
            HopView::Vrf { vrf } => write!(f, "VRF {vrf}"),
            HopView::Pool => f.write_str("source NAT pool"),
            HopView::Discard => f.write_str("discard"),
        }
    }
}

impl SearchView {
    /// Looks through everything but the flows, which are too many: for an address there is a link to them.
    pub fn read(source: &dyn ViewSource, query: &str) -> Self {
        let needle = Needle::new(query);
        let mut found = Vec::new();
        if !needle.text.is_empty() {
            names(source, &needle, &mut found);
            numbers(source, &needle, &mut found);
        }
        // Stable, so that the order of the kinds stays.
        found.sort_by_key(|found: &Found| found.key.to_lowercase() != needle.text);
        let truncated = found.len() > MOST;
        found.truncate(MOST);
        Self { query: query.trim().to_owned(), found, truncated }
    }
}

fn found(noun: Noun, key: impl Display, detail: impl Display) -> Found {
    Found { noun, key: key.to_string(), detail: detail.to_string() }
}

fn names(source: &dyn ViewSource, needle: &Needle, all: &mut Vec<Found>) {
    let vifs = source.vifs().into_iter().filter(|vif| needle.finds_vif(vif));
    all.extend(vifs.map(|vif| {
        let addresses: Vec<_> = vif.addresses.iter().map(ToString::to_string).collect();
        found(Noun::Vif, vif.name, format_args!("{} in {}", addresses.join(", "), vif.vrf))
    }));
    let vrfs = source.vrfs().into_iter().filter(|vrf| needle.is_in(&[&vrf.name]));
    all.extend(vrfs.map(|vrf| found(Noun::Vrf, &vrf.name, format_args!("{} vifs", vrf.vifs.len()))));
    let services = source.services().into_iter().filter(|service| needle.finds_service(service));
    all.extend(services.map(|service| {
        found(
            Noun::Service,
            service.address,
            format_args!("{} backends in {}", service.backends.len(), service.vrf),
        )
    }));
    let policies = source.policies().into_iter().filter(|policy| {
        let rules = policy.courses().into_iter().filter_map(|(_, rules)| rules).flatten();
        let texts: Vec<_> =
            rules.map(|rule| format!("{} {}", rule.name.as_deref().unwrap_or(""), rule.allows)).collect();
        needle.is_in(&[&policy.name]) || texts.iter().any(|text| needle.is_in(&[text]))
    });
    all.extend(
        policies.map(|policy| found(Noun::Policy, &policy.name, format_args!("{} vifs", policy.vifs.len()))),
    );
    let drops = source.drops().into_iter().filter(|drop| needle.is_in(&[&drop.reason]));
    all.extend(drops.map(|drop| found(Noun::Drop, drop.reason, drop.meaning)));
}

fn numbers(source: &dyn ViewSource, needle: &Needle, all: &mut Vec<Found>) {
    let mut routes: Vec<_> =
        source.routes(None).into_iter().filter(|route| needle.finds_route(route)).collect();
    // The longest prefix is the one that packets take.
    routes.sort_by_key(|route| std::cmp::Reverse(route.prefix.prefix_len()));
    all.extend(routes.into_iter().map(|route| {
        let hops: Vec<_> = route.next_hops.iter().map(|hop| Hop(&hop.to).to_string()).collect();
        found(Noun::Route, route.vrf, format_args!("{} to {}", route.prefix, hops.join(", ")))
    }));
    let is_label = |label: &LabelView| needle.text == label.label.to_string();
    all.extend(source.labels().into_iter().filter(is_label).map(|label| found(Noun::Label, label.label, "")));
    let tunnels = source.tunnels().into_iter().filter(|tunnel| needle.is_in(&[&tunnel.peer]));
    all.extend(tunnels.map(|tunnel| {
        let state = tunnel.reach.problem().map_or_else(|| "up".to_owned(), |problem| problem.to_string());
        found(Noun::Tunnel, tunnel.peer, state)
    }));
    let hops = source.next_hops().into_iter().filter(|hop| needle.is_in(&[&Hop(&hop.to)]));
    all.extend(hops.map(|hop| found(Noun::NextHop, hop.id, Hop(&hop.to))));
    all.extend(needle.address.map(|address| found(Noun::Flows, address, "with this address at either end")));
}
