//! The vrouter's forwarding path.

pub mod counters;
pub mod desired;
pub mod drop;
pub mod ids;
pub mod io;
