//! The configuration file of a node, as a plan asks for it.

use std::fmt::Write as _;
use std::path::Path;

use crate::plan::{AskedFor, HOST_LABEL, Host, NodePlan, Plan, PodPlan, PolicyPlan, Routed, ServicePlan};

impl Plan {
    /// The configuration of the node named `name`: its own pods, routes to the pods of all other nodes, and
    /// every service.
    pub(crate) fn toml(&self, name: &str, state_dir: &Path) -> String {
        let node = self.node(name);
        let mut text = self.header(node, state_dir);
        for vrf in self.vrfs() {
            let _ = writeln!(text, "[[vrf]]\nname = \"{vrf}\"");
        }
        for pod in self.pods.iter().filter(|pod| pod.node == name && pod.asked_for == AskedFor::InFile) {
            text.push_str(&vif(pod, &self.policies_of(pod)));
            text.push_str(&self.floating_line(&pod.name, node));
        }
        for other in self.nodes.iter().filter(|other| other.name != name) {
            text.push_str(&self.routes_to(other));
        }
        text.push_str(&self.broadcast_toml(node));
        for service in &self.services {
            text.push_str(&self.service_toml(service, node));
        }
        text.push_str(&self.public_toml(node));
        for PolicyPlan { name, rules, .. } in &self.policies {
            let _ = writeln!(text, "[[policy]]\nname = \"{name}\"\n{rules}");
        }
        text
    }

    fn policies_of(&self, pod: &PodPlan) -> Vec<&str> {
        let of_pod = self.policies.iter().filter(|policy| policy.pods.contains(&pod.name));
        of_pod.map(|policy| policy.name.as_str()).collect()
    }

    fn header(&self, node: &NodePlan, state_dir: &Path) -> String {
        let host = match node.host {
            Host::Apart => String::new(),
            Host::TakesPart => format!(
                "[host]\nvrf = \"blue\"\naddresses = [\"10.0.{}.1\"]\nlabel = {HOST_LABEL}\n\
                 routes = [\"10.0.0.0/16\", \"10.96.0.0/16\"]\n",
                node.number
            ),
        };
        format!(
            "[node]\nname = \"{}\"\nuplink = \"eth0\"\ntunnel_address = \"{}\"\nstate_dir = \"{}\"\n\
             {}[engine]\nworkers = {}\n{host}",
            node.name,
            self.tunnel_address(node),
            state_dir.display(),
            self.node_lines,
            node.workers
        )
    }

    fn vrfs(&self) -> Vec<&str> {
        let mut vrfs: Vec<&str> = self.pods.iter().map(|pod| pod.vrf.as_str()).chain(["blue"]).collect();
        vrfs.sort_unstable();
        vrfs.dedup();
        vrfs
    }

    fn routes_to(&self, other: &NodePlan) -> String {
        let tunnel = self.tunnel_address(other);
        let mut text = String::new();
        for pod in self.pods.iter().filter(|pod| pod.node == other.name && pod.routed == Routed::Yes) {
            for prefix in [format!("{}/32", pod.ip), format!("{}/128", pod.ip6)] {
                text.push_str(&route(&pod.vrf, &prefix, &tunnel, pod.label));
            }
        }
        if other.host == Host::TakesPart {
            text.push_str(&route("blue", &format!("10.0.{}.1/32", other.number), &tunnel, HOST_LABEL));
        }
        text
    }

    fn service_toml(&self, service: &ServicePlan, node: &NodePlan) -> String {
        let backend = |name: &String| {
            let pod = self.pods.iter().find(|pod| pod.name == *name).expect("a backend is a pod of the plan");
            let state = if service.terminating.contains(name) { ", state = \"terminating\"" } else { "" };
            if pod.node == node.name {
                format!("{{ vif = \"{name}\"{state} }}")
            } else {
                let tunnel = self.tunnel_address(self.node(&pod.node));
                format!("{{ tunnel = \"{tunnel}\", label = {}{state} }}", pod.label)
            }
        };
        let ports: Vec<String> = service.ports.iter().map(crate::ServicePort::toml).collect();
        let backends: Vec<String> = service.backends.iter().map(backend).collect();
        format!(
            "[[service]]\nname = \"{}\"\nvrf = \"blue\"\naddresses = [\"{}\", \"{}\"]\nports = [{}]\nbackends = [{}]\n{}",
            service.name,
            service.ip,
            service.ip6,
            ports.join(", "),
            backends.join(", "),
            service.lines
        )
    }
}

fn vif(pod: &PodPlan, policies: &[&str]) -> String {
    let mtu = pod.mtu.map_or_else(String::new, |mtu| format!("mtu = {mtu}\n"));
    let policies = if policies.is_empty() {
        String::new()
    } else {
        format!("policies = [\"{}\"]\n", policies.join("\", \""))
    };
    format!(
        "[[vif]]\nname = \"{}\"\nifname = \"{}\"\nvrf = \"{}\"\naddresses = [\"{}\", \"{}\"]\nmac = \"{}\"\nlabel = {}\n{mtu}{policies}",
        pod.name,
        pod.ifname(),
        pod.vrf,
        pod.ip,
        pod.ip6,
        pod.mac,
        pod.label
    )
}

fn route(vrf: &str, prefix: &str, tunnel: &str, label: u32) -> String {
    format!(
        "[[route]]\nvrf = \"{vrf}\"\nprefix = \"{prefix}\"\nvia = [{{ tunnel = \"{tunnel}\", label = {label} }}]\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp;

    #[test]
    fn a_backend_is_a_vif_on_its_own_node_and_a_tunnel_on_the_other() {
        let plan = Plan::two_nodes().pod("client", "node-a").pod("web", "node-b").service(
            "web",
            &[tcp(80, 8080)],
            &["web"],
        );
        let (a, b) = (plan.toml("node-a", Path::new("/run/a")), plan.toml("node-b", Path::new("/run/b")));
        assert!(a.contains("backends = [{ tunnel = \"172.30.0.2\", label = 33 }]"), "{a}");
        assert!(
            a.contains("prefix = \"10.0.2.2/32\"\nvia = [{ tunnel = \"172.30.0.2\", label = 33 }]"),
            "{a}"
        );
        assert!(b.contains("backends = [{ vif = \"web\" }]"), "{b}");
        assert!(b.contains("ifname = \"veth-web\""), "{b}");
    }
}
