//! Policies compiled, and kept as they are while nobody changes them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::CompileError;
use super::routes::VrfRoutes;
use super::services::VrfServices;
use crate::desired;
use crate::ecmp::{Member, Target};
use crate::ids::{PolicyName, VifId, VifSlot, VrfId};
use crate::policy::Policy;
use crate::snapshot::Vif;

#[derive(Debug, Default)]
pub(super) struct Policies {
    by_name: BTreeMap<PolicyName, Arc<Policy>>,
}

impl Policies {
    /// Compiles those that are new or have changed and forgets those that are gone.
    pub(super) fn compile(&mut self, wanted: &[desired::Policy]) {
        let mut old = std::mem::take(&mut self.by_name);
        let compiled = |policy: &desired::Policy| {
            let same = old.remove(&policy.name).filter(|old| old.wanted() == policy);
            (policy.name.clone(), same.unwrap_or_else(|| Arc::new(Policy::new(policy))))
        };
        self.by_name = wanted.iter().map(compiled).collect();
    }

    /// The policies attached to a vif, in the order in which it names them.
    pub(super) fn of(&self, vif: &desired::Vif) -> Result<Box<[Arc<Policy>]>, CompileError> {
        let policy = |name: &PolicyName| {
            let unknown = || CompileError::UnknownPolicy { vif: vif.name.clone(), policy: name.clone() };
            self.by_name.get(name).cloned().ok_or_else(unknown)
        };
        vif.policies.iter().map(policy).collect()
    }
}

/// The vifs that have policies.
#[derive(Debug, Default)]
pub(super) struct Policed {
    by_vif: BTreeMap<VifId, Box<[Arc<Policy>]>>,
}

impl Policed {
    pub(super) fn of(vifs: &[Vif]) -> Self {
        let policed = vifs.iter().filter(|vif| !vif.policies.is_empty());
        Self { by_vif: policed.map(|vif| (vif.id, vif.policies.clone())).collect() }
    }

    /// The vifs whose policies differ in `new`.
    pub(super) fn changed(&self, new: &Self, vifs: &[Vif]) -> JudgedAnew {
        let differs = |vif: &&Vif| self.by_vif.get(&vif.id) != new.by_vif.get(&vif.id);
        JudgedAnew { vifs: vifs.iter().filter(differs).map(|vif| (vif.slot, vif.vrf)).collect() }
    }
}

/// Vifs whose flows are to be judged anew, with their VRFs.
pub(super) struct JudgedAnew {
    vifs: BTreeMap<VifSlot, VrfId>,
}

impl JudgedAnew {
    /// Their VRFs, and those that lead to them from elsewhere.
    pub(super) fn vrfs(
        &self,
        routes: &BTreeMap<VrfId, VrfRoutes>,
        services: &BTreeMap<VrfId, VrfServices>,
    ) -> BTreeSet<VrfId> {
        if self.vifs.is_empty() {
            return BTreeSet::new();
        }
        let leads = |member: &Member| match member.target {
            Target::Vif(slot) => self.vifs.contains_key(&slot),
            Target::Tunnel { .. } => false,
        };
        let by_route = |vrf: &VrfRoutes| vrf.table.members().any(leads);
        let by_service = |of_vrf: &VrfServices| {
            let ports = of_vrf.values().flat_map(|service| service.ports.iter());
            ports.flat_map(|mapped| mapped.backends.members()).any(leads)
        };
        let routed = routes.iter().filter(|(_, vrf)| by_route(vrf)).map(|(id, _)| *id);
        let served = services.iter().filter(|(_, of_vrf)| by_service(of_vrf)).map(|(id, _)| *id);
        self.vifs.values().copied().chain(routed).chain(served).collect()
    }
}
