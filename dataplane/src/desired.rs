//! What this node shall be: the input of [`crate::compile`].
//!
//! Plain data, gathered by the daemon from the configuration and from what the kernel tells
//! (links, routes, neighbours). Names refer to names; nothing here is an index.

mod broadcast;
mod nat;
mod policy;
mod service;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use encap::Label;
use ipnet::IpNet;

use crate::ids::{Mac, PolicyName, VifName, VrfName};

pub use broadcast::{Broadcast, BroadcastNode};
pub use nat::{FloatingIp, Mapping, Nat, SourcePool};
pub use policy::{IcmpVersion, Peers, Policy, Rule, RuleTraffic};
pub use service::{
    Affinity, Backend, BackendState, OnBackendGone, PortRange, Service, ServicePort, TargetPort, Transport,
};

/// The whole desired state of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// Tunnel settings of the node.
    pub node: Node,
    /// The private routing tables.
    pub vrfs: Vec<Vrf>,
    /// The pods' interfaces, and the host's.
    pub vifs: Vec<Vif>,
    /// Routes beside those that vifs and services bring.
    pub routes: Vec<Route>,
    /// ClusterIP services. Those that stay the same between two states should stay the same
    /// [`Arc`]: then they cost the compiler a comparison of pointers.
    pub services: Vec<Arc<Service>>,
    /// Security policies that vifs refer to.
    pub policies: Vec<Policy>,
    /// Translation where routes lead from VRF to VRF.
    pub nat: Nat,
    /// VRFs in which broadcast and link-local multicast are delivered, each at most once.
    pub broadcasts: Vec<Broadcast>,
    /// What the kernel says about the way to the other nodes.
    pub underlay: Underlay,
}

/// How this node speaks to the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Outer source of what we send, outer destination of what we take.
    pub tunnel_address: IpAddr,
    /// UDP destination port we send to and take (6635, RFC 7510).
    pub udp_port: u16,
    /// A second port that is taken but never sent to (51234 of old releases).
    pub legacy_udp_port: Option<u16>,
    /// Outer header details.
    pub outer: OuterOptions,
    /// What is done about the segment size of TCP connections that cross a tunnel.
    pub mss_clamp: MssClamp,
    /// VRF in which packets with an explicit null label (0 or 2, RFC 3032) are delivered.
    pub explicit_null_vrf: Option<VrfName>,
}

/// Whether the maximum segment size in SYN segments is lowered to what fits the tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MssClamp {
    /// In both directions.
    #[default]
    On,
    /// Never; path MTU discovery has to do.
    Off,
}

/// Options of the outer headers we send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OuterOptions {
    /// Don't-fragment bit of the outer IPv4 header.
    pub dont_fragment: encap::DontFragment,
    /// DSCP of the outer header.
    pub dscp: encap::DscpMode,
    /// UDP checksum over IPv6 (RFC 6935, RFC 6936), sent and demanded.
    pub udp6_checksum: encap::Udp6Checksum,
}

impl Default for OuterOptions {
    fn default() -> Self {
        Self {
            dont_fragment: encap::DontFragment::Clear,
            dscp: encap::DscpMode::Copy,
            udp6_checksum: encap::Udp6Checksum::Compute,
        }
    }
}

/// A private routing table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vrf {
    /// Unique on the node.
    pub name: VrfName,
    /// Label other nodes use for "look the destination up in this VRF", if they may.
    pub label: Option<Label>,
}

/// An interface of a pod or of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vif {
    /// Unique on the node.
    pub name: VifName,
    /// Whose it is.
    pub kind: VifKind,
    /// Its routing table.
    pub vrf: VrfName,
    /// Addresses that the pod may use; each becomes a host route of the VRF.
    pub addresses: Vec<IpAddr>,
    /// The pod's Ethernet address.
    pub mac: Mac,
    /// Address of the vrouter towards the pod: answered by ARP, source of ICMP errors.
    pub gateway_v4: Ipv4Addr,
    /// The same for IPv6.
    pub gateway_v6: Ipv6Addr,
    /// Label other nodes use for "this pod".
    pub label: Label,
    /// Largest IP packet the interface takes, in bytes.
    pub mtu: u16,
    /// Whether packets can reach it now.
    pub link: Link,
    /// Policies whose rules say which flows it may have; none restricts nothing.
    pub policies: Vec<PolicyName>,
}

/// Whose interface a vif is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum VifKind {
    /// A pod's.
    #[default]
    Pod,
    /// The host's own: what is sent to it may be forwarded by the host's stack.
    Host,
}

impl Vif {
    /// Gateway of a vif that names none: the link-local address that CNI plugins use for it.
    pub const DEFAULT_GATEWAY_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
    /// The same for IPv6.
    pub const DEFAULT_GATEWAY_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
}

/// Whether a vif or the uplink can carry packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// Packets flow.
    Up,
    /// Packets do not flow, for the reason given (shown to the operator).
    Down(String),
}

/// A route of one VRF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The table.
    pub vrf: VrfName,
    /// Destinations.
    pub prefix: IpNet,
    /// Where to; several hops share the flows by five-tuple hash.
    pub target: RouteTarget,
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteTarget {
    /// One or more next hops.
    Hops(Vec<Hop>),
    /// Look the destination up once more in another VRF.
    Vrf(VrfName),
    /// Drop, counted as `discard_route`.
    Discard,
}

/// One next hop of a route.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hop {
    /// The pod or the tunnel.
    pub to: HopTarget,
    /// Share of the flows relative to the other members, at least 1.
    pub weight: u16,
}

/// The end of a next hop.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HopTarget {
    /// A vif of this node.
    Vif(VifName),
    /// A label on another node.
    Tunnel {
        /// Tunnel address of the node.
        node: IpAddr,
        /// Label that the node has given out.
        label: Label,
    },
}

/// The way to the other nodes as the kernel's tables have it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Underlay {
    /// The uplink itself; absent until the kernel has told about it.
    pub uplink: Option<Uplink>,
    /// State of the way to each tunnel endpoint that is asked for. An endpoint that is
    /// missing here counts as [`Reach::Unresolved`].
    pub tunnels: BTreeMap<IpAddr, Reach>,
    /// Largest outer packet, in bytes, that gets to an endpoint, where a router on the way has said
    /// that it is less than the uplink carries (RFC 1191, RFC 8201).
    pub path_mtus: BTreeMap<IpAddr, u16>,
}

/// The uplink as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uplink {
    /// Its Ethernet address: the outer source, and the only unicast destination we take.
    pub mac: Mac,
    /// Largest IP packet it carries, in bytes.
    pub mtu: u16,
    /// VLAN id when the tunnel address lives on a VLAN of the uplink.
    pub vlan: Option<u16>,
    /// Whether it carries packets.
    pub link: Link,
}

/// Whether and how a tunnel endpoint can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Send to this Ethernet address (of the endpoint or of the gateway to it).
    Via(Mac),
    /// The kernel has a route but no neighbour entry yet; resolving is under way.
    Unresolved,
    /// The kernel has tried and the neighbour does not answer.
    Failed,
    /// The kernel has no route over the uplink.
    NoRoute,
}
