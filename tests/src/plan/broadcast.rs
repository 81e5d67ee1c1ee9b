//! A network whose pods hear each other's broadcasts.

use std::fmt::Write as _;

use crate::Plan;
use crate::plan::NodePlan;

/// Label of every node for all its pods of the VRF `blue`.
const LABEL: u32 = 900;

impl Plan {
    /// The pods of the VRF `blue` hear each other's broadcast and link-local multicast, on all nodes; the last
    /// address of `subnet` means all of them.
    #[must_use]
    pub fn broadcast(self, subnet: &str) -> Self {
        Self { broadcast_subnet: Some(subnet.to_owned()), ..self }
    }

    /// Nobody hears broadcasts any more; [`crate::Lab::reload`] makes the change known.
    pub fn end_broadcast(&mut self) {
        self.broadcast_subnet = None;
    }

    pub(crate) fn broadcast_toml(&self, node: &NodePlan) -> String {
        let Some(subnet) = &self.broadcast_subnet else { return String::new() };
        let others = self.nodes.iter().filter(|other| other.name != node.name);
        let nodes: Vec<String> = others
            .map(|other| format!("{{ tunnel = \"{}\", label = {LABEL} }}", self.tunnel_address(other)))
            .collect();
        let mut text = String::new();
        let _ = writeln!(
            text,
            "[[broadcast]]\nvrf = \"blue\"\nlabel = {LABEL}\nsubnets = [\"{subnet}\"]\nnodes = [{}]",
            nodes.join(", ")
        );
        text
    }
}
