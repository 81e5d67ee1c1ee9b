//! A naive model of the vrouter: what must come out for a frame, by the simplest means.
//!
//! It takes the same [`dataplane::desired::Desired`] and the same frames as the real pipeline and
//! shares no step with it: lists are searched from end to end, every decision is derived anew for
//! every packet, and checksums are summed in full. Where several answers are right (which member
//! of an ECMP group carries a new flow) it gives all of them, and those are kept that the real router
//! may have chosen; later packets must then stay with one of them.
//!
//! ```text
//! frame -> ethernet -> trunk: vif, MACs   -> ARP, ND ------------------------> answer
//!                      uplink: decap, label -> packet -> pairs (plan) -> exit -> rewrite
//!                                                          \-> reject -> answer
//! ```
//!
//! [`node`] is the real pipeline in memory, and [`lockstep`] drives both and compares.

pub mod answer;
pub mod broadcast;
pub mod bytes;
pub mod datagram;
mod derive;
pub mod fabric;
pub mod fib;
mod flow;
pub mod foretold;
pub mod fragment;
pub mod idle;
pub mod limit;
pub mod lockstep;
pub mod masked;
pub mod member;
pub mod neighbour;
pub mod node;
pub mod packet;
pub mod pairs;
pub mod plan;
mod policy;
pub mod quote;
pub mod reject;
mod relay;
pub mod rewrite;
pub mod router;
pub mod split;
pub mod trunk;
pub mod way;

pub use masked::{Wire, wire};
pub use router::{Ids, Outcome, Router, Side, State};
