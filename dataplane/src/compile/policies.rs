//! Policies compiled, and kept as they are while nobody changes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::CompileError;
use crate::desired;
use crate::ids::PolicyName;
use crate::policy::Policy;

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
