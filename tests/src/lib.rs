//! A network to try the vrouter in: nodes and pods are network namespaces of this machine, the daemon is the
//! real binary, and the TCP/IP stacks in the pods are the kernel's own.
//!
//! ```no_run
//! use tests::{Lab, Plan, tcp};
//!
//! let plan = Plan::two_nodes()
//!     .pod("client", "node-a")
//!     .pod("web-1", "node-a")
//!     .pod("web-2", "node-b")
//!     .service("web", &[tcp(80, 8080)], &["web-1", "web-2"]);
//! let lab = Lab::start("example", plan);
//! let _web = lab.pod("web-2").serve_tcp(8080);
//! assert_eq!(lab.pod("client").ping("10.0.2.2").ttl(), 63);
//! ```
//!
//! ```text
//!   client     web-1            web-2        pods: eth0 10.0.<node>.<n>/32 and fd00:<node>::<n>/128
//!     |          |                |          MTU 1500, default gateway 169.254.1.1 and fe80::1
//!  +--+----------+--+     +-------+-------+
//!  |  node-a  eth0--|--+--|--eth0  node-b |  uplinks: 172.30.0.<node>/24 and fd00:30::<node>/64, MTU 1600
//!  +----------------+  |  +---------------+
//!                   fabric                   a bridge, where outer packets can be captured
//! ```
//!
//! The addresses of services are 10.96.0.10 and fd00:96::10 for the first, 10.96.0.11 and so on.
//!
//! All names begin with `vr-t<process id>-`. A [`Lab`] removes what it has made when it goes, also when a test
//! panics; what a killed run has left is removed by the next one. Everything needs root, and fails without.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod api;
mod command;
mod daemon;
mod diag;
mod lab;
mod leftovers;
mod namespace;
mod node;
mod outside;
mod ping;
mod plan;
mod pod;
mod program;
mod toml;
mod traffic;
mod wait;

pub use api::{Api, Events};
pub use daemon::Daemon;
pub use diag::{Answer, Metrics};
pub use lab::Lab;
pub use leftovers::{prefix, remove_leftovers, remove_own};
pub use namespace::Namespace;
pub use node::Node;
pub use outside::Outside;
pub use ping::Pings;
pub use plan::{HOST_LABEL, Plan, PodPlan, ServicePlan, ServicePort, sctp, tcp, udp};
pub use pod::Pod;
pub use program::{vrctl, vrouterd};
pub use traffic::{Greeting, Server, echo, pattern, tcp_greeting, transfer, udp_greeting};
pub use wait::{eventually, within};
