//! Tunnels to other nodes.

use std::net::IpAddr;

use dataplane::desired::Reach;
use dataplane::ids::Mac;

/// The way to another node.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TunnelView {
    /// Tunnel address of the other node.
    pub peer: IpAddr,
    /// Whether and how it is reached.
    #[serde(flatten)]
    pub reach: ReachView,
    /// Largest inner packet that gets there, in bytes.
    pub inner_mtu: u64,
    /// Next hops that use it.
    pub next_hops: u64,
}

/// Whether and how a tunnel endpoint is reached, as the kernel's route and neighbour tables say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "reach", rename_all = "snake_case")]
pub enum ReachView {
    /// Packets are sent to this Ethernet address, of the node or of the gateway to it.
    Via {
        /// The address.
        mac: Mac,
    },
    /// There is a route; the neighbour is being resolved.
    Unresolved,
    /// The neighbour does not answer.
    Failed,
    /// There is no route over the uplink.
    NoRoute,
}

impl From<Reach> for ReachView {
    fn from(reach: Reach) -> Self {
        match reach {
            Reach::Via(mac) => ReachView::Via { mac },
            Reach::Unresolved => ReachView::Unresolved,
            Reach::Failed => ReachView::Failed,
            Reach::NoRoute => ReachView::NoRoute,
        }
    }
}

impl ReachView {
    /// What is wrong and what to look at; `None` when nothing is.
    pub fn problem(&self) -> Option<&'static str> {
        match self {
            ReachView::Via { .. } => None,
            ReachView::Unresolved => Some("The neighbour is being resolved."),
            ReachView::Failed => Some(
                "The neighbour does not answer ARP or neighbour solicitation; look at the node and the cabling.",
            ),
            ReachView::NoRoute => {
                Some("The kernel has no route to it over the uplink; look at `ip route get`.")
            }
        }
    }
}
