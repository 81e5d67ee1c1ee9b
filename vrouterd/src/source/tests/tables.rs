//! Views of what is configured: vifs, VRFs, routes, next hops, labels, services, tunnels.

use std::net::IpAddr;
use std::sync::Arc;

use dataplane::desired::{BackendState, Link, Peers, Policy, PortRange, Reach, Rule, RuleTraffic, Transport};
use dataplane::ids::VifName;
use dataplane::policy::FlowCourse;
use xdp_prog::{XdpAttached, XdpMode};

use super::{Node, PEER_MAC, UPLINK_MAC, vif_mut};
use crate::state::{ControlState, ProgramCounters};
use crate::view::{
    Attach, BackendView, BroadcastNodeView, BroadcastView, Counts, FlowFilter, HopView, LabelTarget,
    LabelView, NextHopView, Protocol, ReachView, RouteOrigin, RouteView, RuleView, ServicePortView, State,
    StatusView, Subject, TunnelView, ViewSource, VifPolicy, VifService, VrfView,
};

const FAILED: &str =
    "The neighbour does not answer ARP or neighbour solicitation; look at the node and the cabling.";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn to_vif(name: &str) -> HopView {
    HopView::Vif { vif: name.into() }
}

fn tunnel(node: &str, label: u32) -> HopView {
    HopView::Tunnel { node: ip(node), label }
}

fn down(reason: &str) -> State {
    State::Down { reason: reason.to_owned() }
}

#[test]
fn the_node_has_its_identity_uplink_and_counts() {
    let node = Node::new().state.node();
    assert_eq!((node.name.as_str(), node.generation), ("node-a", 1));
    assert_eq!(node.tunnel_address, ip("172.30.0.1"));
    assert_eq!(node.uplink.name, "eth0");
    assert_eq!((node.uplink.mac, node.uplink.mtu, node.uplink.vlan), (Some(UPLINK_MAC), Some(1600), Some(7)));
    assert_eq!((node.uplink.link, node.uplink.attach), (State::Up, Attach::Native));
    let expected = Counts {
        vrfs: 2,
        vifs: 4,
        vifs_down: 1,
        routes: 10,
        next_hops: 8,
        labels: 4,
        services: 2,
        tunnels: 2,
        workers: 1,
        flows: 0,
        flow_capacity: 100,
    };
    assert_eq!(node.counts, expected);
}

#[test]
fn generic_mode_has_its_reason() {
    let node = Node::new();
    let attach = |fallback_reason: Option<&str>| {
        let attached =
            XdpAttached { mode: XdpMode::Generic, fallback_reason: fallback_reason.map(str::to_owned) };
        let old = node.state.control.load_full();
        node.state.control.store(Arc::new(ControlState { attached, ..(*old).clone() }));
        node.state.node().uplink.attach
    };
    assert_eq!(attach(Some("no native XDP")), Attach::Generic { reason: "no native XDP".to_owned() });
    let chosen = "The configuration asks for it (engine.attach).".to_owned();
    assert_eq!(attach(None), Attach::Generic { reason: chosen });
}

#[test]
fn vifs_are_listed_by_name_with_what_is_configured() {
    let node = Node::new();
    let vifs = node.state.vifs();
    let names: Vec<_> = vifs.iter().map(|vif| vif.name.as_str()).collect();
    assert_eq!(names, ["client", "other", "web-1", "web-2"]);
    let web = node.state.vif(&VifName::from("web-1")).unwrap();
    assert_eq!(web, vifs[2]);
    assert_eq!((web.ifname.as_str(), web.vrf.as_str(), web.label, web.mtu), ("veth2a", "blue", 18, 1400));
    assert_eq!(web.addresses, [ip("10.0.1.3")]);
    assert_eq!(web.slot.map(|slot| slot.get()), Some(2));
    let port = |protocol, port, target_port| {
        let (port, target_port) = (PortRange::single(port), PortRange::single(target_port));
        vec![ServicePortView { protocol: Protocol(protocol), port, target_port }]
    };
    let services = [
        VifService { address: ip("10.96.0.10"), ports: port(6, 80, 8080) },
        VifService { address: ip("10.96.0.12"), ports: port(17, 53, 5353) },
    ];
    assert_eq!(web.services, services);
    assert_eq!(web.state, State::Up);
    assert_eq!(vifs[3].state, down("waiting for interface veth3a"));
    assert_eq!(node.state.vif(&VifName::from("absent")), None);
}

#[test]
fn vrfs_name_their_vifs() {
    let expected = [
        VrfView {
            name: "blue".into(),
            vifs: ["client", "web-1", "web-2"].map(VifName::from).into(),
            routes: 8,
            services: 2,
            source_nat: None,
            broadcast: Some(BroadcastView {
                label: Some(101),
                addresses: vec![ip("10.0.255.255")],
                vifs: ["client", "web-1"].map(VifName::from).into(),
                nodes: vec![BroadcastNodeView {
                    node: ip("172.30.0.3"),
                    label: 102,
                    state: down(
                        "The neighbour does not answer ARP or neighbour solicitation; look at the node and the cabling.",
                    ),
                }],
            }),
        },
        VrfView {
            name: "red".into(),
            vifs: vec!["other".into()],
            routes: 2,
            services: 0,
            source_nat: None,
            broadcast: None,
        },
    ];
    assert_eq!(Node::new().state.vrfs(), expected);
}

#[test]
fn routes_are_in_order_with_origin_and_next_hops() {
    let line = |route: &RouteView| {
        let hops: Vec<_> = route.next_hops.iter().map(|hop| (hop.next_hop, hop.weight)).collect();
        (route.vrf.to_string(), route.prefix.to_string(), route.origin, hops)
    };
    let row = |vrf: &str, prefix: &str, origin, hops: &[(u32, u16)]| {
        (vrf.to_owned(), prefix.to_owned(), origin, hops.to_vec())
    };
    let node = Node::new();
    let lines: Vec<_> = node.state.routes(None).iter().map(line).collect();
    let expected = [
        row("blue", "10.0.1.2/32", RouteOrigin::Vif, &[(0, 1)]),
        row("blue", "10.0.1.3/32", RouteOrigin::Vif, &[(1, 1)]),
        row("blue", "10.0.1.4/32", RouteOrigin::Vif, &[(2, 1)]),
        row("blue", "10.0.2.0/24", RouteOrigin::Declared, &[(4, 1)]),
        row("blue", "10.0.3.0/24", RouteOrigin::Declared, &[(4, 3), (1, 1)]),
        row("blue", "10.96.0.10/32", RouteOrigin::Service, &[(1, 1), (5, 1)]),
        row("blue", "10.96.0.12/32", RouteOrigin::Service, &[(1, 1)]),
        row("blue", "fd00::/8", RouteOrigin::Declared, &[(6, 1)]),
        row("red", "0.0.0.0/0", RouteOrigin::Declared, &[(7, 1)]),
        row("red", "10.0.1.2/32", RouteOrigin::Vif, &[(3, 1)]),
    ];
    assert_eq!(lines, expected);
    assert_eq!(node.state.routes(Some(&"red".into())).iter().map(line).collect::<Vec<_>>(), expected[8..]);
    assert_eq!(node.state.routes(Some(&"absent".into())), []);
}

#[test]
fn next_hops_have_ids_states_and_users() {
    let hop = |id, to, state, routes| NextHopView { id, to, state, routes };
    let expected = [
        hop(0, to_vif("client"), State::Up, 1),
        hop(1, to_vif("web-1"), State::Up, 4),
        hop(2, to_vif("web-2"), down("waiting for interface veth3a"), 1),
        hop(3, to_vif("other"), State::Up, 1),
        hop(4, tunnel("172.30.0.2", 33), State::Up, 2),
        hop(5, tunnel("172.30.0.3", 51), down(FAILED), 1),
        hop(6, HopView::Vrf { vrf: "red".into() }, State::Up, 1),
        hop(7, HopView::Discard, State::Up, 1),
    ];
    let node = Node::new();
    assert_eq!(node.state.next_hops(), expected);
    for route in node.state.routes(None) {
        for hop in route.next_hops {
            assert_eq!(hop.to, expected[hop.next_hop as usize].to, "{}", route.prefix);
        }
    }
}

#[test]
fn labels_are_in_order() {
    let mut node = Node::new();
    node.change(|desired| {
        let red = desired.vrfs.iter_mut().find(|vrf| vrf.name.as_str() == "red").unwrap();
        red.label = encap::Label::new(16);
    });
    let vif = |label, vif: &str, vrf: &str| LabelView {
        label,
        target: LabelTarget::Vif { vif: vif.into(), vrf: vrf.into() },
    };
    let expected = [
        LabelView { label: 16, target: LabelTarget::Vrf { vrf: "red".into() } },
        vif(17, "client", "blue"),
        vif(18, "web-1", "blue"),
        vif(19, "web-2", "blue"),
        vif(20, "other", "red"),
        LabelView { label: 101, target: LabelTarget::Broadcast { vrf: "blue".into() } },
    ];
    assert_eq!(node.state.labels(), expected);
}

#[test]
fn services_show_backends_that_are_down_with_the_reason() {
    let services = Node::new().state.services();
    let addresses: Vec<_> = services.iter().map(|service| service.address).collect();
    assert_eq!(addresses, [ip("10.96.0.10"), ip("10.96.0.12")]);
    let backend = |to, weight, state| BackendView { to, weight, readiness: BackendState::Ready, state };
    let expected = [
        backend(to_vif("web-1"), 1, State::Up),
        backend(to_vif("web-2"), 2, down("waiting for interface veth3a")),
        backend(tunnel("172.30.0.3", 51), 1, down(FAILED)),
    ];
    assert_eq!(services[0].backends, expected);
}

#[test]
fn tunnels_that_nobody_names_any_more_are_not_shown() {
    let mut node = Node::new();
    let two = TunnelView {
        peer: ip("172.30.0.2"),
        reach: ReachView::Via { mac: PEER_MAC },
        inner_mtu: 1568,
        next_hops: 1,
    };
    let three =
        TunnelView { peer: ip("172.30.0.3"), reach: ReachView::Failed, inner_mtu: 1568, next_hops: 1 };
    assert_eq!(node.state.tunnels(), [two.clone(), three]);
    node.change(|desired| {
        desired.services.clear();
        desired.broadcasts.clear();
    });
    assert_eq!(node.state.tunnels(), [two]);
    assert_eq!(node.state.node().counts.tunnels, 1);
}

#[test]
fn a_node_without_uplink_is_alive_but_not_ready() {
    let mut node = Node::new();
    assert!(node.state.health().ready.is_up());
    node.change(|desired| {
        desired.underlay.uplink.as_mut().unwrap().link = Link::Down("eth0 has no carrier".to_owned());
    });
    let health = node.state.health();
    assert!(health.live.is_up());
    assert_eq!(health.ready, down("The uplink is down: eth0 has no carrier."));
    assert_eq!(node.state.next_hops()[4].state, down("The uplink is down: eth0 has no carrier."));
}

#[test]
fn troubles_name_what_is_wrong_beside_what_is_down() {
    let mut node = Node::new();
    node.change(|desired| {
        vif_mut(desired, "web-2").link = Link::Up;
        desired.underlay.tunnels.insert(ip("172.30.0.3"), Reach::Via(PEER_MAC));
    });
    assert_eq!(StatusView::read(&node.state).troubles, []);
    let old = node.state.control.load_full();
    let reload_error = Some("test.toml:3:1: bad".to_owned());
    node.state.control.store(Arc::new(ControlState { reload_error, ..(*old).clone() }));
    let mut programs = ProgramCounters::default();
    programs.fabric.outer_fragment = 5;
    node.state.programs.store(Arc::new(programs));

    let troubles = StatusView::read(&node.state).troubles;
    assert_eq!(
        (&troubles[0].subject, troubles[0].reason.as_str()),
        (&Subject::Configuration, "test.toml:3:1: bad")
    );
    assert_eq!(troubles[1].subject, Subject::Uplink("eth0".to_owned()));
    assert!(troubles[1].reason.starts_with("5 outer fragments arrived"), "{}", troubles[1].reason);
    assert_eq!(troubles.len(), 2);
    let fragments =
        |view: &&crate::view::ProgramView| (view.program, view.outcome) == ("fabric", "outer_fragment");
    assert_eq!(node.state.programs().iter().find(fragments).map(|view| view.packets), Some(5));
    assert_eq!(node.state.programs().len(), 15);
}

#[test]
fn policies_are_shown_with_the_vif_and_with_the_flows_that_they_allow() {
    let mut node = Node::new();
    node.change(|desired| {
        let traffic = RuleTraffic::Ports { transport: Transport::Udp, ports: 53..=54 };
        let peers = Peers::Within(vec!["10.0.1.0/24".parse().unwrap()]);
        let dns = Rule { name: Some("dns".to_owned()), peers, traffic };
        let open = Rule { name: None, peers: Peers::Any, traffic: RuleTraffic::Any };
        let web = Policy { name: "web".into(), ingress: Some(vec![dns]), egress: None };
        let out = Policy { name: "out".into(), ingress: None, egress: Some(vec![open]) };
        desired.policies = vec![web, out];
        vif_mut(desired, "web-1").policies = vec!["web".into()];
        vif_mut(desired, "client").policies = vec!["out".into()];
    });
    let web = VifPolicy { name: "web".into(), ingress: Some(1), egress: None };
    assert_eq!(node.state.vif(&"web-1".into()).unwrap().policies, [web]);

    node.send("client", [10, 0, 1, 2], ([10, 0, 1, 3], 53));
    node.send("client", [10, 0, 1, 2], ([10, 0, 1, 3], 80));
    let flow = |port| {
        let filter = FlowFilter { port: Some(port), ..FlowFilter::default() };
        node.state.flows(&filter).flows.remove(0)
    };
    let rule = |policy: &str, course, name: Option<&str>, allows: &str| RuleView {
        policy: policy.into(),
        course,
        number: 0,
        name: name.map(str::to_owned),
        allows: allows.to_owned(),
    };
    let expected = [
        rule("out", FlowCourse::Egress, None, "everything with anyone"),
        rule("web", FlowCourse::Ingress, Some("dns"), "udp 53-54 with 10.0.1.0/24"),
    ];
    let allowed = flow(53);
    assert_eq!((allowed.allowed_by, allowed.drop_reason), (expected.to_vec(), None));
    let refused = flow(80);
    assert_eq!((refused.allowed_by, refused.drop_reason), (Vec::new(), Some("policy_denied")));
    assert_eq!(refused.reverse.vif, Some("client".into()));
}
