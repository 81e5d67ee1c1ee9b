//! Security policies: which flows a vif may begin and which others may begin with it.
//!
//! Rules are asked once, when a flow is set up, and again when a snapshot changes what the flow
//! was derived from; packets of a flow, its answers and ICMP errors about it pass by its state.
//! What the vrouter answers itself (ARP, neighbour solicitations, ping to the gateway) is no flow.

mod passage;
mod spans;
mod table;

use crate::desired::{self, Rule};
use crate::ids::PolicyName;

pub use passage::Passage;
use spans::RuleIndex;
use table::RuleTable;

/// A policy compiled for look-up. Two are equal when they say the same.
#[derive(Clone, Debug)]
pub struct Policy {
    wanted: desired::Policy,
    ingress: Option<RuleTable>,
    egress: Option<RuleTable>,
}

impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        self.wanted == other.wanted
    }
}

impl Eq for Policy {}

/// Which flows of a vif a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FlowCourse {
    /// Those that others begin with the pod.
    Ingress,
    /// Those that the pod begins.
    Egress,
}

impl FlowCourse {
    /// The word of the configuration and of the JSON.
    pub const fn name(self) -> &'static str {
        match self {
            FlowCourse::Ingress => "ingress",
            FlowCourse::Egress => "egress",
        }
    }
}

impl Policy {
    /// Compiles a policy: time and memory grow with the peers of all its rules together.
    pub fn new(wanted: &desired::Policy) -> Self {
        let table = |rules: &Option<Vec<Rule>>| rules.as_deref().map(RuleTable::new);
        Self { ingress: table(&wanted.ingress), egress: table(&wanted.egress), wanted: wanted.clone() }
    }

    /// What it was compiled from.
    pub fn wanted(&self) -> &desired::Policy {
        &self.wanted
    }

    fn table(&self, course: FlowCourse) -> Option<&RuleTable> {
        match course {
            FlowCourse::Ingress => self.ingress.as_ref(),
            FlowCourse::Egress => self.egress.as_ref(),
        }
    }

    fn allowed_by(&self, course: FlowCourse, index: RuleIndex) -> Option<AllowedBy<'_>> {
        let rules = match course {
            FlowCourse::Ingress => self.wanted.ingress.as_ref(),
            FlowCourse::Egress => self.wanted.egress.as_ref(),
        };
        let number = index as usize;
        Some(AllowedBy { policy: &self.wanted.name, course, number, rule: rules?.get(number)? })
    }
}

/// What the policies of one vif say to a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opinion<'s> {
    /// No policy restricts this course, or the end of the flow is not a vif of this node.
    Unrestricted,
    /// This rule allows it: the first of the first policy that has one.
    Allowed(AllowedBy<'s>),
    /// There are rules, and none allows it.
    Denied,
}

/// The rule that allows a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowedBy<'s> {
    /// The policy.
    pub policy: &'s PolicyName,
    /// Which of its two lists.
    pub course: FlowCourse,
    /// Place of the rule in the list, from 0.
    pub number: usize,
    /// The rule.
    pub rule: &'s Rule,
}
