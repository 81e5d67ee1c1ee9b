//! What a configuration file says, after it has been read and found sound.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use dataplane::desired::{
    Affinity, Backend, Broadcast, MssClamp, Nat, OnBackendGone, OuterOptions, Policy, Route, ServicePort, Vrf,
};
use dataplane::ids::{Mac, PolicyName, VifName, VrfName};
use encap::Label;
use flow_table::Timeouts;
use ipnet::IpNet;

use super::place::At;
use crate::http::VifSeries;

/// A whole configuration. Two are equal when they say the same, wherever it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[node]`
    pub node: Node,
    /// `[engine]`
    pub engine: Engine,
    /// `[timeouts]`
    pub timeouts: Timeouts,
    /// `[http]`
    pub http: Http,
    /// `[api]`
    pub api: Api,
    /// `[export]`, if flows are exported.
    pub export: Option<Export>,
    /// `[host]`, if the host takes part.
    pub host: Option<Host>,
    /// `[[vrf]]`
    pub vrfs: Vec<Vrf>,
    /// `[[vif]]`, without the host's.
    pub vifs: Vec<Vif>,
    /// `[[route]]`
    pub routes: Vec<Route>,
    /// `[[service]]`
    pub services: Vec<Service>,
    /// `[[policy]]`
    pub policies: Vec<Policy>,
    /// `source_nat` of the VRFs and `floating_ips` of the vifs.
    pub nat: Nat,
    /// `[[broadcast]]`
    pub broadcasts: Vec<Broadcast>,
}

/// The node and its tunnels.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Shown to the operator.
    pub name: String,
    /// Interface that reaches the other nodes.
    pub uplink: At<String>,
    /// Outer source of what we send, outer destination of what we take.
    pub tunnel_address: At<IpAddr>,
    /// Directory for sockets and state, absolute.
    pub state_dir: PathBuf,
    /// UDP destination port we send to and take.
    pub udp_port: u16,
    /// Second port that is taken, never sent to.
    pub legacy_udp_port: Option<u16>,
    /// VRF of packets with an explicit null label.
    pub explicit_null_vrf: Option<VrfName>,
    /// What is done about the segment size of TCP connections that cross a tunnel.
    pub mss_clamp: MssClamp,
    /// Outer header details.
    pub outer: OuterOptions,
}

/// Settings of the forwarding engine; read once at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    /// Worker threads.
    pub workers: At<u16>,
    /// CPU of each worker; empty leaves them to the scheduler.
    pub cpus: Vec<At<u16>>,
    /// How XDP is attached to the uplink.
    pub attach: Attach,
    /// Whether AF_XDP may use the driver's memory directly.
    pub zero_copy: ZeroCopy,
    /// What a worker does when there is nothing to do.
    pub wait: Wait,
    /// Whether the UMEM asks for huge pages.
    pub huge_pages: HugePages,
    /// UMEM frames per worker.
    pub frames: u32,
    /// Most packets handled in one go.
    pub batch: u16,
    /// Most flow pairs of the node.
    pub flows: u32,
    /// Most flow pairs of one vif.
    pub flows_per_vif: u32,
}

/// How XDP is attached to the uplink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// In the driver where it can, else generic.
    Auto,
    /// In the driver or not at all.
    Native,
    /// In the kernel's generic path, which every driver has.
    Generic,
}

/// Whether AF_XDP may use the driver's memory directly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZeroCopy {
    /// Where the driver has it.
    Prefer,
    /// Always copy.
    Off,
}

/// What a worker does when there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Spins under load, sleeps when idle.
    Adaptive,
    /// Always spins: least delay, one CPU in full per worker.
    Busy,
}

/// Whether the UMEM asks for huge pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HugePages {
    /// Where the kernel has some left.
    Prefer,
    /// Ordinary pages.
    Off,
}

/// The HTTP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Address and port; not loopback only with a token.
    pub listen: SocketAddr,
    /// File that holds the access token.
    pub token_file: Option<PathBuf>,
    /// Whether `/metrics` has series for each vif.
    pub vif_metrics: VifSeries,
    /// Most pairs of networks whose traffic is told apart.
    pub traffic_pairs: usize,
}

/// Flow export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Export {
    /// Where IPFIX is sent to, over UDP.
    pub collector: SocketAddr,
    /// One flow in so many is exported.
    pub sampling: u32,
    /// Most records sent in a second.
    pub records_per_second: u32,
    /// Observation domain: tells exporters behind one address apart.
    pub domain: u32,
}

/// The API's socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// Where it is, absolute.
    pub socket: PathBuf,
    /// User ids that may use it, beside root and the daemon's own.
    pub allow_uids: Vec<u32>,
}

/// The host's own interface to the vrouter.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    /// Name of the host's end, made by the daemon; also the name of the vif.
    pub ifname: String,
    /// Its routing table.
    pub vrf: VrfName,
    /// Addresses put on it.
    pub addresses: Vec<At<IpAddr>>,
    /// Its Ethernet address.
    pub mac: Mac,
    /// Addresses of the vrouter towards it.
    pub gateways: Gateways,
    /// Its label.
    pub label: Label,
    /// Prefixes the host reaches through it.
    pub routes: Vec<At<IpNet>>,
}

/// A pod's interface.
#[derive(Clone, Debug, PartialEq)]
pub struct Vif {
    /// Shown everywhere.
    pub name: VifName,
    /// Node's end of the pod's veth.
    pub ifname: At<String>,
    /// Its routing table.
    pub vrf: VrfName,
    /// The pod's addresses.
    pub addresses: Vec<At<IpAddr>>,
    /// The pod's Ethernet address.
    pub mac: Mac,
    /// Addresses of the vrouter towards it.
    pub gateways: Gateways,
    /// Its label.
    pub label: At<Label>,
    /// Largest IP packet, bytes; absent means what fits into the tunnel.
    pub mtu: Option<At<u16>>,
    /// Security policies attached to it.
    pub policies: Vec<PolicyName>,
}

/// Addresses of the vrouter towards a pod: answered by ARP and ND, source of ICMP errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gateways {
    /// For IPv4.
    pub v4: Ipv4Addr,
    /// For IPv6.
    pub v6: Ipv6Addr,
}

/// A service.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Shown to the operator.
    pub name: Option<String>,
    /// VRF of clients and backends.
    pub vrf: VrfName,
    /// Its ClusterIPs, at most one per family.
    pub addresses: Vec<IpAddr>,
    /// What it answers on.
    pub ports: Vec<ServicePort>,
    /// The pods behind it; may be empty.
    pub backends: Vec<Backend>,
    /// Whether a client's new flows go where its last ones went.
    pub affinity: Affinity,
    /// What becomes of TCP connections to a backend that is gone.
    pub on_backend_gone: OnBackendGone,
}
