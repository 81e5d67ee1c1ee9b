//! `vrouterd::kernel` against a real kernel, each test in network namespaces of its own.
//!
//! Needs root and iproute2; devices' offloads are checked with ethtool.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod devices;
mod guard;
mod namespace;
mod underlay;
mod watch;
