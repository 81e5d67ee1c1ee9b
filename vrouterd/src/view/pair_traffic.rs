//! Traffic between networks, and from networks to services.

use std::net::IpAddr;

use dataplane::counters::TrafficTotals;
use dataplane::ids::VrfName;

/// What went between networks, as far as the flow table was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct TrafficView {
    /// The pairs, those with most bytes first.
    pub pairs: Vec<PairTrafficView>,
    /// Everything that found no place among the pairs (`http.traffic_pairs`), or whose pair is gone.
    pub other: PairTotals,
}

/// Flows from one network to another, or to one service.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PairTrafficView {
    /// VRF in which the flows begin.
    pub from: VrfName,
    /// VRF in which they end.
    pub to: VrfName,
    /// ClusterIP they were sent to, if any.
    pub service: Option<IpAddr>,
    /// `pod` when they begin on this node, `fabric` when another node sent them here: a flow between two
    /// nodes is counted by both, so sums over nodes take one of the two.
    pub origin: FlowOrigin,
    /// The counts.
    #[serde(flatten)]
    pub totals: PairTotals,
}

/// Where flows begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowOrigin {
    /// With a vif of this node.
    Pod,
    /// With another node.
    Fabric,
}

impl FlowOrigin {
    /// The word of the JSON.
    pub const fn name(self) -> &'static str {
        match self {
            FlowOrigin::Pod => "pod",
            FlowOrigin::Fabric => "fabric",
        }
    }
}

/// Counts of a pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct PairTotals {
    /// Flow pairs seen.
    pub flows: u64,
    /// In the direction of the first packet.
    pub forward: TrafficTotals,
    /// Answers.
    pub reverse: TrafficTotals,
}

impl PairTotals {
    /// Adds what another pair counted.
    pub fn add(&mut self, other: &PairTotals) {
        self.flows += other.flows;
        let directions = [(&mut self.forward, &other.forward), (&mut self.reverse, &other.reverse)];
        for (sum, more) in directions {
            sum.packets += more.packets;
            sum.bytes += more.bytes;
        }
    }

    /// Bytes of both directions.
    pub fn bytes(&self) -> u64 {
        self.forward.bytes + self.reverse.bytes
    }
}
