//! The configuration that the fuzz targets run on.

use std::net::IpAddr;
use std::sync::Arc;

use dataplane::desired::{
    Affinity, Backend, BackendState, Broadcast, BroadcastNode, Desired, Hop, HopTarget, Link, MssClamp, Node,
    OnBackendGone, OuterOptions, Peers, Policy, Reach, Route, RouteTarget, Rule, RuleTraffic, Service,
    ServicePort, Transport, Underlay, Uplink, Vif, VifKind, Vrf,
};
use dataplane::ids::Mac;
use encap::Label;
use flow_table::Millis;
use ipnet::IpNet;

fn vif(number: u8) -> Vif {
    Vif {
        kind: VifKind::Pod,
        name: format!("pod{number}").as_str().into(),
        vrf: "blue".into(),
        addresses: vec![[10, 0, 0, number].into(), [0xfd00, 0, 0, 0, 0, 0, 0, u16::from(number)].into()],
        mac: Mac([2, 0, 0, 0, 0, number]),
        gateway_v4: Vif::DEFAULT_GATEWAY_V4,
        gateway_v6: Vif::DEFAULT_GATEWAY_V6,
        label: Label::new(16 + u32::from(number)).unwrap_or(Label::MAX),
        mtu: 1500,
        link: Link::Up,
        policies: Vec::new(),
    }
}

/// Three pods (slots 1 to 3, labels 17 to 19), clients 10.9.0.0/16 and fd09::/64 behind 172.30.0.2, and a service
/// at 10.96.0.1 and fd96::1 with pods 2 and 3, or pod 2 alone, behind it.
pub fn desired(backends: &[u8]) -> Desired {
    let tunnel = |label| HopTarget::Tunnel {
        node: [172, 30, 0, 2].into(),
        label: Label::new(label).unwrap_or(Label::MAX),
    };
    let route = |prefix: &str, target| Route {
        vrf: "blue".into(),
        prefix: prefix.parse().unwrap_or_else(|_| unreachable!("{prefix} is a prefix")),
        target,
    };
    let hops = |to| RouteTarget::Hops(vec![Hop { to, weight: 1 }]);
    let port = ServicePort::single;
    let backend = |number: &u8| Backend {
        to: HopTarget::Vif(format!("pod{number}").as_str().into()),
        weight: 1,
        state: BackendState::Ready,
    };
    let service = |address| {
        Arc::new(Service {
            vrf: "blue".into(),
            address,
            ports: vec![
                port(Transport::Tcp, 80, 8080),
                port(Transport::Udp, 53, 5353),
                port(Transport::Sctp, 99, 9999),
            ],
            backends: backends.iter().map(backend).collect(),
            affinity: Affinity::None,
            on_backend_gone: OnBackendGone::Rechoose,
        })
    };
    Desired {
        node: Node {
            tunnel_address: [172, 30, 0, 1].into(),
            udp_port: 6635,
            legacy_udp_port: Some(51234),
            outer: OuterOptions::default(),
            mss_clamp: MssClamp::On,
            explicit_null_vrf: Some("blue".into()),
        },
        vrfs: vec![Vrf { name: "blue".into(), label: Label::new(500) }],
        vifs: (1..=3).map(vif).collect(),
        routes: vec![
            route("10.9.0.0/16", hops(tunnel(40))),
            route("fd09::/64", hops(tunnel(40))),
            route("10.8.0.0/16", RouteTarget::Discard),
        ],
        services: vec![service([10, 96, 0, 1].into()), service([0xfd96, 0, 0, 0, 0, 0, 0, 1].into())],
        policies: Vec::new(),
        nat: Default::default(),
        broadcasts: vec![Broadcast {
            vrf: "blue".into(),
            label: Label::new(600),
            subnets: "10.0.0.0/24".parse().into_iter().collect(),
            nodes: vec![BroadcastNode {
                node: [172, 30, 0, 2].into(),
                label: Label::new(601).unwrap_or(Label::MAX),
            }],
        }],
        underlay: Underlay {
            uplink: Some(Uplink { mac: Mac([2, 0, 0, 0, 1, 1]), mtu: 1400, vlan: None, link: Link::Up }),
            tunnels: [([172, 30, 0, 2].into(), Reach::Via(Mac([2, 0, 0, 0, 1, 2])))].into(),
            ..Underlay::default()
        },
    }
}

/// The configuration changed: backends by the low two bits, then what else by one bit each (the first pod's link, the
/// second pod's policy, the route to the clients by way of another node, services that reset, that know their clients).
pub fn variant(bits: u8) -> Desired {
    let mut desired = desired([&[2, 3][..], &[2], &[3], &[]][usize::from(bits & 3)]);
    let is_set = |bit: u8| bits & 1 << bit != 0;
    if is_set(2) {
        desired.vifs[0].link = Link::Down("fuzz".to_owned());
    }
    if is_set(3) {
        let traffic = RuleTraffic::Ports { transport: Transport::Tcp, ports: 8080..=8080 };
        let rule = Rule { name: None, peers: Peers::Within(vec![IpNet::from(IpAddr::from([10, 0, 0, 1]))]), traffic };
        desired.policies = vec![Policy { name: "web".into(), ingress: Some(vec![rule]), egress: None }];
        desired.vifs[1].policies = vec!["web".into()];
    }
    if is_set(4) {
        let to = HopTarget::Tunnel { node: [172, 30, 0, 3].into(), label: Label::MAX };
        desired.routes[0].target = RouteTarget::Hops(vec![Hop { to, weight: 1 }]);
    }
    for service in &mut desired.services {
        let service = Arc::make_mut(service);
        if is_set(5) {
            service.on_backend_gone = OnBackendGone::Reset;
        }
        if is_set(6) {
            service.affinity = Affinity::ClientAddress(Millis(8));
        }
    }
    desired
}
