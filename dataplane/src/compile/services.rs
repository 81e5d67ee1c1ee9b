//! The services, address by address. What has not changed is taken over as it was.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

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

/// Compiles the services; of `old` is used what neither its sources nor `stale` names touch.
pub(super) fn compile(
    desired: &Desired,
    ids: &Ids,
    ends: &Ends,
    (old, stale): (&BTreeMap<Key, CompiledService>, &Stale<'_>),
) -> Result<BTreeMap<Key, CompiledService>, CompileError> {
    let mut services: Vec<(Key, &Arc<Service>)> = Vec::with_capacity(desired.services.len());
    for service in &desired.services {
        let vrf = ids.vrf(format_args!("service {}", service.address), &service.vrf)?;
        services.push(((vrf, service.address), service));
    }
    services.sort_by_key(|(key, _)| *key);
    let of_address = |services: &[(Key, &Arc<Service>)]| {
        let key = services.first().map(|(key, _)| *key)?;
        let known = old.get(&key).filter(|old| old.is_of(services));
        let compiled = match known.filter(|old| stale.is_empty() || !old.names(stale)) {
            Some(known) if known.shares(services) => Ok(known.clone()),
            Some(known) => {
                Ok(CompiledService { sources: sources(services), ports: Arc::clone(&known.ports) })
            }
            None => ports(services, ends).map(|ports| CompiledService { sources: sources(services), ports }),
        };
        Some(compiled.map(|compiled| (key, compiled)))
    };
    services.chunk_by(|one, next| one.0 == next.0).filter_map(of_address).collect()
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
