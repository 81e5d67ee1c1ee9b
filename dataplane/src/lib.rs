//! The vrouter's forwarding path: from a received frame to a sent one or to a counted drop.
//!
//! It knows no Kubernetes, no HTTP, no socket and no clock. [`desired`] is what the node shall
//! be, [`compile`] turns it into a [`snapshot`], [`publish`] hands that to the workers, and a
//! [`worker`] drives frames of a [`io::PacketIo`] through the [`pipeline`].

pub mod affinity;
pub mod broadcast;
pub mod carry;
pub mod compile;
pub mod counters;
pub mod desired;
pub mod drop;
pub mod droplog;
pub mod ecmp;
pub mod fib;
pub mod fragment;
pub mod ids;
pub mod io;
mod labels;
pub mod limiter;
pub mod memory;
pub mod nat;
pub mod packet;
mod peers;
pub mod pipeline;
pub mod policy;
pub mod publish;
pub mod service;
pub mod snapshot;
mod stage;
pub mod tap;
pub mod trace;
pub mod verdict;
pub mod worker;
