//! The daemon's documents as tables.
//!
//! Each of these fails with [`Mismatch`](crate::value::Mismatch) when the document is not the one that this version
//! of the daemon sends.

pub(crate) mod change;
pub(crate) mod flow;
pub(crate) mod node;
pub(crate) mod policy;
pub(crate) mod route;
pub(crate) mod service;
pub(crate) mod vif;
pub(crate) mod worker;
