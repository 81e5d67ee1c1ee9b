//! The routes of every VRF, but for those to service addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use ipnet::IpNet;

use super::CompileError;
use super::ends::{Ends, vif_member};
use super::ids::Ids;
use super::nat::{self, VrfNat};
use crate::desired::{self, Desired, Hop, Nat, Route, RouteTarget};
use crate::ecmp::{Group, Member};
use crate::fib::{NextHop, Routes};
use crate::ids::{VrfId, VrfName};
use crate::nat::Edge;
use crate::snapshot::Vif;

/// The routes of one VRF.
#[derive(Clone, Debug)]
pub(super) struct VrfRoutes {
    pub(super) name: VrfName,
    pub(super) table: Arc<Routes>,
    /// VRFs in which it looks up.
    pub(super) into: BTreeSet<VrfId>,
}

impl VrfRoutes {
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && (Arc::ptr_eq(&self.table, &other.table) || self.table == other.table)
    }
}

/// What the routes were read from.
#[derive(Debug, Default)]
pub(super) struct RouteSources {
    vrfs: Vec<desired::Vrf>,
    vifs: Vec<desired::Vif>,
    routes: Vec<Route>,
    nat: Nat,
}

impl RouteSources {
    pub(super) fn of(desired: &Desired) -> Self {
        let (vrfs, vifs) = (desired.vrfs.clone(), desired.vifs.clone());
        Self { vrfs, vifs, routes: desired.routes.clone(), nat: desired.nat.clone() }
    }

    pub(super) fn are_those_of(&self, desired: &Desired) -> bool {
        self.vrfs == desired.vrfs
            && self.vifs == desired.vifs
            && self.routes == desired.routes
            && self.nat == desired.nat
    }
}

/// Compiles the routes: configured ones first, then over them the host routes of vifs, pools and
/// floating IPs.
pub(super) fn compile(
    desired: &Desired,
    vifs: &[Vif],
    ids: &Ids,
    ends: &Ends,
) -> Result<BTreeMap<VrfId, VrfRoutes>, CompileError> {
    let mut next_hops = BTreeMap::<VrfId, (VrfName, Vec<(IpNet, NextHop)>)>::new();
    for vrf in &desired.vrfs {
        next_hops.insert(ids.vrf("a VRF", &vrf.name)?, (vrf.name.clone(), Vec::new()));
    }
    for route in &desired.routes {
        let user = format_args!("route {}", route.prefix);
        let next_hop = match &route.target {
            RouteTarget::Hops(hops) => NextHop::Group(group(user, hops, ends)?),
            RouteTarget::Vrf(name) => NextHop::Vrf(ids.vrf(user, name)?),
            RouteTarget::Discard => NextHop::Discard,
        };
        if let Some((_, list)) = next_hops.get_mut(&ids.vrf(user, &route.vrf)?) {
            list.push((route.prefix, next_hop));
        }
    }
    for vif in vifs {
        let own = NextHop::Group(Group::new([vif_member(vif.id, vif.slot, 1)]));
        if let Some((_, list)) = next_hops.get_mut(&vif.vrf) {
            let hosts = vif.addresses.iter().map(|(family, addr)| crate::fib::ip_addr(*family, *addr));
            list.extend(hosts.map(|address| (IpNet::from(address), own.clone())));
        }
    }
    let mut nat = nat::compile(&desired.nat, vifs, ids)?;
    let mut table = |(id, (name, mut list)): (VrfId, (VrfName, Vec<_>))| {
        let VrfNat { routes, edge } = nat.remove(&id).unwrap_or_default();
        list.extend(routes);
        (id, table(name, list, edge))
    };
    Ok(next_hops.into_iter().map(&mut table).collect())
}

fn table(name: VrfName, list: Vec<(IpNet, NextHop)>, edge: Edge) -> VrfRoutes {
    let into = |(_, next_hop): &(IpNet, NextHop)| match next_hop {
        NextHop::Vrf(id) => Some(*id),
        NextHop::Group(_) | NextHop::Service | NextHop::Floating(..) | NextHop::Pool | NextHop::Discard => {
            None
        }
    };
    let into = list.iter().filter_map(into).collect();
    VrfRoutes { name, table: Arc::new(Routes::new(list).with_edge(edge)), into }
}

/// Members that are up, or all when none is: then the drop says which vif is down.
fn group(user: fmt::Arguments<'_>, hops: &[Hop], ends: &Ends) -> Result<Group, CompileError> {
    let member = |hop: &Hop| Ok((ends.member(user, &hop.to, hop.weight)?, ends.is_up(&hop.to)));
    let members: Vec<(Member, bool)> = hops.iter().map(member).collect::<Result<_, _>>()?;
    let any_up = members.iter().any(|(_, up)| *up);
    Ok(Group::new(members.into_iter().filter(|(_, up)| *up || !any_up).map(|(member, _)| member)))
}
