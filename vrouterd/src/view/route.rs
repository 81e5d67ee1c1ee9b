//! Routing: VRF, route, next hop, label.

use std::net::IpAddr;

use dataplane::desired::{Mapping, PortRange};
use dataplane::ids::{VifName, VrfName};
use ipnet::IpNet;

use super::{BroadcastView, State};

/// A private routing table.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct VrfView {
    /// Unique name on the node.
    pub name: VrfName,
    /// Interfaces in it.
    pub vifs: Vec<VifName>,
    /// Routes in it, host routes of vifs and services included.
    pub routes: u64,
    /// Services in it.
    pub services: u64,
    /// What becomes of the sources of packets that other VRFs lead into it.
    pub source_nat: Option<SourceNatView>,
    /// Who hears its broadcast and link-local multicast; absent when nobody does.
    pub broadcast: Option<BroadcastView>,
}

/// A pool of addresses for sources.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SourceNatView {
    /// The addresses.
    pub addresses: Vec<IpAddr>,
    /// Ports and echo identifiers that are given out.
    pub ports: PortRange,
    /// For which destinations a sender's port is translated alike.
    pub mapping: Mapping,
}

/// One route of one VRF.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RouteView {
    /// The table.
    pub vrf: VrfName,
    /// Destinations.
    pub prefix: IpNet,
    /// What brought the route.
    pub origin: RouteOrigin,
    /// Where it leads; several share the flows by five-tuple hash.
    pub next_hops: Vec<RouteHop>,
}

/// What brought a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteOrigin {
    /// Written in the configuration or declared through the API.
    Declared,
    /// An address of a vif.
    Vif,
    /// A service address.
    Service,
    /// A public address of a pod.
    FloatingIp,
    /// An address of a source NAT pool.
    SourceNat,
}

impl RouteOrigin {
    /// The word of the JSON.
    pub fn name(self) -> &'static str {
        match self {
            RouteOrigin::Declared => "declared",
            RouteOrigin::Vif => "vif",
            RouteOrigin::Service => "service",
            RouteOrigin::FloatingIp => "floating_ip",
            RouteOrigin::SourceNat => "source_nat",
        }
    }
}

/// A member of a route's next hops.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RouteHop {
    /// Key of the [`NextHopView`].
    pub next_hop: u32,
    /// Share of the flows relative to the other members, at least 1.
    pub weight: u16,
    /// Where it leads.
    #[serde(flatten)]
    pub to: HopView,
}

/// The end of a next hop.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum HopView {
    /// A vif of this node.
    Vif {
        /// Its name.
        vif: VifName,
    },
    /// A label on another node.
    Tunnel {
        /// Tunnel address of the node.
        node: IpAddr,
        /// MPLS label there, 20 bits.
        label: u32,
    },
    /// Look the destination up again in another VRF.
    Vrf {
        /// Its name.
        vrf: VrfName,
    },
    /// Answers to what was sent from the pool; the rest is dropped, counted as `nat_no_mapping`.
    Pool,
    /// Drop, counted as `discard_route`.
    Discard,
}

/// A next hop, used by any number of routes and services.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct NextHopView {
    /// Key, stable within one generation.
    pub id: u32,
    /// Where it leads.
    #[serde(flatten)]
    pub to: HopView,
    /// Whether packets sent to it arrive, as far as this node can tell.
    #[serde(flatten)]
    pub state: State,
    /// Routes that use it.
    pub routes: u64,
}

/// A label this node has given out.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LabelView {
    /// MPLS label, 20 bits, 16 or more.
    pub label: u32,
    /// What it means.
    #[serde(flatten)]
    pub target: LabelTarget,
}

/// What a label means.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LabelTarget {
    /// "This pod."
    Vif {
        /// Its name.
        vif: VifName,
        /// The VRF it is in.
        vrf: VrfName,
    },
    /// "Look the inner destination up in this VRF."
    Vrf {
        /// Its name.
        vrf: VrfName,
    },
    /// Nothing for a few seconds: it changed hands, and packets for its former owner may be under way.
    Quarantined,
    /// "All pods of this VRF on this node."
    Broadcast {
        /// Its name.
        vrf: VrfName,
    },
}
