//! What a network shall look like: names and numbers only, nothing is made here.

mod broadcast;
mod public;
mod services;

pub(crate) use public::PublicPlan;
pub(crate) use services::PolicyPlan;
pub use services::{ServicePlan, ServicePort, sctp, tcp, udp};

/// A whole network.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) underlay: Underlay,
    pub(crate) nodes: Vec<NodePlan>,
    pub(crate) pods: Vec<PodPlan>,
    pub(crate) services: Vec<ServicePlan>,
    /// MTU of every uplink, bytes.
    pub(crate) uplink_mtu: u16,
    /// More lines of the section `[node]`, on every node.
    pub(crate) node_lines: String,
    pub(crate) policies: Vec<PolicyPlan>,
    pub(crate) public: Option<PublicPlan>,
    /// Subnet of the pods of the VRF `blue`, if they hear each other's broadcasts.
    pub(crate) broadcast_subnet: Option<String>,
}

/// Room for 1500 bytes inside and the outer headers of IPv6.
const UPLINK_MTU: u16 = 1600;

/// Family of the tunnels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Underlay {
    Ipv4,
    Ipv6,
}

/// A node.
#[derive(Clone, Debug)]
pub(crate) struct NodePlan {
    pub(crate) name: String,
    /// Third number of its pods' addresses, last of its own.
    pub(crate) number: u8,
    /// Worker threads; the uplink has as many queues.
    pub(crate) workers: u8,
    pub(crate) host: Host,
}

/// Whether the node itself takes part in the VRF `blue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Apart,
    /// By `vhost0`, 10.0.<node>.1.
    TakesPart,
}

/// Label of a node's `vhost0`.
pub const HOST_LABEL: u32 = 16;

/// A pod.
#[derive(Clone, Debug)]
pub struct PodPlan {
    /// Unique in the network.
    pub name: String,
    pub(crate) node: String,
    pub(crate) vrf: String,
    /// Its IPv4 address.
    pub ip: String,
    /// Its IPv6 address.
    pub ip6: String,
    /// Its Ethernet address.
    pub mac: String,
    /// Its label, unique on its node.
    pub label: u32,
    pub(crate) plugged: Plugged,
    pub(crate) routed: Routed,
    pub(crate) asked_for: AskedFor,
    /// MTU of its interface and its vif, bytes; by default 1500 for the interface, and the vif's own default.
    pub(crate) mtu: Option<u16>,
}

/// Whether the pod's interface is there from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plugged {
    Now,
    Later,
}

/// Who asks for the pod's vif.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AskedFor {
    InFile,
    ByApi,
}

/// Whether other nodes have a route to the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Routed {
    Yes,
    No,
}

impl PodPlan {
    /// Node's end of its veth.
    pub fn ifname(&self) -> String {
        format!("veth-{}", self.name)
    }

    /// Its vif as the API takes it.
    pub fn vif(&self) -> serde_json::Value {
        serde_json::json!({
            "name": self.name,
            "ifname": self.ifname(),
            "vrf": self.vrf,
            "addresses": [self.ip, self.ip6],
            "mac": self.mac,
            "label": self.label,
        })
    }
}

impl Plan {
    /// The nodes `node-a` and `node-b`, one worker and one uplink queue each, tunnels over IPv4.
    pub fn two_nodes() -> Self {
        let node =
            |name: &str, number| NodePlan { name: name.to_owned(), number, workers: 1, host: Host::Apart };
        Self {
            underlay: Underlay::Ipv4,
            nodes: vec![node("node-a", 1), node("node-b", 2)],
            pods: Vec::new(),
            services: Vec::new(),
            uplink_mtu: UPLINK_MTU,
            node_lines: String::new(),
            policies: Vec::new(),
            public: None,
            broadcast_subnet: None,
        }
    }

    /// Tunnels over IPv6.
    #[must_use]
    pub fn ipv6_underlay(self) -> Self {
        Self { underlay: Underlay::Ipv6, ..self }
    }

    /// Another MTU of every uplink, bytes; 1600 else.
    #[must_use]
    pub fn uplink_mtu(self, mtu: u16) -> Self {
        Self { uplink_mtu: mtu, ..self }
    }

    /// One more line of the section `[node]`, such as `mss_clamp = \"off\"`, on every node.
    #[must_use]
    pub fn node_line(mut self, line: &str) -> Self {
        self.node_lines.push_str(line);
        self.node_lines.push('\n');
        self
    }

    /// As many workers, and queues of the uplink, on every node.
    #[must_use]
    pub fn workers(mut self, workers: u8) -> Self {
        self.nodes.iter_mut().for_each(|node| node.workers = workers);
        self
    }

    /// The node takes part in the VRF `blue` by `vhost0`, with the address 10.0.<node>.1.
    ///
    /// # Panics
    /// When there is no such node.
    #[must_use]
    pub fn host(mut self, node: &str) -> Self {
        let place = self.nodes.iter_mut().find(|plan| plan.name == node).expect("the plan has the node");
        place.host = Host::TakesPart;
        self
    }

    /// A pod in the VRF `blue`. The first on a node has the address 10.0.<node>.2, the next .3 and so on.
    #[must_use]
    pub fn pod(self, name: &str, node: &str) -> Self {
        self.pod_in("blue", name, node)
    }

    /// A pod in the VRF `vrf`. The first of each VRF have the same address, but not the same label and MAC.
    ///
    /// # Panics
    /// When there is no such node.
    #[must_use]
    pub fn pod_in(mut self, vrf: &str, name: &str, node: &str) -> Self {
        let number = self.node(node).number;
        let on_node = self.pods.iter().filter(|pod| pod.node == node);
        let host = 2 + on_node.clone().filter(|pod| pod.vrf == vrf).count();
        let position = on_node.count();
        self.pods.push(PodPlan {
            name: name.to_owned(),
            node: node.to_owned(),
            vrf: vrf.to_owned(),
            ip: format!("10.0.{number}.{host}"),
            ip6: format!("fd00:{number}::{host}"),
            mac: format!("02:00:00:00:{number:02x}:{position:02x}"),
            label: 16 * u32::from(number) + 1 + u32::try_from(position).expect("a few pods"),
            plugged: Plugged::Now,
            routed: Routed::Yes,
            asked_for: AskedFor::InFile,
            mtu: None,
        });
        self
    }

    /// A pod in the VRF `blue` whose interface is made later, by [`crate::Lab::plug`].
    ///
    /// # Panics
    /// When there is no such node.
    #[must_use]
    pub fn later(self, name: &str, node: &str) -> Self {
        let mut plan = self.pod(name, node);
        plan.pods.last_mut().expect("a pod was added").plugged = Plugged::Later;
        plan
    }

    /// A pod in the VRF `blue` whose vif is not in the file: the test declares it.
    ///
    /// # Panics
    /// When there is no such node.
    #[must_use]
    pub fn by_api(self, name: &str, node: &str) -> Self {
        let mut plan = self.pod(name, node);
        plan.pods.last_mut().expect("a pod was added").asked_for = AskedFor::ByApi;
        plan
    }

    /// The interface of the pod is made later, by [`crate::Lab::plug`].
    ///
    /// # Panics
    /// When there is no such pod.
    #[must_use]
    pub fn plugged_later(mut self, pod: &str) -> Self {
        self.pod_mut(pod).plugged = Plugged::Later;
        self
    }

    /// Other nodes get no route to the pod, until [`Plan::route_to`].
    ///
    /// # Panics
    /// When there is no such pod.
    #[must_use]
    pub fn without_route_to(mut self, pod: &str) -> Self {
        self.pod_mut(pod).routed = Routed::No;
        self
    }

    /// Other nodes get a route to the pod; [`crate::Lab::reload`] makes the change known.
    ///
    /// # Panics
    /// When there is no such pod.
    pub fn route_to(&mut self, pod: &str) {
        self.pod_mut(pod).routed = Routed::Yes;
    }

    /// Another MTU of the pod's interface and of its vif, bytes.
    ///
    /// # Panics
    /// When there is no such pod.
    #[must_use]
    pub fn pod_mtu(mut self, pod: &str, mtu: u16) -> Self {
        self.pod_mut(pod).mtu = Some(mtu);
        self
    }

    /// Two pods of one node change labels; [`crate::Lab::reload`] makes the change known.
    ///
    /// # Panics
    /// When there is no such pod.
    pub fn swap_labels(&mut self, one: &str, other: &str) {
        let labels = (self.pod_mut(one).label, self.pod_mut(other).label);
        (self.pod_mut(other).label, self.pod_mut(one).label) = labels;
    }

    fn pod_mut(&mut self, name: &str) -> &mut PodPlan {
        self.pods.iter_mut().find(|pod| pod.name == name).expect("the plan has the pod")
    }

    /// Names, as the index page has them, of what is down on a node by intention: vifs whose interfaces come
    /// later, and services without backends.
    pub(crate) fn expected_down(&self, node: &str) -> Vec<String> {
        let late = self.pods.iter().filter(|pod| pod.node == node && pod.plugged == Plugged::Later);
        let empty = self.services.iter().filter(|service| service.backends.is_empty());
        let addresses = empty.flat_map(|service| [service.ip.clone(), service.ip6.clone()]);
        late.map(|pod| pod.name.clone()).chain(addresses).collect()
    }

    pub(crate) fn node(&self, name: &str) -> &NodePlan {
        self.nodes
            .iter()
            .find(|node| node.name == name)
            .unwrap_or_else(|| panic!("the plan has no node {name}"))
    }

    pub(crate) fn tunnel_address(&self, node: &NodePlan) -> String {
        match self.underlay {
            Underlay::Ipv4 => node.uplink_ip(),
            Underlay::Ipv6 => node.uplink_ip6(),
        }
    }
}

impl NodePlan {
    /// IPv4 address of its uplink, in a /24.
    pub(crate) fn uplink_ip(&self) -> String {
        format!("172.30.0.{}", self.number)
    }

    /// IPv6 address of its uplink, in a /64.
    pub(crate) fn uplink_ip6(&self) -> String {
        format!("fd00:30::{}", self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_pods_of_two_vrfs_share_the_address_only() {
        let plan = Plan::two_nodes().pod("client", "node-a").pod_in("green", "stranger", "node-a");
        let [client, stranger] = plan.pods.as_slice() else { panic!("two pods") };
        assert_eq!((&client.ip, &client.ip6), (&stranger.ip, &stranger.ip6));
        assert_eq!((client.ip.as_str(), client.ip6.as_str()), ("10.0.1.2", "fd00:1::2"));
        assert_ne!(client.mac, stranger.mac);
        assert_ne!(client.label, stranger.label);
    }
}
