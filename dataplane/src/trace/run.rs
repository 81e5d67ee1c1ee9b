//! The stages over scratch tables.

use std::collections::BTreeMap;
use std::rc::Rc;

use ahash::RandomState;
use flow_table::{Context, FlowHash, FlowKey, FlowTable, Hit, Millis, Output, PairRef};

use super::Tracer;
use crate::affinity::{AffinityTable, Client};
use crate::counters::WorkerCounters;
use crate::droplog::DropLog;
use crate::fragment::FragmentTable;
use crate::ids::VifSlot;
use crate::io::{Extent, Side};
use crate::limiter::VifLimiter;
use crate::packet::Packet;
use crate::packet::l4::L4;
use crate::pipeline::Pipeline;
use crate::snapshot::Snapshot;
use crate::stage::icmp_error::Quote;
use crate::verdict::{Prepared, Verdict};

/// Pairs that one packet can have to do with: its own, those that could take its place, and as many
/// source ports as are tried.
const PAIRS: u32 = 256;
/// Each round copies the real pairs that the one before has run into.
const ROUNDS: usize = 64;
/// Clients whose backend is remembered: one for each VRF that has the service.
const CLIENTS: usize = 256;
/// Room before the frame for headers.
const HEADROOM: usize = 256;
/// Longer than any affinity is waited for here.
const LATER: u64 = 1 << 30;

/// What came of a frame.
pub(super) struct Run {
    /// Length of the frame as it came.
    pub(super) len: usize,
    pub(super) prepared: Prepared,
    pub(super) verdict: Verdict,
    pub(super) bytes: Vec<u8>,
    /// The pair of the packet in the real table, as it is.
    pub(super) known: Option<Hit>,
    pub(super) scratch: Scratch,
    pub(super) now: Millis,
    /// The key of the answers to the packet that this one quotes, if it is an ICMP error.
    quoted: Option<FlowKey>,
}

/// Tables that nobody else sees.
pub(super) struct Scratch {
    pub(super) flows: FlowTable,
    fragments: FragmentTable,
    affinity: AffinityTable,
    limiter: VifLimiter,
    counters: Rc<WorkerCounters>,
    drops: DropLog,
}

impl Scratch {
    /// `counters` are counted in and read by nobody.
    fn new(tracer: &Tracer, counters: Rc<WorkerCounters>) -> Self {
        Self {
            flows: tracer.flows.scratch(PAIRS),
            fragments: FragmentTable::new(1, RandomState::new()),
            affinity: AffinityTable::new(CLIENTS, RandomState::new()),
            limiter: VifLimiter::new(),
            counters,
            drops: DropLog::new(1),
        }
    }

    /// The pipeline over these tables.
    pub(super) fn pipeline<'a>(
        &'a self,
        tracer: &'a Tracer,
        snapshot: &'a Snapshot,
        now: Millis,
    ) -> Pipeline<'a> {
        Pipeline {
            snapshot,
            flows: &self.flows,
            fragments: &self.fragments,
            spread: &tracer.spread,
            counters: &self.counters,
            affinity: &self.affinity,
            limiter: &self.limiter,
            drops: &self.drops,
            now,
        }
    }

    /// What the real tables know about the packet of a flow.
    fn copy_clients(&self, tracer: &Tracer, snapshot: &Snapshot, key: &FlowKey, now: Millis) {
        let tuple = &key.tuple;
        for vrf in snapshot.vrfs() {
            let client = Client { vrf: vrf.id, family: tuple.family, service: tuple.dst, address: tuple.src };
            if let Some(backend) = tracer.affinity.find(&client, now) {
                self.affinity.remember(&client, backend, Millis(now.0.saturating_add(LATER)));
            }
        }
    }
}

/// Runs a frame again and again until every real pair that the stages would have met was there.
pub(super) fn settle(tracer: &Tracer, snapshot: &Snapshot, (side, frame): (Side, &[u8]), now: Millis) -> Run {
    let mut copied: BTreeMap<u32, PairRef> = BTreeMap::new();
    let counters = Rc::new(WorkerCounters::new());
    let mut run = once(tracer, snapshot, (side, frame), now, Scratch::new(tracer, Rc::clone(&counters)));
    for pair in asked_for(tracer, snapshot, &run) {
        copied.insert(pair.index(), pair);
    }
    for _ in 0..ROUNDS {
        let scratch = Scratch::new(tracer, Rc::clone(&counters));
        for pair in copied.values() {
            scratch.flows.adopt(&tracer.flows, *pair, now);
        }
        run = once(tracer, snapshot, (side, frame), now, scratch);
        let before = copied.len();
        for pair in run_into(tracer, &run) {
            copied.insert(pair.index(), pair);
        }
        if copied.len() == before || copied.len() >= PAIRS as usize / 2 {
            break;
        }
    }
    run
}

fn once(
    tracer: &Tracer,
    snapshot: &Snapshot,
    (side, frame): (Side, &[u8]),
    now: Millis,
    scratch: Scratch,
) -> Run {
    scratch.flows.fill_as(&tracer.flows, now);
    let mut buffer = vec![0; HEADROOM];
    buffer.extend_from_slice(frame);
    let mut packet = Packet::new(&mut buffer, Extent { start: HEADROOM, len: frame.len() });
    let pipeline = scratch.pipeline(tracer, snapshot, now);
    let prepared = pipeline.prepare(side, &mut packet);
    let hash = pipeline.hash(&prepared);
    let known = key_of(&prepared).and_then(|key| {
        scratch.copy_clients(tracer, snapshot, &key, now);
        find(&tracer.flows, &key)
    });
    let quoted = quoted_key(&prepared, packet.bytes());
    let verdict = pipeline.finish(&prepared, &hash.into(), &mut packet, 0);
    let bytes = packet.bytes().to_vec();
    Run { len: frame.len(), prepared, verdict, bytes, known, scratch, now, quoted }
}

pub(super) fn key_of(prepared: &Prepared) -> Option<FlowKey> {
    match prepared {
        Prepared::Flow(flow) => Some(flow.key()),
        Prepared::Broadcast(_)
        | Prepared::Wait(_)
        | Prepared::Arp { .. }
        | Prepared::Link { .. }
        | Prepared::Drop { .. } => None,
    }
}

/// The key by which an ICMP error finds the flow that it is about.
fn quoted_key(prepared: &Prepared, packet: &[u8]) -> Option<FlowKey> {
    let Prepared::Flow(flow) = prepared else { return None };
    let quote = Quote::parse(packet, &flow.ip).filter(|_| flow.ip.l4 == L4::IcmpError)?;
    Some(FlowKey { context: flow.context, tuple: quote.tuple.reversed() })
}

fn find(flows: &FlowTable, key: &FlowKey) -> Option<Hit> {
    let hash: FlowHash = flows.hash(key);
    flows.lookup(hash, key)
}

/// The pairs of the real table that stages look for by the packet's own key, and by the same key as
/// the receiving vif has it.
fn asked_for(tracer: &Tracer, snapshot: &Snapshot, run: &Run) -> Vec<PairRef> {
    let Prepared::Flow(flow) = &run.prepared else { return Vec::new() };
    let pipeline = run.scratch.pipeline(tracer, snapshot, run.now);
    let plan = pipeline.first(flow.ingress, flow.key()).plan().ok();
    let receiver = plan.and_then(|plan| match plan.pair.forward.action.output {
        Output::Vif { slot } => snapshot.vif(VifSlot::new(slot)?),
        Output::Tunnel { .. } | Output::Drop { .. } => None,
    });
    let at_receiver = receiver.map(|vif| FlowKey { context: Context(vif.id.0), tuple: flow.ip.tuple });
    // Another node may send an error to the label of the VRF; the flow has the context of its pod.
    let behind = run.quoted.and_then(|key| Some(FlowKey { context: pipeline.context_behind(flow)?, ..key }));
    let keys = [Some(flow.key()), at_receiver, run.quoted, behind];
    keys.into_iter().flatten().filter_map(|key| find(&tracer.flows, &key)).map(|hit| hit.pair).collect()
}

/// The pairs of the real table that have a key of one that was made here.
fn run_into(tracer: &Tracer, run: &Run) -> Vec<PairRef> {
    let made = run.scratch.flows.view(run.now, 0, PAIRS as usize, |_| true);
    let keys = made.iter().flat_map(|pair| [pair.forward.key, pair.reverse.key]);
    keys.filter_map(|key| find(&tracer.flows, &key)).map(|hit| hit.pair).collect()
}
