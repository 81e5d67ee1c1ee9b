//! A daemon that takes over the flows of an earlier one, in which every id was another.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it goes wrong"
)]

mod support;

use std::collections::BTreeSet;

use dataplane::desired::{Affinity, Desired, Mapping, ServicePort, Transport};
use dataplane::ids::VifSlot;
use flow_table::Millis;
use support::realm::{HOST, ONE, TWO, pooled, to_node, to_pod};
use support::{Node, ready, route, service, service_mut, to_tunnel, to_vif, vif};

/// The same state with everything in another order, so that slots, ids and tunnels are others.
fn reordered(state: &Desired) -> Desired {
    let mut state = state.clone();
    state.vrfs.reverse();
    state.vifs.reverse();
    state.vifs.insert(0, vif("newcomer", "blue", &["10.0.0.77"], "02:00:00:00:00:77", 77));
    state.routes.insert(0, route("blue", "10.0.77.0/24", vec![to_tunnel("172.30.0.9", 41)]));
    state
}

/// Slot of a vif of [`reordered`], of which there were three.
fn moved((slot, mac): (u16, [u8; 6])) -> (u16, [u8; 6]) {
    (5 - slot, mac)
}

fn successor(earlier: &Node, state: &Desired) -> Node {
    let mut node = Node::new(&reordered(state));
    assert_eq!(node.adopt(earlier), earlier.flows.len(), "every pair is taken over");
    node
}

/// A service in `blue` with a backend here and two behind two nodes, for a client `one`.
fn served() -> Desired {
    let mut state = pooled(&["192.0.2.1"], (1024, 65535), Mapping::AddressAndPortDependent);
    let backends = vec![to_vif("two"), to_tunnel("172.30.0.2", 34), to_tunnel("172.30.0.3", 35)];
    let ports = [(Transport::Udp, 80, 1080), (Transport::Tcp, 80, 1080)];
    state.services = vec![service("blue", "10.96.0.1", &ports, backends)];
    state
}

/// Where a packet from `one` ends.
fn backend_of(node: &mut Node, one: (u16, [u8; 6]), two: u16, text: &str) -> String {
    let output = node.send(one, text);
    match (&output.trunk[..], &output.uplink[..]) {
        ([frame], []) if to_pod(frame).0 == two => "two".to_owned(),
        ([], [frame]) => to_node(frame).0.to_string(),
        _ => panic!("{text}: {:?}", output.moved),
    }
}

#[test]
fn flows_of_a_service_keep_backends_that_a_choice_made_anew_would_not_pick() {
    for kind in ["udp", "syn"] {
        let flow = |n: u16| format!("{kind} 10.0.0.1:{} > 10.96.0.1:80", 4000 + n);
        let mut node = Node::new(&served());
        let before: Vec<_> = (0..60).map(|n| backend_of(&mut node, ONE, TWO.0, &flow(n))).collect();
        assert_eq!(before.iter().collect::<BTreeSet<_>>().len(), 3);

        let mut more = served();
        service_mut(&mut more, 0).backends.push(to_tunnel("172.30.0.3", 36).into());
        let (one, two) = (moved(ONE), moved(TWO).0);
        let mut anew = Node::new(&reordered(&more));
        let by_hash: Vec<_> = (0..60).map(|n| backend_of(&mut anew, one, two, &flow(n))).collect();
        assert_ne!(by_hash, before);
        let mut node = successor(&node, &more);
        let after: Vec<_> = (0..60).map(|n| backend_of(&mut node, one, two, &flow(n))).collect();
        assert_eq!(after, before, "{kind}");
        assert!(after.iter().all(|backend| backend != "36"));
    }
}

#[test]
fn answers_and_what_other_nodes_send_find_their_flows() {
    let mut node = Node::new(&served());
    assert_eq!(node.arrive(17, "udp 10.0.9.9:700 > 10.0.0.1:80").at(ONE), "udp 10.0.9.9:700 > 10.0.0.1:80");
    assert_eq!(
        node.arrive(18, "udp 10.0.9.9:701 > 10.96.0.1:80").at(TWO),
        "udp 10.0.9.9:701 > 10.0.0.2:1080"
    );
    let mut node = successor(&node, &served());
    let output = node.send(moved(TWO), "udp 10.0.0.2:1080 > 10.0.9.9:701");
    assert_eq!(output.at_node("172.30.0.2", 40), "udp 10.96.0.1:80 > 10.0.9.9:701");
    output.assert_moved(&[("two.rx", 1), ("uplink.tx", 1), ("hits", 1), ("revalidations", 1)]);
    let output = node.send(moved(ONE), "udp 10.0.0.1:80 > 10.0.9.9:700");
    assert_eq!(output.at_node("172.30.0.2", 40), "udp 10.0.0.1:80 > 10.0.9.9:700");
    let owned = |slot: u16| node.flows.owner_len(VifSlot::new(slot).unwrap().fabric_flow_owner());
    assert_eq!((owned(moved(ONE).0), owned(moved(TWO).0)), (1, 1));
}

#[test]
fn ports_of_a_pool_stay_those_of_their_senders() {
    for mapping in [Mapping::AddressAndPortDependent, Mapping::EndpointIndependent] {
        let state = pooled(&["192.0.2.1", "192.0.2.2"], (5000, 65535), mapping);
        let mut node = Node::new(&state);
        let flow = |n: u16, to: u8| format!("udp 10.0.0.1:{} > 198.51.100.{to}:80", 400 + n);
        let before: Vec<String> = (0..20).map(|n| node.send(ONE, &flow(n, 9)).at(HOST)).collect();
        let mut node = successor(&node, &state);
        for (n, seen) in (0..).zip(&before) {
            let source = seen.split(' ').nth(1).unwrap();
            let answer = node.send(moved(HOST), &format!("udp 198.51.100.9:80 > {source}"));
            assert_eq!(answer.at(moved(ONE)), format!("udp 198.51.100.9:80 > 10.0.0.1:{}", 400 + n));
            assert_eq!(node.send(moved(ONE), &flow(n, 9)).at(moved(HOST)), *seen);
            if mapping == Mapping::EndpointIndependent {
                let elsewhere = node.send(moved(ONE), &flow(n, 8)).at(moved(HOST));
                assert_eq!(elsewhere.split(' ').nth(1), Some(source), "the mapping is there as well");
            }
        }
    }
}

#[test]
fn a_pod_that_reaches_itself_keeps_its_port() {
    let mut state = served();
    service_mut(&mut state, 0).backends = ready(vec![to_vif("one")]);
    service_mut(&mut state, 0).ports.push(ServicePort::single(Transport::Udp, 81, 1080));
    let mut node = Node::new(&state);
    node.send(ONE, "udp 10.0.0.1:4000 > 10.96.0.1:80").at(ONE);
    // The same source port towards the same target: another one was taken.
    let seen = node.send(ONE, "udp 10.0.0.1:4000 > 10.96.0.1:81").at(ONE);
    let mut node = successor(&node, &state);
    assert_eq!(node.send(moved(ONE), "udp 10.0.0.1:4000 > 10.96.0.1:81").at(moved(ONE)), seen);
}

#[test]
fn a_client_stays_with_its_backend_as_long_as_it_would_have() {
    let mut state = served();
    service_mut(&mut state, 0).affinity = Affinity::ClientAddress(Millis(10_000));
    let flow = |n: u16| format!("udp 10.0.0.1:{} > 10.96.0.1:80", 4000 + n);
    let mut node = Node::new(&state);
    let first = backend_of(&mut node, ONE, TWO.0, &flow(0));
    node.now += 9_000;
    let (one, two) = (moved(ONE), moved(TWO).0);
    let mut held = successor(&node, &state);
    assert!((1..30).all(|n| backend_of(&mut held, one, two, &flow(n)) == first));
    node.now += 1_000;
    let moves = |n| backend_of(&mut successor(&node, &state), one, two, &flow(n)) != first;
    assert!((1..30).any(moves), "free again");
}

#[test]
fn what_names_something_that_is_gone_is_left_behind() {
    let mut node = Node::new(&served());
    let flow = |n: u16| format!("udp 10.0.0.1:{} > 10.96.0.1:80", 4000 + n);
    let before: Vec<_> = (0..30).map(|n| backend_of(&mut node, ONE, TWO.0, &flow(n))).collect();
    let mut fewer = served();
    service_mut(&mut fewer, 0).backends.remove(0);
    fewer.vifs.remove(1);
    let mut new = Node::new(&fewer);
    let kept = before.iter().filter(|backend| *backend != "two").count();
    assert!(kept < 30);
    assert_eq!(new.adopt(&node), kept);
    for (n, backend) in (0..).zip(&before) {
        let now = backend_of(&mut new, ONE, TWO.0, &flow(n));
        assert!(now == *backend || backend == "two", "{backend} {now}");
    }
}

#[test]
fn a_backend_that_is_no_longer_one_loses_its_flows() {
    let mut node = Node::new(&served());
    let flow = |n: u16| format!("udp 10.0.0.1:{} > 10.96.0.1:80", 4000 + n);
    (0..30).for_each(|n| drop(backend_of(&mut node, ONE, TWO.0, &flow(n))));
    let mut fewer = served();
    service_mut(&mut fewer, 0).backends.remove(1);
    let mut node = successor(&node, &fewer);
    let (one, two) = (moved(ONE), moved(TWO).0);
    assert!((0..30).all(|n| backend_of(&mut node, one, two, &flow(n)) != "34"));
}
