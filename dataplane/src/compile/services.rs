//! The services, address by address. What has not changed is taken over as it was.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use ahash::RandomState;

use super::CompileError;
use super::ends::{Ends, Stale};
use super::ids::Ids;
use crate::desired::{Backend, BackendState, Desired, Service, ServicePort};
use crate::ecmp::{Group, Member};
use crate::ids::VrfId;
use crate::service::{Backends, MappedPort, in_order};

/// A service address of a VRF.
pub(super) type Key = (VrfId, IpAddr);

/// What stands at an address, and what it was made of.
#[derive(Clone, Debug)]
pub(super) struct CompiledService {
    sources: Arc<[Arc<Service>]>,
    pub(super) ports: Arc<[MappedPort]>,
}

impl CompiledService {
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.ports, &other.ports) || self.ports == other.ports
    }

    /// Whether it was made of these.
    fn is_of(&self, services: &[(Key, &Arc<Service>)]) -> bool {
        self.sources.len() == services.len()
            && self.sources.iter().zip(services).all(|(own, (_, other))| own == *other)
    }

    /// Whether it was made of these very pieces of memory.
    fn shares(&self, services: &[(Key, &Arc<Service>)]) -> bool {
        self.sources.iter().zip(services).all(|(own, (_, other))| Arc::ptr_eq(own, other))
    }

    fn names(&self, stale: &Stale<'_>) -> bool {
        self.sources.iter().flat_map(|service| &service.backends).any(|backend| stale.contains(&backend.to))
    }
}

/// The service addresses of a VRF.
pub(super) type VrfServices = HashMap<IpAddr, CompiledService, RandomState>;

/// Compiles the services; of `old` is used what neither its sources nor `stale` names touch.
pub(super) fn compile(
    desired: &Desired,
    ids: &Ids,
    ends: &Ends,
    (old, stale): (&BTreeMap<VrfId, VrfServices>, &Stale<'_>),
) -> Result<BTreeMap<VrfId, VrfServices>, CompileError> {
    let mut services: Vec<(Key, &Arc<Service>)> = Vec::with_capacity(desired.services.len());
    for service in &desired.services {
        let vrf = ids.vrf(format_args!("service {}", service.address), &service.vrf)?;
        services.push(((vrf, service.address), service));
    }
    services.sort_by_key(|(key, _)| *key);
    let mut compiled = BTreeMap::new();
    for of_vrf in services.chunk_by(|(one, _), (next, _)| one.0 == next.0) {
        let Some(((vrf, _), _)) = of_vrf.first() else { continue };
        let mut addresses = VrfServices::with_capacity_and_hasher(of_vrf.len(), RandomState::default());
        for of_address in of_vrf.chunk_by(|(one, _), (next, _)| one == next) {
            let Some(((_, address), _)) = of_address.first() else { continue };
            let known = old.get(vrf).and_then(|old| old.get(address));
            let known = known.filter(|old| old.is_of(of_address) && (stale.is_empty() || !old.names(stale)));
            addresses.insert(*address, take_over(known, of_address, ends)?);
        }
        compiled.insert(*vrf, addresses);
    }
    Ok(compiled)
}

/// What was made of equal services, or something new.
fn take_over(
    known: Option<&CompiledService>,
    services: &[(Key, &Arc<Service>)],
    ends: &Ends,
) -> Result<CompiledService, CompileError> {
    Ok(match known {
        Some(known) if known.shares(services) => known.clone(),
        Some(known) => CompiledService { sources: sources(services), ports: Arc::clone(&known.ports) },
        None => CompiledService { sources: sources(services), ports: ports(services, ends)? },
    })
}

fn sources(services: &[(Key, &Arc<Service>)]) -> Arc<[Arc<Service>]> {
    services.iter().map(|(_, service)| Arc::clone(service)).collect()
}

fn ports(services: &[(Key, &Arc<Service>)], ends: &Ends) -> Result<Arc<[MappedPort]>, CompileError> {
    let mut mapped = Vec::new();
    for (_, service) in services {
        let backends = Arc::new(backends(service, ends)?);
        let map = |port: &ServicePort| MappedPort { port: *port, backends: Arc::clone(&backends) };
        mapped.extend(service.ports.iter().map(map));
    }
    Ok(in_order(mapped))
}

fn backends(service: &Service, ends: &Ends) -> Result<Backends, CompileError> {
    let user = format_args!("service {}", service.address);
    let member = |backend: &Backend| ends.member(user, &backend.to, backend.weight);
    // Those that are down are resolved as well, so that a wrong name is told in any case.
    let members: Vec<Member> = service.backends.iter().map(member).collect::<Result<_, _>>()?;
    let in_state = |state| {
        let chosen = service.backends.iter().zip(&members);
        let chosen = chosen.filter(|(backend, _)| backend.state == state && ends.is_up(&backend.to));
        Group::new(chosen.map(|(_, member)| *member))
    };
    Ok(Backends {
        ready: in_state(BackendState::Ready),
        terminating: in_state(BackendState::Terminating),
        affinity: service.affinity,
        on_gone: service.on_backend_gone,
    })
}
