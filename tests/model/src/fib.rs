//! Routes, services and their members: linear scans over the desired state.

use std::collections::BTreeSet;
use std::net::IpAddr;

use dataplane::desired::{
    Backend, BackendState, Desired, Hop, HopTarget, Link, RouteTarget, Service, Vif, VifKind,
};
use dataplane::drop::DropReason;
use dataplane::ids::{VifName, VrfName};
use ipnet::IpNet;

use crate::packet::Tuple;

/// The end of a way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// A vif of this node.
    Vif(VifName),
    /// A label on another node.
    Tunnel(IpAddr, u32),
}

/// A member that may carry a flow, and what the destination becomes if it is a local backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The member.
    pub exit: Exit,
    /// New destination address and port.
    pub translate: Option<(IpAddr, u16)>,
    /// Whether it takes new flows, or only keeps what it has.
    pub takes_new: bool,
}

enum Found<'a> {
    Target(&'a RouteTarget),
    Own(&'a Vif),
    Service,
}

/// Whether members on other nodes may be taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All members.
    Any,
    /// Vifs of this node only.
    Local,
}

/// Every member that may carry a new flow with this tuple from this VRF.
///
/// # Errors
/// Why there is none.
pub fn resolve(
    desired: &Desired,
    vrf: &VrfName,
    tuple: &Tuple,
    scope: Scope,
) -> Result<Vec<Choice>, DropReason> {
    let mut vrf = vrf;
    for _ in 0..4 {
        match longest_match(desired, vrf, tuple.dst).ok_or(DropReason::NoRoute)? {
            Found::Own(vif) => {
                return Ok(vec![Choice {
                    exit: Exit::Vif(vif.name.clone()),
                    translate: None,
                    takes_new: true,
                }]);
            }
            Found::Service => return serve(desired, vrf, tuple, scope),
            Found::Target(RouteTarget::Discard) => return Err(DropReason::DiscardRoute),
            Found::Target(RouteTarget::Vrf(next)) => vrf = next,
            Found::Target(RouteTarget::Hops(hops)) => {
                let exits = members(desired, hops)
                    .into_iter()
                    .map(|hop| exit(&hop.to))
                    .filter(|exit| in_scope(exit, scope));
                let choices: Vec<_> =
                    exits.map(|exit| Choice { exit, translate: None, takes_new: true }).collect();
                return if choices.is_empty() { Err(DropReason::TunnelLoop) } else { Ok(choices) };
            }
        }
    }
    Err(DropReason::RouteLoop)
}

fn longest_match<'a>(desired: &'a Desired, vrf: &VrfName, dst: IpAddr) -> Option<Found<'a>> {
    let mut best: Option<(u8, u8, Found<'a>)> = None;
    let mut offer = |prefix: IpNet, rank: u8, found: Found<'a>| {
        let better = best.as_ref().is_none_or(|(len, old, _)| (prefix.prefix_len(), rank) >= (*len, *old));
        if prefix.contains(&dst) && better {
            best = Some((prefix.prefix_len(), rank, found));
        }
    };
    for route in desired.routes.iter().filter(|route| route.vrf == *vrf) {
        offer(route.prefix, 0, Found::Target(&route.target));
    }
    for vif in desired.vifs.iter().filter(|vif| vif.vrf == *vrf) {
        vif.addresses.iter().for_each(|address| offer(IpNet::from(*address), 1, Found::Own(vif)));
    }
    for service in desired.services.iter().filter(|service| service.vrf == *vrf) {
        offer(IpNet::from(service.address), 2, Found::Service);
    }
    best.map(|(_, _, found)| found)
}

/// Whether packets with this source may come from a vif: its own, and from the host all that a route leads to it.
pub fn may_send(desired: &Desired, sender: &Vif, src: IpAddr) -> bool {
    if sender.kind != VifKind::Host || sender.addresses.contains(&src) {
        return sender.addresses.contains(&src);
    }
    let Some(Found::Target(RouteTarget::Hops(hops))) = longest_match(desired, &sender.vrf, src) else {
        return false;
    };
    members(desired, hops).iter().any(|hop| exit(&hop.to) == Exit::Vif(sender.name.clone()))
}

/// Next hops that are up, or all when none is.
fn members<'a>(desired: &Desired, hops: &'a [Hop]) -> Vec<&'a Hop> {
    let up: Vec<&Hop> = hops.iter().filter(|hop| is_up(desired, &hop.to)).collect();
    if up.is_empty() { hops.iter().collect() } else { up }
}

/// Whether a VRF has a route to an address at all, wherever it leads.
pub fn has_route(desired: &Desired, vrf: &VrfName, dst: IpAddr) -> bool {
    longest_match(desired, vrf, dst).is_some()
}

fn serve(desired: &Desired, vrf: &VrfName, tuple: &Tuple, scope: Scope) -> Result<Vec<Choice>, DropReason> {
    let (target_port, service) = mapped(desired, vrf, tuple).ok_or(DropReason::ServicePortUnmapped)?;
    let up = service.backends.iter().filter(|backend| is_up(desired, &backend.to));
    let choice = |backend: &Backend| {
        let exit = exit(&backend.to);
        let translate = match &exit {
            Exit::Vif(name) => {
                let address = first_address(vif(desired, name)?, tuple.dst)?;
                Some((address, target_port))
            }
            Exit::Tunnel(..) => None,
        };
        let takes_new = backend.state == BackendState::Ready;
        in_scope(&exit, scope).then_some(Choice { exit, translate, takes_new })
    };
    let mut choices: Vec<_> = up.filter_map(choice).collect();
    if choices.iter().all(|choice| !choice.takes_new) {
        // As long as there is no other, those that are about to go take new flows too.
        choices.iter_mut().for_each(|choice| choice.takes_new = true);
    }
    if choices.is_empty() { Err(DropReason::ServiceNoBackend) } else { Ok(choices) }
}

/// The service that a lookup ends at, with its VRF, if it has the port.
pub fn service_behind<'a>(
    desired: &'a Desired,
    vrf: &'a VrfName,
    tuple: &Tuple,
) -> Option<(&'a VrfName, &'a Service)> {
    let mut vrf = vrf;
    for _ in 0..4 {
        match longest_match(desired, vrf, tuple.dst)? {
            Found::Service => return mapped(desired, vrf, tuple).map(|(_, service)| (vrf, service)),
            Found::Target(RouteTarget::Vrf(next)) => vrf = next,
            Found::Target(RouteTarget::Hops(_) | RouteTarget::Discard) | Found::Own(_) => return None,
        }
    }
    None
}

/// Target port and service of a service port; of several services at one address the last counts.
pub fn mapped<'a>(desired: &'a Desired, vrf: &VrfName, tuple: &Tuple) -> Option<(u16, &'a Service)> {
    let services = desired.services.iter().rev().map(|service| &**service);
    let mut here = services.filter(|service| service.vrf == *vrf && service.address == tuple.dst);
    here.find_map(|service| {
        let mut ports = service.ports.iter().rev();
        let port = ports
            .find(|port| port.protocol.number() == tuple.protocol && port.ports.contains(tuple.dport))?;
        Some((port.target_for(tuple.dport), service))
    })
}

/// Whether any port of the service at an address has this vif behind it, and it is up.
pub fn serves(desired: &Desired, vrf: &VrfName, address: IpAddr, vif: &VifName) -> bool {
    let services = desired.services.iter();
    services
        .filter(|service| service.vrf == *vrf && service.address == address && !service.ports.is_empty())
        .any(|service| leads_to(desired, &service.backends, vif))
}

/// Whether a vif is among the backends, and up.
pub fn leads_to(desired: &Desired, backends: &[Backend], vif: &VifName) -> bool {
    backends.iter().any(|one| exit(&one.to) == Exit::Vif(vif.clone()) && is_up(desired, &one.to))
}

/// The first address of a vif that is of the same family as another.
pub fn first_address(vif: &Vif, like: IpAddr) -> Option<IpAddr> {
    vif.addresses.iter().copied().find(|address| address.is_ipv4() == like.is_ipv4())
}

/// A vif by its name.
pub fn vif<'a>(desired: &'a Desired, name: &VifName) -> Option<&'a Vif> {
    desired.vifs.iter().find(|vif| vif.name == *name)
}

/// Every node that a route or a service leads to.
pub fn endpoints(desired: &Desired) -> BTreeSet<IpAddr> {
    let of_routes = desired.routes.iter().flat_map(|route| match &route.target {
        RouteTarget::Hops(hops) => hops.iter().map(|hop| &hop.to).collect(),
        RouteTarget::Vrf(_) | RouteTarget::Discard => Vec::new(),
    });
    let of_services = desired.services.iter().flat_map(|service| service.backends.iter().map(|one| &one.to));
    let node = |to: &HopTarget| match to {
        HopTarget::Tunnel { node, .. } => Some(*node),
        HopTarget::Vif(_) => None,
    };
    let of_broadcasts = desired.broadcasts.iter().flat_map(|one| one.nodes.iter().map(|to| to.node));
    of_routes.chain(of_services).filter_map(node).chain(of_broadcasts).collect()
}

/// The end of the way that a hop stands for.
pub fn exit(to: &HopTarget) -> Exit {
    match to {
        HopTarget::Vif(name) => Exit::Vif(name.clone()),
        HopTarget::Tunnel { node, label } => Exit::Tunnel(*node, label.get()),
    }
}

fn in_scope(exit: &Exit, scope: Scope) -> bool {
    scope == Scope::Any || matches!(exit, Exit::Vif(_))
}

/// Whether a member can carry a flow.
pub fn is_up(desired: &Desired, to: &HopTarget) -> bool {
    match to {
        HopTarget::Vif(name) => vif(desired, name).is_some_and(|vif| vif.link == Link::Up),
        HopTarget::Tunnel { .. } => true,
    }
}
