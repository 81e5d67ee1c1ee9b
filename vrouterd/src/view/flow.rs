//! Flow pairs.

use std::fmt;
use std::net::IpAddr;

use dataplane::counters::TrafficTotals;
use dataplane::ids::{PolicyName, VifName, VrfName};
use dataplane::policy::FlowCourse;
use flow_table::FlowState;
use ipnet::IpNet;

use super::{HopView, Protocol};

/// Some flows, and how many there are.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FlowsView {
    /// Flow pairs that match, at most as many as were asked for.
    pub flows: Vec<FlowView>,
    /// Whether more match than are listed.
    pub truncated: bool,
    /// Flow pairs in the table now.
    pub total: u64,
    /// Flow pairs there is room for.
    pub capacity: u64,
}

/// A flow pair: one conversation, both directions.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FlowView {
    /// Table in which it was routed.
    pub vrf: VrfName,
    /// IP protocol.
    pub protocol: Protocol,
    /// Direction of the first packet.
    pub forward: FlowSide,
    /// Direction of the answers.
    pub reverse: FlowSide,
    /// TCP state, or a word for the other protocols.
    pub state: &'static str,
    /// Seconds since the first packet.
    pub age_seconds: u64,
    /// Seconds since the last packet in either direction.
    pub idle_seconds: u64,
    /// What is rewritten in the forward direction, and undone in the reverse one.
    pub translations: Vec<Translation>,
    /// Rules that allow it now: of the sender's egress and of the receiver's ingress, where those
    /// are vifs of this node with policies.
    pub allowed_by: Vec<RuleView>,
    /// Why its packets are dropped, when they are.
    pub drop_reason: Option<&'static str>,
}

/// The rule of a security policy that allows a flow.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RuleView {
    /// The policy.
    pub policy: PolicyName,
    /// `ingress` or `egress`.
    pub course: FlowCourse,
    /// Place of the rule in that list, from 0.
    pub number: usize,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// What it allows, in few words.
    pub allows: String,
}

/// One direction of a flow pair, as its packets come in.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FlowSide {
    /// Vif whose packets these are; `None` when they come from the fabric.
    pub vif: Option<VifName>,
    /// Where packets say they come from.
    pub source: Endpoint,
    /// Where packets say they go.
    pub destination: Endpoint,
    /// Where they are sent.
    pub to: HopView,
    /// Packets and bytes so far.
    pub traffic: TrafficTotals,
}

/// Address and port; for ICMP echo the port is the identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Endpoint {
    /// Address.
    pub address: IpAddr,
    /// Port or identifier; 0 for protocols that have neither.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            IpAddr::V4(address) => write!(f, "{address}:{}", self.port),
            IpAddr::V6(address) => write!(f, "[{address}]:{}", self.port),
        }
    }
}

/// A rewritten address and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Translation {
    /// Which end.
    pub field: TranslatedField,
    /// As the sender wrote it.
    pub from: Endpoint,
    /// As the receiver sees it.
    pub to: Endpoint,
}

/// Which end of a packet is rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TranslatedField {
    /// Source address and port.
    Source,
    /// Destination address and port.
    Destination,
}

impl TranslatedField {
    /// The word of the JSON.
    pub fn name(self) -> &'static str {
        match self {
            TranslatedField::Source => "source",
            TranslatedField::Destination => "destination",
        }
    }
}

/// Which flows to list; a pair matches when either direction does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowFilter {
    /// Only flows of this vif.
    pub vif: Option<VifName>,
    /// Only flows of this VRF.
    pub vrf: Option<VrfName>,
    /// Only this protocol.
    pub protocol: Option<Protocol>,
    /// Only flows with this address at either end.
    pub address: Option<IpAddr>,
    /// Only flows that were begun from here.
    pub source: Option<IpNet>,
    /// Only flows that were begun towards here, or lead here after translation.
    pub destination: Option<IpNet>,
    /// Only flows with this port at either end.
    pub port: Option<u16>,
    /// Only flows in this state.
    pub state: Option<FlowState>,
    /// At most this many.
    pub limit: usize,
    /// Which of them, when there are more.
    pub order: FlowOrder,
}

/// In which order flows are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlowOrder {
    /// That of the table: none.
    #[default]
    Table,
    /// Those with the most packets, both directions together, first.
    Packets,
    /// Those with the most bytes first.
    Bytes,
}

/// Every state of a flow pair.
pub const FLOW_STATES: [FlowState; 6] = [
    FlowState::Dropped,
    FlowState::TcpOpening,
    FlowState::TcpEstablished,
    FlowState::TcpClosing,
    FlowState::TcpClosed,
    FlowState::Stateless,
];

impl FlowFilter {
    /// Most flows one answer holds.
    pub const MAX_LIMIT: usize = 10_000;
    /// Flows listed when no number is asked for.
    pub const DEFAULT_LIMIT: usize = 100;

    /// Whether `flow` is asked for; the limit is the caller's to obey.
    pub fn matches(&self, flow: &FlowView) -> bool {
        let sides = [&flow.forward, &flow.reverse];
        let any_end = |test: &dyn Fn(&Endpoint) -> bool| {
            sides.iter().any(|side| test(&side.source) || test(&side.destination))
        };
        self.vif.as_ref().is_none_or(|vif| sides.iter().any(|side| side.belongs_to(vif)))
            && self.vrf.as_ref().is_none_or(|vrf| flow.vrf == *vrf)
            && self.protocol.is_none_or(|protocol| flow.protocol == protocol)
            && self.address.is_none_or(|address| any_end(&|end| end.address == address))
            && self.source.is_none_or(|net| net.contains(&flow.forward.source.address))
            && self.destination.is_none_or(|net| {
                [flow.forward.destination, flow.reverse.source].iter().any(|end| net.contains(&end.address))
            })
            && self.port.is_none_or(|port| any_end(&|end| end.port == port))
            && self.state.is_none_or(|state| flow.state == state.name())
    }

    /// Whether every flow matches.
    pub fn is_open(&self) -> bool {
        *self == Self { limit: self.limit, order: self.order, ..Self::default() }
    }
}

impl Default for FlowFilter {
    fn default() -> Self {
        Self {
            vif: None,
            vrf: None,
            protocol: None,
            address: None,
            source: None,
            destination: None,
            port: None,
            state: None,
            limit: Self::DEFAULT_LIMIT,
            order: FlowOrder::Table,
        }
    }
}

impl FlowSide {
    fn belongs_to(&self, name: &VifName) -> bool {
        self.vif.as_ref() == Some(name) || matches!(&self.to, HopView::Vif { vif } if vif == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(address: &str, port: u16) -> Endpoint {
        Endpoint { address: address.parse().unwrap(), port }
    }

    fn flow() -> FlowView {
        let side = |vif: Option<&str>, source, destination, to| FlowSide {
            vif: vif.map(VifName::from),
            source,
            destination,
            to,
            traffic: TrafficTotals::default(),
        };
        let tunnel = HopView::Tunnel { node: "172.30.0.2".parse().unwrap(), label: 33 };
        let (client, service) = (end("10.0.1.2", 4000), end("10.96.0.10", 80));
        FlowView {
            vrf: "blue".into(),
            protocol: Protocol(6),
            forward: side(Some("client"), client, service, tunnel),
            reverse: side(None, end("10.0.2.2", 8080), client, HopView::Vif { vif: "client".into() }),
            state: "tcp_established",
            age_seconds: 1,
            idle_seconds: 0,
            translations: vec![],
            allowed_by: vec![],
            drop_reason: None,
        }
    }

    #[test]
    fn a_filter_matches_either_end_and_all_of_its_conditions() {
        let all = FlowFilter::default();
        let yes = [
            all.clone(),
            FlowFilter { vif: Some("client".into()), ..all.clone() },
            FlowFilter { port: Some(4000), address: Some("10.96.0.10".parse().unwrap()), ..all.clone() },
            FlowFilter { vrf: Some("blue".into()), protocol: Some(Protocol(6)), ..all.clone() },
            FlowFilter { source: Some("10.0.1.0/24".parse().unwrap()), ..all.clone() },
            FlowFilter { destination: Some("10.96.0.10/32".parse().unwrap()), ..all.clone() },
            FlowFilter { destination: Some("10.0.2.2/32".parse().unwrap()), ..all.clone() },
            FlowFilter { state: Some(FlowState::TcpEstablished), ..all.clone() },
        ];
        let no = [
            FlowFilter { vif: Some("web".into()), ..all.clone() },
            FlowFilter { vrf: Some("red".into()), ..all.clone() },
            FlowFilter { protocol: Some(Protocol(17)), ..all.clone() },
            FlowFilter { source: Some("10.96.0.0/16".parse().unwrap()), ..all.clone() },
            FlowFilter { destination: Some("10.0.1.2/32".parse().unwrap()), ..all.clone() },
            FlowFilter { state: Some(FlowState::TcpClosed), ..all.clone() },
            FlowFilter { port: Some(80), address: Some("10.0.1.3".parse().unwrap()), ..all },
        ];
        assert!(yes.iter().all(|filter| filter.matches(&flow())));
        assert!(no.iter().all(|filter| !filter.matches(&flow())));
    }

    #[test]
    fn ipv6_ends_have_brackets() {
        assert_eq!(end("fd00::2", 80).to_string(), "[fd00::2]:80");
        assert_eq!(end("10.0.0.1", 80).to_string(), "10.0.0.1:80");
    }
}
