//! Address translation where the route of one VRF leads into another.

use std::net::IpAddr;

use super::PortRange;
use crate::ids::{VifName, VrfName};

/// All translation between VRFs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nat {
    /// Pools, at most one for each VRF.
    pub pools: Vec<SourcePool>,
    /// Public addresses of pods.
    pub floating_ips: Vec<FloatingIp>,
}

/// Addresses that packets get as their source when a route of another VRF leads them into this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePool {
    /// The VRF that is entered.
    pub vrf: VrfName,
    /// The addresses, of either family; a family without one is not translated.
    pub addresses: Vec<IpAddr>,
    /// Source ports and echo identifiers that are given out.
    pub ports: PortRange,
    /// When a sender's port is translated alike.
    pub mapping: Mapping,
}

/// For which destinations a sender's address and port are translated to the same (RFC 4787 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mapping {
    /// For one destination address and port.
    #[default]
    AddressAndPortDependent,
    /// For all (REQ-1).
    EndpointIndependent,
}

impl Mapping {
    /// The word of the configuration and of the JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Mapping::AddressAndPortDependent => "address-and-port-dependent",
            Mapping::EndpointIndependent => "endpoint-independent",
        }
    }
}

/// A public address of a pod: it stands for the pod's first address of its family, in both directions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FloatingIp {
    /// The pod.
    pub vif: VifName,
    /// Where the address is public.
    pub vrf: VrfName,
    /// The public address.
    pub address: IpAddr,
}
