//! Sound files become what they say.

use core::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use dataplane::desired::{
    Affinity, Backend, BackendState, Broadcast, BroadcastNode, Desired, FloatingIp, Hop, HopTarget,
    IcmpVersion, Link, Mapping, Nat, Node, OnBackendGone, OuterOptions, Peers, Policy, PortRange, Route,
    RouteTarget, Rule, RuleTraffic, Service, ServicePort, SourcePool, TargetPort, Transport, Underlay, Vif,
    VifKind, Vrf,
};
use dataplane::ids::Mac;
use encap::{DontFragment, DscpMode, Label, Udp6Checksum};
use flow_table::{Millis, PortTimeout, Timeouts};

use super::{NODE, VIFS, sound};
use crate::config::{Attach, Export, HugePages, Wait, ZeroCopy, load};
use crate::http::VifSeries;

pub(super) const EVERYTHING: &str = r#"
[node]
name = "node-a"
uplink = "eth0"
tunnel_address = "172.30.0.1"
state_dir = "/run/vrouter-a"
udp_port = 6636
legacy_udp_port = "off"
explicit_null_vrf = "green"
dont_fragment = "set"
dscp = 46
udp6_checksum = "zero"
[engine]
workers = 2
cpus = [0, 1]
attach = "generic"
zero_copy = "off"
wait = "busy"
huge_pages = "prefer"
frames = 0x1_000
batch = 32
flows = 10_000
flows_per_vif = 10_000
[timeouts]
tcp_opening = 1
tcp_established = 2
tcp_closing = 3
udp = 4
icmp = 5
other = 6
drop = 7
ports = [{ protocol = "udp", port = 53, idle = 8 }, { protocol = "tcp", port = "5000-5100", idle = 9 }]
[http]
listen = "10.9.9.9:9000"
token_file = "/etc/vrouter/token"
vif_metrics = "on"
traffic_pairs = 5
[export]
collector = "192.0.2.9:4739"
sampling = 100
records_per_second = 50
domain = 3
[api]
socket = "/run/vrouter-a/a.sock"
allow_uids = [1000, 1001]
[host]
ifname = "vr-host"
vrf = "blue"
addresses = ["10.0.1.1"]
mac = "02:00:00:00:00:01"
label = 16
gateway = ["fd00:1::ffff"]
routes = ["10.0.0.0/16", "10.96.0.0/16"]
[[vrf]]
name = "blue"
[[vrf]]
name = "green"
label = 100
source_nat = { addresses = ["192.0.2.1", "2001:db8::1"], ports = "2000-2999", mapping = "endpoint-independent" }
[[vif]]
name = "web-1"
ifname = "veth1a"
vrf = "blue"
addresses = ["10.0.1.2", "fd00:1::2"]
mac = "02:00:00:00:0a:01"
label = 1048575
mtu = 1400
gateway = ["10.0.1.1", "fe80::ffff"]
policies = ["web", "quiet"]
floating_ips = [{ address = "192.0.2.10", vrf = "green" }, { address = "2001:db8::10", vrf = "green" }]
[[policy]]
name = "web"
ingress = [{ name = "http", from = ["10.0.0.0/8", "fd00::/8"], protocol = "tcp", port = 8080 }, { protocol = "icmp", icmp_type = 8 }, { from = ["10.0.1.1/32"] }]
egress = [{ to = ["10.96.0.10/32"], protocol = 17, port = "53-54" }, { protocol = "icmpv6" }, { protocol = 47 }]
[[policy]]
name = "quiet"
egress = []
[[route]]
vrf = "blue"
prefix = "10.0.2.0/24"
via = [{ tunnel = "172.30.0.2", label = 33, weight = 3 }, { vif = "web-1" }]
[[route]]
vrf = "blue"
prefix = "::/0"
via_vrf = "green"
[[route]]
vrf = "green"
prefix = "0.0.0.0/0"
action = "discard"
[[broadcast]]
vrf = "blue"
label = 101
subnets = ["10.0.0.0/16", "10.1.0.0/30"]
nodes = [{ tunnel = "172.30.0.2", label = 102 }, { tunnel = "172.30.0.3", label = 101 }]
[[broadcast]]
vrf = "green"
[[service]]
name = "web"
vrf = "blue"
addresses = ["10.96.0.10", "fd00:96::10"]
ports = [{ protocol = "tcp", port = 80, target_port = 8080 }, { protocol = "udp", port = 53 }, { protocol = "udp", port = "30000-30500", target_port = "40000-40500" }, { protocol = "udp", port = "31000-31999", target_port = 9 }]
backends = [{ vif = "web-1" }, { tunnel = "172.30.0.2", label = 34, state = "terminating" }]
affinity = { timeout = 60 }
on_backend_gone = "reset"
[[service]]
vrf = "green"
address = "10.96.0.10"
ports = [{ protocol = "sctp", port = 80 }]
backends = []
"#;

fn label(value: u32) -> Label {
    Label::new(value).unwrap()
}

fn tunnel(value: u32, weight: u16) -> Hop {
    let node = "172.30.0.2".parse().unwrap();
    Hop { to: HopTarget::Tunnel { node, label: label(value) }, weight }
}

fn vif(name: &str) -> Hop {
    Hop { to: HopTarget::Vif(name.into()), weight: 1 }
}

fn port(protocol: Transport, first: u16, last: u16, target: TargetPort) -> ServicePort {
    ServicePort { protocol, ports: PortRange::new(first, last).unwrap(), target }
}

fn web(address: &str) -> Arc<Service> {
    Arc::new(Service {
        vrf: "blue".into(),
        address: address.parse().unwrap(),
        ports: vec![
            port(Transport::Tcp, 80, 80, TargetPort::One(8080)),
            port(Transport::Udp, 53, 53, TargetPort::From(53)),
            port(Transport::Udp, 30000, 30500, TargetPort::From(40000)),
            port(Transport::Udp, 31000, 31999, TargetPort::One(9)),
        ],
        backends: vec![
            vif("web-1").into(),
            Backend { state: BackendState::Terminating, ..tunnel(34, 1).into() },
        ],
        affinity: Affinity::ClientAddress(Millis(60_000)),
        on_backend_gone: OnBackendGone::Reset,
    })
}

fn policies() -> Vec<Policy> {
    let rule = |peers: &[&str], traffic| Rule {
        name: None,
        peers: match peers {
            [] => Peers::Any,
            list => Peers::Within(list.iter().map(|prefix| prefix.parse().unwrap()).collect()),
        },
        traffic,
    };
    let http = RuleTraffic::Ports { transport: Transport::Tcp, ports: 8080..=8080 };
    let dns = RuleTraffic::Ports { transport: Transport::Udp, ports: 53..=54 };
    let ping = RuleTraffic::Icmp { version: IcmpVersion::V4, kind: 8 };
    let ingress = vec![
        Rule { name: Some("http".to_owned()), ..rule(&["10.0.0.0/8", "fd00::/8"], http) },
        rule(&[], ping),
        rule(&["10.0.1.1/32"], RuleTraffic::Any),
    ];
    let egress = vec![
        rule(&["10.96.0.10/32"], dns),
        rule(&[], RuleTraffic::Protocol(58)),
        rule(&[], RuleTraffic::Protocol(47)),
    ];
    vec![
        Policy { name: "web".into(), ingress: Some(ingress), egress: Some(egress) },
        Policy { name: "quiet".into(), ingress: None, egress: Some(Vec::new()) },
    ]
}

fn nat() -> Nat {
    let floating = |address: &str| FloatingIp {
        vif: "web-1".into(),
        vrf: "green".into(),
        address: address.parse().unwrap(),
    };
    Nat {
        pools: vec![SourcePool {
            vrf: "green".into(),
            addresses: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
            ports: PortRange::new(2000, 2999).unwrap(),
            mapping: Mapping::EndpointIndependent,
        }],
        floating_ips: vec![floating("192.0.2.10"), floating("2001:db8::10")],
    }
}

fn broadcasts() -> Vec<Broadcast> {
    let node = |node: &str, value| BroadcastNode { node: node.parse().unwrap(), label: label(value) };
    vec![
        Broadcast {
            vrf: "blue".into(),
            label: Label::new(101),
            subnets: vec!["10.0.0.0/16".parse().unwrap(), "10.1.0.0/30".parse().unwrap()],
            nodes: vec![node("172.30.0.2", 102), node("172.30.0.3", 101)],
        },
        Broadcast { vrf: "green".into(), label: None, subnets: Vec::new(), nodes: Vec::new() },
    ]
}

#[test]
fn every_key_reaches_the_desired_state() {
    let desired = sound(EVERYTHING).desired(1500);
    let expected = Desired {
        node: Node {
            tunnel_address: "172.30.0.1".parse().unwrap(),
            udp_port: 6636,
            legacy_udp_port: None,
            outer: OuterOptions {
                dont_fragment: DontFragment::Set,
                dscp: DscpMode::Fixed(46),
                udp6_checksum: Udp6Checksum::Zero,
            },
            mss_clamp: dataplane::desired::MssClamp::On,
            explicit_null_vrf: Some("green".into()),
        },
        vrfs: vec![
            Vrf { name: "blue".into(), label: None },
            Vrf { name: "green".into(), label: Some(label(100)) },
        ],
        vifs: vec![
            Vif {
                name: "vr-host".into(),
                kind: VifKind::Host,
                vrf: "blue".into(),
                addresses: vec!["10.0.1.1".parse().unwrap()],
                mac: Mac([2, 0, 0, 0, 0, 1]),
                gateway_v4: Vif::DEFAULT_GATEWAY_V4,
                gateway_v6: "fd00:1::ffff".parse().unwrap(),
                label: label(16),
                mtu: 1468,
                link: Link::Down("waiting for interface vr-host".to_owned()),
                policies: Vec::new(),
            },
            Vif {
                name: "web-1".into(),
                kind: VifKind::Pod,
                vrf: "blue".into(),
                addresses: vec!["10.0.1.2".parse().unwrap(), "fd00:1::2".parse().unwrap()],
                mac: Mac([2, 0, 0, 0, 0xa, 1]),
                gateway_v4: "10.0.1.1".parse().unwrap(),
                gateway_v6: "fe80::ffff".parse().unwrap(),
                label: label(1_048_575),
                mtu: 1400,
                link: Link::Down("waiting for interface veth1a".to_owned()),
                policies: vec!["web".into(), "quiet".into()],
            },
        ],
        routes: vec![
            Route {
                vrf: "blue".into(),
                prefix: "10.0.2.0/24".parse().unwrap(),
                target: RouteTarget::Hops(vec![tunnel(33, 3), vif("web-1")]),
            },
            Route {
                vrf: "blue".into(),
                prefix: "::/0".parse().unwrap(),
                target: RouteTarget::Vrf("green".into()),
            },
            Route { vrf: "green".into(), prefix: "0.0.0.0/0".parse().unwrap(), target: RouteTarget::Discard },
        ],
        services: vec![
            web("10.96.0.10"),
            web("fd00:96::10"),
            Arc::new(Service {
                vrf: "green".into(),
                address: "10.96.0.10".parse().unwrap(),
                ports: vec![port(Transport::Sctp, 80, 80, TargetPort::From(80))],
                backends: Vec::new(),
                affinity: Affinity::None,
                on_backend_gone: OnBackendGone::Rechoose,
            }),
        ],
        policies: policies(),
        nat: nat(),
        broadcasts: broadcasts(),
        underlay: Underlay::default(),
    };
    assert_eq!(desired, expected);
}

#[test]
fn every_key_reaches_what_stands_beside_the_desired_state() {
    let config = sound(EVERYTHING);
    assert_eq!(config.node.state_dir, Path::new("/run/vrouter-a"));
    let engine = &config.engine;
    assert_eq!((engine.workers.value, engine.frames, engine.batch), (2, 4096, 32));
    assert_eq!(engine.cpus.iter().map(|cpu| cpu.value).collect::<Vec<_>>(), [0, 1]);
    assert_eq!((engine.attach, engine.zero_copy), (Attach::Generic, ZeroCopy::Off));
    assert_eq!((engine.wait, engine.huge_pages), (Wait::Busy, HugePages::Prefer));
    assert_eq!((engine.flows, engine.flows_per_vif), (10_000, 10_000));
    let seconds = |n: u64| Millis(n * 1000);
    let mut timeouts = Timeouts::default()
        .with_overrides(vec![
            PortTimeout { protocol: 17, ports: 53..=53, idle: seconds(8) },
            PortTimeout { protocol: 6, ports: 5000..=5100, idle: seconds(9) },
        ])
        .unwrap();
    (timeouts.tcp_opening, timeouts.tcp_established) = (seconds(1), seconds(2));
    (timeouts.tcp_closing, timeouts.udp) = (seconds(3), seconds(4));
    (timeouts.icmp, timeouts.other, timeouts.dropped) = (seconds(5), seconds(6), seconds(7));
    assert_eq!(config.timeouts, timeouts);
    assert_eq!(config.http.listen, "10.9.9.9:9000".parse::<SocketAddr>().unwrap());
    assert_eq!(config.http.token_file.as_deref(), Some(Path::new("/etc/vrouter/token")));
    assert_eq!(config.api.socket, Path::new("/run/vrouter-a/a.sock"));
    assert_eq!(config.api.allow_uids, [1000, 1001]);
    assert_eq!((config.http.vif_metrics, config.http.traffic_pairs), (VifSeries::Shown, 5));
    let export = Export {
        collector: "192.0.2.9:4739".parse().unwrap(),
        sampling: 100,
        records_per_second: 50,
        domain: 3,
    };
    assert_eq!(config.export, Some(export));
    let routes: Vec<_> =
        config.host.iter().flat_map(|host| &host.routes).map(|at| at.value.to_string()).collect();
    assert_eq!(routes, ["10.0.0.0/16", "10.96.0.0/16"]);
    let names: Vec<_> = config.services.iter().map(|service| service.name.as_deref()).collect();
    assert_eq!(names, [Some("web"), None]);
    let interfaces: Vec<_> =
        config.interfaces().map(|(name, ifname)| format!("{name} on {ifname}")).collect();
    assert_eq!(interfaces, ["vr-host on vr-host", "web-1 on veth1a"]);
    assert_eq!(
        config.to_string(),
        "node node-a: 2 VRFs, 1 vif and the host's, 3 routes, 2 services, 2 workers"
    );
}

#[test]
fn the_least_file_gets_the_documented_defaults() {
    let config = sound(NODE);
    assert_eq!(config.node.state_dir, Path::new("/run/vrouter"));
    assert_eq!((config.node.udp_port, config.node.legacy_udp_port), (6635, Some(51234)));
    assert_eq!(config.node.outer, OuterOptions::default());
    assert_eq!(config.node.explicit_null_vrf, None);
    let engine = &config.engine;
    assert_eq!((engine.workers.value, engine.cpus.len(), engine.batch), (1, 0, 64));
    assert_eq!((engine.frames, engine.flows, engine.flows_per_vif), (8192, 262_144, 16_384));
    assert_eq!((engine.attach, engine.zero_copy), (Attach::Auto, ZeroCopy::Prefer));
    assert_eq!((engine.wait, engine.huge_pages), (Wait::Adaptive, HugePages::Off));
    let t = &config.timeouts;
    let millis = [t.tcp_opening, t.tcp_established, t.tcp_closing, t.udp, t.icmp, t.other, t.dropped];
    let documented = [240, 7560, 240, 300, 60, 300, 10];
    assert_eq!(millis, documented.map(|seconds| Millis(seconds * 1000)));
    assert_eq!(config.http.listen, "127.0.0.1:8085".parse::<SocketAddr>().unwrap());
    assert_eq!(
        (config.api.socket.as_path(), config.api.allow_uids.len()),
        (Path::new("/run/vrouter/api.sock"), 0)
    );
    assert_eq!((&config.http.token_file, config.export), (&None, None));
    assert_eq!((config.http.vif_metrics, config.http.traffic_pairs), (VifSeries::Hidden, 200));
    assert_eq!((config.host.is_none(), config.vifs.len()), (true, 0));
}

#[test]
fn a_vif_without_gateway_gets_the_usual_ones_and_one_of_a_family_leaves_the_other() {
    let text = format!("{NODE}{VIFS}");
    let gateways = |text: &str| {
        let vif = &sound(text).desired(1500).vifs[0];
        (vif.gateway_v4.to_string(), vif.gateway_v6.to_string())
    };
    assert_eq!(gateways(&text), ("169.254.1.1".to_owned(), "fe80::1".to_owned()));
    let v4_only = format!("{text}gateway = [\"10.0.1.1\"]\n");
    assert_eq!(gateways(&v4_only), ("10.0.1.1".to_owned(), "fe80::1".to_owned()));
    let own = format!("{text}gateway = [\"10.0.1.1\"]\n").replace("\"10.0.1.2\"", "\"169.254.1.1\"");
    assert_eq!(gateways(&own).0, "10.0.1.1", "169.254.1.1 is free for the pod then");
}

#[test]
fn the_old_port_is_no_second_port_when_it_is_the_first() {
    let config = sound(&format!("{NODE}udp_port = 51234\n"));
    assert_eq!((config.node.udp_port, config.node.legacy_udp_port), (51234, None));
    let config = sound(&format!("{NODE}legacy_udp_port = 4000\n"));
    assert_eq!((config.node.udp_port, config.node.legacy_udp_port), (6635, Some(4000)));
}

#[test]
fn the_hosts_defaults_stay_the_same_and_differ_between_nodes() {
    let host = "[host]\nvrf = \"blue\"\naddresses = [\"10.0.1.1\"]\nlabel = 16\n";
    let mac = |text: &str| sound(text).host.unwrap().mac;
    let a = format!("{NODE}{VIFS}{host}");
    let b = a.replace("name = \"n\"", "name = \"m\"");
    assert_eq!(sound(&a).host.unwrap().ifname, "vhost0");
    assert_eq!(mac(&a).0[0], 0x02, "locally administered, one station");
    assert_eq!(mac(&a), mac(&a));
    assert_ne!(mac(&a), mac(&b));
}

#[test]
fn the_default_mtu_is_what_fits_into_the_tunnel() {
    let v4 = format!("{NODE}{VIFS}");
    assert_eq!(sound(&v4).desired(1500).vifs[0].mtu, 1468);
    let v6 = v4.replace("172.30.0.1", "fd00::1");
    assert_eq!(sound(&v6).desired(1500).vifs[0].mtu, 1448);
    assert_eq!(sound(&v6).desired(20).vifs[0].mtu, 0);
    assert_eq!(sound(&v4).desired(9000).vifs[0].mtu, 3400, "the trunk's limit");
}

#[test]
fn what_may_be_shared_is_not_refused() {
    let shared = r#"[[vif]]
name = "stranger"
ifname = "veth1b"
vrf = "green"
addresses = ["10.0.1.2"]
mac = "02:00:00:00:0a:01"
label = 18
[[service]]
vrf = "blue"
address = "10.96.0.10"
ports = [{ protocol = "tcp", port = 80 }]
backends = [{ vif = "client" }]
[[service]]
vrf = "blue"
address = "10.96.0.10"
ports = [{ protocol = "udp", port = 80 }, { protocol = "tcp", port = 81 }]
backends = [{ vif = "client" }]
[[route]]
vrf = "green"
prefix = "10.0.3.0/24"
via = [{ vif = "client" }]
[[route]]
vrf = "blue"
prefix = "10.0.1.0/24"
action = "discard"
"#;
    sound(&format!("{NODE}{VIFS}{shared}"));
}

#[test]
fn moving_lines_changes_nothing_and_changing_a_value_does() {
    let text = format!("{NODE}{VIFS}");
    assert_eq!(sound(&text), sound(&text.replace("[[vif]]", "\n\n# the client\n[[vif]]")));
    assert_ne!(sound(&text), sound(&text.replace("label = 17", "label = 18")));
}

#[test]
fn the_examples_of_the_documentation_are_sound() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples");
    for (file, summary) in [
        ("node-a.toml", "node node-a: 2 VRFs, 3 vifs, 4 routes, 1 service, 1 worker"),
        ("source-nat.toml", "node node-a: 2 VRFs, 2 vifs and the host's, 4 routes, 0 services, 1 worker"),
        ("node-b.toml", "node node-b: 1 VRF, 2 vifs, 4 routes, 1 service, 1 worker"),
    ] {
        let config = load(&examples.join(file)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(config.to_string(), summary);
    }
}

#[test]
fn the_documentation_lists_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let documentation = std::fs::read_to_string(path).unwrap();
    for line in EVERYTHING.lines().filter(|line| !line.is_empty()) {
        let listed = match line.split_once(" = ") {
            Some((key, _)) => format!("| `{key}` |"),
            None => format!("## `{line}`"),
        };
        assert!(documentation.contains(&listed), "{listed}");
    }
}
