//! What the benchmarks share: a node in memory, frames for it, and the order in which flows are visited.
//!
//! `cargo bench -p bench` runs everything; `bench/RESULTS.md` says how to read the numbers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark stops where it goes wrong"
)]

pub mod cpu;
pub mod frames;
pub mod node;
pub mod pairs;
pub mod replay;
pub mod topology;
pub mod visits;
