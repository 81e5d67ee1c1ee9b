//! Broadcast and link-local multicast: whether a packet may go to all, and the copy for each.
//!
//! No flow is made: what is asked for a flow once is asked for each packet. The TTL stays as it is,
//! because no packet leaves its link (mDNS wants to see 255, RFC 6762 section 11).

use flow_table::{Addr, Family, FlowHash, FlowKey, Tuple};

use super::egress::{self, Inner};
use super::{neighbour, plan};
use crate::desired::VifKind;
use crate::drop::DropReason;
use crate::ecmp::Target;
use crate::fragment::{Split, split};
use crate::ids::{VifSlot, VrfId};
use crate::limiter::Limited;
use crate::packet::Packet;
use crate::packet::ip::{Fragment, Ip};
use crate::packet::l4::L4;
use crate::pipeline::Pipeline;
use crate::policy::{Opinion, Passage};
use crate::snapshot::{LabelTarget, Snapshot, Vif};
use crate::verdict::{Flow, Halt, Ingress, Replica, Verdict};

/// Whether a packet from this vif is for all pods of its VRF. The host does not take part: what
/// listens there is not meant for pods.
#[inline(always)]
pub(crate) fn is_for_all(snapshot: &Snapshot, vif: &Vif, (family, l4, dst): (Family, L4, Addr)) -> bool {
    match snapshot.broadcast(vif.vrf) {
        Some(broadcast) => vif.kind == VifKind::Pod && broadcast.carries(family, l4, dst),
        None => false,
    }
}

/// What stands for the flow of a packet for all. Its fragments take one path through the underlay, and only the first
/// has ports.
pub(crate) fn key(flow: &Flow) -> FlowKey {
    let mut key = flow.key();
    if flow.ip.fragment != Fragment::Whole {
        (key.tuple.sport, key.tuple.dport) = (0, 0);
    }
    key
}

impl<'a> Pipeline<'a> {
    /// Judges a packet for all, but for those that hear it.
    pub(crate) fn replicate(&self, flow: &Flow, hash: FlowHash) -> Result<Verdict, DropReason> {
        let family = flow.ip.tuple.family;
        plan::refuse_strange(&flow.ip.tuple)?;
        // RFC 1112 section 6.1: with TTL 0 a packet does not leave its host.
        if flow.ip.ttl == 0 {
            return Err(DropReason::TtlExceeded);
        }
        let vrf = match flow.ingress {
            Ingress::Vif(slot) => self.judge_sender(slot, &flow.ip)?,
            Ingress::Fabric { target, .. } => self.judge_source(flow, target)?,
        };
        Ok(Verdict::Replicate(Replica { ingress: flow.ingress, vrf, family, hash }))
    }

    fn judge_sender(&self, slot: VifSlot, ip: &Ip) -> Result<VrfId, DropReason> {
        let vif = self.snapshot.vif(slot).ok_or(DropReason::UnknownVif)?;
        let tuple = &ip.tuple;
        let own = match tuple.family {
            Family::V4 => vif.has_address(Family::V4, tuple.src),
            // RFC 6724 rule 2: hosts speak to link-local groups from link-local addresses.
            Family::V6 => neighbour::may_be(vif, tuple.src),
        };
        if !own {
            return Err(DropReason::SpoofedSource);
        }
        if !self.limiter.allow(Limited::Broadcasts, slot, self.now) {
            return Err(DropReason::BroadcastRatelimited);
        }
        match Passage::to_all(Some(vif), None, *tuple).egress() {
            Opinion::Denied => Err(DropReason::PolicyDenied),
            Opinion::Unrestricted | Opinion::Allowed(_) => Ok(vif.vrf),
        }
    }

    /// RFC 7510 section 3: the sender is behind the node that the packet came from. To a link-local
    /// address there is no route that could tell.
    fn judge_source(&self, flow: &Flow, target: LabelTarget) -> Result<VrfId, DropReason> {
        let (LabelTarget::Vrf(vrf), Ingress::Fabric { peer, .. }) = (target, flow.ingress) else {
            return Err(DropReason::InvalidLabel);
        };
        let Tuple { family, src, .. } = flow.ip.tuple;
        if family == Family::V4 || !neighbour::is_link_local(src) {
            self.first(flow.ingress, key(flow)).way_back(vrf, peer)?;
        }
        Ok(vrf)
    }

    /// Who gets a copy: not the sender, and from another node only the pods here, so that nothing
    /// goes round in circles.
    pub(crate) fn targets(&self, replica: Replica) -> impl Iterator<Item = Target> + use<'a> {
        let targets = self.snapshot.broadcast(replica.vrf).map_or(&[][..], |broadcast| broadcast.targets());
        let hears = move |target: &Target| match (target, replica.ingress) {
            (Target::Vif(slot), Ingress::Vif(sender)) => *slot != sender,
            (Target::Vif(_), Ingress::Fabric { .. }) | (Target::Tunnel { .. }, Ingress::Vif(_)) => true,
            (Target::Tunnel { .. }, Ingress::Fabric { .. }) => false,
        };
        targets.iter().copied().filter(hears)
    }

    /// Sends one copy of a packet for all, which begins with its IP header.
    pub fn copy(
        &self,
        (replica, target): (&Replica, Target),
        packet: &mut Packet<'_>,
        outer_id: u16,
    ) -> Verdict {
        let vif = replica.blames(target);
        let left = self.copy_to(replica, target, packet, outer_id);
        left.unwrap_or_else(|halt| self.dropped(vif, halt.reason(), packet))
    }

    fn copy_to(
        &self,
        replica: &Replica,
        target: Target,
        packet: &mut Packet<'_>,
        outer_id: u16,
    ) -> Result<Verdict, Halt> {
        let ip = Ip::parse(replica.family, packet.bytes())?;
        if let Target::Vif(slot) = target {
            let passage = Passage::to_all(None, self.snapshot.vif(slot), ip.tuple);
            if passage.ingress() == Opinion::Denied {
                return Err(DropReason::PolicyDenied.into());
            }
        }
        let output = plan::output(target);
        let exit = match (egress::open(self.snapshot, output, packet.len()), target) {
            (Err(Halt::TooBig { mtu }), Target::Tunnel { .. }) if split::is_allowed(&ip, mtu) => {
                let (vif, hash) = (replica.blames(target), replica.hash);
                return Ok(Verdict::Split(Split { vif, output, hash, mtu }));
            }
            (opened, _) => opened?,
        };
        let exit = exit.for_group(replica.family, ip.tuple.dst);
        Ok(Verdict::Send(exit.leave(packet, Inner::of(&ip), replica.hash, outer_id)?))
    }
}

impl Replica {
    /// The vif that a lost copy is laid to: its sender, or that which would have heard a packet
    /// from another node.
    pub(crate) fn blames(&self, target: Target) -> Option<VifSlot> {
        match (self.ingress, target) {
            (Ingress::Vif(slot), _) | (Ingress::Fabric { .. }, Target::Vif(slot)) => Some(slot),
            (Ingress::Fabric { .. }, Target::Tunnel { .. }) => None,
        }
    }
}
