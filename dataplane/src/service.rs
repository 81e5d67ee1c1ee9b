//! A ClusterIP: what it answers on and which pods stand behind it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::desired::Transport;
use crate::ecmp::{Group, Target};
use crate::ids::VifSlot;

/// Everything at one service address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceAddress {
    ports: BTreeMap<(u8, u16), MappedPort>,
}

/// One port of a service address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedPort {
    /// Transport.
    pub transport: Transport,
    /// Port on the pods.
    pub target_port: u16,
    /// The backends that are up; ports of one service share it.
    pub backends: Arc<Group>,
}

impl ServiceAddress {
    /// Adds a port; a port that is there already is replaced.
    pub fn map(&mut self, port: u16, mapped: MappedPort) {
        self.ports.insert((mapped.transport.number(), port), mapped);
    }

    /// The port of a protocol, when it is mapped.
    pub fn port(&self, protocol: u8, port: u16) -> Option<&MappedPort> {
        self.ports.get(&(protocol, port))
    }

    /// Whether a vif is behind any of the ports.
    pub fn has_backend(&self, slot: VifSlot) -> bool {
        self.ports.values().any(|mapped| mapped.backends.leads_to(Target::Vif(slot)))
    }

    /// All ports in order. For the operator.
    pub fn ports(&self) -> impl Iterator<Item = (u16, &MappedPort)> + '_ {
        self.ports.iter().map(|((_, port), mapped)| (*port, mapped))
    }
}
