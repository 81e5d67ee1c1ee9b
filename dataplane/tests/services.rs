//! Services: spread over backends, kept choices, hairpin, local backends, and what is refused.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it goes wrong"
)]

mod support;

use dataplane::desired::{Desired, Link, ServicePort, Transport};
use dataplane::ids::VifSlot;
use dataplane::io::Side;
use encap::Label;
use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use support::{Node, desired, from_fabric, ready, route, service, service_mut, to_tunnel, to_vif, vif, vrf};

const GATEWAY: [u8; 6] = [0, 0, 0x5e, 0, 1, 0];

/// A frame from the vif with VLAN `slot`.
fn from_vif(slot: u16, mac: [u8; 6], src: [u8; 4], dst: [u8; 4], ports: (u16, u16)) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(mac, GATEWAY)
        .single_vlan(slot.try_into().unwrap())
        .ipv4(src, dst, 64)
        .udp(ports.0, ports.1);
    let mut frame = Vec::new();
    builder.write(&mut frame, b"data").unwrap();
    frame
}

/// An address with a port.
type Endpoint = ([u8; 4], u16);

/// VLAN, source and destination of a frame to a vif; its checksums must be right.
fn seen(frame: &[u8]) -> (u16, Endpoint, Endpoint) {
    let sliced = SlicedPacket::from_ethernet(frame).unwrap();
    let vlan = sliced.vlan_ids().first().unwrap().value();
    let Some(NetSlice::Ipv4(ip)) = sliced.net else { panic!("not IPv4: {frame:02x?}") };
    let header = ip.header().to_header();
    assert_eq!(header.header_checksum, header.calc_header_checksum());
    let Some(TransportSlice::Udp(udp)) = sliced.transport else { panic!("not UDP") };
    let computed = udp.to_header().calc_checksum_ipv4(&header, udp.payload()).unwrap();
    assert_eq!(udp.checksum(), computed);
    (vlan, (header.source, udp.source_port()), (header.destination, udp.destination_port()))
}

fn pods(count: u8) -> Desired {
    let mut state = desired("10.1.1.1", &["10.1.1.2"]);
    state.vrfs = vec![dataplane::desired::Vrf { label: Label::new(60), ..vrf("eight") }];
    for n in 1..=count {
        let (address, mac) = (format!("11.1.1.{n}"), format!("02:00:00:00:08:0{n}"));
        state.vifs.push(vif(&format!("pod{n}"), "eight", &[&address], &mac, 100 + u32::from(n)));
    }
    state.routes = vec![route("eight", "12.1.1.3/32", vec![to_tunnel("10.1.1.2", 30)])];
    let backends = (1..=count).map(|n| to_vif(&format!("pod{n}"))).collect();
    state.services = vec![service("eight", "14.1.1.100", &[(Transport::Udp, 80, 1080)], backends)];
    state
}

fn without_pod(mut state: Desired, name: &str) -> Desired {
    state.vifs.retain(|vif| vif.name.as_str() != name);
    service_mut(&mut state, 0).backends.retain(|backend| backend.to != to_vif(name).to);
    state
}

/// The pods (by VLAN) that 32 flows from one remote client reach.
fn reached(node: &mut Node) -> Vec<u16> {
    let reach = |n: u16| {
        let frame = from_fabric(60, [12, 1, 1, 3], [14, 1, 1, 100], (1000 + n, 80));
        let output = node.step(Side::Uplink, &frame);
        let (vlan, source, (pod, port)) = seen(output.trunk.first().expect("delivered"));
        assert_eq!(source, ([12, 1, 1, 3], 1000 + n));
        assert_eq!((pod, port), ([11, 1, 1, vlan as u8], 1080));
        vlan
    };
    (0..32).map(reach).collect()
}

#[test]
fn case_8_flows_stay_when_backends_come_and_go() {
    let mut node = Node::new(&pods(3));
    let first = reached(&mut node);
    for pod in 1..=3 {
        assert!(first.contains(&pod), "pod {pod} gets some of {first:?}");
    }
    assert_eq!(reached(&mut node), first);

    node.publish(&pods(4));
    assert_eq!(reached(&mut node), first, "no flow moves to the new pod");

    node.publish(&without_pod(pods(4), "pod2"));
    let after = reached(&mut node);
    for (before, now) in first.iter().zip(&after) {
        assert!(before == now || *before == 2, "{before} -> {now}");
        assert_ne!(*now, 2);
    }
    assert!(first.contains(&2));
}

#[test]
fn an_answer_finds_its_way_from_every_pod() {
    let mut node = Node::new(&pods(3));
    for n in 0..16 {
        let request = from_fabric(60, [12, 1, 1, 3], [14, 1, 1, 100], (1000 + n, 80));
        let output = node.step(Side::Uplink, &request);
        let (vlan, _, (pod, _)) = seen(&output.trunk[0]);
        let mac = [2, 0, 0, 0, 8, vlan as u8];
        let answer = from_vif(vlan, mac, pod, [12, 1, 1, 3], (1080, 1000 + n));
        let output = node.step(Side::Trunk, &answer);
        let sent = output.uplink.first().expect("answer leaves");
        let inner = SlicedPacket::from_ip(&sent[46..]).unwrap();
        let Some(NetSlice::Ipv4(ip)) = inner.net else { panic!("not IPv4") };
        assert_eq!(ip.header().source(), [14, 1, 1, 100]);
        let Some(TransportSlice::Udp(udp)) = inner.transport else { panic!("not UDP") };
        assert_eq!((udp.source_port(), udp.destination_port()), (80, 1000 + n));
    }
}

#[test]
fn a_local_backend_is_translated_at_once_and_back() {
    let mut state = pods(1);
    state.vifs.push(vif("client", "eight", &["11.1.1.9"], "02:00:00:00:08:09", 109));
    let mut node = Node::new(&state);
    let request = from_vif(2, [2, 0, 0, 0, 8, 9], [11, 1, 1, 9], [14, 1, 1, 100], (4000, 80));
    let output = node.step(Side::Trunk, &request);
    assert_eq!(seen(&output.trunk[0]), (1, ([11, 1, 1, 9], 4000), ([11, 1, 1, 1], 1080)));
    output.assert_moved(&[("client.rx", 1), ("pod1.tx", 1), ("misses", 1), ("pairs", 1)]);
    let answer = from_vif(1, [2, 0, 0, 0, 8, 1], [11, 1, 1, 1], [11, 1, 1, 9], (1080, 4000));
    let output = node.step(Side::Trunk, &answer);
    assert_eq!(seen(&output.trunk[0]), (2, ([14, 1, 1, 100], 80), ([11, 1, 1, 9], 4000)));
    output.assert_moved(&[("pod1.rx", 1), ("client.tx", 1), ("hits", 1)]);
}

#[test]
fn a_pod_reaches_itself_through_its_service() {
    let mut node = Node::new(&pods(1));
    let request = from_vif(1, [2, 0, 0, 0, 8, 1], [11, 1, 1, 1], [14, 1, 1, 100], (4000, 80));
    let output = node.step(Side::Trunk, &request);
    assert_eq!(seen(&output.trunk[0]), (1, ([14, 1, 1, 100], 4000), ([11, 1, 1, 1], 1080)));
    let answer = from_vif(1, [2, 0, 0, 0, 8, 1], [11, 1, 1, 1], [14, 1, 1, 100], (1080, 4000));
    let output = node.step(Side::Trunk, &answer);
    assert_eq!(seen(&output.trunk[0]), (1, ([14, 1, 1, 100], 80), ([11, 1, 1, 1], 4000)));
    output.assert_moved(&[("pod1.rx", 1), ("pod1.tx", 1), ("hits", 1)]);
}

#[test]
fn a_hairpin_keeps_its_port_when_the_snapshot_changes() {
    let mut node = Node::new(&pods(2));
    let mut state = pods(2);
    service_mut(&mut state, 0).backends = ready(vec![to_vif("pod1")]);
    node.publish(&state);
    let request = from_vif(1, [2, 0, 0, 0, 8, 1], [11, 1, 1, 1], [14, 1, 1, 100], (4000, 80));
    let before = node.step(Side::Trunk, &request);
    node.publish(&pods(2));
    let after = node.step(Side::Trunk, &request);
    assert_eq!(before.trunk, after.trunk);
    after.assert_moved(&[("pod1.rx", 1), ("pod1.tx", 1), ("hits", 1), ("revalidations", 1)]);
}

#[test]
fn hairpin_ports_that_collide_get_another_port() {
    let mut state = pods(1);
    service_mut(&mut state, 0).ports.push(ServicePort::single(Transport::Udp, 81, 1080));
    let mut node = Node::new(&state);
    let mac = [2, 0, 0, 0, 8, 1];
    let first = from_vif(1, mac, [11, 1, 1, 1], [14, 1, 1, 100], (4000, 80));
    let second = from_vif(1, mac, [11, 1, 1, 1], [14, 1, 1, 100], (4000, 81));
    let (_, source, _) = seen(&node.step(Side::Trunk, &first).trunk[0]);
    assert_eq!(source, ([14, 1, 1, 100], 4000));
    let (_, (_, port), target) = seen(&node.step(Side::Trunk, &second).trunk[0]);
    assert_eq!(target, ([11, 1, 1, 1], 1080));
    assert!(port >= 49152 && port != 4000, "{port}");
    let answer = from_vif(1, mac, [11, 1, 1, 1], [14, 1, 1, 100], (1080, port));
    let output = node.step(Side::Trunk, &answer);
    assert_eq!(seen(&output.trunk[0]), (1, ([14, 1, 1, 100], 81), ([11, 1, 1, 1], 4000)));
}

#[test]
fn the_destination_stays_the_clusterip_towards_another_node() {
    let mut state = pods(1);
    service_mut(&mut state, 0).backends = ready(vec![to_tunnel("10.1.1.2", 34)]);
    let mut node = Node::new(&state);
    let request = from_vif(1, [2, 0, 0, 0, 8, 1], [11, 1, 1, 1], [14, 1, 1, 100], (4000, 80));
    let output = node.step(Side::Trunk, &request);
    let sent = &output.uplink[0];
    let outer =
        encap::decapsulate(&sent[14..], &encap::Ports::default(), encap::ZeroChecksum6::Refuse).unwrap();
    assert_eq!((outer.label.get(), outer.ttl), (34, 63));
    let inner = SlicedPacket::from_ip(&sent[46..]).unwrap();
    let Some(NetSlice::Ipv4(ip)) = inner.net else { panic!("not IPv4") };
    assert_eq!(ip.header().destination(), [14, 1, 1, 100]);
    // The backend's node has translated back: the answer matches the client's flow.
    let answer = from_fabric(101, [14, 1, 1, 100], [11, 1, 1, 1], (80, 4000));
    let output = node.step(Side::Uplink, &answer);
    assert_eq!(seen(&output.trunk[0]), (1, ([14, 1, 1, 100], 80), ([11, 1, 1, 1], 4000)));
    output.assert_moved(&[("uplink.rx", 1), ("pod1.tx", 1), ("hits", 1)]);
    // The same answer finds its way when the flow table is new, as after a restart.
    let mut restarted = Node::new(&state);
    let output = restarted.step(Side::Uplink, &answer);
    output.assert_moved(&[("uplink.rx", 1), ("pod1.tx", 1), ("misses", 1), ("pairs", 1)]);
}

#[test]
fn what_a_service_refuses_is_counted() {
    let mac = [2, 0, 0, 0, 8, 1];
    let to_port = |port| from_vif(1, mac, [11, 1, 1, 1], [14, 1, 1, 100], (4000, port));
    let mut node = Node::new(&pods(1));
    let output = node.step(Side::Trunk, &to_port(8080));
    let told = [("pod1.rx", 1), ("pod1.tx", 1), ("generated", 1), ("misses", 1), ("pairs", 1)];
    output.assert_moved(&[&told[..], &[("pod1.service_port_unmapped", 1)]].concat());

    // The refusal is remembered for a while, and forgotten when the service changes.
    let again = node.step(Side::Trunk, &to_port(8080));
    assert_eq!((again.moved["hits"], again.moved["pod1.service_port_unmapped"]), (1, 1));

    let mut empty = pods(1);
    service_mut(&mut empty, 0).backends.clear();
    node.publish(&empty);
    let output = node.step(Side::Trunk, &to_port(80));
    output.assert_moved(&[&told[..], &[("pod1.service_no_backend", 1)]].concat());
}

#[test]
fn a_backend_that_is_down_gets_no_new_flows() {
    let mut state = pods(3);
    state.vifs[1].link = Link::Down("link down".to_owned());
    let mut node = Node::new(&state);
    let reached = reached(&mut node);
    assert!(reached.contains(&1) && reached.contains(&3) && !reached.contains(&2), "{reached:?}");
}

#[test]
fn one_vif_can_not_take_the_whole_table() {
    let mut state = pods(2);
    service_mut(&mut state, 0).backends = ready(vec![to_vif("pod2")]);
    let mut node = Node::with_flows(&state, 100, 10);
    let mut refused = 0;
    for n in 0..12 {
        let frame = from_vif(1, [2, 0, 0, 0, 8, 1], [11, 1, 1, 1], [14, 1, 1, 100], (4000 + n, 80));
        refused += node.step(Side::Trunk, &frame).moved.get("pod1.vif_flow_limit").copied().unwrap_or(0);
    }
    assert_eq!(refused, 2);
    let other = from_vif(2, [2, 0, 0, 0, 8, 2], [11, 1, 1, 2], [11, 1, 1, 1], (4000, 80));
    let output = node.step(Side::Trunk, &other);
    output.assert_moved(&[("pod2.rx", 1), ("pod1.tx", 1), ("misses", 1), ("pairs", 1)]);
}

#[test]
fn a_stranger_can_not_use_up_what_a_pod_may_begin() {
    let mut node = Node::with_flows(&pods(1), 100, 10);
    let mut refused = 0;
    for n in 0..12 {
        let frame = from_fabric(101, [12, 1, 1, 3], [11, 1, 1, 1], (4000 + n, 80));
        refused += node.step(Side::Uplink, &frame).moved.get("pod1.vif_flow_limit").copied().unwrap_or(0);
    }
    let slot = VifSlot::new(1).unwrap();
    let counted = (node.flows.owner_len(slot.flow_owner()), node.flows.owner_len(slot.fabric_flow_owner()));
    assert_eq!((refused, counted), (2, (0, 10)));
    let own = from_vif(1, [2, 0, 0, 0, 8, 1], [11, 1, 1, 1], [12, 1, 1, 3], (5000, 80));
    node.step(Side::Trunk, &own).assert_moved(&[
        ("pod1.rx", 1),
        ("uplink.tx", 1),
        ("misses", 1),
        ("pairs", 1),
    ]);
    assert_eq!(node.flows.owner_len(slot.flow_owner()), 1);
}

#[test]
fn the_flows_of_a_removed_vif_go_in_the_next_sweep_and_no_others() {
    let mut state = pods(3);
    let mut node = Node::new(&state);
    let own = |n: u8, to: [u8; 4]| from_vif(n.into(), [2, 0, 0, 0, 8, n], [11, 1, 1, n], to, (4000, 80));
    node.step(Side::Trunk, &own(1, [12, 1, 1, 3]));
    node.step(Side::Trunk, &own(2, [12, 1, 1, 3]));
    // To and from the second pod; the last by the label of its VRF, which stays.
    node.step(Side::Trunk, &own(1, [11, 1, 1, 2]));
    node.step(Side::Trunk, &own(3, [11, 1, 1, 1]));
    node.step(Side::Uplink, &from_fabric(102, [12, 1, 1, 3], [11, 1, 1, 2], (4001, 80)));
    node.step(Side::Uplink, &from_fabric(60, [12, 1, 1, 3], [11, 1, 1, 2], (4002, 80)));
    node.step(Side::Uplink, &from_fabric(60, [12, 1, 1, 3], [11, 1, 1, 1], (4003, 80)));
    node.sweep();
    assert_eq!((node.flows.len(), node.flows.statistics().purged), (7, 0));
    state.vifs.remove(1);
    service_mut(&mut state, 0).backends = ready(vec![to_vif("pod1"), to_vif("pod3")]);
    node.publish(&state);
    node.sweep();
    assert_eq!((node.flows.len(), node.flows.statistics().purged), (3, 4));
    let slot = VifSlot::new(2).unwrap();
    assert_eq!(node.flows.owner_len(slot.flow_owner()) + node.flows.owner_len(slot.fabric_flow_owner()), 0);
    state.vrfs.clear();
    (state.vifs, state.routes, state.services) = (Vec::new(), Vec::new(), Vec::new());
    node.publish(&state);
    node.sweep();
    assert_eq!((node.flows.len(), node.flows.statistics().purged), (0, 7));
}

#[test]
fn a_change_in_one_vrf_leaves_the_flows_of_another_alone() {
    let two = |extra: bool| {
        let mut state = pods(1);
        state.vrfs.push(vrf("other"));
        state.vifs.push(vif("left", "other", &["10.9.0.1"], "02:00:00:00:09:01", 201));
        state.vifs.push(vif("right", "other", &["10.9.0.2"], "02:00:00:00:09:02", 202));
        if extra {
            state.routes.push(route("eight", "192.0.2.0/24", vec![to_tunnel("10.1.1.2", 31)]));
        }
        state
    };
    let mut node = Node::new(&two(false));
    let frame = from_vif(2, [2, 0, 0, 0, 9, 1], [10, 9, 0, 1], [10, 9, 0, 2], (1, 2));
    node.step(Side::Trunk, &frame);
    node.publish(&two(true));
    let output = node.step(Side::Trunk, &frame);
    output.assert_moved(&[("left.rx", 1), ("right.tx", 1), ("hits", 1)]);
}
