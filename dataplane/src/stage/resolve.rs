//! From a VRF and a five-tuple to the member that carries the flow. Runs once per flow.

use flow_table::{Addr, Tuple};
use ipnet::IpNet;

use super::backend::{self, Clients};
use crate::drop::DropReason;
use crate::ecmp::{FlowSpread, Group, Member, Target};
use crate::fib::{NextHop, Vrf};
use crate::ids::{CellId, TunnelId, VifSlot, VrfId};
use crate::nat::NewSource;
use crate::snapshot::Snapshot;

/// VRFs a lookup may pass through before the routes are called a loop.
const MAX_VRF_HOPS: usize = 4;

/// Which member to take where several are possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prefer {
    /// By hash.
    Hash,
    /// This one while it is a member (a flow keeps its choice), else by hash.
    Current(Target),
    /// One behind this node, else by hash.
    Peer(TunnelId),
}

/// Which members may be taken at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All.
    Any,
    /// All, but no route leads back to this vif: the host would forward the packet to us again.
    NotBack(VifSlot),
    /// Vifs of this node: the packet has crossed the fabric already.
    Local,
}

/// A question to the FIB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'a> {
    pub(crate) tuple: &'a Tuple,
    /// The vif of this node that has sent it.
    pub(crate) sender: Option<VifSlot>,
    pub(crate) spread: FlowSpread,
    pub(crate) prefer: Prefer,
    pub(crate) scope: Scope,
    pub(crate) clients: Clients<'a>,
}

impl Query<'_> {
    pub(super) fn may_take(&self, member: &Member) -> bool {
        match (self.scope, member.target) {
            (Scope::Any | Scope::NotBack(_), _) | (Scope::Local, Target::Vif(_)) => true,
            (Scope::Local, Target::Tunnel { .. }) => false,
        }
    }

    fn leads_back(&self, member: &Member) -> bool {
        matches!(self.scope, Scope::NotBack(own) if member.target == Target::Vif(own))
    }

    pub(super) fn prefers(&self, target: Target) -> bool {
        match (self.prefer, target) {
            (Prefer::Current(current), _) => target == current,
            (Prefer::Peer(peer), Target::Tunnel { tunnel, .. }) => tunnel == peer,
            (Prefer::Hash, _) | (Prefer::Peer(_), Target::Vif(_)) => false,
        }
    }
}

/// What an answer rests on, for a question to one VRF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rests {
    /// Its routes.
    Routes,
    /// Its routes and one service.
    Service(CellId),
    /// More than that.
    Whole,
}

impl Rests {
    /// What two answers rest on together.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Rests::Routes, rests) | (rests, Rests::Routes) => rests,
            (Rests::Service(one), Rests::Service(two)) if one == two => self,
            (Rests::Service(_) | Rests::Whole, _) => Rests::Whole,
        }
    }
}

/// Where the flow goes, and the destination it gets when it is for a pod of this node that is
/// known to others by another address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) target: Target,
    pub(crate) translate_to: Option<(Addr, u16)>,
    /// The VRF on the way that gives it another source.
    pub(crate) source: Option<(VrfId, NewSource)>,
    pub(crate) rests: Rests,
}

pub(crate) fn resolve(snapshot: &Snapshot, vrf: VrfId, query: &Query<'_>) -> Result<Decision, DropReason> {
    resolve_along(snapshot, vrf, query, |_, _, _| {})
}

/// The same, telling of every match on the way.
pub(crate) fn resolve_along<'s>(
    snapshot: &'s Snapshot,
    vrf: VrfId,
    query: &Query<'_>,
    mut visit: impl FnMut(&'s Vrf, IpNet, &'s NextHop),
) -> Result<Decision, DropReason> {
    let mut vrf = snapshot.vrf(vrf).ok_or(DropReason::NoRoute)?;
    let tuple = query.tuple;
    let mut source = None;
    for hop in 0..MAX_VRF_HOPS {
        // A VRF moves with those that it looks up in.
        let rests = Rests::Routes;
        let (prefix, next_hop) = vrf.matched(tuple.family, tuple.dst).ok_or(DropReason::NoRoute)?;
        visit(vrf, prefix, next_hop);
        match next_hop {
            NextHop::Group(group) => {
                let target = pick(group, query).ok_or(no_member(group, query.scope))?;
                return Ok(Decision { target, translate_to: None, source, rests });
            }
            NextHop::Service => {
                let decision = serve(snapshot, vrf, query)?;
                let rests = if hop == 0 { decision.rests } else { Rests::Whole };
                return Ok(Decision { source, rests, ..decision });
            }
            NextHop::Floating(pod, inside) => {
                let translate_to = Some((*inside, tuple.dport));
                return Ok(Decision { target: pod.target, translate_to, source, rests });
            }
            NextHop::Pool => return Err(DropReason::NatNoMapping),
            NextHop::Vrf(next) => {
                vrf = snapshot.vrf(*next).ok_or(DropReason::NoRoute)?;
                let new = || vrf.edge().source(query.sender, tuple.family, tuple.src);
                source = source.or_else(|| new().map(|new| (vrf.id, new)));
            }
            NextHop::Discard => return Err(DropReason::DiscardRoute),
        }
    }
    Err(DropReason::RouteLoop)
}

fn serve(snapshot: &Snapshot, vrf: &Vrf, query: &Query<'_>) -> Result<Decision, DropReason> {
    let tuple = query.tuple;
    let address = vrf.service(tuple.family, tuple.dst).ok_or(DropReason::NoRoute)?;
    let mapped = address.port(tuple.protocol, tuple.dport).ok_or(DropReason::ServicePortUnmapped)?;
    let target = backend::choose(&mapped.backends, query, vrf.id)?;
    let translate_to = match target {
        Target::Vif(slot) => {
            let vif = snapshot.vif(slot).ok_or(DropReason::ServiceNoBackend)?;
            let address = vif.address(tuple.family).ok_or(DropReason::ServiceNoBackend)?;
            Some((address, mapped.port.target_for(tuple.dport)))
        }
        // The backend's node translates: the ClusterIP stays the destination on the wire.
        Target::Tunnel { .. } => None,
    };
    Ok(Decision { target, translate_to, source: None, rests: Rests::Service(address.cell) })
}

fn pick(group: &Group, query: &Query<'_>) -> Option<Target> {
    let may_take = |member: &Member| query.may_take(member) && !query.leads_back(member);
    let first_choice = match query.prefer {
        Prefer::Hash => None,
        Prefer::Current(_) | Prefer::Peer(_) => {
            group.pick(query.spread, |member| may_take(member) && query.prefers(member.target))
        }
    };
    first_choice.or_else(|| group.pick(query.spread, may_take)).map(|member| member.target)
}

/// A group without members has no route; one with members that may not be taken would loop.
fn no_member(group: &Group, scope: Scope) -> DropReason {
    match scope {
        _ if group.members().is_empty() => DropReason::NoRoute,
        Scope::Any | Scope::NotBack(_) => DropReason::RouteLoop,
        Scope::Local => DropReason::TunnelLoop,
    }
}
