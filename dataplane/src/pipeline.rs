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
use flow_table::{Family, FlowHash, FlowTable, Millis};

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
use crate::stage::egress::{self, Exit};
use crate::stage::fragment::{self, Fragments};
use crate::stage::{arp, fabric_in, link, mss, rewrite, trunk_in};
use crate::verdict::{Flow, Halt, Ingress, Prepared, Verdict};

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

impl Pipeline<'_> {
    /// First half: headers parsed and taken off.
    #[inline]
    pub fn prepare(&self, side: Side, packet: &mut Packet<'_>) -> Prepared {
        let mut prepared = match side {
            Side::Trunk => trunk_in::prepare(self.snapshot, packet),
            Side::Uplink => fabric_in::prepare(self.snapshot, packet),
        };
        self.fragment_stage().gate(&mut prepared);
        prepared
    }

    /// Looks again at a fragment that has waited, with the result that `prepare` would have.
    pub fn prepare_again(&self, waiting: Waiting) -> (Prepared, FlowHash) {
        let prepared = self.fragment_stage().again(waiting);
        (prepared, self.hash(&prepared))
    }

    /// What the flow of a packet is looked up by; 0 for a packet that has none.
    pub fn hash(&self, prepared: &Prepared) -> FlowHash {
        match prepared {
            Prepared::Flow(flow) | Prepared::Broadcast(flow) => self.flows.hash(&flow.key),
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
    pub fn finish(
        &self,
        prepared: &Prepared,
        hash: FlowHash,
        packet: &mut Packet<'_>,
        outer_id: u16,
    ) -> Verdict {
        let answered = match prepared {
            Prepared::Flow(flow) => return self.finish_flow(flow, hash, packet, outer_id),
            Prepared::Broadcast(flow) => self.replicate(flow, hash),
            Prepared::Arp { vif } => arp::answer(self, *vif, packet),
            Prepared::Link { vif, message, ip } => link::take(self, (*vif, *message), ip, packet),
            Prepared::Wait(waiting) => Err(self.fragment_stage().give_up(waiting)),
            Prepared::Drop { reason, .. } => Err(*reason),
        };
        answered.unwrap_or_else(|reason| self.dropped(prepared.vif(), reason, packet))
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
            let verdict = self.dropped(vif, reason, packet);
            match self.reject(flow, halt, hash, packet, outer_id) {
                Some(answer) => Verdict::Reject { vif, reason, answer },
                None => verdict,
            }
        })
    }

    pub(crate) fn dropped(&self, vif: Option<VifSlot>, reason: DropReason, packet: &Packet<'_>) -> Verdict {
        self.drops.record(self.now, vif, reason, packet.bytes());
        Verdict::Drop { vif, reason }
    }

    fn forward(
        &self,
        flow: &Flow,
        hash: FlowHash,
        packet: &mut Packet<'_>,
        outer_id: u16,
    ) -> Result<Verdict, Halt> {
        // Borrowed from where they were found, because copying them costs more than carrying them out.
        let found = self.flows.lookup(hash, &flow.key);
        let made;
        let (action, translation) = match &found {
            Some(hit) if self.is_served(flow, hit) => (&hit.action, &hit.rewrite),
            _ => {
                made = self.decide(flow, hash, found.as_ref())?;
                (&made.0, &made.1)
            }
        };
        let mut ip = flow.ip;
        rewrite::check_ttl(&ip, action.ttl)?;
        fragment::check_translation(flow, translation)?;
        let exit = match egress::open(self.snapshot, action.output, packet.len()) {
            Err(Halt::TooBig { mtu }) if split::is_allowed(&ip, mtu) => {
                rewrite::apply(packet.bytes_mut(), &mut ip, action.ttl, translation);
                let vif = flow.ingress.vif();
                return Ok(Verdict::Split(Split { vif, output: action.output, hash, mtu }));
            }
            opened => opened?,
        };
        self.clamp_segment_size(flow, &exit, packet);
        rewrite::apply(packet.bytes_mut(), &mut ip, action.ttl, translation);
        Ok(Verdict::Send(exit.leave(packet, &ip, hash, outer_id)?))
    }

    /// Sends one piece of a packet that was too big.
    pub fn piece(&self, split: &Split, packet: &mut Packet<'_>, outer_id: u16) -> Verdict {
        let left = Ip::parse(Family::V4, packet.bytes()).map_err(Halt::from).and_then(|ip| {
            let exit = egress::open(self.snapshot, split.output, packet.len())?;
            Ok(exit.leave(packet, &ip, split.hash, outer_id)?)
        });
        left.map_or_else(|halt| self.dropped(split.vif, halt.reason(), packet), Verdict::Send)
    }

    /// Where a tunnel is on the way, both ends must learn what fits it.
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
