//! The node under test: pods, services and the other nodes.
//!
//! ```text
//! pod p (64)      10.1.0.p+1, VLAN p+1, label 100+p, all in VRF "blue"
//! service s (16)  10.96.0.s+1:80, eight backends on the four other nodes         client side
//!                 10.97.0.s+1:80 -> 8080, four pods of this node (p mod 16 = s)  backend side
//! node k (4)      10.0.0.k+2, clients 10.2.k.0/24 behind label 2000+k
//! ```

use std::net::{IpAddr, Ipv4Addr};

use std::sync::Arc;

use dataplane::desired::{
    Affinity, Backend, Desired, Hop, HopTarget, Link, MssClamp, Node, OnBackendGone, OuterOptions, Peers,
    Policy, Reach, Route, RouteTarget, Rule, RuleTraffic, Service, ServicePort, Transport, Underlay, Uplink,
    Vif, VifKind, Vrf,
};
use dataplane::ids::Mac;
use encap::Label;

/// Pods of the node.
pub const PODS: u32 = 64;
/// Services of each kind.
pub const SERVICES: u32 = 16;
/// Other nodes.
pub const PEERS: u32 = 4;
/// Port of the services.
pub const PORT: u16 = 80;
/// Port of the pods.
pub const TARGET_PORT: u16 = 8080;
/// Our Ethernet address on the underlay.
pub const UPLINK_MAC: Mac = Mac([2, 0, 0, 0, 0xff, 1]);
/// The next hop's Ethernet address on the underlay.
pub const PEER_MAC: Mac = Mac([2, 0, 0, 0, 0xff, 2]);
/// Our tunnel address.
pub const TUNNEL_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// Backends of each service on the client side.
const BACKENDS: u32 = 8;
/// Routes that no benchmark uses, so that a lookup has something to search.
const OTHER_ROUTES: u32 = 1000;

/// Address of a pod.
pub fn pod_address(pod: u32) -> [u8; 4] {
    [10, 1, 0, pod as u8 + 1]
}

/// Ethernet address of a pod.
pub fn pod_mac(pod: u32) -> Mac {
    Mac([2, 0, 0, 0, 1, pod as u8])
}

/// Interface label of a pod.
pub fn pod_label(pod: u32) -> Label {
    label(100 + pod)
}

/// A service whose backends are on the other nodes.
pub fn remote_service(pod: u32) -> [u8; 4] {
    [10, 96, 0, (pod % SERVICES) as u8 + 1]
}

/// The service that a pod is a backend of.
pub fn local_service(pod: u32) -> [u8; 4] {
    [10, 97, 0, (pod % SERVICES) as u8 + 1]
}

/// The client that talks to a pod.
pub fn client_address(pod: u32) -> [u8; 4] {
    [10, 2, (pod % PEERS) as u8, pod as u8 + 1]
}

/// Tunnel address of the node a pod's client lives on.
pub fn peer_address(peer: u32) -> [u8; 4] {
    [10, 0, 0, peer as u8 + 2]
}

/// The desired state of the node.
pub fn desired() -> Desired {
    let vrf = Vrf { name: "blue".into(), label: Some(label(17)) };
    let reach = |peer| (IpAddr::from(peer_address(peer)), Reach::Via(PEER_MAC));
    let uplink = Uplink { mac: UPLINK_MAC, mtu: 1600, vlan: None, link: Link::Up };
    Desired {
        node: Node {
            tunnel_address: TUNNEL_ADDRESS.into(),
            udp_port: encap::MPLS_UDP_PORT,
            legacy_udp_port: Some(encap::LEGACY_MPLS_UDP_PORT),
            mss_clamp: MssClamp::On,
            outer: OuterOptions::default(),
            explicit_null_vrf: None,
        },
        vrfs: vec![vrf],
        vifs: (0..PODS).map(vif).collect(),
        routes: routes(),
        services: (0..SERVICES).flat_map(|service| [remote(service), local(service)]).map(Arc::new).collect(),
        policies: Vec::new(),
        nat: Default::default(),
        broadcasts: Vec::new(),
        underlay: Underlay {
            uplink: Some(uplink),
            tunnels: (0..PEERS).map(reach).collect(),
            ..Underlay::default()
        },
    }
}

/// The same with so many rules on every pod, in both directions; only the last fits the traffic.
pub fn guarded(rules: u16) -> Desired {
    let mut desired = desired();
    if rules == 0 {
        return desired;
    }
    let rule = |number: u16| {
        let prefix = match number + 1 == rules {
            true => "0.0.0.0/0".to_owned(),
            false => format!("192.168.{}.{}/32", number / 256, number % 256),
        };
        let peers = Peers::Within(vec![prefix.parse().unwrap()]);
        Rule { name: None, peers, traffic: RuleTraffic::Any }
    };
    let list: Vec<Rule> = (0..rules).map(rule).collect();
    desired.policies = vec![Policy { name: "guard".into(), ingress: Some(list.clone()), egress: Some(list) }];
    desired.vifs.iter_mut().for_each(|vif| vif.policies = vec!["guard".into()]);
    desired
}

/// What a node has beside what the traffic of a benchmark needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bystanders {
    /// Routes of one prefix each.
    pub routes: u32,
    /// Pods.
    pub vifs: u32,
    /// Services of ten backends each, on the other nodes.
    pub services: u32,
}

impl Bystanders {
    /// Nobody.
    pub const NONE: Self = Self { routes: 0, vifs: 0, services: 0 };
}

/// Adds bystanders: routes 172.16.0.0/12 and on as /32, pods 10.3.0.0/16, services 10.100.0.0/14.
pub fn add(desired: &mut Desired, bystanders: Bystanders) {
    desired.routes.extend((0..bystanders.routes).map(bystander_route));
    desired.vifs.extend((0..bystanders.vifs).map(|n| {
        let [_, _, high, low] = (n + 1).to_be_bytes();
        Vif {
            name: format!("idle{n}").as_str().into(),
            addresses: vec![[10, 3, high, low].into()],
            mac: Mac([2, 0, 0, 1, high, low]),
            label: label(500_000 + n),
            ..vif(0)
        }
    }));
    desired.services.extend((0..bystanders.services).map(|n| {
        let [_, _, high, low] = (n + 1).to_be_bytes();
        let backends = (0..10).map(|b| to_peer(b % PEERS, 600_000 + (n * 10 + b) % 400_000)).collect();
        Arc::new(service([10, 100, high, low], backends))
    }));
}

/// The route of one bystander.
pub fn bystander_route(n: u32) -> Route {
    let [_, a, b, c] = n.to_be_bytes();
    let prefix = format!("172.{}.{b}.{c}/32", 16 + a).parse().unwrap();
    let hop = to_peer(n % PEERS, 5000 + n % 100_000);
    Route { vrf: "blue".into(), prefix, target: RouteTarget::Hops(vec![hop]) }
}

fn vif(pod: u32) -> Vif {
    Vif {
        name: pod_name(pod).as_str().into(),
        kind: VifKind::Pod,
        vrf: "blue".into(),
        addresses: vec![pod_address(pod).into()],
        mac: pod_mac(pod),
        gateway_v4: Vif::DEFAULT_GATEWAY_V4,
        gateway_v6: Vif::DEFAULT_GATEWAY_V6,
        label: pod_label(pod),
        mtu: 1500,
        link: Link::Up,
        policies: Vec::new(),
    }
}

fn routes() -> Vec<Route> {
    let route = |prefix: String, hop| Route {
        vrf: "blue".into(),
        prefix: prefix.parse().unwrap(),
        target: RouteTarget::Hops(vec![hop]),
    };
    let clients = (0..PEERS).map(|peer| route(format!("10.2.{peer}.0/24"), to_peer(peer, 2000 + peer)));
    let others = (0..OTHER_ROUTES).map(|n| {
        let hop = to_peer(n % PEERS, 3000 + n);
        route(format!("10.{}.{}.0/24", 128 + n / 256, n % 256), hop)
    });
    clients.chain(others).collect()
}

fn remote(number: u32) -> Service {
    let backends = (0..BACKENDS).map(|n| to_peer(n % PEERS, 4000 + number * BACKENDS + n)).collect();
    service(remote_service(number), backends)
}

fn local(number: u32) -> Service {
    let own = (0..PODS).filter(|pod| pod % SERVICES == number);
    let hop = |pod| Hop { to: HopTarget::Vif(pod_name(pod).as_str().into()), weight: 1 };
    service(local_service(number), own.map(hop).collect())
}

fn service(address: [u8; 4], backends: Vec<Hop>) -> Service {
    let port = |protocol| ServicePort::single(protocol, PORT, TARGET_PORT);
    let ports = vec![port(Transport::Udp), port(Transport::Tcp)];
    Service {
        vrf: "blue".into(),
        address: address.into(),
        ports,
        backends: backends.into_iter().map(Backend::from).collect(),
        affinity: Affinity::None,
        on_backend_gone: OnBackendGone::Rechoose,
    }
}

fn to_peer(peer: u32, number: u32) -> Hop {
    Hop { to: HopTarget::Tunnel { node: peer_address(peer).into(), label: label(number) }, weight: 1 }
}

fn pod_name(pod: u32) -> String {
    format!("pod{pod}")
}

fn label(value: u32) -> Label {
    Label::new(value).unwrap()
}
