//! The node as a whole.

use std::net::IpAddr;

use dataplane::ids::Mac;

use super::{PortView, State};

/// The node: identity, uplink, size of its tables, sums over all packets.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct NodeView {
    /// Configured name.
    pub name: String,
    /// Version of the daemon.
    pub version: String,
    /// Seconds since the daemon started.
    pub uptime_seconds: u64,
    /// Outer address of the node.
    pub tunnel_address: IpAddr,
    /// Number of the published snapshot; every change of desired state makes a new one.
    pub generation: u64,
    /// The way to the other nodes.
    pub uplink: UplinkView,
    /// All vifs together, those that are gone included.
    pub trunk: PortView,
    /// Packets the vrouter made itself (ARP and neighbour answers, ICMP errors).
    pub generated: u64,
    /// Packets meant for the vrouter itself.
    pub consumed: u64,
    /// Fragments that wait for the first of their datagram now.
    pub held: u64,
    /// How many of each noun there are.
    pub counts: Counts,
}

impl NodeView {
    /// Packets that no counter explains: `rx + generated - tx - consumed - drops - held`. Readings are
    /// taken one after the other, so a busy node is off by a few batches either way.
    pub fn unexplained(&self) -> i128 {
        let ports = [&self.trunk, &self.uplink.traffic];
        let sum = |of: fn(&PortView) -> u64| ports.iter().map(|port| i128::from(of(port))).sum::<i128>();
        sum(|port| port.rx.packets) + i128::from(self.generated)
            - sum(|port| port.tx.packets)
            - i128::from(self.consumed)
            - i128::from(self.held)
            - sum(|port| port.dropped)
    }
}

/// The uplink as the kernel has it and as the engine is bound to it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct UplinkView {
    /// Interface name.
    pub name: String,
    /// Ethernet address; `None` while the interface does not exist.
    pub mac: Option<Mac>,
    /// Largest IP packet in bytes; `None` while the interface does not exist.
    pub mtu: Option<u16>,
    /// VLAN id when the tunnel address lives on a VLAN of the uplink.
    pub vlan: Option<u16>,
    /// Whether it carries packets.
    pub link: State,
    /// How the `fabric` program is attached.
    pub attach: Attach,
    /// The sockets, one per receive queue.
    pub queues: Vec<QueueView>,
    /// What the workers have seen on it.
    pub traffic: PortView,
}

/// How an XDP program is attached.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum Attach {
    /// In the driver.
    Native,
    /// After the kernel has made an skb of the packet: works everywhere, costs a copy.
    Generic {
        /// Why not in the driver.
        reason: String,
    },
    /// Not attached.
    Detached {
        /// Why not.
        reason: String,
    },
}

/// One AF_XDP socket on the uplink.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct QueueView {
    /// Receive queue of the device.
    pub queue: u32,
    /// Worker that serves it.
    pub worker: u32,
    /// How frames get into the UMEM.
    pub copy: CopyMode,
}

/// How frames get between a queue and the UMEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyMode {
    /// The device writes into the UMEM.
    ZeroCopy,
    /// The kernel copies.
    Copy,
}

/// How many of each noun there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Private routing tables.
    pub vrfs: u64,
    /// Interfaces.
    pub vifs: u64,
    /// Interfaces that are down.
    pub vifs_down: u64,
    /// Routes of all VRFs.
    pub routes: u64,
    /// Distinct next hops.
    pub next_hops: u64,
    /// Labels given out.
    pub labels: u64,
    /// Services.
    pub services: u64,
    /// Other nodes.
    pub tunnels: u64,
    /// Worker threads.
    pub workers: u64,
    /// Flow pairs now.
    pub flows: u64,
    /// Flow pairs there is room for.
    pub flow_capacity: u64,
}
