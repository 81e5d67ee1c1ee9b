//! The vrouter node daemon as a library: `main.rs` only parses the command line.

pub mod http;
pub mod view;
