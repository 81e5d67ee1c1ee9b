//! Namespaces, pods and wires: what the way of a packet is laid out on, the same for every system.

use std::fs;
use std::path::{Path, PathBuf};

use tests::Namespace;

/// Room for 1500 bytes inside VXLAN (50 bytes) and MPLS over UDP (32 bytes).
pub(crate) const WIRE_MTU: u16 = 1600;

/// One end of the wire between the nodes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WireEnd {
    /// Its address, in 172.30.0.0/24.
    pub(crate) ip: [u8; 4],
    pub(crate) mac: [u8; 6],
}

/// The client's node, or what stands in for it.
pub(crate) const NODE_A: WireEnd = WireEnd { ip: [172, 30, 0, 1], mac: [2, 0, 0, 0, 0x0a, 1] };
/// The node of the backends, or what stands in for it.
pub(crate) const NODE_B: WireEnd = WireEnd { ip: [172, 30, 0, 2], mac: [2, 0, 0, 0, 0x0b, 1] };

/// A pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PodAddress<'a> {
    pub(crate) name: &'a str,
    pub(crate) ip: [u8; 4],
    pub(crate) mac: [u8; 6],
    /// Of the node's end of its veth.
    pub(crate) node_mac: [u8; 6],
    pub(crate) label: u32,
}

const fn pod(name: &str, node: u8, number: u8) -> PodAddress<'_> {
    PodAddress {
        name,
        ip: [10, 0, node, number],
        mac: [2, 0, 0, 0, node, number],
        node_mac: [2, 0, 0, 1, node, number],
        label: 16 * node as u32 + number as u32,
    }
}

/// The pod that asks.
pub(crate) const CLIENT: PodAddress<'_> = pod("client", 1, 2);
/// The pods that answer.
pub(crate) const BACKENDS: [PodAddress<'_>; 3] = [pod("web-1", 2, 2), pod("web-2", 2, 3), pod("web-3", 2, 4)];

/// ClusterIP of a service of all backends: UDP [`PORT`], and TCP 80 and 81.
pub(crate) const SERVICE: [u8; 4] = [10, 96, 0, 10];
/// ClusterIP of a service of the first backend alone, for iperf3, which opens several connections to one server.
pub(crate) const SINGLE: [u8; 4] = [10, 96, 0, 11];
/// UDP port of the service; the sinks know it.
pub(crate) const PORT: u16 = 9000;
/// UDP port of the backends; the sinks know it.
pub(crate) const TARGET: u16 = 9001;

/// An IPv4 address as text.
pub(crate) fn dotted(ip: [u8; 4]) -> String {
    std::net::Ipv4Addr::from(ip).to_string()
}

/// An Ethernet address as text.
pub(crate) fn colons(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// A directory under /run that goes with the value.
#[derive(Debug)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// Makes it; `name` tells those of one run apart.
    pub(crate) fn new(name: &str) -> Self {
        let path = Path::new("/run").join(format!("{}{name}", tests::prefix()));
        fs::create_dir_all(&path).expect("/run can be written");
        Self(path)
    }

    /// The path of a file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Makes a namespace whose name no other run has.
pub(crate) fn namespace(name: &str) -> Namespace {
    Namespace::new(&format!("{}{name}", tests::prefix()))
}

/// Makes the pod `address`, plugged into the node by `veth-<name>`; `gateway` is the Ethernet address that it sends to.
pub(crate) fn plug(course: &str, address: &PodAddress<'_>, gateway: [u8; 6], node: &Namespace) -> Namespace {
    let pod = namespace(&format!("{course}-{}", address.name));
    let name = address.name;
    node.ip(&format!(
        "link add veth-{name} address {node_mac} type veth peer name eth0 netns {netns}\nlink set veth-{name} up\n",
        node_mac = colons(address.node_mac),
        netns = pod.name(),
    ));
    pod.ip(&format!(
        "link set eth0 address {mac} mtu 1500 up\n\
         address add {ip}/32 dev eth0\n\
         route add 169.254.1.1 dev eth0 scope link\n\
         route add default via 169.254.1.1\n\
         neighbour replace 169.254.1.1 lladdr {gateway} dev eth0 nud permanent\n",
        gateway = colons(gateway),
        mac = colons(address.mac),
        ip = dotted(address.ip),
    ));
    pod
}

/// Lays the wire between `eth0` of two namespaces.
pub(crate) fn lay_wire(a: &Namespace, b: &Namespace) {
    a.ip(&format!(
        "link add eth0 mtu {WIRE_MTU} address {a_mac} type veth \
         peer name eth0 mtu {WIRE_MTU} address {b_mac} netns {b}\n",
        a_mac = colons(NODE_A.mac),
        b_mac = colons(NODE_B.mac),
        b = b.name(),
    ));
    for (namespace, end) in [(a, NODE_A), (b, NODE_B)] {
        namespace.ip(&format!("address add {}/24 dev eth0\nlink set eth0 up\n", dotted(end.ip)));
    }
    // Known beforehand, so that no packet waits for an answer.
    for (namespace, other) in [(a, NODE_B), (b, NODE_A)] {
        namespace.ip(&format!(
            "neighbour replace {} lladdr {} dev eth0 nud permanent\n",
            dotted(other.ip),
            colons(other.mac)
        ));
    }
}

/// Lets frames made by the generator be received by an interface: a veth takes frames that come without a socket
/// buffer only while it has NAPI, which GRO switches on (`drivers/net/veth.c: veth_xdp_xmit`).
pub(crate) fn take_made_frames(namespace: &Namespace, interface: &str) {
    namespace.run(&format!("ethtool -K {interface} gro on"));
}
