//! What one VRF is made of, resolved to ids and comparable with what it was made of before.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::CompileError;
use super::ids::Ids;
use crate::desired::{Desired, Hop, HopTarget, Link, RouteTarget, Service};
use crate::ecmp::{Group, Member, Target, mix};
use crate::fib::{NextHop, Vrf};
use crate::ids::{VifSlot, VrfId, VrfName};
use crate::policy::Policy;
use crate::service::{MappedPort, ServiceAddress};
use crate::snapshot::Vif;

/// Everything that flows of a VRF are derived from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct VrfInput {
    name: VrfName,
    routes: BTreeMap<IpNet, NextHop>,
    services: BTreeMap<IpAddr, ServiceAddress>,
    /// Of the vifs in it, and of those of other VRFs that it leads to.
    policies: BTreeMap<VifSlot, Box<[Arc<Policy>]>>,
}

impl VrfInput {
    pub(super) fn looks_up_in(&self, other: VrfId) -> bool {
        self.routes.values().any(|next_hop| *next_hop == NextHop::Vrf(other))
    }

    /// Every vif that a route or a service leads to, some more than once.
    fn vifs(&self) -> impl Iterator<Item = VifSlot> + '_ {
        let routed = self.routes.values().filter_map(|next_hop| match next_hop {
            NextHop::Group(group) => Some(group),
            NextHop::Service | NextHop::Vrf(_) | NextHop::Discard => None,
        });
        let ports = self.services.values().flat_map(ServiceAddress::ports);
        let groups = routed.chain(ports.map(|(_, mapped)| mapped.backends.as_ref()));
        groups.flat_map(Group::members).filter_map(|member| match member.target {
            Target::Vif(slot) => Some(slot),
            Target::Tunnel { .. } => None,
        })
    }

    pub(super) fn build(&self, id: VrfId, epoch: u32) -> Vrf {
        let routes = self.routes.iter().map(|(prefix, next_hop)| (*prefix, next_hop.clone()));
        let services = self.services.iter().map(|(address, service)| (*address, service.clone()));
        Vrf::new(id, self.name.clone(), epoch, routes, services)
    }
}

/// The input of every VRF. Configured routes first, then the vifs' host routes over them.
pub(super) fn inputs(
    desired: &Desired,
    vifs: &[Vif],
    ids: &Ids,
) -> Result<BTreeMap<VrfId, VrfInput>, CompileError> {
    let resolver = Resolver { ids, links: vifs.iter().map(|vif| (vif.slot, &vif.link)).collect() };
    let mut inputs = BTreeMap::new();
    for vrf in &desired.vrfs {
        let empty = VrfInput {
            name: vrf.name.clone(),
            routes: BTreeMap::new(),
            services: BTreeMap::new(),
            policies: BTreeMap::new(),
        };
        inputs.insert(ids.vrf("a VRF", &vrf.name)?, empty);
    }
    for route in &desired.routes {
        let user = format!("route {}", route.prefix);
        let next_hop = match &route.target {
            RouteTarget::Hops(hops) => NextHop::Group(resolver.route_group(&user, hops)?),
            RouteTarget::Vrf(name) => NextHop::Vrf(ids.vrf(&user, name)?),
            RouteTarget::Discard => NextHop::Discard,
        };
        if let Some(input) = inputs.get_mut(&ids.vrf(&user, &route.vrf)?) {
            input.routes.insert(route.prefix, next_hop);
        }
    }
    for (vif, wanted) in vifs.iter().zip(&desired.vifs) {
        let own = NextHop::Group(Group::new([resolver.vif_member(vif.slot, 1, vif.id.0)]));
        if let Some(input) = inputs.get_mut(&vif.vrf) {
            let hosts = wanted.addresses.iter().map(|address| (IpNet::from(*address), own.clone()));
            input.routes.extend(hosts);
        }
    }
    for service in &desired.services {
        let user = format!("service {}", service.address);
        if let Some(input) = inputs.get_mut(&ids.vrf(&user, &service.vrf)?) {
            let address = input.services.entry(service.address).or_default();
            resolver.map_ports(&user, service, address)?;
        }
    }
    add_policies(vifs, &mut inputs);
    Ok(inputs)
}

/// Flows of a VRF rest on the policies of its vifs, and on those of vifs elsewhere that it leads to.
fn add_policies(vifs: &[Vif], inputs: &mut BTreeMap<VrfId, VrfInput>) {
    let mut policed: Vec<Option<&Vif>> = vec![None; VifSlot::TABLE];
    for vif in vifs.iter().filter(|vif| !vif.policies.is_empty()) {
        policed[vif.slot.index()] = Some(vif);
        if let Some(input) = inputs.get_mut(&vif.vrf) {
            input.policies.insert(vif.slot, vif.policies.clone());
        }
    }
    for (id, input) in inputs {
        let elsewhere = |slot: VifSlot| policed[slot.index()].filter(|vif| vif.vrf != *id);
        let reached: Vec<&Vif> = input.vifs().filter_map(elsewhere).collect();
        input.policies.extend(reached.into_iter().map(|vif| (vif.slot, vif.policies.clone())));
    }
}

struct Resolver<'a> {
    ids: &'a Ids,
    links: BTreeMap<VifSlot, &'a Link>,
}

impl Resolver<'_> {
    fn map_ports(
        &self,
        user: &str,
        service: &Service,
        address: &mut ServiceAddress,
    ) -> Result<(), CompileError> {
        let members = self.members(user, &service.backends)?;
        let backends = Arc::new(Group::new(members.into_iter().filter(|member| self.is_up(member.target))));
        for port in &service.ports {
            let mapped = MappedPort {
                transport: port.protocol,
                target_port: port.target_port,
                backends: Arc::clone(&backends),
            };
            address.map(port.port, mapped);
        }
        Ok(())
    }

    /// Members that are up, or all when none is: then the drop says which vif is down.
    fn route_group(&self, user: &str, hops: &[Hop]) -> Result<Group, CompileError> {
        let members = self.members(user, hops)?;
        let up: Vec<_> = members.iter().copied().filter(|member| self.is_up(member.target)).collect();
        Ok(Group::new(if up.is_empty() { members } else { up }))
    }

    fn members(&self, user: &str, hops: &[Hop]) -> Result<Vec<Member>, CompileError> {
        hops.iter().map(|hop| self.member(user, hop)).collect()
    }

    fn member(&self, user: &str, hop: &Hop) -> Result<Member, CompileError> {
        match &hop.to {
            HopTarget::Vif(name) => {
                let (id, slot) = self.ids.vif(user, name)?;
                Ok(self.vif_member(slot, hop.weight, id.0))
            }
            HopTarget::Tunnel { node, label } => {
                let tunnel = self.ids.tunnel(*node).ok_or(CompileError::TunnelFamily(*node))?;
                let address = match node {
                    IpAddr::V4(v4) => u128::from(v4.to_bits()),
                    IpAddr::V6(v6) => v6.to_bits(),
                };
                let folded = mix(address as u64) ^ mix((address >> 64) as u64).rotate_left(1);
                let identity = mix(folded ^ u64::from(label.get()) << 40);
                Ok(Member { target: Target::Tunnel { tunnel, label: *label }, weight: hop.weight, identity })
            }
        }
    }

    fn vif_member(&self, slot: VifSlot, weight: u16, id: u32) -> Member {
        Member { target: Target::Vif(slot), weight, identity: mix(u64::from(id) | 1 << 63) }
    }

    fn is_up(&self, target: Target) -> bool {
        match target {
            Target::Vif(slot) => matches!(self.links.get(&slot), Some(Link::Up)),
            Target::Tunnel { .. } => true,
        }
    }
}
