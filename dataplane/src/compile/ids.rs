//! Ids given to names, kept for as long as the names are configured.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::net::IpAddr;

use ahash::RandomState;

use super::CompileError;
use crate::desired::{Desired, HopTarget, RouteTarget};
use crate::ids::{TunnelId, VifId, VifName, VifSlot, VrfId, VrfName};

#[derive(Debug, Default)]
pub(super) struct Ids {
    vifs: HashMap<VifName, (VifId, VifSlot)>,
    vrfs: HashMap<VrfName, VrfId>,
    tunnels: HashMap<IpAddr, TunnelId, RandomState>,
    vif_ids_given: u32,
    last_slot: u16,
}

impl Ids {
    /// Forgets what is no longer configured and gives ids to what is new.
    pub(super) fn assign(&mut self, desired: &Desired) -> Result<(), CompileError> {
        let vif_names: HashSet<_> = desired.vifs.iter().map(|vif| &vif.name).collect();
        self.vifs.retain(|name, _| vif_names.contains(name));
        for name in desired.vifs.iter().map(|vif| &vif.name) {
            if !self.vifs.contains_key(name) {
                let slot = self
                    .free_slot()
                    .ok_or(CompileError::TooMany { what: "vifs", most: usize::from(VifSlot::LAST) })?;
                self.vif_ids_given += 1;
                self.vifs.insert(name.clone(), (VifId(self.vif_ids_given), slot));
            }
        }
        let vrf_names: HashSet<_> = desired.vrfs.iter().map(|vrf| &vrf.name).collect();
        self.vrfs.retain(|name, _| vrf_names.contains(name));
        for name in desired.vrfs.iter().map(|vrf| &vrf.name) {
            if !self.vrfs.contains_key(name) {
                let id = self.free_vrf().ok_or(CompileError::TooMany { what: "VRFs", most: 1 << 16 })?;
                self.vrfs.insert(name.clone(), id);
            }
        }
        self.assign_tunnels(desired)
    }

    /// A tunnel id may go to another endpoint at once: every route and service that named the old
    /// one has changed, so no flow uses its id before it is derived again.
    fn assign_tunnels(&mut self, desired: &Desired) -> Result<(), CompileError> {
        let endpoints: HashSet<_, RandomState> = tunnel_endpoints(desired).collect();
        self.tunnels.retain(|address, _| endpoints.contains(address));
        let used: HashSet<_> = self.tunnels.values().copied().collect();
        let mut free = (0..=u16::MAX).map(TunnelId).filter(|id| !used.contains(id));
        for endpoint in tunnel_endpoints(desired) {
            if endpoint.is_ipv4() != desired.node.tunnel_address.is_ipv4() {
                return Err(CompileError::TunnelFamily(endpoint));
            }
            if let Entry::Vacant(entry) = self.tunnels.entry(endpoint) {
                let full = CompileError::TooMany { what: "tunnel endpoints", most: 1 << 16 };
                entry.insert(free.next().ok_or(full)?);
            }
        }
        Ok(())
    }

    /// The next free slot after the last one given, so that a slot rests as long as possible
    /// before frames of its old vif could meet a new one.
    fn free_slot(&mut self) -> Option<VifSlot> {
        let used: HashSet<_> = self.vifs.values().map(|(_, slot)| slot.get()).collect();
        let after = (self.last_slot + 1)..=VifSlot::LAST;
        let slot = after.chain(VifSlot::FIRST..=self.last_slot).find(|slot| !used.contains(slot))?;
        self.last_slot = slot;
        VifSlot::new(slot)
    }

    fn free_vrf(&self) -> Option<VrfId> {
        let used: HashSet<_> = self.vrfs.values().map(|id| id.0).collect();
        (0..=u16::MAX).find(|id| !used.contains(id)).map(VrfId)
    }

    pub(super) fn vif(&self, user: impl Display, name: &VifName) -> Result<(VifId, VifSlot), CompileError> {
        let ids = self.vifs.get(name).copied();
        ids.ok_or_else(|| CompileError::UnknownVif { user: user.to_string(), vif: name.clone() })
    }

    pub(super) fn vrf(&self, user: impl Display, name: &VrfName) -> Result<VrfId, CompileError> {
        let id = self.vrfs.get(name).copied();
        id.ok_or_else(|| CompileError::UnknownVrf { user: user.to_string(), vrf: name.clone() })
    }

    /// All endpoints that have an id.
    pub(super) fn tunnel_ids(&self) -> impl Iterator<Item = (IpAddr, TunnelId)> + '_ {
        self.tunnels.iter().map(|(address, id)| (*address, *id))
    }

    /// Endpoints by id, the gaps too.
    pub(super) fn tunnels(&self) -> Vec<Option<IpAddr>> {
        let rows = self.tunnels.values().map(|id| usize::from(id.0) + 1).max().unwrap_or(0);
        let mut table = vec![None; rows];
        for (address, id) in &self.tunnels {
            table[usize::from(id.0)] = Some(*address);
        }
        table
    }
}

/// Every tunnel endpoint that `desired` names.
fn tunnel_endpoints(desired: &Desired) -> impl Iterator<Item = IpAddr> + '_ {
    let routes = desired.routes.iter().flat_map(|route| match &route.target {
        RouteTarget::Hops(hops) => hops.as_slice(),
        RouteTarget::Vrf(_) | RouteTarget::Discard => &[],
    });
    let backends = desired.services.iter().flat_map(|service| &service.backends);
    let ends = routes.map(|hop| &hop.to).chain(backends.map(|backend| &backend.to));
    let broadcasts = desired.broadcasts.iter().flat_map(|broadcast| &broadcast.nodes).map(|node| node.node);
    let unicast = ends.filter_map(|to| match to {
        HopTarget::Tunnel { node, .. } => Some(*node),
        HopTarget::Vif(_) => None,
    });
    unicast.chain(broadcasts)
}
