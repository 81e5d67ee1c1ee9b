//! The shapes of resources, for the OpenAPI document. The reader of the configuration reads them; a test compares
//! the two key by key.
#![expect(dead_code, reason = "these are only described, never made")]

use utoipa::ToSchema;

/// All that programs have declared.
#[derive(ToSchema)]
pub(super) struct Document {
    vrf: Option<Vec<Vrf>>,
    policy: Option<Vec<Policy>>,
    vif: Option<Vec<Vif>>,
    service: Option<Vec<Service>>,
    route: Option<Vec<Route>>,
    broadcast: Option<Vec<Broadcast>>,
}

/// Who hears the broadcast and link-local multicast of a VRF, by which it is named.
#[derive(ToSchema)]
pub(super) struct Broadcast {
    vrf: String,
    /// "All pods of this VRF here" for the other nodes.
    label: Option<u32>,
    /// IPv4 prefixes of the pods.
    subnets: Option<Vec<String>>,
    nodes: Option<Vec<BroadcastNode>>,
}

/// Another node with pods of the VRF.
#[derive(ToSchema)]
pub(super) struct BroadcastNode {
    /// Its tunnel address.
    tunnel: String,
    /// The label of its own broadcast for this VRF.
    label: u32,
}

/// A private routing table.
#[derive(ToSchema)]
pub(super) struct Vrf {
    /// In a request to its own path it may be left out, here as in all resources.
    name: String,
    /// "Look the destination up in this VRF" for the other nodes.
    #[schema(minimum = 16, maximum = 1_048_575)]
    label: Option<u32>,
    source_nat: Option<SourceNat>,
}

/// Sources of packets that a route of another VRF leads in.
#[derive(ToSchema)]
pub(super) struct SourceNat {
    /// The pool.
    addresses: Vec<String>,
    ports: Option<Ports>,
    /// `address-and-port-dependent` or `endpoint-independent`
    mapping: Option<String>,
}

/// A public address of a pod.
#[derive(ToSchema)]
pub(super) struct FloatingIp {
    address: String,
    /// Where it is public.
    vrf: String,
}

/// An interface of a pod.
#[derive(ToSchema)]
pub(super) struct Vif {
    name: String,
    /// The node's end of the pod's veth.
    ifname: String,
    vrf: String,
    /// IPv4 and IPv6 addresses of the pod.
    addresses: Vec<String>,
    /// Ethernet address of the interface inside the pod.
    mac: String,
    /// Addresses of the vrouter towards the pod, at most one of each family.
    gateway: Option<Vec<String>>,
    #[schema(minimum = 16, maximum = 1_048_575)]
    label: u32,
    /// Bytes.
    #[schema(minimum = 576, maximum = 3400)]
    mtu: Option<u16>,
    floating_ips: Option<Vec<FloatingIp>>,
    /// Names of policies.
    policies: Option<Vec<String>>,
}

/// A route beside those that vifs and services bring: one of `via`, `via_vrf` and `action`.
#[derive(ToSchema)]
pub(super) struct Route {
    vrf: String,
    prefix: String,
    via: Option<Vec<NextHop>>,
    via_vrf: Option<String>,
    /// `discard`
    action: Option<String>,
}

/// A vif of this node, or a label on another.
#[derive(ToSchema)]
pub(super) struct NextHop {
    vif: Option<String>,
    /// Tunnel address of the other node.
    tunnel: Option<String>,
    label: Option<u32>,
    #[schema(minimum = 1)]
    weight: Option<u16>,
}

/// A ClusterIP.
#[derive(ToSchema)]
pub(super) struct Service {
    name: String,
    vrf: String,
    address: Option<String>,
    addresses: Option<Vec<String>>,
    ports: Vec<ServicePort>,
    backends: Vec<Backend>,
    affinity: Option<Affinity>,
    /// `rechoose` or `reset`
    on_backend_gone: Option<String>,
}

/// What a service answers on.
#[derive(ToSchema)]
pub(super) struct ServicePort {
    /// `tcp`, `udp` or `sctp`
    protocol: String,
    port: Ports,
    target_port: Option<Ports>,
}

/// A port, or a range like `"30000-30500"`.
#[derive(serde::Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Ports {
    One(u16),
    Range(String),
}

/// A pod behind a service.
#[derive(ToSchema)]
pub(super) struct Backend {
    vif: Option<String>,
    tunnel: Option<String>,
    label: Option<u32>,
    weight: Option<u16>,
    /// `ready` or `terminating`
    state: Option<String>,
}

/// A client's new flows go where its last ones went.
#[derive(ToSchema)]
pub(super) struct Affinity {
    /// Seconds.
    timeout: Option<u32>,
}

/// Which flows vifs may have.
#[derive(ToSchema)]
pub(super) struct Policy {
    name: String,
    ingress: Option<Vec<IngressRule>>,
    egress: Option<Vec<EgressRule>>,
}

/// A flow that others may begin.
#[derive(ToSchema)]
pub(super) struct IngressRule {
    name: Option<String>,
    /// Prefixes.
    from: Option<Vec<String>>,
    protocol: Option<Protocol>,
    port: Option<Ports>,
    icmp_type: Option<u8>,
}

/// A flow that the pod may begin.
#[derive(ToSchema)]
pub(super) struct EgressRule {
    name: Option<String>,
    /// Prefixes.
    to: Option<Vec<String>>,
    protocol: Option<Protocol>,
    port: Option<Ports>,
    icmp_type: Option<u8>,
}

/// `tcp`, `udp`, `sctp`, `icmp`, `icmpv6`, or a number.
#[derive(serde::Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Protocol {
    Name(String),
    Number(u8),
}

/// Whether packets can reach a vif.
#[derive(ToSchema)]
pub(super) struct LinkState {
    /// `up` or `down`
    state: String,
    /// Why it is down.
    reason: Option<String>,
}
