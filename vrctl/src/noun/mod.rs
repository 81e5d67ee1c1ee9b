//! One file a noun: its command line, what it asks the daemon, and how it tells the answer.

pub(crate) mod capture;
pub(crate) mod completion;
pub(crate) mod config;
pub(crate) mod drops;
pub(crate) mod flow;
pub(crate) mod follow;
pub(crate) mod label;
pub(crate) mod man;
pub(crate) mod nh;
pub(crate) mod policy;
pub(crate) mod route;
pub(crate) mod service;
pub(crate) mod stats;
pub(crate) mod top;
pub(crate) mod trace;
pub(crate) mod tunnel;
pub(crate) mod vif;
pub(crate) mod vrf;
pub(crate) mod watch;
pub(crate) mod worker;
