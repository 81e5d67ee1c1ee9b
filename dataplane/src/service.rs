//! A ClusterIP: what it answers on and which pods stand behind it.

use std::sync::Arc;

use crate::desired::{Affinity, OnBackendGone, ServicePort};
use crate::ecmp::{Group, Member, Target};
use crate::ids::{CellId, VifSlot};

/// Everything at one service address.
#[derive(Clone, Debug)]
pub struct ServiceAddress {
    /// Its epoch: moves whenever anything changes that a flow to this address was derived from.
    pub cell: CellId,
    ports: Arc<[MappedPort]>,
}

/// A port, or ports in a row, of a service address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedPort {
    /// The ports.
    pub port: ServicePort,
    /// Who stands behind them; ports of one service share it.
    pub backends: Arc<Backends>,
}

/// The backends of a service that are up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backends {
    /// Those that take new flows.
    pub ready: Group,
    /// Those that keep their flows, and take new ones only while none is ready.
    pub terminating: Group,
    /// Whether a client stays with its backend.
    pub affinity: Affinity,
    /// What becomes of TCP connections to a backend that is gone.
    pub on_gone: OnBackendGone,
}

impl Backends {
    /// All, ready or not.
    pub fn members(&self) -> impl Iterator<Item = &Member> + '_ {
        self.ready.members().iter().chain(self.terminating.members())
    }

    /// Whether one of them is `target`.
    pub fn leads_to(&self, target: Target) -> bool {
        self.members().any(|member| member.target == target)
    }
}

/// Puts ports in the order in which [`ServiceAddress::port`] searches them; of two that overlap
/// the later one gives way.
pub(crate) fn in_order(mut ports: Vec<MappedPort>) -> Arc<[MappedPort]> {
    ports.sort_by_key(|mapped| (mapped.port.protocol, mapped.port.ports.first()));
    ports.dedup_by(|next, kept| next.port.shares_a_port(&kept.port));
    ports.into()
}

impl ServiceAddress {
    /// An address with ports as [`in_order`] has put them.
    pub(crate) fn new(cell: CellId, ports: Arc<[MappedPort]>) -> Self {
        Self { cell, ports }
    }

    /// The mapping of a port, when there is one. `protocol` is the IP protocol number.
    pub fn port(&self, protocol: u8, port: u16) -> Option<&MappedPort> {
        let key = |mapped: &MappedPort| (mapped.port.protocol.number(), mapped.port.ports.first());
        let behind = self.ports.partition_point(|mapped| key(mapped) <= (protocol, port));
        let mapped = self.ports.get(behind.checked_sub(1)?)?;
        let found = mapped.port.protocol.number() == protocol && mapped.port.ports.contains(port);
        found.then_some(mapped)
    }

    /// Whether a vif is behind any of the ports.
    pub fn has_backend(&self, slot: VifSlot) -> bool {
        self.ports.iter().any(|mapped| mapped.backends.leads_to(Target::Vif(slot)))
    }

    /// All ports in order. For the operator.
    pub fn ports(&self) -> &[MappedPort] {
        &self.ports
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::{PortRange, TargetPort, Transport};

    fn mapped(protocol: Transport, first: u16, last: u16, target: TargetPort) -> MappedPort {
        let ports = PortRange::new(first, last).unwrap();
        let backends = Backends {
            ready: Group::default(),
            terminating: Group::default(),
            affinity: Affinity::None,
            on_gone: OnBackendGone::Rechoose,
        };
        MappedPort { port: ServicePort { protocol, ports, target }, backends: Arc::new(backends) }
    }

    fn address() -> ServiceAddress {
        let ports = vec![
            mapped(Transport::Udp, 30000, 30500, TargetPort::From(40000)),
            mapped(Transport::Tcp, 80, 80, TargetPort::One(8080)),
            mapped(Transport::Tcp, 90, 99, TargetPort::One(9090)),
            mapped(Transport::Tcp, 100, 100, TargetPort::One(100)),
            mapped(Transport::Tcp, 65535, 65535, TargetPort::One(1)),
        ];
        ServiceAddress::new(CellId(0), in_order(ports))
    }

    #[test]
    fn a_port_is_found_with_its_target() {
        let target = |protocol: u8, port| {
            let address = address();
            address.port(protocol, port).map(|mapped| mapped.port.target_for(port))
        };
        let cases = [
            (6, 79, None),
            (6, 80, Some(8080)),
            (6, 81, None),
            (6, 90, Some(9090)),
            (6, 99, Some(9090)),
            (6, 100, Some(100)),
            (6, 65535, Some(1)),
            (6, 0, None),
            (6, 30000, None),
            (17, 80, None),
            (17, 29999, None),
            (17, 30000, Some(40000)),
            (17, 30500, Some(40500)),
            (17, 30501, None),
            (132, 80, None),
        ];
        for (protocol, port, expected) in cases {
            assert_eq!(target(protocol, port), expected, "{protocol}/{port}");
        }
    }

    #[test]
    fn overlapping_ports_leave_the_first() {
        let ports = vec![
            mapped(Transport::Tcp, 80, 80, TargetPort::One(1)),
            mapped(Transport::Tcp, 80, 90, TargetPort::One(2)),
            mapped(Transport::Udp, 80, 90, TargetPort::One(3)),
        ];
        let address = ServiceAddress::new(CellId(0), in_order(ports));
        assert_eq!(address.ports().len(), 2);
        assert_eq!(address.port(6, 80).unwrap().port.target, TargetPort::One(1));
        assert!(address.port(6, 85).is_none());
    }
}
