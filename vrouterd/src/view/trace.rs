//! What would happen to a packet, and what has happened to one.

use dataplane::drop::DropReason;
use dataplane::fib::ip_addr;
use dataplane::ids::{TunnelId, VifName, VifSlot};
use dataplane::io::Side;
use dataplane::snapshot::Snapshot;
use dataplane::tap::{FlowFound, Record, Seen};
use dataplane::trace::TraceStep;
use dataplane::verdict::{Verdict, Way};
use flow_table::Tuple;

use super::{Endpoint, Protocol, decode};

/// What would happen to a packet, and why.
#[derive(Clone, Debug, serde::Serialize)]
pub struct TraceView {
    /// The configuration that was asked.
    pub generation: u64,
    /// How the packet would end.
    pub outcome: Outcome,
    /// What is found and decided on the way, in this order.
    pub steps: Vec<TraceStepView>,
}

/// One thing that was found or decided.
#[derive(Clone, Debug, serde::Serialize)]
pub struct TraceStepView {
    /// In one line.
    pub text: String,
    /// The same in parts; `step` says what it is.
    #[serde(flatten)]
    pub step: TraceStep,
}

impl TraceStepView {
    /// A step with its text.
    pub fn new(step: TraceStep) -> Self {
        Self { text: step.to_string(), step }
    }
}

/// How a packet ends.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Outcome {
    /// `sent`, `fragmented`, `broadcast`, `answered`, `consumed` or `dropped`.
    pub verdict: &'static str,
    /// Where it goes, or the answer to it: `vif client`, `node 172.30.0.2`.
    pub to: Option<String>,
    /// Why it is dropped.
    pub reason: Option<&'static str>,
}

/// The end of a packet in words.
pub fn outcome(snapshot: &Snapshot, verdict: Verdict) -> Outcome {
    let (word, way, reason) = match verdict {
        Verdict::Send(way) => ("sent", Some(way), None),
        Verdict::Split(_) => ("fragmented", None, None),
        Verdict::Replicate(_) => ("broadcast", None, None),
        Verdict::Answer(way) => ("answered", Some(way), None),
        Verdict::Consumed => ("consumed", None, None),
        Verdict::Reject { reason, answer, .. } => ("dropped", Some(answer), Some(reason)),
        Verdict::Drop { reason, .. } => ("dropped", None, Some(reason)),
    };
    let to = way.map(|way| match way {
        Way::Vif(slot) => {
            vif_name(snapshot, slot).map_or_else(|| "a vif".to_owned(), |vif| format!("vif {vif}"))
        }
        Way::Tunnel(id) => node(snapshot, id),
    });
    Outcome { verdict: word, to, reason: reason.map(DropReason::name) }
}

fn vif_name(snapshot: &Snapshot, slot: VifSlot) -> Option<VifName> {
    snapshot.vif(slot).map(|vif| vif.name.clone())
}

fn node(snapshot: &Snapshot, id: TunnelId) -> String {
    snapshot.tunnel(id).map_or_else(|| "a node".to_owned(), |tunnel| format!("node {}", tunnel.address))
}

/// A packet that an armed trace has caught.
#[derive(Clone, Debug, serde::Serialize)]
pub struct CaughtView {
    /// Milliseconds since the daemon started.
    pub at_ms: u64,
    /// `trunk`, from a vif, or `uplink`, from another node.
    pub from: &'static str,
    /// The vif that sent it, or that its label names.
    pub vif: Option<VifName>,
    /// Protocol of its flow.
    pub protocol: Option<Protocol>,
    /// Source of its flow, as it came.
    pub source: Option<Endpoint>,
    /// Destination of its flow, as it came.
    pub destination: Option<Endpoint>,
    /// `hit`, `stale`, `miss`, or `not_asked`.
    pub flow: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// Length of its frame.
    pub bytes: usize,
    /// The frame in words.
    pub summary: String,
    /// Its first bytes, in hexadecimal.
    pub head: String,
}

/// Bytes of a caught packet that are shown.
const SHOWN: usize = 128;

/// A record of an armed trace; none for other records.
pub fn caught(snapshot: &Snapshot, record: &Record) -> Option<CaughtView> {
    let Seen::Ended { side, vif, key, flow, verdict } = record.seen else { return None };
    let head: Vec<u8> = record.head.bytes().iter().take(SHOWN).copied().collect();
    let tuple = key.map(|key| key.tuple);
    Some(CaughtView {
        at_ms: record.at.0,
        from: match side {
            Side::Trunk => "trunk",
            Side::Uplink => "uplink",
        },
        vif: vif.and_then(|slot| vif_name(snapshot, slot)),
        protocol: tuple.map(|tuple| Protocol(tuple.protocol)),
        source: tuple.map(|tuple| end(&tuple)),
        destination: tuple.map(|tuple| end(&tuple.reversed())),
        flow: match flow {
            FlowFound::Hit => "hit",
            FlowFound::Stale => "stale",
            FlowFound::Miss => "miss",
            FlowFound::NotAsked => "not_asked",
        },
        outcome: outcome(snapshot, verdict),
        bytes: record.head.len,
        summary: decode::one_line(record.head.bytes()),
        head: head.iter().map(|byte| format!("{byte:02x}")).collect(),
    })
}

fn end(tuple: &Tuple) -> Endpoint {
    Endpoint { address: ip_addr(tuple.family, tuple.src), port: tuple.sport }
}
