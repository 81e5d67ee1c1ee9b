//! ClusterIP services.

use std::net::IpAddr;

use dataplane::ids::VrfName;

use super::{HopView, Protocol, State};

/// A service with its backends.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ServiceView {
    /// VRF in which clients and backends live.
    pub vrf: VrfName,
    /// The ClusterIP.
    pub address: IpAddr,
    /// What it answers on.
    pub ports: Vec<ServicePortView>,
    /// The pods behind it.
    pub backends: Vec<BackendView>,
}

/// One port of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ServicePortView {
    /// Transport.
    pub protocol: Protocol,
    /// Port on the ClusterIP.
    pub port: u16,
    /// Port on the pod.
    pub target_port: u16,
}

/// A pod behind a service.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BackendView {
    /// The pod.
    #[serde(flatten)]
    pub to: HopView,
    /// Share of the flows relative to the other backends, at least 1.
    pub weight: u16,
    /// Whether new flows go to it.
    #[serde(flatten)]
    pub state: State,
}
