//! Ids given to names, kept for as long as the names are configured.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::{CompileError, tunnel_endpoints};
use crate::desired::Desired;
use crate::ids::{TunnelId, VifId, VifName, VifSlot, VrfId, VrfName};

#[derive(Debug, Default)]
pub(super) struct Ids {
    vifs: HashMap<VifName, (VifId, VifSlot)>,
    vrfs: HashMap<VrfName, VrfId>,
    tunnels: Vec<IpAddr>,
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
        for endpoint in tunnel_endpoints(desired) {
            if endpoint.is_ipv4() != desired.node.tunnel_address.is_ipv4() {
                return Err(CompileError::TunnelFamily(endpoint));
            }
            if !self.tunnels.contains(&endpoint) {
                if self.tunnels.len() > usize::from(u16::MAX) {
                    return Err(CompileError::TooMany { what: "tunnel endpoints", most: 1 << 16 });
                }
                self.tunnels.push(endpoint);
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

    pub(super) fn vif(&self, user: &str, name: &VifName) -> Result<(VifId, VifSlot), CompileError> {
        let ids = self.vifs.get(name).copied();
        ids.ok_or_else(|| CompileError::UnknownVif { user: user.to_owned(), vif: name.clone() })
    }

    pub(super) fn vrf(&self, user: &str, name: &VrfName) -> Result<VrfId, CompileError> {
        let id = self.vrfs.get(name).copied();
        id.ok_or_else(|| CompileError::UnknownVrf { user: user.to_owned(), vrf: name.clone() })
    }

    pub(super) fn tunnel(&self, address: IpAddr) -> Option<TunnelId> {
        let index = self.tunnels.iter().position(|known| *known == address)?;
        u16::try_from(index).ok().map(TunnelId)
    }

    pub(super) fn tunnels(&self) -> impl Iterator<Item = (TunnelId, IpAddr)> + '_ {
        (0..=u16::MAX).map(TunnelId).zip(self.tunnels.iter().copied())
    }
}
