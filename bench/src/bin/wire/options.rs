//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};

use crate::uplink::parse_mac;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everything, in about ten minutes.
    Full,
    /// One size of frames, one number of flows and shorter trials, in under three.
    Quick,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Measure {
    /// Packets per second, one way.
    Pps,
    /// TCP by iperf3.
    Tcp,
    /// Requests and their answers over TCP, through the ClusterIP.
    Latency,
    /// TCP connections through the ClusterIP.
    Connections,
    /// Route changes under traffic.
    Changes,
    /// CPU of a node without traffic.
    Idle,
}

/// Measures the vrouter on a wire of network namespaces, beside the kernel and a bare AF_XDP forwarder.
#[derive(Debug, Parser)]
#[command(name = "bench-wire")]
pub(crate) struct Options {
    /// Minutes instead of ten: 64-byte frames and 1,000 flows only, shorter trials.
    #[arg(long)]
    quick: bool,
    /// Only these; all if not given.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Measure>,
    /// Where the results go: wire.json and wire.svg.
    #[arg(long, default_value = "target/wire")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) uplink: Option<Uplink>,
}

/// Sending out of a real interface instead.
#[derive(Debug, Args)]
pub(crate) struct Uplink {
    /// Measures nothing here: sends out of this interface, as node-a to node-b of the benchmark.
    #[arg(long, requires = "mac", required = false)]
    pub(crate) uplink: String,
    /// Ethernet address of the other machine's uplink.
    #[arg(long, value_parser = parse_mac, required = false, requires = "uplink")]
    pub(crate) mac: [u8; 6],
    /// With --uplink: bytes of the pods' frames.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(64..=1500), requires = "uplink")]
    pub(crate) size: u16,
    /// With --uplink: five-tuples.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=60_000), requires = "uplink")]
    pub(crate) flows: u64,
    /// With --uplink: packets per second.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=20_000_000), requires = "uplink")]
    pub(crate) rate: u64,
    /// With --uplink: seconds to send.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=60), requires = "uplink")]
    pub(crate) seconds: u64,
}

impl Options {
    pub(crate) const fn scope(&self) -> Scope {
        if self.quick { Scope::Quick } else { Scope::Full }
    }

    /// Whether this is to be measured.
    pub(crate) fn wants(&self, measure: Measure) -> bool {
        self.only.is_empty() || self.only.contains(&measure)
    }
}

impl Scope {
    /// Length of one trial of packets per second.
    pub(crate) const fn trial(self) -> Duration {
        Duration::from_millis(match self {
            Self::Full => 500,
            Self::Quick => 300,
        })
    }

    /// Length of one run of anything else.
    pub(crate) const fn run(self) -> Duration {
        Duration::from_secs(match self {
            Self::Full => 4,
            Self::Quick => 2,
        })
    }
}
