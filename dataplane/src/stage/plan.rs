//! The slow path: what a flow's first packet decides for all that follow.

use flow_table::{
    Action, Addr, Context, Dependency, Family, FlowKey, Half, NewPair, Output, Source, Ttl, Tuple,
};

use super::backend::{self, Clients};
use super::nat::Plan;
use super::resolve::{Decision, Prefer, Query, Rests, Scope, resolve};
use crate::desired::VifKind;
use crate::drop::DropReason;
use crate::ecmp::{FlowSpread, Target};
use crate::fib;
use crate::ids::{CellId, TunnelId, VifSlot, VrfId};
use crate::packet::l4::protocol;
use crate::snapshot::{LabelTarget, Snapshot, Vif};
use crate::verdict::{Ingress, unanswered, vrf_context};

/// What a flow that is derived again shall keep, as far as the new snapshot allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    pub(crate) target: Target,
    pub(crate) reverse: FlowKey,
    /// Where the answers go.
    pub(crate) back: Option<Target>,
}

/// A packet without a flow, or one whose flow is to be derived again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct First<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) ingress: Ingress,
    pub(crate) key: FlowKey,
    pub(crate) spread: FlowSpread,
    /// Hash of the sender's address.
    pub(crate) sender: u64,
    pub(crate) keep: Option<Keep>,
    pub(crate) clients: Clients<'a>,
}

impl First<'_> {
    /// The pair for this packet as routes and services have it, or the reason it goes no further.
    /// Policies have not been asked yet.
    pub(crate) fn plan(&self) -> Result<Plan, DropReason> {
        refuse_martians(&self.key.tuple)?;
        match self.ingress {
            Ingress::Vif(slot) => {
                let vif = self.snapshot.vif(slot).ok_or(DropReason::UnknownVif)?;
                self.plan_from_vif(vif)
            }
            Ingress::Fabric { target, peer } => self.plan_from_fabric(target, peer),
        }
    }

    /// A pair that remembers for a short while that this flow was refused, so that the operator
    /// sees it and its next packets cost no lookup. Only for refusals that a service or a policy
    /// makes: others are about a packet, not about a flow. Its answers are a key that no packet
    /// has: the other end may be allowed to begin a flow between the same ports.
    pub(crate) fn refusal(&self, reason: DropReason) -> Option<NewPair> {
        match reason {
            DropReason::ServiceNoBackend | DropReason::ServicePortUnmapped | DropReason::PolicyDenied => {}
            _ => return None,
        }
        let slot = self.ingress.vif()?;
        let action = self.drop_action(reason)?;
        let owner = match self.ingress {
            Ingress::Vif(_) => slot.flow_owner(),
            Ingress::Fabric { .. } => slot.fabric_flow_owner(),
        };
        let answer = FlowKey { context: unanswered(self.key.context), tuple: self.key.tuple.reversed() };
        Some(NewPair {
            forward: Half { key: self.key, action },
            reverse: Half { key: answer, action: Action { source: Source::Any, ..action } },
            owner,
        })
    }

    /// Drops the packets of this flow until something changes that it was derived from.
    pub(crate) fn drop_action(&self, reason: DropReason) -> Option<Action> {
        let (source, target) = match self.ingress {
            Ingress::Vif(slot) => (Source::Vif, LabelTarget::Vif(slot)),
            Ingress::Fabric { target, peer } => (Source::Tunnel(peer.0), target),
        };
        let vrf = match target {
            LabelTarget::Vif(slot) => self.snapshot.vif(slot)?.vrf,
            LabelTarget::Vrf(vrf) => vrf,
        };
        let depends = self.dependency(vrf, Rests::Whole).ok()?;
        Some(Action { output: Output::Drop { reason: reason as u8 }, ttl: Ttl::Keep, source, depends })
    }

    fn plan_from_vif(&self, vif: &Vif) -> Result<Plan, DropReason> {
        let tuple = self.key.tuple;
        if !self.snapshot.may_send(vif, tuple.family, tuple.src) {
            return Err(DropReason::SpoofedSource);
        }
        let prefer = self.keep.map_or(Prefer::Hash, |keep| Prefer::Current(keep.target));
        let scope = match vif.kind {
            VifKind::Pod => Scope::Any,
            VifKind::Host => Scope::NotBack(vif.slot),
        };
        let query = Query {
            tuple: &tuple,
            sender: Some(vif.slot),
            spread: self.spread,
            prefer,
            scope,
            clients: self.clients,
        };
        let decision = resolve(self.snapshot, vif.vrf, &query)?;
        self.refuse_own_voice(&decision)?;
        let depends = self.dependency(vif.vrf, decision.rests)?;
        let (context, answers_from) = match (decision.target, decision.source) {
            (Target::Vif(slot), _) => (self.context_of(slot)?, Source::Vif),
            (Target::Tunnel { tunnel, .. }, None) => (self.key.context, Source::Tunnel(tunnel.0)),
            // The other nodes know the translated source, and for it the label of its VRF.
            (Target::Tunnel { tunnel, .. }, Some((vrf, _))) => (vrf_context(vrf), Source::Tunnel(tunnel.0)),
        };
        let reverse_ttl = match answers_from {
            // The node that routes the answer in has decremented already.
            Source::Tunnel(_) => Ttl::Keep,
            Source::Vif | Source::Any => Ttl::Decrement,
        };
        let (seen, port) = self.translate(&decision)?;
        let pair = NewPair {
            forward: Half {
                key: self.key,
                action: Action {
                    output: output(decision.target),
                    ttl: Ttl::Decrement,
                    source: Source::Vif,
                    depends,
                },
            },
            reverse: Half {
                key: FlowKey { context, tuple: seen.reversed() },
                action: Action {
                    output: Output::Vif { slot: vif.slot.get() },
                    ttl: reverse_ttl,
                    source: answers_from,
                    depends,
                },
            },
            owner: vif.slot.flow_owner(),
        };
        Ok(Plan { pair, port })
    }

    /// A pod must not send tunnel packets that reach another node from this node's address, by way
    /// of a host that forwards and masquerades: the other node would take any label from it.
    fn refuse_own_voice(&self, decision: &Decision) -> Result<(), DropReason> {
        let tuple = &self.key.tuple;
        if !self.speaks_of_tunnels() {
            return Ok(());
        }
        let fabric = &self.snapshot.fabric;
        let to_host = match decision.target {
            Target::Vif(slot) => self.snapshot.vif(slot).is_some_and(|vif| vif.kind == VifKind::Host),
            Target::Tunnel { .. } => false,
        };
        let to_node = (tuple.family, tuple.dst) == fib::family_and_addr(fabric.address)
            || self.snapshot.tunnel_by_address(tuple.family, tuple.dst).is_some();
        if to_host || to_node { Err(DropReason::TunnelRecursion) } else { Ok(()) }
    }

    /// Whether it could be a tunnel packet of ours.
    fn speaks_of_tunnels(&self) -> bool {
        let tuple = &self.key.tuple;
        tuple.protocol == protocol::UDP && self.snapshot.fabric.ports.accept(tuple.dport)
    }

    fn plan_from_fabric(&self, target: LabelTarget, peer: TunnelId) -> Result<Plan, DropReason> {
        let tuple = self.key.tuple;
        let vrf = match target {
            LabelTarget::Vif(slot) => self.snapshot.vif(slot).ok_or(DropReason::InvalidLabel)?.vrf,
            LabelTarget::Vrf(vrf) => vrf,
        };
        let (back, back_rests) = self.way_back(vrf, peer)?;
        let decision = match target {
            LabelTarget::Vif(slot) => {
                self.labelled(self.snapshot.vif(slot).ok_or(DropReason::InvalidLabel)?)?
            }
            LabelTarget::Vrf(vrf) => {
                let prefer = self.keep.map_or(Prefer::Hash, |keep| Prefer::Current(keep.target));
                let (spread, clients) = (self.spread, self.clients);
                let scope = Scope::Local;
                let query = Query { tuple: &tuple, sender: None, spread, prefer, scope, clients };
                resolve(self.snapshot, vrf, &query)?
            }
        };
        let slot = match decision.target {
            Target::Vif(slot) => slot,
            Target::Tunnel { .. } => return Err(DropReason::TunnelLoop),
        };
        let depends = self.dependency(vrf, decision.rests.and(back_rests))?;
        let (seen, port) = self.translate(&decision)?;
        let pair = NewPair {
            forward: Half {
                key: self.key,
                action: Action {
                    output: output(decision.target),
                    ttl: Ttl::Keep,
                    source: Source::Tunnel(peer.0),
                    depends,
                },
            },
            reverse: Half {
                key: FlowKey { context: self.context_of(slot)?, tuple: seen.reversed() },
                action: Action { output: output(back), ttl: Ttl::Decrement, source: Source::Vif, depends },
            },
            owner: slot.fabric_flow_owner(),
        };
        Ok(Plan { pair, port })
    }

    /// An interface label has named the pod; the destination must be it, or a service it serves.
    fn labelled(&self, vif: &Vif) -> Result<Decision, DropReason> {
        let tuple = &self.key.tuple;
        let target = Target::Vif(vif.slot);
        if vif.has_address(tuple.family, tuple.dst) {
            return Ok(Decision { target, translate_to: None, source: None, rests: Rests::Routes });
        }
        if !vif.is_up() {
            return Err(DropReason::VifDown);
        }
        let vrf = self.snapshot.vrf(vif.vrf).ok_or(DropReason::NoRoute)?;
        let service = vrf.service(tuple.family, tuple.dst).ok_or(DropReason::LabelDestinationMismatch)?;
        let mapped = service.port(tuple.protocol, tuple.dport);
        if self.keep.is_some()
            && let Some(mapped) = mapped
            && !mapped.backends.leads_to(target)
        {
            backend::refuse_lost(&mapped.backends, tuple.protocol)?;
        }
        if !service.has_backend(vif.slot) {
            return Err(DropReason::LabelDestinationMismatch);
        }
        let mapped = mapped
            .filter(|mapped| mapped.backends.leads_to(target))
            .ok_or(DropReason::ServicePortUnmapped)?;
        let address = vif.address(tuple.family).ok_or(DropReason::ServicePortUnmapped)?;
        let translate_to = Some((address, mapped.port.target_for(tuple.dport)));
        Ok(Decision { target, translate_to, source: None, rests: Rests::Service(service.cell) })
    }

    /// The answer must go to the node this packet came from; this is the reverse path check too
    /// (RFC 7510 section 3: the outer source is the tunnel's other end).
    pub(crate) fn way_back(&self, vrf: VrfId, peer: TunnelId) -> Result<(Target, Rests), DropReason> {
        let answer = self.key.tuple.reversed();
        let back = |prefer| {
            let (spread, scope, clients) = (self.spread, Scope::Any, Clients::Ignore);
            let query = Query { tuple: &answer, sender: None, spread, prefer, scope, clients };
            let Decision { target, rests, .. } = resolve(self.snapshot, vrf, &query).ok()?;
            matches!(target, Target::Tunnel { tunnel, .. } if tunnel == peer).then_some((target, rests))
        };
        // The answers stay with their label while it is there, as the flow stays with its member.
        let kept = self.keep.and_then(|keep| keep.back);
        let stays = kept.and_then(|kept| back(Prefer::Current(kept)).filter(|(target, _)| *target == kept));
        stays.or_else(|| back(Prefer::Peer(peer))).ok_or(DropReason::TunnelSourceMismatch)
    }

    fn dependency(&self, vrf: VrfId, rests: Rests) -> Result<Dependency, DropReason> {
        let vrf = self.snapshot.vrf(vrf).ok_or(DropReason::NoRoute)?;
        if self.speaks_of_tunnels() {
            // Whether it may go on rests on the other nodes and the host, too.
            return Ok(self.snapshot.dependency(CellId::NODE));
        }
        Ok(self.snapshot.dependency(match rests {
            Rests::Routes => vrf.cells.routes,
            Rests::Service(cell) => cell,
            Rests::Whole => vrf.cells.whole,
        }))
    }

    fn context_of(&self, slot: VifSlot) -> Result<Context, DropReason> {
        self.snapshot.vif(slot).map(|vif| Context(vif.id.0)).ok_or(DropReason::VifDown)
    }
}

pub(crate) fn output(target: Target) -> Output {
    match target {
        Target::Vif(slot) => Output::Vif { slot: slot.get() },
        Target::Tunnel { tunnel, label } => Output::Tunnel { tunnel: tunnel.0, label: label.get() },
    }
}

/// Addresses that no packet to one host may have.
pub(crate) fn refuse_martians(tuple: &Tuple) -> Result<(), DropReason> {
    refuse_strange(tuple)?;
    if is_multicast(tuple.family, tuple.dst) { Err(DropReason::MulticastUnsupported) } else { Ok(()) }
}

/// Addresses that no packet on a wire may have (RFC 1122 section 3.2.1.3, RFC 4291 section 2.5).
pub(crate) fn refuse_strange(tuple: &Tuple) -> Result<(), DropReason> {
    let (src, dst) = (tuple.src, tuple.dst);
    if src == dst || is_never_source(tuple.family, src) || is_never_destination(tuple.family, dst) {
        return Err(DropReason::MartianAddress);
    }
    Ok(())
}

fn is_never_source(family: Family, address: Addr) -> bool {
    is_never_destination(family, address) || is_multicast(family, address)
}

fn is_never_destination(family: Family, address: Addr) -> bool {
    match family {
        Family::V4 => {
            let first = (address.0 >> 24) as u8;
            first == 0 || first == 127 || (first >= 240 && address.0 as u32 != u32::MAX)
        }
        Family::V6 => address.0 <= 1,
    }
}

pub(crate) fn is_multicast(family: Family, address: Addr) -> bool {
    match family {
        Family::V4 => matches!((address.0 >> 24) as u8, 224..=239) || address.0 as u32 == u32::MAX,
        Family::V6 => address.0 >> 120 == 0xff,
    }
}
