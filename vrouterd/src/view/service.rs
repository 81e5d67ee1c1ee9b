//! ClusterIP services.

use std::net::IpAddr;

use dataplane::desired::{BackendState, OnBackendGone, PortRange};
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
    /// How long a client stays with its backend after its last new flow; none if it does not.
    pub affinity_seconds: Option<u64>,
    /// What becomes of TCP connections to a backend that is gone.
    pub on_backend_gone: OnBackendGone,
}

/// One port of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ServicePortView {
    /// Transport.
    pub protocol: Protocol,
    /// Port on the ClusterIP, or ports in a row. JSON: a number, or text like `30000-30500`.
    pub port: PortRange,
    /// Port on the pod, or as many of them.
    pub target_port: PortRange,
}

/// A pod behind a service.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BackendView {
    /// The pod.
    #[serde(flatten)]
    pub to: HopView,
    /// Share of the flows relative to the other backends, at least 1.
    pub weight: u16,
    /// Whether it takes new flows as far as the control plane says.
    pub readiness: BackendState,
    /// Whether packets reach it.
    #[serde(flatten)]
    pub state: State,
}

impl ServiceView {
    /// What is not as it is by default, in words.
    pub fn options(&self) -> Vec<String> {
        let affinity = self.affinity_seconds.map(|seconds| format!("a client stays for {seconds} s"));
        let reset = match self.on_backend_gone {
            OnBackendGone::Rechoose => None,
            OnBackendGone::Reset => Some("resets connections to a backend that is gone".to_owned()),
        };
        affinity.into_iter().chain(reset).collect()
    }
}

impl BackendView {
    /// Whether it keeps its flows only.
    pub fn is_terminating(&self) -> bool {
        self.readiness == BackendState::Terminating
    }
}
