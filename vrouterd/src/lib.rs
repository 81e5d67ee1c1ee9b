//! The vrouter node daemon as a library: `main.rs` only parses the command line.

pub mod cli;
pub mod config;
pub mod preflight;
