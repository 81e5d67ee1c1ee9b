//! The real daemon on real kernels: two nodes, their pods and the underlay are network namespaces of this
//! machine. Needs root and the tools that `scripts/install-deps.sh` installs; fails without.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod api;
mod api_attach;
mod api_restart;
mod backends;
mod broadcast;
mod command_line;
mod diagnostics;
mod endurance;
mod engine;
mod faults;
mod floods;
mod fragments;
mod host;
mod hostile_fragments;
mod icmp;
mod lifecycle;
mod nat;
mod observe;
mod path_mtu;
mod pods;
mod policy;
mod ports;
mod reload;
mod restart;
mod rules;
mod services;
mod trace;
mod transfers;
mod vrctl;
mod wire;
mod workers;

use tests::{Plan, tcp, udp};

/// Port of the service, and of the pods behind it.
const PORT: u16 = 80;
const TARGET: u16 = 8080;

/// A client and one backend on node A, two backends on node B, behind one service for TCP and UDP.
fn three_backends() -> Plan {
    Plan::two_nodes()
        .pod("client", "node-a")
        .pod("web-1", "node-a")
        .pod("web-2", "node-b")
        .pod("web-3", "node-b")
        .service("web", &[tcp(PORT, TARGET), udp(PORT, TARGET)], &["web-1", "web-2", "web-3"])
}

/// A client on node A, and one backend on node B.
fn remote_backend() -> Plan {
    Plan::two_nodes().pod("client", "node-a").pod("web", "node-b").service(
        "web",
        &[tcp(PORT, TARGET), udp(PORT, TARGET)],
        &["web"],
    )
}
