//! Who hears the broadcast and link-local multicast of a VRF (ingress replication: the node of the
//! sender makes all copies, and a node that gets one gives it to its own pods alone).

use encap::Label;
use flow_table::{Addr, Family};

use crate::ecmp::Target;
use crate::ids::{TunnelId, VrfId};
use crate::packet::l4::L4;

/// The broadcast domain of a VRF, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broadcast {
    pub(crate) vrf: VrfId,
    pub(crate) label: Option<Label>,
    /// Addresses that mean all pods, beside 255.255.255.255.
    pub(crate) directed: Box<[Addr]>,
    /// Pods of this node that are up, then other nodes.
    pub(crate) targets: Box<[Target]>,
}

impl Broadcast {
    /// The label of other nodes for it.
    pub fn label(&self) -> Option<Label> {
        self.label
    }

    /// Its VRF.
    pub fn vrf(&self) -> VrfId {
        self.vrf
    }

    /// The addresses of subnets that mean all pods.
    pub fn directed(&self) -> &[Addr] {
        &self.directed
    }

    /// Pods of this node that are up, and the other nodes.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// Whether a packet is for all: limited and directed broadcast (RFC 919), 224.0.0.0/24
    /// (RFC 5771 section 4) and ff02::/16 (RFC 4291 section 2.7). An ICMP error never is
    /// (RFC 1122 section 3.2.2).
    #[inline(always)]
    pub(crate) fn carries(&self, family: Family, l4: L4, dst: Addr) -> bool {
        let to_all = match family {
            Family::V4 => {
                let bits = dst.0 as u32;
                bits == u32::MAX || bits >> 8 == LOCAL_NETWORK_CONTROL || self.directed.contains(&dst)
            }
            Family::V6 => dst.0 >> 112 == LINK_LOCAL_SCOPE,
        };
        to_all && !matches!(l4, L4::IcmpError | L4::IcmpRefused)
    }

    /// Whether this node gets copies, and may send some.
    pub(crate) fn has_node(&self, peer: TunnelId) -> bool {
        let is_peer = |target: &Target| matches!(target, Target::Tunnel { tunnel, .. } if *tunnel == peer);
        self.targets.iter().any(is_peer)
    }
}

/// 224.0.0.0/24, without its last byte.
const LOCAL_NETWORK_CONTROL: u32 = 0xe0_0000;
/// ff02::/16, its first 16 bits: no flag set, link-local.
const LINK_LOCAL_SCOPE: u128 = 0xff02;
