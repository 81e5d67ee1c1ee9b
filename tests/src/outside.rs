//! What is beyond a node that routes on: a host that knows public addresses only.

use crate::{Lab, Namespace, Pings, Server};

/// A host behind a node, by a link of its own: 198.51.100.9 and 2001:db8:99::9.
#[derive(Debug)]
pub struct Outside {
    /// Where it is.
    pub namespace: Namespace,
}

impl Lab {
    /// Makes a host behind a node, which routes between it and `vhost0`. The daemon must be running.
    ///
    /// # Panics
    /// When something cannot be made.
    pub fn outside(&self, node: &str) -> Outside {
        let namespace = Namespace::new(&self.fabric().name().replace("-fabric", "-outside"));
        let plan = self.plan.node(node);
        let inside = &self.node(node).namespace;
        inside.run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
        inside.ip(&format!(
            "link add out0 type veth peer name eth0 netns {}\n\
             address add 198.51.100.1/24 dev out0\n\
             address add 2001:db8:99::1/64 dev out0 nodad\n\
             link set out0 up\n",
            namespace.name()
        ));
        namespace.ip("address add 198.51.100.9/24 dev eth0\n\
             address add 2001:db8:99::9/64 dev eth0 nodad\n\
             link set eth0 up\n");
        let [four, six] = plan.public_prefixes();
        namespace.ip(&format!("route add {four} via 198.51.100.1\nroute add {six} via 2001:db8:99::1\n"));
        Outside { namespace }
    }
}

impl Outside {
    /// Sends three echo requests.
    ///
    /// # Panics
    /// When `ping` cannot be run.
    pub fn ping(&self, to: &str) -> Pings {
        Pings::send(&self.namespace, to)
    }

    /// Serves TCP on all its addresses.
    ///
    /// # Panics
    /// When the port is taken.
    pub fn serve_tcp(&self, port: u16) -> Server {
        Server::tcp("outside", self.namespace.listen(&format!("[::]:{port}")))
    }

    /// Serves UDP on all its addresses.
    ///
    /// # Panics
    /// When the port is taken.
    pub fn serve_udp(&self, port: u16) -> Server {
        Server::udp("outside", self.namespace.udp(&format!("[::]:{port}")))
    }
}
