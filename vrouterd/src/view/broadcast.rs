//! Who hears the broadcast and link-local multicast of a VRF.

use std::net::IpAddr;

use dataplane::ids::VifName;

use super::State;

/// The broadcast domain of a VRF: whom a packet of one of its pods is copied to, but for the sender.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BroadcastView {
    /// Label of other nodes for all pods of the VRF here, 20 bits; absent when none may send.
    pub label: Option<u32>,
    /// Addresses that mean all pods, beside 255.255.255.255, 224.0.0.0/24 and ff02::/16.
    pub addresses: Vec<IpAddr>,
    /// Pods of this node that are up.
    pub vifs: Vec<VifName>,
    /// Other nodes.
    pub nodes: Vec<BroadcastNodeView>,
}

/// Another node that gets one copy of each packet.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BroadcastNodeView {
    /// Its tunnel address.
    pub node: IpAddr,
    /// Label that it has given out, 20 bits.
    pub label: u32,
    /// Whether packets sent to it leave this node.
    #[serde(flatten)]
    pub state: State,
}
