//! From a VRF and a five-tuple to the member that carries the flow. Runs once per flow.

use flow_table::{Addr, Tuple};

use crate::drop::DropReason;
use crate::ecmp::{FlowSpread, Group, Target};
use crate::fib::{NextHop, Vrf};
use crate::ids::{TunnelId, VrfId};
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
    /// Vifs of this node: the packet has crossed the fabric already.
    Local,
}

/// A question to the FIB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'a> {
    pub(crate) tuple: &'a Tuple,
    pub(crate) spread: FlowSpread,
    pub(crate) prefer: Prefer,
    pub(crate) scope: Scope,
}

/// Where the flow goes, and the destination it gets when a backend of this node serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) target: Target,
    pub(crate) translate_to: Option<(Addr, u16)>,
}

pub(crate) fn resolve(snapshot: &Snapshot, vrf: VrfId, query: &Query<'_>) -> Result<Decision, DropReason> {
    let mut vrf = snapshot.vrf(vrf).ok_or(DropReason::NoRoute)?;
    for _ in 0..MAX_VRF_HOPS {
        match vrf.lookup(query.tuple.family, query.tuple.dst).ok_or(DropReason::NoRoute)? {
            NextHop::Group(group) => {
                let target = pick(group, query).ok_or(no_member(group))?;
                return Ok(Decision { target, translate_to: None });
            }
            NextHop::Service => return serve(snapshot, vrf, query),
            NextHop::Vrf(next) => vrf = snapshot.vrf(*next).ok_or(DropReason::NoRoute)?,
            NextHop::Discard => return Err(DropReason::DiscardRoute),
        }
    }
    Err(DropReason::RouteLoop)
}

fn serve(snapshot: &Snapshot, vrf: &Vrf, query: &Query<'_>) -> Result<Decision, DropReason> {
    let tuple = query.tuple;
    let address = vrf.service(tuple.family, tuple.dst).ok_or(DropReason::NoRoute)?;
    let mapped = address.port(tuple.protocol, tuple.dport).ok_or(DropReason::ServicePortUnmapped)?;
    let target = pick(&mapped.backends, query).ok_or(DropReason::ServiceNoBackend)?;
    let translate_to = match target {
        Target::Vif(slot) => {
            let vif = snapshot.vif(slot).ok_or(DropReason::ServiceNoBackend)?;
            let address = vif.address(tuple.family).ok_or(DropReason::ServiceNoBackend)?;
            Some((address, mapped.target_port))
        }
        // The backend's node translates: the ClusterIP stays the destination on the wire.
        Target::Tunnel { .. } => None,
    };
    Ok(Decision { target, translate_to })
}

fn pick(group: &Group, query: &Query<'_>) -> Option<Target> {
    let eligible = |target: Target| match (query.scope, target) {
        (Scope::Any, _) | (Scope::Local, Target::Vif(_)) => true,
        (Scope::Local, Target::Tunnel { .. }) => false,
    };
    let preferred = |target: Target| match (query.prefer, target) {
        (Prefer::Current(current), _) => target == current,
        (Prefer::Peer(peer), Target::Tunnel { tunnel, .. }) => tunnel == peer,
        (Prefer::Hash, _) | (Prefer::Peer(_), Target::Vif(_)) => false,
    };
    let first_choice = match query.prefer {
        Prefer::Hash => None,
        Prefer::Current(_) | Prefer::Peer(_) => {
            group.pick(query.spread, |target| eligible(target) && preferred(target))
        }
    };
    first_choice.or_else(|| group.pick(query.spread, eligible))
}

/// A group without members has no route; one with members of other nodes only would loop.
fn no_member(group: &Group) -> DropReason {
    if group.members().is_empty() { DropReason::NoRoute } else { DropReason::TunnelLoop }
}
