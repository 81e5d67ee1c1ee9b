//! What the vrouter itself has to say about a flow's packet: echo replies, refusals, and ICMP
//! errors of others passed back along the flow.

use flow_table::{Context, FlowHash, FlowKey, Output};

use super::backend::Clients;
use super::egress::Inner;
use super::flow::{NO_REWRITE, came_from};
use super::icmp_error::Quote;
use super::resolve::{Prefer, Query, Scope, resolve};
use super::{echo, egress, plan, reject, rewrite};
use crate::drop::DropReason;
use crate::ecmp::Target;
use crate::limiter::Limited;
use crate::packet::Packet;
use crate::packet::ip::Fragment;
use crate::pipeline::Pipeline;
use crate::snapshot::LabelTarget;
use crate::verdict::{Flow, Halt, Ingress, Verdict, Way};

impl Pipeline<'_> {
    pub(crate) fn is_for_gateway(&self, flow: &Flow) -> bool {
        let Ingress::Vif(slot) = flow.ingress else { return false };
        if flow.ip.fragment != Fragment::Whole {
            return false;
        }
        let (family, tuple) = (flow.ip.tuple.family, &flow.ip.tuple);
        self.snapshot
            .vif(slot)
            .is_some_and(|vif| vif.is_gateway(family, tuple.dst) && vif.has_address(family, tuple.src))
    }

    pub(crate) fn echo(&self, flow: &Flow, packet: &mut Packet<'_>) -> Result<Verdict, Halt> {
        let Ingress::Vif(slot) = flow.ingress else { return Err(DropReason::NotForUs.into()) };
        // Before the reply is made of it: a message about a request that goes no further quotes the request.
        let exit = egress::open(self.snapshot, Output::Vif { slot: slot.get() }, packet.len())?;
        let ip = echo::reply(packet, &flow.ip);
        Ok(Verdict::Answer(exit.leave(packet, Inner::of(&ip), FlowHash(0), 0)?))
    }

    /// An ICMP error goes where the answers of the flow go that it speaks of.
    pub(crate) fn relay_error(
        &self,
        flow: &Flow,
        packet: &mut Packet<'_>,
        outer_id: u16,
    ) -> Result<Way, Halt> {
        let quote = Quote::parse(packet.bytes(), &flow.ip).ok_or(DropReason::IcmpErrorMalformed)?;
        if !quote.is_sound(packet.bytes(), &flow.ip) {
            return Err(DropReason::IcmpErrorMalformed.into());
        }
        // RFC 5508 section 4.2: an error goes to the sender of the packet it quotes, nowhere else.
        if flow.ip.tuple.dst != quote.tuple.src {
            return Err(DropReason::IcmpErrorUnmatched.into());
        }
        plan::refuse_martians(&flow.ip.tuple)?;
        let (hash, key) = self.answer_key(flow, &quote);
        let hit = self.current(hash, &key).ok_or(DropReason::IcmpErrorUnmatched)?;
        let source = hit.action.source;
        if !came_from(flow.ingress, source) && !self.comes_from_next_door(flow.ingress, key, &hit) {
            return Err(DropReason::TunnelSourceMismatch.into());
        }
        if let Ingress::Vif(slot) = flow.ingress {
            let (family, src) = (flow.ip.tuple.family, flow.ip.tuple.src);
            if !self.snapshot.vif(slot).is_some_and(|vif| self.snapshot.may_send(vif, family, src)) {
                return Err(DropReason::SpoofedSource.into());
            }
        }
        let mut ip = flow.ip;
        rewrite::check_ttl(&ip, hit.action.ttl)?;
        let exit = egress::open(self.snapshot, hit.action.output, packet.len())?;
        quote.translate(packet.bytes_mut(), &mut ip, &hit.rewrite);
        ip.ttl = rewrite::apply(packet.bytes_mut(), &ip, hit.action.ttl, &NO_REWRITE);
        Ok(exit.leave(packet, Inner::of(&ip), hash, outer_id)?)
    }

    /// The key of the answers to the packet that an error quotes. Another node may send it to the
    /// label of the VRF, while the flow expects its answers at the label of its pod.
    fn answer_key(&self, flow: &Flow, quote: &Quote) -> (FlowHash, FlowKey) {
        let keyed = |context| {
            let key = FlowKey { context, tuple: quote.tuple.reversed() };
            (self.flows.hash(&key), key)
        };
        let (hash, key) = keyed(flow.context);
        match self.flows.lookup(hash, &key) {
            Some(_) => (hash, key),
            None => self.context_behind(flow).map_or((hash, key), keyed),
        }
    }

    pub(crate) fn context_behind(&self, flow: &Flow) -> Option<Context> {
        let Ingress::Fabric { target: LabelTarget::Vrf(vrf), .. } = flow.ingress else { return None };
        let (tuple, spread) = (&flow.ip.tuple, self.first(flow.ingress, flow.key()).spread);
        let (prefer, scope, clients) = (Prefer::Hash, Scope::Local, Clients::Ignore);
        let query = Query { tuple, sender: None, spread, prefer, scope, clients };
        let Target::Vif(slot) = resolve(self.snapshot, vrf, &query).ok()?.target else { return None };
        let vif = self.snapshot.vif(slot).filter(|vif| vif.has_address(tuple.family, tuple.dst))?;
        Some(Context(vif.id.0))
    }

    /// Turns a packet that goes no further into a message to its sender, where there is one to
    /// send and the vif has not caused too many.
    pub(crate) fn reject(
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
            Ingress::Vif(slot) if self.snapshot.may_send(vif, family, src) => {
                Output::Vif { slot: slot.get() }
            }
            Ingress::Vif(_) => return None,
            Ingress::Fabric { peer, .. } => {
                let (back, _) = self.first(flow.ingress, flow.key()).way_back(vif.vrf, peer).ok()?;
                plan::output(back)
            }
        };
        if !reject::concerns(halt, &flow.ip) {
            return None;
        }
        if !self.limiter.allow(Limited::Errors, vif.slot, self.now) {
            self.counters.answers_suppressed.add(1);
            return None;
        }
        let ip = reject::build(halt, &flow.ip, vif.gateway(family), packet)?;
        let exit = egress::open(self.snapshot, towards, packet.len()).ok()?;
        exit.leave(packet, Inner::of(&ip), hash, outer_id).ok()
    }
}
