//! What a network shall offer and refuse: services and policies.

use crate::Plan;

/// A service.
#[derive(Clone, Debug)]
pub struct ServicePlan {
    pub(crate) name: String,
    /// Its IPv4 ClusterIP.
    pub ip: String,
    /// Its IPv6 ClusterIP.
    pub ip6: String,
    pub(crate) ports: Vec<ServicePort>,
    /// Names of the pods behind it, on whatever node.
    pub backends: Vec<String>,
    /// Those of them that are terminating.
    pub(crate) terminating: Vec<String>,
    /// More lines of its section.
    pub(crate) lines: String,
}

/// A policy.
#[derive(Clone, Debug)]
pub(crate) struct PolicyPlan {
    pub(crate) name: String,
    /// Names of the pods that it holds for.
    pub(crate) pods: Vec<String>,
    /// Lines of its section, `ingress` or `egress` or both.
    pub(crate) rules: String,
}

/// A port of a service and where it leads.
#[derive(Clone, Copy, Debug)]
pub struct ServicePort {
    protocol: &'static str,
    port: u16,
    target: u16,
    count: u16,
}

/// TCP `port` of a service, led to `target` of the pod.
pub const fn tcp(port: u16, target: u16) -> ServicePort {
    ServicePort { protocol: "tcp", port, target, count: 1 }
}

/// UDP `port` of a service, led to `target` of the pod.
pub const fn udp(port: u16, target: u16) -> ServicePort {
    ServicePort { protocol: "udp", port, target, count: 1 }
}

/// SCTP `port` of a service, led to `target` of the pod.
pub const fn sctp(port: u16, target: u16) -> ServicePort {
    ServicePort { protocol: "sctp", port, target, count: 1 }
}

impl ServicePort {
    /// As many ports in a row, led to as many of the pod.
    #[must_use]
    pub const fn in_a_row(self, count: u16) -> Self {
        Self { count, ..self }
    }

    pub(crate) fn toml(&self) -> String {
        let range = |first: u16| match self.count {
            1 => first.to_string(),
            count => format!("\"{first}-{}\"", first + count - 1),
        };
        let (protocol, port, target) = (self.protocol, range(self.port), range(self.target));
        format!("{{ protocol = \"{protocol}\", port = {port}, target_port = {target} }}")
    }
}

impl Plan {
    /// A service in the VRF `blue`; it may have no backends.
    #[must_use]
    pub fn service(mut self, name: &str, ports: &[ServicePort], backends: &[&str]) -> Self {
        let number = 10 + self.services.len();
        self.services.push(ServicePlan {
            name: name.to_owned(),
            ip: format!("10.96.0.{number}"),
            ip6: format!("fd00:96::{number}"),
            ports: ports.to_vec(),
            backends: backends.iter().map(|name| (*name).to_owned()).collect(),
            terminating: Vec::new(),
            lines: String::new(),
        });
        self
    }

    /// One more line of the section of a service, such as `affinity = { timeout = 60 }`.
    ///
    /// # Panics
    /// When there is no such service.
    #[must_use]
    pub fn service_line(mut self, service: &str, line: &str) -> Self {
        let lines = &mut self.service_mut(service).lines;
        lines.push_str(line);
        lines.push('\n');
        self
    }

    /// A policy for some pods; `rules` are the lines of its section beside the name.
    #[must_use]
    pub fn policy(mut self, name: &str, pods: &[&str], rules: &str) -> Self {
        self.policies.push(PolicyPlan {
            name: name.to_owned(),
            pods: pods.iter().map(|name| (*name).to_owned()).collect(),
            rules: rules.to_owned(),
        });
        self
    }

    /// The rules of a policy, to be changed; [`crate::Lab::reload`] makes the change known.
    ///
    /// # Panics
    /// When there is no such policy.
    pub fn rules(&mut self, policy: &str) -> &mut String {
        let plan = self.policies.iter_mut().find(|plan| plan.name == policy);
        &mut plan.expect("the plan has the policy").rules
    }

    /// The backends of a service, to be changed; [`crate::Lab::reload`] makes the change known.
    ///
    /// # Panics
    /// When there is no such service.
    pub fn backends(&mut self, service: &str) -> &mut Vec<String> {
        &mut self.service_mut(service).backends
    }

    /// The backends of a service that are terminating, to be changed; [`crate::Lab::reload`] makes the change
    /// known.
    ///
    /// # Panics
    /// When there is no such service.
    pub fn terminating(&mut self, service: &str) -> &mut Vec<String> {
        &mut self.service_mut(service).terminating
    }

    fn service_mut(&mut self, name: &str) -> &mut ServicePlan {
        self.services.iter_mut().find(|plan| plan.name == name).expect("the plan has the service")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn policies_states_and_lines_are_in_the_sections_they_belong_to() {
        let mut plan = Plan::two_nodes()
            .node_line("mss_clamp = \"off\"")
            .pod("web", "node-a")
            .pod_mtu("web", 1400)
            .service("web", &[tcp(80, 8080)], &["web"])
            .service_line("web", "affinity = { timeout = 60 }")
            .policy("guard", &["web"], "ingress = []");
        plan.terminating("web").push("web".to_owned());
        let text = plan.toml("node-a", Path::new("/run/a"));
        for expected in [
            "mss_clamp = \"off\"\n[engine]\n",
            "label = 17\nmtu = 1400\npolicies = [\"guard\"]\n",
            "backends = [{ vif = \"web\", state = \"terminating\" }]\naffinity = { timeout = 60 }\n",
            "[[policy]]\nname = \"guard\"\ningress = []\n",
        ] {
            assert!(text.contains(expected), "no {expected:?} in\n{text}");
        }
    }
}
