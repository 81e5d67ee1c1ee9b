//! Security policies.

use std::collections::HashMap;

use dataplane::desired::{Policy, Rule};
use dataplane::ids::{PolicyName, VifName};

use super::Reading;
use crate::view::{PolicyRuleView, PolicyView};

impl Reading<'_> {
    /// As they are wanted, by name; the vifs are those of the desired state, attached or not.
    pub(super) fn policies(&self) -> Vec<PolicyView> {
        let mut vifs = HashMap::<&PolicyName, Vec<VifName>>::new();
        for vif in &self.control.desired.vifs {
            vif.policies.iter().for_each(|policy| vifs.entry(policy).or_default().push(vif.name.clone()));
        }
        let view = |policy: &Policy| {
            let mut vifs = vifs.remove(&policy.name).unwrap_or_default();
            vifs.sort();
            PolicyView {
                name: policy.name.clone(),
                ingress: policy.ingress.as_deref().map(rules),
                egress: policy.egress.as_deref().map(rules),
                vifs,
            }
        };
        let mut policies: Vec<_> = self.control.desired.policies.iter().map(view).collect();
        policies.sort_by(|one, other| one.name.cmp(&other.name));
        policies
    }
}

fn rules(rules: &[Rule]) -> Vec<PolicyRuleView> {
    rules.iter().map(|rule| PolicyRuleView { name: rule.name.clone(), allows: rule.to_string() }).collect()
}
