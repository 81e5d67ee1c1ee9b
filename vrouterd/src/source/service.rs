//! Services, from the desired state: the snapshot has only the backends that are up.

use std::collections::HashMap;
use std::sync::Arc;

use dataplane::desired::{self, Affinity, HopTarget};
use dataplane::fib::family_and_addr;
use dataplane::ids::VifName;
use dataplane::snapshot;

use super::Reading;
use crate::view::{BackendView, HopView, Protocol, ServicePortView, ServiceView, VifService};

impl Reading<'_> {
    pub(super) fn services(&self) -> Vec<ServiceView> {
        let vifs: HashMap<_, _> = self.snapshot.vifs().map(|vif| (&vif.name, vif)).collect();
        let view = |service: &Arc<desired::Service>| ServiceView {
            vrf: service.vrf.clone(),
            address: service.address,
            ports: ports(service),
            backends: service.backends.iter().map(|backend| self.backend(backend, &vifs)).collect(),
            affinity_seconds: match service.affinity {
                Affinity::None => None,
                Affinity::ClientAddress(timeout) => Some(timeout.0 / 1000),
            },
            on_backend_gone: service.on_backend_gone,
        };
        let mut services: Vec<_> = self.control.desired.services.iter().map(view).collect();
        services.sort_by(|one, other| (&one.vrf, one.address).cmp(&(&other.vrf, other.address)));
        services
    }

    fn backend(&self, backend: &desired::Backend, vifs: &HashMap<&VifName, &snapshot::Vif>) -> BackendView {
        let (to, state) = match &backend.to {
            HopTarget::Vif(name) => {
                (HopView::Vif { vif: name.clone() }, self.vif_state(vifs.get(name).copied()))
            }
            HopTarget::Tunnel { node, label } => {
                let (family, address) = family_and_addr(*node);
                let id = self.snapshot.tunnel_by_address(family, address);
                let tunnel = id.and_then(|id| self.snapshot.tunnel(id));
                (HopView::Tunnel { node: *node, label: label.get() }, self.tunnel_state(tunnel))
            }
        };
        BackendView { to, weight: backend.weight, readiness: backend.state, state }
    }

    /// What each vif is a backend of, by address.
    pub(super) fn services_by_vif(&self) -> HashMap<&VifName, Vec<VifService>> {
        let mut services = HashMap::<_, Vec<_>>::new();
        for service in &self.control.desired.services {
            for backend in &service.backends {
                if let HopTarget::Vif(name) = &backend.to {
                    let view = VifService { address: service.address, ports: ports(service) };
                    services.entry(name).or_default().push(view);
                }
            }
        }
        services.values_mut().for_each(|list| list.sort_by_key(|service| service.address));
        services
    }
}

fn ports(service: &desired::Service) -> Vec<ServicePortView> {
    let view = |port: &desired::ServicePort| ServicePortView {
        protocol: Protocol(port.protocol.number()),
        port: port.ports,
        target_port: port.targets(),
    };
    service.ports.iter().map(view).collect()
}
