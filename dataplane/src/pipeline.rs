//! The order of the stages, in one place.
//!
//! ```text
//! prepare   trunk:  vif by VLAN -> MAC checks -> ARP / ND aside -> IP, transport parsed
//!           uplink: outer headers off -> label -> tunnel known -> inner IP, transport parsed
//!           fragments: ports of the first one, or wait for it
//! finish    ARP, ND:  answer from the FIB
//!           flow:     lookup -> [miss or stale: plan -> insert] -> TTL -> exit -> rewrite -> headers on
//!           piece:    headers on, for each piece of a packet that is too big
//! ```
//!
//! `prepare` runs over a whole batch before `finish` does, so that the flow table's cache misses
//! of a batch overlap.

use ahash::RandomState;
use flow_table::{
    Action, Context, Direction, Family, FlowHash, FlowKey, FlowTable, Hit, InsertError, Millis, NewPair,
    Output, Rewrite, RewriteKind, Source,
};

use crate::counters::WorkerCounters;
use crate::desired::MssClamp;
use crate::drop::DropReason;
use crate::ecmp::{FlowSpread, Target};
use crate::fragment::{FragmentTable, Split, Waiting, split};
use crate::ids::{TunnelId, VifId, VifSlot, VrfId};
use crate::io::Side;
use crate::limiter::AnswerLimiter;
use crate::packet::Packet;
use crate::packet::ip::{Fragment, Ip};
use crate::packet::l4::{EchoKind, L4};
use crate::snapshot::{LabelTarget, Snapshot};
use crate::stage::egress::{self, Exit};
use crate::stage::fragment::{self, Fragments};
use crate::stage::icmp_error::Quote;
use crate::stage::plan::{self, First, Keep};
use crate::stage::{arp, echo, fabric_in, mss, neighbour, reject, rewrite, trunk_in};

/// Where a packet came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// From a pod.
    Vif(VifSlot),
    /// From another node.
    Fabric {
        /// What its label says.
        target: LabelTarget,
        /// The node.
        peer: TunnelId,
    },
}

impl Ingress {
    /// The vif that sent the packet, or that its label names.
    pub(crate) fn vif(self) -> Option<VifSlot> {
        match self {
            Ingress::Vif(slot) | Ingress::Fabric { target: LabelTarget::Vif(slot), .. } => Some(slot),
            Ingress::Fabric { target: LabelTarget::Vrf(_), .. } => None,
        }
    }
}

/// An IP packet that wants a flow.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// Where it came in.
    pub ingress: Ingress,
    /// Its headers.
    pub ip: Ip,
    /// Its key.
    pub key: FlowKey,
}

/// A packet between `prepare` and `finish`.
#[derive(Clone, Copy, Debug)]
pub enum Prepared {
    /// An IP packet.
    Flow(Flow),
    /// A fragment that is to wait for the first one of its datagram.
    Wait(Waiting),
    /// ARP from a vif.
    Arp {
        /// The vif.
        vif: VifSlot,
    },
    /// A neighbour solicitation from a vif.
    NeighbourSolicitation {
        /// The vif.
        vif: VifSlot,
        /// Its IPv6 header.
        ip: Ip,
    },
    /// Nothing more to do.
    Drop {
        /// The vif it is laid to, if one is known.
        vif: Option<VifSlot>,
        /// Why.
        reason: DropReason,
    },
}

impl Prepared {
    /// The vif that a drop is laid to.
    fn vif(&self) -> Option<VifSlot> {
        match self {
            Prepared::Flow(flow) | Prepared::Wait(Waiting { flow, .. }) => flow.ingress.vif(),
            Prepared::Arp { vif } | Prepared::NeighbourSolicitation { vif, .. } => Some(*vif),
            Prepared::Drop { vif, .. } => *vif,
        }
    }
}

/// Where a frame leaves the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To a vif over the trunk.
    Vif(VifSlot),
    /// To another node over the uplink.
    Tunnel(TunnelId),
}

/// How a packet ends: exactly one of these for each that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Sent on.
    Send(Way),
    /// Sent on in pieces, each through [`Pipeline::piece`].
    Split(Split),
    /// Consumed; the frame now holds the vrouter's own answer.
    Answer(Way),
    /// Dropped; the frame now holds the vrouter's own message about it to the sender.
    Reject {
        /// The vif the drop is laid to; none when the packet named no vif.
        vif: Option<VifSlot>,
        /// Why.
        reason: DropReason,
        /// Where the message goes.
        answer: Way,
    },
    /// Consumed: it was for the vrouter and asks for no answer.
    Consumed,
    /// Dropped.
    Drop {
        /// The vif it is laid to; none when the packet named no vif.
        vif: Option<VifSlot>,
        /// Why.
        reason: DropReason,
    },
}

/// What stops a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// A drop.
    Drop(DropReason),
    /// It is larger than the way out takes.
    TooBig {
        /// What would fit, in bytes.
        mtu: usize,
    },
}

impl From<DropReason> for Halt {
    fn from(reason: DropReason) -> Self {
        Halt::Drop(reason)
    }
}

impl Halt {
    fn reason(self) -> DropReason {
        match self {
            Halt::Drop(reason) => reason,
            Halt::TooBig { .. } => DropReason::FrameTooBig,
        }
    }
}

/// What the stages of one batch work with.
#[derive(Clone, Copy, Debug)]
pub struct Pipeline<'a> {
    /// The compiled state.
    pub snapshot: &'a Snapshot,
    /// The flows.
    pub flows: &'a FlowTable,
    /// The datagrams whose fragments are under way.
    pub fragments: &'a FragmentTable,
    /// Hash for the choice of members, seeded apart from the flow table's.
    pub spread: &'a RandomState,
    /// The worker's counters.
    pub counters: &'a WorkerCounters,
    /// How many answers each vif may cause.
    pub limiter: &'a AnswerLimiter,
    /// The time of the batch.
    pub now: Millis,
}

/// Flow key context of packets that are looked up in a VRF; vif ids stay below it.
pub(crate) fn vrf_context(vrf: VrfId) -> Context {
    Context(VRF_CONTEXT | u32::from(vrf.0))
}

/// Whose packets the flow keys of a context are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContextOwner {
    /// Packets from this vif, and those that other nodes send to its label.
    Vif(VifId),
    /// Packets that other nodes send to the label of this VRF.
    Vrf(VrfId),
}

/// Reads the context of a flow key.
pub fn context_owner(Context(context): Context) -> ContextOwner {
    match context & VRF_CONTEXT {
        0 => ContextOwner::Vif(VifId(context)),
        _ => ContextOwner::Vrf(VrfId(context as u16)),
    }
}

const VRF_CONTEXT: u32 = 1 << 31;

impl Pipeline<'_> {
    /// First half: headers parsed and taken off, the flow's buckets on their way into the cache.
    pub fn prepare(&self, side: Side, packet: &mut Packet<'_>) -> (Prepared, FlowHash) {
        let prepared = match side {
            Side::Trunk => trunk_in::prepare(self.snapshot, packet),
            Side::Uplink => fabric_in::prepare(self.snapshot, packet),
        };
        let prepared = self.fragment_stage().gate(prepared);
        (prepared, self.hash(&prepared))
    }

    /// Looks again at a fragment that has waited, with the result that `prepare` would have.
    pub fn prepare_again(&self, waiting: Waiting) -> (Prepared, FlowHash) {
        let prepared = self.fragment_stage().again(waiting);
        (prepared, self.hash(&prepared))
    }

    fn hash(&self, prepared: &Prepared) -> FlowHash {
        match prepared {
            Prepared::Flow(flow) => self.flows.hash(&flow.key),
            Prepared::Wait(_)
            | Prepared::Arp { .. }
            | Prepared::NeighbourSolicitation { .. }
            | Prepared::Drop { .. } => FlowHash(0),
        }
    }

    fn fragment_stage(&self) -> Fragments<'_> {
        Fragments { snapshot: self.snapshot, table: self.fragments, now: self.now }
    }

    /// Second half: the decision, and the packet as it leaves. A fragment that is to wait comes
    /// here only if the worker can not hold it.
    pub fn finish(
        &self,
        prepared: &Prepared,
        hash: FlowHash,
        packet: &mut Packet<'_>,
        outer_id: u16,
    ) -> Verdict {
        let answered = match prepared {
            Prepared::Flow(flow) => return self.finish_flow(flow, hash, packet, outer_id),
            Prepared::Arp { vif } => arp::answer(self.snapshot, *vif, packet),
            Prepared::NeighbourSolicitation { vif, ip } => neighbour::answer(self.snapshot, *vif, ip, packet),
            Prepared::Wait(waiting) => Err(self.fragment_stage().give_up(waiting)),
            Prepared::Drop { reason, .. } => Err(*reason),
        };
        answered.unwrap_or_else(|reason| Verdict::Drop { vif: prepared.vif(), reason })
    }

    fn finish_flow(&self, flow: &Flow, hash: FlowHash, packet: &mut Packet<'_>, outer_id: u16) -> Verdict {
        let outcome = match flow.ip.l4 {
            L4::Echo(EchoKind::Request) if self.is_for_gateway(flow) => self.echo(flow, packet),
            L4::IcmpError => self.relay_error(flow, packet, outer_id).map(Verdict::Send),
            L4::IcmpRefused => Err(DropReason::IcmpRedirect.into()),
            _ => self.forward(flow, hash, packet, outer_id),
        };
        outcome.unwrap_or_else(|halt| {
            let (vif, reason) = (flow.ingress.vif(), halt.reason());
            match self.reject(flow, halt, hash, packet, outer_id) {
                Some(answer) => Verdict::Reject { vif, reason, answer },
                None => Verdict::Drop { vif, reason },
            }
        })
    }

    fn forward(
        &self,
        flow: &Flow,
        hash: FlowHash,
        packet: &mut Packet<'_>,
        outer_id: u16,
    ) -> Result<Verdict, Halt> {
        let (action, translation) = self.decide(flow, hash)?;
        let mut ip = flow.ip;
        rewrite::check_ttl(&ip, action.ttl)?;
        fragment::check_translation(flow, &translation)?;
        let exit = match egress::open(self.snapshot, action.output, packet.len()) {
            Err(Halt::TooBig { mtu }) if split::is_allowed(&ip, mtu) => {
                rewrite::apply(packet.bytes_mut(), &mut ip, action.ttl, &translation);
                let vif = flow.ingress.vif();
                return Ok(Verdict::Split(Split { vif, output: action.output, hash, mtu }));
            }
            opened => opened?,
        };
        self.clamp_segment_size(flow, &exit, packet);
        rewrite::apply(packet.bytes_mut(), &mut ip, action.ttl, &translation);
        Ok(Verdict::Send(exit.leave(packet, &ip, hash, outer_id)?))
    }

    /// Sends one piece of a packet that was too big.
    pub fn piece(&self, split: &Split, packet: &mut Packet<'_>, outer_id: u16) -> Verdict {
        let left = Ip::parse(Family::V4, packet.bytes()).map_err(Halt::from).and_then(|ip| {
            let exit = egress::open(self.snapshot, split.output, packet.len())?;
            Ok(exit.leave(packet, &ip, split.hash, outer_id)?)
        });
        match left {
            Ok(way) => Verdict::Send(way),
            Err(halt) => Verdict::Drop { vif: split.vif, reason: halt.reason() },
        }
    }

    /// Where a tunnel is on the way, both ends must learn what fits it.
    fn clamp_segment_size(&self, flow: &Flow, exit: &Exit<'_>, packet: &mut Packet<'_>) {
        let opens = matches!(flow.ip.l4, L4::Tcp(segment) if segment.flags & mss::SYN != 0);
        let crosses = matches!((flow.ingress, exit), (Ingress::Fabric { .. }, _) | (_, Exit::Tunnel { .. }));
        if opens && crosses && self.snapshot.fabric.mss_clamp == MssClamp::On {
            mss::clamp(packet.bytes_mut(), &flow.ip, self.snapshot.fabric.inner_mtu);
        }
    }

    fn is_for_gateway(&self, flow: &Flow) -> bool {
        let Ingress::Vif(slot) = flow.ingress else { return false };
        if flow.ip.fragment != Fragment::Whole {
            return false;
        }
        let (family, tuple) = (flow.ip.tuple.family, &flow.ip.tuple);
        self.snapshot
            .vif(slot)
            .is_some_and(|vif| vif.is_gateway(family, tuple.dst) && vif.has_address(family, tuple.src))
    }

    fn echo(&self, flow: &Flow, packet: &mut Packet<'_>) -> Result<Verdict, Halt> {
        let Ingress::Vif(slot) = flow.ingress else { return Err(DropReason::NotForUs.into()) };
        let ip = echo::reply(packet, &flow.ip);
        let exit = egress::open(self.snapshot, Output::Vif { slot: slot.get() }, packet.len())?;
        Ok(Verdict::Answer(exit.leave(packet, &ip, FlowHash(0), 0)?))
    }

    /// An ICMP error goes where the answers of the flow go that it speaks of.
    fn relay_error(&self, flow: &Flow, packet: &mut Packet<'_>, outer_id: u16) -> Result<Way, Halt> {
        let quote = Quote::parse(packet.bytes(), &flow.ip).ok_or(DropReason::MalformedL4)?;
        let key = FlowKey { context: flow.key.context, tuple: quote.tuple.reversed() };
        let hash = self.flows.hash(&key);
        let known = self.flows.lookup(hash, &key).filter(|hit| self.is_current(&hit.action));
        let hit = known.ok_or(DropReason::IcmpErrorUnmatched)?;
        if !came_from(flow.ingress, hit.action.source) {
            return Err(DropReason::TunnelSourceMismatch.into());
        }
        if let Ingress::Vif(slot) = flow.ingress {
            let (family, src) = (flow.ip.tuple.family, flow.ip.tuple.src);
            if !self.snapshot.vif(slot).is_some_and(|vif| vif.has_address(family, src)) {
                return Err(DropReason::SpoofedSource.into());
            }
        }
        let mut ip = flow.ip;
        rewrite::check_ttl(&ip, hit.action.ttl)?;
        let exit = egress::open(self.snapshot, hit.action.output, packet.len())?;
        quote.translate(packet.bytes_mut(), &mut ip, &hit.rewrite);
        rewrite::apply(packet.bytes_mut(), &mut ip, hit.action.ttl, &NO_REWRITE);
        Ok(exit.leave(packet, &ip, hash, outer_id)?)
    }

    /// Turns a packet that goes no further into a message to its sender, where there is one to
    /// send and the vif has not caused too many.
    fn reject(
        &self,
        flow: &Flow,
        halt: Halt,
        hash: FlowHash,
        packet: &mut Packet<'_>,
        outer_id: u16,
    ) -> Option<Way> {
        let vif = self.snapshot.vif(flow.ingress.vif()?)?;
        let (family, src) = (flow.ip.tuple.family, flow.ip.tuple.src);
        let towards = match flow.ingress {
            Ingress::Vif(slot) if vif.has_address(family, src) => Output::Vif { slot: slot.get() },
            Ingress::Vif(_) => return None,
            Ingress::Fabric { peer, .. } => {
                plan::output(self.first(flow.ingress, flow.key, None).way_back(vif.vrf, peer).ok()?)
            }
        };
        if !reject::concerns(halt, &flow.ip) {
            return None;
        }
        if !self.limiter.allow(vif.slot, self.now) {
            self.counters.answers_suppressed.add(1);
            return None;
        }
        let ip = reject::build(halt, &flow.ip, vif.gateway(family), packet)?;
        let exit = egress::open(self.snapshot, towards, packet.len()).ok()?;
        exit.leave(packet, &ip, hash, outer_id).ok()
    }

    /// What to do with a packet: what its flow says, or what a new flow will say.
    fn decide(&self, flow: &Flow, hash: FlowHash) -> Result<(Action, Rewrite), DropReason> {
        let Some(hit) = self.flows.lookup(hash, &flow.key) else {
            self.counters.flow_misses.add(1);
            return self.admit(flow, None);
        };
        self.counters.flow_hits.add(1);
        if self.is_current(&hit.action) && came_from(flow.ingress, hit.action.source) {
            self.touch(&hit, flow);
            return Ok((hit.action, hit.rewrite));
        }
        self.counters.flow_revalidations.add(1);
        self.revalidate(flow, hash, &hit)
    }

    fn is_current(&self, action: &Action) -> bool {
        let vrf = self.snapshot.vrf(VrfId(action.depends.vrf));
        vrf.is_some_and(|vrf| vrf.epoch == action.depends.epoch)
    }

    fn touch(&self, hit: &Hit, flow: &Flow) {
        let segment = match flow.ip.l4 {
            L4::Tcp(segment) => Some(segment),
            _ => None,
        };
        self.flows.touch(hit, self.now, flow.ip.len as u32, segment);
    }

    /// Makes the pair for a first packet; the packet itself is never lost to that.
    fn admit(&self, flow: &Flow, keep: Option<Keep>) -> Result<(Action, Rewrite), DropReason> {
        let mut pair = self.first(flow.ingress, flow.key, keep).plan()?;
        for attempt in 0..PORT_ATTEMPTS {
            match self.flows.insert(&pair, self.now) {
                Ok(hit) | Err(InsertError::Exists(hit)) => {
                    self.touch(&hit, flow);
                    return Ok((hit.action, hit.rewrite));
                }
                Err(InsertError::ReverseTaken) => match self.sidestep(&mut pair, attempt) {
                    Sidestep::Retry => {}
                    Sidestep::Stateless => return Ok((pair.forward.action, NO_REWRITE)),
                    Sidestep::Refuse => return Err(DropReason::NatPortExhausted),
                },
                Err(InsertError::OwnerLimit) => return Err(DropReason::VifFlowLimit),
                Err(InsertError::TableFull | InsertError::BucketFull) => {
                    return Err(DropReason::FlowTableFull);
                }
            }
        }
        Err(DropReason::NatPortExhausted)
    }

    /// What to do when another pair's packets look like the answers to this one.
    fn sidestep(&self, pair: &mut NewPair, attempt: u16) -> Sidestep {
        let forward = pair.forward.key.tuple;
        let answer = &mut pair.reverse.key.tuple;
        if *answer == forward.reversed() {
            // Nothing is translated, so nothing needs to be remembered.
            return Sidestep::Stateless;
        }
        if answer.dst == forward.src {
            // The client's own address and port go to the backend; there is nothing to vary.
            return Sidestep::Refuse;
        }
        let start = self.spread.hash_one((forward.src.0, forward.sport)) as u16;
        answer.dport = 49152 | start.wrapping_add(attempt) & 0x3fff;
        Sidestep::Retry
    }

    /// Derives a flow again that a snapshot has overtaken, or whose packet came from elsewhere.
    fn revalidate(&self, flow: &Flow, hash: FlowHash, hit: &Hit) -> Result<(Action, Rewrite), DropReason> {
        let (Some((forward, reverse)), Some((old, _))) =
            (self.flows.keys(hit.pair), self.flows.actions(hit.pair))
        else {
            return self.admit(flow, None);
        };
        let keep = target_of(old.output).map(|target| Keep { target, reverse });
        if self.is_current(&hit.action) {
            return self.check_source(flow, hit, &reverse);
        }
        let planned =
            self.ingress_of(&forward, old.source).map(|ingress| self.first(ingress, forward, keep).plan());
        match (planned, hit.direction) {
            (Some(Ok(pair)), _) if pair.reverse.key == reverse => {
                self.flows.replace(hit.pair, pair.forward.action, pair.reverse.action);
                match self.flows.lookup(hash, &flow.key) {
                    Some(fresh)
                        if self.is_current(&fresh.action) && came_from(flow.ingress, fresh.action.source) =>
                    {
                        self.touch(&fresh, flow);
                        Ok((fresh.action, fresh.rewrite))
                    }
                    Some(fresh) => self.check_source(flow, &fresh, &reverse),
                    None => self.admit(flow, None),
                }
            }
            (Some(Err(reason)), Direction::Forward) => {
                self.flows.remove(hit.pair);
                Err(reason)
            }
            (Some(_) | None, _) => {
                self.flows.remove(hit.pair);
                self.admit(flow, None)
            }
        }
    }

    /// A packet of a live flow from another place than the flow knows: allowed only when the
    /// same flow could have begun there (another path to the same pod).
    fn check_source(
        &self,
        flow: &Flow,
        hit: &Hit,
        reverse: &FlowKey,
    ) -> Result<(Action, Rewrite), DropReason> {
        let pair = self.first(flow.ingress, flow.key, None).plan()?;
        let same = match hit.direction {
            Direction::Forward => pair.reverse.key == *reverse,
            Direction::Reverse => hit.rewrite.kind == RewriteKind::None,
        };
        if same { Ok((hit.action, hit.rewrite)) } else { Err(DropReason::TunnelSourceMismatch) }
    }

    fn first(&self, ingress: Ingress, key: FlowKey, keep: Option<Keep>) -> First<'_> {
        let tuple = key.tuple;
        let numbers = (tuple.src.0, tuple.dst.0, tuple.sport, tuple.dport, tuple.protocol);
        let spread = FlowSpread(self.spread.hash_one(numbers));
        First { snapshot: self.snapshot, ingress, key, spread, keep }
    }

    /// Where the first packet of a flow came in, read back from its key.
    fn ingress_of(&self, forward: &FlowKey, source: Source) -> Option<Ingress> {
        let target = match context_owner(forward.context) {
            ContextOwner::Vif(id) => LabelTarget::Vif(self.snapshot.vif_by_id(id)?.slot),
            ContextOwner::Vrf(vrf) => LabelTarget::Vrf(vrf),
        };
        match (source, target) {
            (Source::Tunnel(peer), target) => Some(Ingress::Fabric { target, peer: TunnelId(peer) }),
            (Source::Vif | Source::Any, LabelTarget::Vif(slot)) => Some(Ingress::Vif(slot)),
            (Source::Vif | Source::Any, LabelTarget::Vrf(_)) => None,
        }
    }
}

/// Source ports tried before a translation is given up.
const PORT_ATTEMPTS: u16 = 16;

const NO_REWRITE: Rewrite = Rewrite {
    kind: RewriteKind::None,
    src: flow_table::Addr(0),
    dst: flow_table::Addr(0),
    sport: 0,
    dport: 0,
    l3_delta: 0,
    l4_delta: 0,
};

enum Sidestep {
    Retry,
    Stateless,
    Refuse,
}

fn came_from(ingress: Ingress, source: Source) -> bool {
    match (source, ingress) {
        (Source::Any, _) | (Source::Vif, Ingress::Vif(_)) => true,
        (Source::Tunnel(tunnel), Ingress::Fabric { peer, .. }) => peer.0 == tunnel,
        (Source::Vif, Ingress::Fabric { .. }) | (Source::Tunnel(_), Ingress::Vif(_)) => false,
    }
}

fn target_of(output: Output) -> Option<Target> {
    match output {
        Output::Vif { slot } => VifSlot::new(slot).map(Target::Vif),
        Output::Tunnel { tunnel, label } => {
            encap::Label::new(label).map(|label| Target::Tunnel { tunnel: TunnelId(tunnel), label })
        }
        Output::Drop { .. } => None,
    }
}
