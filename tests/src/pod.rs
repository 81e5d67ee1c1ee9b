//! A pod: its namespace and its interface.

use crate::{Namespace, Pings, PodPlan, Server};

/// A pod.
#[derive(Debug)]
pub struct Pod {
    /// Its addresses.
    pub plan: PodPlan,
    /// Where it is.
    pub namespace: Namespace,
}

impl Pod {
    /// Makes its interface: a veth whose one end stays on the node.
    pub(crate) fn plug(&self, node: &Namespace) {
        node.ip(&format!(
            "link add {ifname} type veth peer name eth0 netns {pod}\n\
             link set {ifname} up\n",
            ifname = self.plan.ifname(),
            pod = self.namespace.name(),
        ));
        self.namespace.ip(&format!(
            "link set eth0 address {mac} mtu {mtu} up\n\
             address add {ip}/32 dev eth0\n\
             route add 169.254.1.1 dev eth0 scope link\n\
             route add default via 169.254.1.1\n\
             address add {ip6}/128 dev eth0 nodad\n\
             route add default via fe80::1 dev eth0\n",
            mac = self.plan.mac,
            mtu = self.plan.mtu.unwrap_or(1500),
            ip = self.plan.ip,
            ip6 = self.plan.ip6,
        ));
    }

    /// Sends three echo requests.
    ///
    /// # Panics
    /// When `ping` cannot be run.
    pub fn ping(&self, to: &str) -> Pings {
        Pings::send(&self.namespace, to)
    }

    /// Serves TCP on all addresses of the pod.
    ///
    /// # Panics
    /// When the port is taken.
    pub fn serve_tcp(&self, port: u16) -> Server {
        Server::tcp(&self.plan.name, self.namespace.listen(&format!("[::]:{port}")))
    }

    /// Serves UDP on all addresses of the pod.
    ///
    /// # Panics
    /// When the port is taken.
    pub fn serve_udp(&self, port: u16) -> Server {
        Server::udp(&self.plan.name, self.namespace.udp(&format!("[::]:{port}")))
    }
}
