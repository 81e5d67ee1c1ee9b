//! The order of the stages, in one place.
//!
//! ```text
//! prepare   trunk:  vif by VLAN -> MAC checks -> ARP / ND / IGMP aside -> IP, transport parsed
//!           uplink: outer headers off -> label -> tunnel known -> inner IP, transport parsed
//!           fragments: the ports of the first one, or wait for it
//! finish    ARP, ND:  answer from the FIB
//!           broadcast: source, rate, policies -> a copy for each that hears it
//!           flow:     lookup -> [miss or stale: plan -> TTL -> exit -> insert] -> TTL -> exit -> rewrite -> headers on
//! copy      way out for each that hears a broadcast -> headers on
//! piece     headers on, for each piece of a packet that is too big
//! ```
//!
//! `prepare` runs over a whole batch before `finish` does, and in between the worker asks for the
//! flows of all its packets, so that the flow table's cache misses of a batch overlap.
//!
//! What is handed from stage to stage is larger than registers hold. Where that is measured to
//! cost more than the stage itself it is borrowed, or the stage is `inline(always)` so that it
//! writes to where its caller wants it.

use ahash::RandomState;
use flow_table::{Action, Family, FlowHash, FlowTable, Millis, Rewrite, Search};

use crate::affinity::AffinityTable;
use crate::counters::WorkerCounters;
use crate::desired::MssClamp;
use crate::drop::DropReason;
use crate::droplog::DropLog;
use crate::fragment::{FragmentTable, Split, Waiting, split};
use crate::ids::VifSlot;
use crate::io::Side;
use crate::limiter::VifLimiter;
use crate::packet::Packet;
use crate::packet::ip::Ip;
use crate::packet::l4::{EchoKind, L4};
use crate::snapshot::Snapshot;
use crate::stage::egress::{self, Exit, Inner};
use crate::stage::fragment::{self, Fragments};
use crate::stage::{arp, broadcast, fabric_in, link, mss, rewrite, trunk_in};
use crate::verdict::{Flow, Halt, Ingress, Prepared, Verdict, Way};

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
    /// Which backend served a client last.
    pub affinity: &'a AffinityTable,
    /// How much each vif may cause in a second.
    pub limiter: &'a VifLimiter,
    /// Where dropped packets are left, as they were.
    pub drops: &'a DropLog,
    /// The time of the batch.
    pub now: Millis,
}

/// What the outer headers of a packet need to know beside the packet.
#[derive(Clone, Copy, Debug)]
struct Outer {
    /// Hash of the flow, for the source port.
    hash: FlowHash,
    /// Identification of the outer IPv4 header.
    id: u16,
}

impl Pipeline<'_> {
    /// First half: headers parsed and taken off.
    pub fn prepare(&self, side: Side, packet: &mut Packet<'_>) -> Prepared {
        let mut prepared = Prepared::UNKNOWN;
        match side {
            Side::Trunk => self.prepare_from_trunk(packet, &mut prepared),
            Side::Uplink => self.prepare_from_uplink(packet, &mut prepared),
        }
        self.gate(&mut prepared);
        prepared
    }

    /// The same for a frame from the trunk, but for fragments.
    #[inline(always)]
    pub(crate) fn prepare_from_trunk(&self, packet: &mut Packet<'_>, into: &mut Prepared) {
        trunk_in::prepare(self.snapshot, packet, into);
    }

    /// The same for a frame from the uplink, but for fragments.
    #[inline(always)]
    pub(crate) fn prepare_from_uplink(&self, packet: &mut Packet<'_>, into: &mut Prepared) {
        fabric_in::prepare(self.snapshot, packet, into);
    }

    /// What fragments wait for; other packets pass.
    #[inline(always)]
    pub(crate) fn gate(&self, prepared: &mut Prepared) {
        self.fragment_stage().gate(prepared);
    }

    /// Looks again at a fragment that has waited, with the result that `prepare` would have.
    pub fn prepare_again(&self, waiting: Waiting) -> (Prepared, FlowHash) {
        let prepared = self.fragment_stage().again(waiting);
        (prepared, self.hash(&prepared))
    }

    /// What the flow of a packet is looked up by; 0 for a packet that has none.
    #[inline(always)]
    pub fn hash(&self, prepared: &Prepared) -> FlowHash {
        match prepared {
            Prepared::Flow(flow) => self.flows.hash(&flow.key()),
            Prepared::Broadcast(flow) => self.flows.hash(&broadcast::key(flow)),
            Prepared::Wait(_) | Prepared::Arp { .. } | Prepared::Link { .. } | Prepared::Drop { .. } => {
                FlowHash(0)
            }
        }
    }

    fn fragment_stage(&self) -> Fragments<'_> {
        Fragments { snapshot: self.snapshot, table: self.fragments, now: self.now }
    }

    /// Second half: the decision, and the packet as it leaves. A fragment that is to wait comes
    /// here only if the worker can not hold it.
    #[inline]
    pub fn finish(
        &self,
        prepared: &Prepared,
        search: &Search,
        packet: &mut Packet<'_>,
        outer_id: u16,
    ) -> Verdict {
        let outer = Outer { hash: search.hash, id: outer_id };
        let answered = match prepared {
            Prepared::Flow(flow) => return self.finish_flow(flow, search, packet, outer),
            Prepared::Broadcast(flow) => self.replicate(flow, search.hash),
            Prepared::Arp { vif } => arp::answer(self, *vif, packet),
            Prepared::Link { vif, message, ip } => link::take(self, (*vif, *message), ip, packet),
            Prepared::Wait(waiting) => Err(self.fragment_stage().give_up(waiting)),
            Prepared::Drop { reason, .. } => Err(*reason),
        };
        answered.unwrap_or_else(|reason| self.dropped(prepared.vif(), reason, packet))
    }

    #[inline(always)]
    fn finish_flow(&self, flow: &Flow, search: &Search, packet: &mut Packet<'_>, outer: Outer) -> Verdict {
        let goes_by_flow = match flow.ip.l4 {
            L4::Echo(EchoKind::Request) => !self.is_for_gateway(flow),
            L4::IcmpError | L4::IcmpRefused => false,
            _ => true,
        };
        if goes_by_flow
            && let Some(hit) = self.flows.finish(search, &flow.key())
            && self.is_served(flow, &hit)
        {
            let (action, translation) = (hit.action, hit.rewrite);
            return match self.carry(flow, (action, &translation), packet, outer) {
                Ok(way) => Verdict::Send(way),
                Err(stop) => self.stopped(flow, (action, &translation), stop, packet, outer),
            };
        }
        self.finish_first(flow, packet, outer)
    }

    /// The packets that no flow says all about, apart from those that nearly all are.
    #[inline(never)]
    fn finish_first(&self, flow: &Flow, packet: &mut Packet<'_>, outer: Outer) -> Verdict {
        let outcome = match flow.ip.l4 {
            L4::Echo(EchoKind::Request) if self.is_for_gateway(flow) => self.echo(flow, packet),
            L4::IcmpError => self.relay_error(flow, packet, outer.id).map(Verdict::Send),
            L4::IcmpRefused => Err(DropReason::IcmpRedirect.into()),
            _ => match self.decided(flow, outer.hash) {
                Ok((action, translation)) => {
                    return match self.carry(flow, (action, &translation), packet, outer) {
                        Ok(way) => Verdict::Send(way),
                        Err(stop) => self.stopped(flow, (action, &translation), stop, packet, outer),
                    };
                }
                Err(halt) => Err(halt),
            },
        };
        outcome.unwrap_or_else(|halt| self.halted(flow, halt, packet, outer))
    }

    #[cold]
    fn halted(&self, flow: &Flow, halt: Halt, packet: &mut Packet<'_>, outer: Outer) -> Verdict {
        let (vif, reason) = (flow.ingress.vif(), halt.reason());
        let verdict = self.dropped(vif, reason, packet);
        match self.reject(flow, halt, outer.hash, packet, outer.id) {
            Some(answer) => Verdict::Reject { vif, reason, answer },
            None => verdict,
        }
    }

    pub(crate) fn dropped(&self, vif: Option<VifSlot>, reason: DropReason, packet: &Packet<'_>) -> Verdict {
        self.drops.record(self.now, vif, reason, packet.bytes());
        Verdict::Drop { vif, reason }
    }

    /// What the flow of a packet says, or a new one.
    fn decided(&self, flow: &Flow, hash: FlowHash) -> Result<(Action, Rewrite), Halt> {
        match self.flows.lookup(hash, &flow.key()) {
            Some(hit) if self.is_served(flow, &hit) => Ok((hit.action, hit.rewrite)),
            found => self.decide(flow, hash, found.as_ref()),
        }
    }

    /// Does to a packet what its flow says. Nothing is changed in one that stops, but for want of headroom.
    #[inline(always)]
    fn carry(
        &self,
        flow: &Flow,
        (action, translation): (Action, &Rewrite),
        packet: &mut Packet<'_>,
        outer: Outer,
    ) -> Result<Way, Halt> {
        let ip = &flow.ip;
        rewrite::check_ttl(ip, action.ttl)?;
        fragment::check_translation(flow, translation)?;
        let exit = egress::open(self.snapshot, action.output, packet.len())?;
        self.clamp_segment_size(flow, &exit, packet);
        let ttl = rewrite::apply(packet.bytes_mut(), ip, action.ttl, translation);
        let inner = Inner { ttl, ..Inner::of(ip) };
        Ok(exit.leave(packet, inner, outer.hash, outer.id)?)
    }

    /// What becomes of a packet that its flow could not carry.
    #[cold]
    fn stopped(
        &self,
        flow: &Flow,
        (action, translation): (Action, &Rewrite),
        halt: Halt,
        packet: &mut Packet<'_>,
        outer: Outer,
    ) -> Verdict {
        match halt {
            Halt::TooBig { mtu } if split::is_allowed(&flow.ip, mtu) => {
                rewrite::apply(packet.bytes_mut(), &flow.ip, action.ttl, translation);
                let (vif, hash) = (flow.ingress.vif(), outer.hash);
                Verdict::Split(Split { vif, output: action.output, hash, mtu })
            }
            halt => self.halted(flow, halt, packet, outer),
        }
    }

    /// Sends one piece of a packet that was too big.
    pub fn piece(&self, split: &Split, packet: &mut Packet<'_>, outer_id: u16) -> Verdict {
        let left = Ip::parse(Family::V4, packet.bytes()).map_err(Halt::from).and_then(|ip| {
            let exit = egress::open(self.snapshot, split.output, packet.len())?;
            Ok(exit.leave(packet, Inner::of(&ip), split.hash, outer_id)?)
        });
        left.map_or_else(|halt| self.dropped(split.vif, halt.reason(), packet), Verdict::Send)
    }

    /// Where a tunnel is on the way, both ends must learn what fits it.
    #[inline(always)]
    fn clamp_segment_size(&self, flow: &Flow, exit: &Exit<'_>, packet: &mut Packet<'_>) {
        let opens = matches!(flow.ip.l4, L4::Tcp(segment) if segment.flags & mss::SYN != 0);
        let tunnel = match (flow.ingress, exit) {
            (_, Exit::Tunnel { id, .. }) => Some(*id),
            (Ingress::Fabric { peer, .. }, Exit::Vif { .. }) => Some(peer),
            (Ingress::Vif(_), Exit::Vif { .. }) => None,
        };
        if opens
            && self.snapshot.fabric.mss_clamp == MssClamp::On
            && let Some(tunnel) = tunnel.and_then(|id| self.snapshot.tunnel(id))
        {
            mss::clamp(packet.bytes_mut(), &flow.ip, tunnel.inner_mtu);
        }
    }
}
