//! The steps of a packet. Each is one file; their order stands in [`crate::pipeline`].

pub(crate) mod answer;
pub(crate) mod arp;
pub(crate) mod backend;
pub(crate) mod broadcast;
pub(crate) mod echo;
pub(crate) mod egress;
pub(crate) mod fabric_in;
pub(crate) mod flow;
pub(crate) mod fragment;
pub(crate) mod icmp_error;
pub(crate) mod link;
pub(crate) mod mss;
pub(crate) mod nat;
pub(crate) mod neighbour;
pub(crate) mod plan;
pub(crate) mod policy;
pub(crate) mod reject;
pub(crate) mod resolve;
pub(crate) mod rewrite;
pub(crate) mod trunk_in;
