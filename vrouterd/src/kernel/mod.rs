//! What the daemon learns from and does to the kernel of its network namespace over rtnetlink.
//!
//! * [`watch`] keeps [`facts`] (links, addresses, neighbours) fresh by multicast events that
//!   [`decode`] reads; a gap in the events means that everything is dumped again.
//! * [`resolver`] asks the kernel for the way to every tunnel endpoint and keeps the neighbour
//!   entries alive ([`solicit`]); [`underlay`] and [`uplink`] are the pure parts of it.
//! * [`path_mtu`] hears from routers of the underlay what does not fit.
//! * [`devices`] makes and removes the trunk and the host's interface and prepares pods' ports.
//!
//! Facts flow one way: kernel to [`facts::KernelFacts`] to [`dataplane::desired::Underlay`].

pub mod client;
pub mod decode;
pub mod devices;
pub mod error;
pub mod facts;
pub mod gateways;
pub mod lock;
pub mod path_mtu;
pub mod resolver;
pub mod solicit;
pub mod underlay;
pub mod uplink;
pub mod watch;

pub use client::Netlink;
pub use error::KernelError;
pub use facts::{IfIndex, KernelFacts};
