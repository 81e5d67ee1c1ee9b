//! Security policies.

use dataplane::ids::{PolicyName, VifName};

/// A policy and who has it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PolicyView {
    /// Its name.
    pub name: PolicyName,
    /// Flows that others may begin with the vif; absent: it does not restrict them.
    pub ingress: Option<Vec<PolicyRuleView>>,
    /// Flows that the vif may begin with others; absent: it does not restrict them.
    pub egress: Option<Vec<PolicyRuleView>>,
    /// Vifs it is attached to.
    pub vifs: Vec<VifName>,
}

impl PolicyView {
    /// Both lists, by the word that names them.
    pub fn courses(&self) -> [(&'static str, Option<&[PolicyRuleView]>); 2] {
        [("ingress", self.ingress.as_deref()), ("egress", self.egress.as_deref())]
    }
}

/// A rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PolicyRuleView {
    /// Its name, if it has one; its number is its place in the list.
    pub name: Option<String>,
    /// What it allows, in few words.
    pub allows: String,
}
