//! One interface.

use std::net::IpAddr;

use dataplane::ids::{Mac, PolicyName, VifName, VifSlot, VrfName};

use super::{DroppedPacket, PortView, ServicePortView, State};

/// An interface of a pod or of the host.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct VifView {
    /// Unique name on the node.
    pub name: VifName,
    /// Node end of its veth pair; of the host's vif, the end that the host uses.
    pub ifname: String,
    /// VLAN id on the trunk; `None` until it has been given one.
    pub slot: Option<VifSlot>,
    /// Its routing table.
    pub vrf: VrfName,
    /// Addresses the pod may use.
    pub addresses: Vec<IpAddr>,
    /// Addresses that stand for it in other VRFs; of one VRF and family the first is what it sends from.
    pub floating_ips: Vec<VifFloatingIp>,
    /// The pod's Ethernet address.
    pub mac: Mac,
    /// MPLS label other nodes use for it, 20 bits.
    pub label: u32,
    /// Largest IP packet in bytes.
    pub mtu: u16,
    /// Whether packets can reach it.
    #[serde(flatten)]
    pub state: State,
    /// Packets, bytes and drops since the daemon started.
    pub traffic: PortView,
    /// Most recent drops, newest first.
    pub last_drops: Vec<DroppedPacket>,
    /// Services it is a backend of.
    pub services: Vec<VifService>,
    /// Security policies attached to it, in the order in which they are asked.
    pub policies: Vec<VifPolicy>,
    /// Flow pairs that count towards its limit: those it began, and those that came to it from other nodes.
    pub flows: u64,
}

/// A public address of a vif.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct VifFloatingIp {
    /// The address.
    pub address: IpAddr,
    /// Where it is public.
    pub vrf: VrfName,
}

/// A service as seen from one of its backends.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct VifService {
    /// The ClusterIP.
    pub address: IpAddr,
    /// What it answers on.
    pub ports: Vec<ServicePortView>,
}

/// A security policy as seen from a vif.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct VifPolicy {
    /// Its name.
    pub name: PolicyName,
    /// Rules for flows that others begin with the pod; `None` where it restricts none.
    pub ingress: Option<usize>,
    /// Rules for flows that the pod begins; `None` where it restricts none.
    pub egress: Option<usize>,
}
