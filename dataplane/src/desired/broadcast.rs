//! Broadcast and link-local multicast in a VRF.

use std::net::IpAddr;

use encap::Label;
use ipnet::Ipv4Net;

use crate::ids::VrfName;

/// Makes the pods of a VRF hear each other's broadcast and link-local multicast, on this node and on
/// others. A VRF without one has none of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broadcast {
    /// The VRF; at most one of these for each.
    pub vrf: VrfName,
    /// Label other nodes use for "all pods of this VRF on this node", if they may.
    pub label: Option<Label>,
    /// Subnets whose last address means all pods (RFC 919); 255.255.255.255 does in any case.
    pub subnets: Vec<Ipv4Net>,
    /// The other nodes that have pods of the VRF.
    pub nodes: Vec<BroadcastNode>,
}

/// Another node that gets a copy, and from which copies are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BroadcastNode {
    /// Its tunnel address.
    pub node: IpAddr,
    /// Label that it has given out for all pods of the VRF there.
    pub label: Label,
}

impl Broadcast {
    /// Pods of one VRF and node that broadcasts are delivered to: each costs a copy.
    pub const MOST_VIFS: usize = 256;
    /// Other nodes that broadcasts are sent to: each costs a copy.
    pub const MOST_NODES: usize = 256;
    /// Subnets of one VRF: each packet of its pods is compared with them.
    pub const MOST_SUBNETS: usize = 16;
}
