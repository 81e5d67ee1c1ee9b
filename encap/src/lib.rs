//! MPLS over UDP on the wire: what is put in front of an inner packet and what is taken off again.
//!
//! ```text
//!          Ethernet     802.1Q     outer IPv4 / IPv6       UDP        MPLS     inner IPv4 / IPv6 packet
//!        +-----------+----------+---------------------+-----------+----------+--------------------
//! bytes  | 14        | 0 or 4   | 20 / 40             | 8         | 4        | no Ethernet header
//!        +-----------+----------+---------------------+-----------+----------+--------------------
//!
//! UDP     source port 49152 + entropy (16) | 6635 (16) | length (16)  | checksum (16)     RFC 7510
//! MPLS    label (20)                       | TC (3)    | bottom S (1) | TTL (8)           RFC 3032, 5462
//! ```
//!
//! * Sending: [`Template::new`] builds the outer bytes of one tunnel once; [`Template::write`] copies them in
//!   front of each packet and patches the fields that differ from packet to packet.
//! * Receiving: [`decapsulate`] checks every outer header and says where the inner packet lies.
//! * NAT: [`Delta`] carries a checksum change (RFC 1624) from the place that knows the fields to the place
//!   that knows the packet.
//!
//! The crate has no dependency and no `unsafe`. Nothing allocates, and no input makes it panic.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod checksum;
mod decap;
pub mod ecn;
pub mod entropy;
mod label;
mod outer;
mod outer4;
mod outer6;
mod shim;
mod template;

#[cfg(test)]
mod round_trip_tests;

pub use checksum::{Delta, Sum};
pub use decap::{DecapError, Outer, Ports, ZeroChecksum6, decapsulate, decapsulate_v4, decapsulate_v6};
pub use ecn::{Ecn, EcnViolation};
pub use label::{Label, LabelStackEntry, Stack};
pub use outer::{DontFragment, DscpMode, OuterHeader, Udp6Checksum};
pub use outer4::OVERHEAD_V4;
pub use outer6::OVERHEAD_V6;
pub use template::{Fields, Template, TemplateError, WriteError};

/// UDP destination port of MPLS over UDP (RFC 7510 section 3, IANA).
pub const MPLS_UDP_PORT: u16 = 6635;

/// UDP destination port used for MPLS over UDP before 6635 was assigned; old releases still send to it.
pub const LEGACY_MPLS_UDP_PORT: u16 = 51234;

/// IP protocol number of UDP.
const UDP: u8 = 17;
