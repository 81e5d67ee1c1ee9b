//! Source NAT: a pool of addresses where a private VRF leads into a public one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it goes wrong"
)]

mod support;

use std::collections::BTreeSet;

use dataplane::desired::{Desired, Mapping, VifKind};
use dataplane::ids::VifSlot;
use dataplane::io::Side;
use support::frames::{error4, error6, fabric, tagged};
use support::realm::{BLUE, HOST, ONE, PUBLIC, TWO, packet, plain, pooled, read, to_node, to_pod};
use support::{Node, to_tunnel};

const DEPENDENT: Mapping = Mapping::AddressAndPortDependent;
const INDEPENDENT: Mapping = Mapping::EndpointIndependent;
const POOL: &[&str] = &["192.0.2.1", "2001:db8::1"];

fn usual() -> Desired {
    pooled(POOL, (1024, 65535), DEPENDENT)
}

/// Port or identifier of the source in the text of a packet.
fn source_port(text: &str) -> u16 {
    text.split(' ').nth(1).unwrap().rsplit(':').next().unwrap().parse().unwrap()
}

#[test]
fn a_flow_leaves_with_a_pool_address_and_comes_back() {
    let table = [
        ("syn 10.0.0.1:4000 > 198.51.100.9:80", "syn 192.0.2.1:4000 > 198.51.100.9:80"),
        ("udp 10.0.0.1:4000 > 198.51.100.9:80", "udp 192.0.2.1:4000 > 198.51.100.9:80"),
        ("ping 10.0.0.1:4000 > 198.51.100.9:4000", "ping 192.0.2.1:4000 > 198.51.100.9:4000"),
        ("syn [fd00::1]:4000 > [2001:db8:9::9]:80", "syn [2001:db8::1]:4000 > [2001:db8:9::9]:80"),
        ("udp [fd00::1]:4000 > [2001:db8:9::9]:80", "udp [2001:db8::1]:4000 > [2001:db8:9::9]:80"),
        ("ping [fd00::1]:4000 > [2001:db8:9::9]:4000", "ping [2001:db8::1]:4000 > [2001:db8:9::9]:4000"),
    ];
    let answer = |text: &str| {
        let [kind, src, _, dst] = text.split(' ').collect::<Vec<_>>()[..] else { panic!() };
        let kind = match kind {
            "syn" => "ack",
            "ping" => "pong",
            other => other,
        };
        format!("{kind} {dst} > {src}")
    };
    for (sent, seen) in table {
        let mut node = Node::new(&usual());
        let output = node.send(ONE, sent);
        assert_eq!(output.at(HOST), seen);
        output.assert_moved(&[("one.rx", 1), ("vhost0.tx", 1), ("misses", 1), ("pairs", 1)]);
        let output = node.send(HOST, &answer(seen));
        assert_eq!(output.at(ONE), answer(sent));
        output.assert_moved(&[("vhost0.rx", 1), ("one.tx", 1), ("hits", 1)]);
        assert_eq!(node.send(ONE, sent).moved["hits"], 1);
    }
}

#[test]
fn the_ttl_is_counted_and_what_is_not_translated_stays() {
    let mut node = Node::new(&usual());
    let sent = packet("udp 10.0.0.1:4000 > 198.51.100.9:80");
    let output = node.step(Side::Trunk, &tagged(ONE.0, ONE.1, &sent));
    let (_, seen) = to_pod(&output.trunk[0]);
    assert_eq!((seen[8], &seen[28..]), (63, &sent[28..]));
}

#[test]
fn two_pods_with_one_port_get_two() {
    let mut node = Node::new(&usual());
    for kind in ["udp", "syn"] {
        let [one, two] = [(ONE, 1), (TWO, 2)]
            .map(|(vif, n)| node.send(vif, &format!("{kind} 10.0.0.{n}:4000 > 198.51.100.9:80")).at(HOST));
        assert_eq!(source_port(&one), 4000);
        let port = source_port(&two);
        assert!(port >= 1024 && port != 4000, "{port}");
        let back = if kind == "udp" { "udp" } else { "ack" };
        let answer = |port| format!("{back} 198.51.100.9:80 > 192.0.2.1:{port}");
        let to_one = node.send(HOST, &answer(4000)).at(ONE);
        assert_eq!(to_one, format!("{back} 198.51.100.9:80 > 10.0.0.1:4000"));
        let to_two = node.send(HOST, &answer(port)).at(TWO);
        assert_eq!(to_two, format!("{back} 198.51.100.9:80 > 10.0.0.2:4000"));
        // Towards another server both may have it.
        let elsewhere = node.send(TWO, &format!("{kind} 10.0.0.2:4000 > 198.51.100.8:80")).at(HOST);
        assert_eq!(source_port(&elsewhere), 4000);
    }
}

#[test]
fn two_echoes_with_one_identifier_get_two() {
    for (pods, server, ours) in [
        (["10.0.0.1", "10.0.0.2"], "198.51.100.9", "192.0.2.1"),
        (["[fd00::1]", "[fd00::2]"], "[2001:db8:9::9]", "[2001:db8::1]"),
    ] {
        let mut node = Node::new(&usual());
        let one = node.send(ONE, &format!("ping {}:77 > {server}:77", pods[0])).at(HOST);
        let two = node.send(TWO, &format!("ping {}:77 > {server}:77", pods[1])).at(HOST);
        let ids = [source_port(&one), source_port(&two)];
        assert!(ids.iter().all(|id| *id >= 1024) && ids[0] != ids[1], "{ids:?}");
        for (vif, pod, id) in [(ONE, pods[0], ids[0]), (TWO, pods[1], ids[1])] {
            let pong = node.send(HOST, &format!("pong {server}:{id} > {ours}:{id}")).at(vif);
            assert_eq!(pong, format!("pong {server}:77 > {pod}:77"));
        }
    }
}

#[test]
fn a_port_outside_the_range_is_exchanged() {
    let mut node = Node::new(&pooled(POOL, (5000, 5099), DEPENDENT));
    let ports: BTreeSet<u16> = (0..40)
        .map(|n| {
            source_port(&node.send(ONE, &format!("udp 10.0.0.1:{} > 198.51.100.9:80", 100 + n)).at(HOST))
        })
        .collect();
    assert_eq!(ports.len(), 40);
    assert!(ports.iter().all(|port| (5000..=5099).contains(port)), "{ports:?}");
}

#[test]
fn a_pool_that_is_used_up_refuses_and_keeps_what_it_has() {
    for mapping in [DEPENDENT, INDEPENDENT] {
        let mut node = Node::new(&pooled(POOL, (5000, 5003), mapping));
        let flow = |n: u16| format!("udp 10.0.0.1:{n} > 198.51.100.9:80");
        let given: BTreeSet<_> = (1..=4).map(|n| source_port(&node.send(ONE, &flow(n)).at(HOST))).collect();
        assert_eq!(given, (5000..=5003).collect());
        node.send(ONE, &flow(5)).dropped("one.nat_port_exhausted");
        assert_eq!(node.send(ONE, &flow(2)).moved["hits"], 1);
        let elsewhere = node.send(ONE, "udp 10.0.0.1:6 > 198.51.100.8:80");
        match mapping {
            DEPENDENT => drop(elsewhere.at(HOST)),
            INDEPENDENT => elsewhere.dropped("one.nat_port_exhausted"),
        }
    }
}

#[test]
fn every_sender_keeps_to_one_address() {
    let pool = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
    let mut state = pooled(&pool, (1024, 65535), DEPENDENT);
    let many: Vec<String> = (10..40).map(|n| format!("10.0.0.{n}")).collect();
    state.vifs[0].addresses = many.iter().map(|address| address.parse().unwrap()).collect();
    let mut node = Node::new(&state);
    let mut used = BTreeSet::new();
    for address in many {
        let address_of = |text: String| text.split(' ').nth(1).unwrap().split(':').next().unwrap().to_owned();
        let of_sender: BTreeSet<_> = (1..5)
            .map(|n| address_of(node.send(ONE, &format!("udp {address}:4000 > 198.51.100.{n}:80")).at(HOST)))
            .collect();
        assert_eq!(of_sender.len(), 1);
        used.extend(of_sender);
    }
    assert_eq!(used.len(), 3);
}

#[test]
fn an_endpoint_independent_mapping_holds_for_all_destinations() {
    let mut node = Node::new(&pooled(POOL, (1024, 65535), INDEPENDENT));
    for (kind, dport) in [("udp", "80"), ("syn", "80"), ("ping", "4000")] {
        let to = |n: u8, pod: u8| format!("{kind} 10.0.0.{pod}:4000 > 198.51.100.{n}:{dport}");
        let one: BTreeSet<_> = (1..5).map(|n| source_port(&node.send(ONE, &to(n, 1)).at(HOST))).collect();
        assert_eq!(one, BTreeSet::from([4000]));
        // The other pod may not have the port, not even towards somebody else.
        let two: BTreeSet<_> = (5..9).map(|n| source_port(&node.send(TWO, &to(n, 2)).at(HOST))).collect();
        assert!(two.len() == 1 && two != one, "{two:?}");
    }
    // One pair for each mapping and each flow; the pods that have begun them are their owners.
    let owned = |slot: u16| node.flows.owner_len(VifSlot::new(slot).unwrap().flow_owner());
    assert_eq!((owned(1), owned(2), owned(3)), (15, 15, 0));
}

#[test]
fn a_mapping_comes_back_after_it_has_expired() {
    let mut node = Node::new(&pooled(POOL, (5000, 65535), INDEPENDENT));
    let first = source_port(&node.send(ONE, "udp 10.0.0.1:400 > 198.51.100.9:80").at(HOST));
    node.now += 400_000;
    node.sweep();
    assert_eq!(node.flows.len(), 0);
    let again = source_port(&node.send(ONE, "udp 10.0.0.1:400 > 198.51.100.8:80").at(HOST));
    assert_eq!(again, first);
}

#[test]
fn what_is_no_answer_is_dropped_without_a_trace() {
    for mapping in [DEPENDENT, INDEPENDENT] {
        let mut node = Node::new(&pooled(POOL, (1024, 65535), mapping));
        node.send(ONE, "udp 10.0.0.1:4000 > 198.51.100.9:80").at(HOST);
        let pairs = node.flows.len();
        let table = [
            "udp 198.51.100.9:80 > 192.0.2.1:4001",
            "udp 198.51.100.9:81 > 192.0.2.1:4000",
            "udp 198.51.100.8:80 > 192.0.2.1:4000",
            "syn 198.51.100.9:80 > 192.0.2.1:4000",
            "ping 198.51.100.9:1 > 192.0.2.1:1",
            "udp [2001:db8:9::9]:80 > [2001:db8::1]:4000",
        ];
        for text in table {
            node.send(HOST, text).dropped("vhost0.nat_no_mapping");
        }
        // From another node and from a pod as well.
        node.arrive(PUBLIC, "udp 203.0.113.5:80 > 192.0.2.1:4000").dropped("uplink.nat_no_mapping");
        node.send(TWO, "udp 10.0.0.2:80 > 192.0.2.1:4000").dropped("two.nat_no_mapping");
        assert_eq!(node.flows.len(), pairs);
    }
}

#[test]
fn the_host_may_not_speak_for_addresses_that_are_not_behind_it() {
    let mut node = Node::new(&usual());
    for spoofed in ["203.0.113.5", "192.0.2.1"] {
        let text = format!("udp {spoofed}:80 > 192.0.2.1:4000");
        node.send(HOST, &text.replace("192.0.2.1:4000", "192.0.2.7:4000")).dropped("vhost0.spoofed_source");
    }
    let mut state = usual();
    state.vifs[2].kind = VifKind::Pod;
    let mut node = Node::new(&state);
    node.send(HOST, "udp 198.51.100.9:80 > 203.0.113.5:1").dropped("vhost0.spoofed_source");
}

#[test]
fn protocols_without_ports_can_not_share_an_address() {
    let mut node = Node::new(&usual());
    node.send(ONE, "gre 10.0.0.1:0 > 198.51.100.9:0").dropped("one.nat_unsupported");
    let mut timestamp = packet("ping 10.0.0.1:4000 > 198.51.100.9:4000");
    // Type 13, and the checksum for it.
    timestamp[20] = 13;
    let sum = u16::from_be_bytes([timestamp[22], timestamp[23]]).wrapping_sub(5 << 8);
    timestamp[22..24].copy_from_slice(&sum.to_be_bytes());
    node.step(Side::Trunk, &tagged(ONE.0, ONE.1, &timestamp)).dropped("one.nat_unsupported");
    assert_eq!(node.flows.len(), 0);
}

#[test]
fn a_family_without_an_address_is_routed_as_it_is() {
    let mut node = Node::new(&pooled(&["192.0.2.1"], (1024, 65535), DEPENDENT));
    let text = "udp [fd00::1]:4000 > [2001:db8:9::9]:80";
    assert_eq!(node.send(ONE, text).at(HOST), text);
}

#[test]
fn within_a_vrf_nothing_is_translated() {
    let mut node = Node::new(&usual());
    let text = "udp 10.0.0.1:4000 > 10.0.0.2:80";
    assert_eq!(node.send(ONE, text).at(TWO), text);
    let text = "udp 192.0.2.254:4000 > 203.0.113.5:80";
    assert_eq!(node.send(HOST, text).at_node("172.30.0.2", 70), text);
}

#[test]
fn over_a_tunnel_the_answers_come_with_the_label_of_the_public_vrf() {
    for (pod, server, ours) in
        [("10.0.0.1", "203.0.113.5", "192.0.2.1"), ("[fd00::1]", "[2001:db8:113::5]", "[2001:db8::1]")]
    {
        let mut node = Node::new(&usual());
        let seen = node.send(ONE, &format!("syn {pod}:4000 > {server}:80")).at_node("172.30.0.2", 70);
        assert_eq!(seen, format!("syn {ours}:4000 > {server}:80"));
        let answer = format!("ack {server}:80 > {ours}:4000");
        assert_eq!(node.arrive(PUBLIC, &answer).at(ONE), format!("ack {server}:80 > {pod}:4000"));
        // Not with the pod's own label, nor with that of its VRF.
        node.arrive(17, &answer).dropped("one.label_destination_mismatch");
        node.arrive(BLUE, &answer).dropped("uplink.nat_no_mapping");
    }
}

#[test]
fn the_answers_may_come_from_any_gateway_of_the_route_and_from_no_other_node() {
    let mut state = usual();
    let both = |state: &mut Desired| {
        state.routes[5].target = dataplane::desired::RouteTarget::Hops(vec![
            to_tunnel("172.30.0.2", 70),
            to_tunnel("172.30.0.3", 70),
        ]);
    };
    both(&mut state);
    let mut node = Node::new(&state);
    let output = node.send(ONE, "udp 10.0.0.1:4000 > 203.0.113.5:80");
    assert_eq!(read(to_node(&output.uplink[0]).2), "udp 192.0.2.1:4000 > 203.0.113.5:80");
    let answer = packet("udp 203.0.113.5:80 > 192.0.2.1:4000");
    for from in ["172.30.0.2", "172.30.0.3"] {
        let frame = support::frames::tunnelled((from, "172.30.0.1"), PUBLIC, &answer);
        let seen = node.step(Side::Uplink, &frame).at(ONE);
        assert_eq!(seen, "udp 203.0.113.5:80 > 10.0.0.1:4000");
    }
    // The third node is known, but by another route.
    let mut state = usual();
    state.routes.push(support::route("public", "100.64.0.0/10", vec![to_tunnel("172.30.0.3", 71)]));
    let mut node = Node::new(&state);
    node.send(ONE, "udp 10.0.0.1:4000 > 203.0.113.5:80").at_node("172.30.0.2", 70);
    let frame = support::frames::tunnelled(("172.30.0.3", "172.30.0.1"), PUBLIC, &answer);
    node.step(Side::Uplink, &frame).dropped("uplink.tunnel_source_mismatch");
}

#[test]
fn what_other_nodes_send_through_here_is_translated_too() {
    let mut node = Node::new(&usual());
    let seen = node.arrive(BLUE, "udp 10.0.9.7:4000 > 198.51.100.9:80").at(HOST);
    assert_eq!(seen, "udp 192.0.2.1:4000 > 198.51.100.9:80");
    let back = node.send(HOST, "udp 198.51.100.9:80 > 192.0.2.1:4000").at_node("172.30.0.2", 40);
    assert_eq!(back, "udp 198.51.100.9:80 > 10.0.9.7:4000");
    // A pod of this node with the same port takes another.
    let seen = node.send(ONE, "udp 10.0.0.1:4000 > 198.51.100.9:80").at(HOST);
    assert_ne!(source_port(&seen), 4000);
    // The pod's label leads to the pod alone.
    node.arrive(17, "udp 10.0.9.7:4000 > 198.51.100.9:80").dropped("one.label_destination_mismatch");
}

#[test]
fn a_udp_datagram_without_checksum_stays_so() {
    let mut node = Node::new(&usual());
    let mut without = packet("udp 10.0.0.1:4000 > 198.51.100.9:80");
    without[26..28].fill(0);
    let output = node.step(Side::Trunk, &tagged(ONE.0, ONE.1, &without));
    let (_, seen) = to_pod(&output.trunk[0]);
    assert_eq!((read(seen).as_str(), &seen[26..28]), ("udp 192.0.2.1:4000 > 198.51.100.9:80", &[0, 0][..]));
}

#[test]
fn a_wrong_checksum_stays_wrong() {
    for text in ["udp 10.0.0.1:4000 > 198.51.100.9:80", "ping 10.0.0.1:400 > 198.51.100.9:400"] {
        let mut node = Node::new(&usual());
        let mut wrong = packet(text);
        let last = wrong.len() - 1;
        wrong[last] ^= 0x40;
        let output = node.step(Side::Trunk, &tagged(ONE.0, ONE.1, &wrong));
        let mut seen = to_pod(&output.trunk[0]).1.to_vec();
        seen[last] ^= 0x40;
        read(&seen);
    }
}

#[test]
fn fragments_follow_their_first_one_both_ways() {
    let mut node = Node::new(&pooled(POOL, (5000, 6000), DEPENDENT));
    let cut = |text: &str| {
        let whole = packet(text);
        let piece = |from: usize, to: usize, more: u16| {
            let mut piece = [&whole[..20], &whole[20 + from..20 + to]].concat();
            piece[2..4].copy_from_slice(&((20 + to - from) as u16).to_be_bytes());
            piece[4..6].copy_from_slice(&[7, 7]);
            piece[6..8].copy_from_slice(&(more << 13 | (from / 8) as u16).to_be_bytes());
            piece[10..12].fill(0);
            let sum = encap::Sum::of(&piece[..20]).finish();
            piece[10..12].copy_from_slice(&sum.to_be_bytes());
            piece
        };
        [piece(0, 16, 1), piece(16, 20, 0)]
    };
    let together = |[first, later]: [&[u8]; 2]| {
        let mut whole = [first, &later[20..]].concat();
        whole[2..4].copy_from_slice(&40u16.to_be_bytes());
        whole[6..8].fill(0);
        whole[10..12].fill(0);
        let sum = encap::Sum::of(&whole[..20]).finish();
        whole[10..12].copy_from_slice(&sum.to_be_bytes());
        read(&whole)
    };
    // The later one comes first and waits.
    let [first, later] = cut("udp 10.0.0.1:400 > 198.51.100.9:80").map(|piece| tagged(ONE.0, ONE.1, &piece));
    assert_eq!(node.step(Side::Trunk, &later).trunk.len(), 0);
    let output = node.step(Side::Trunk, &first);
    let seen = together([to_pod(&output.trunk[0]).1, to_pod(&output.trunk[1]).1]);
    let port = source_port(&seen);
    assert_eq!(seen, format!("udp 192.0.2.1:{port} > 198.51.100.9:80"));

    let answer = format!("udp 198.51.100.9:80 > 192.0.2.1:{port}");
    let [first, later] = cut(&answer).map(|piece| tagged(HOST.0, HOST.1, &piece));
    let output = node.batch(Side::Trunk, &[&first, &later]);
    let seen = together([to_pod(&output.trunk[0]).1, to_pod(&output.trunk[1]).1]);
    assert_eq!(seen, "udp 198.51.100.9:80 > 10.0.0.1:400");
}

/// An error as a router on the way sends it about what it has seen, as the pod gets it: the error and its quote.
fn error_about(state: &Desired, sent: &str, router: &str, from_tunnel: bool) -> (String, String) {
    let mut node = Node::new(state);
    let output = node.send(ONE, sent);
    let quote = match from_tunnel {
        true => to_node(&output.uplink[0]).2.to_vec(),
        false => to_pod(&output.trunk[0]).1.to_vec(),
    };
    let seen = read(&quote);
    let ours = seen.split(' ').nth(1).unwrap().parse::<std::net::SocketAddr>().unwrap().ip();
    let error = match (ours, router.parse().unwrap()) {
        (std::net::IpAddr::V4(ours), std::net::IpAddr::V4(router)) => {
            error4(router.octets(), ours.octets(), (3, 3), &quote)
        }
        (ours, router) => error6(&router.to_string(), &ours.to_string(), (1, 4), &quote),
    };
    let output = match from_tunnel {
        true => node.step(Side::Uplink, &fabric(PUBLIC, &error)),
        false => node.step(Side::Trunk, &tagged(HOST.0, HOST.1, &error)),
    };
    let error = output.at(ONE);
    let header = if ours.is_ipv4() { 20 } else { 40 };
    (error, read(&to_pod(&output.trunk[0]).1[header + 8..]))
}

#[test]
fn errors_about_a_translated_flow_reach_the_pod_and_quote_what_it_sent() {
    let state = pooled(POOL, (5000, 6000), DEPENDENT);
    let v4 = [
        "udp 10.0.0.1:400 > 198.51.100.9:80",
        "ack 10.0.0.1:400 > 198.51.100.9:80",
        "ping 10.0.0.1:400 > 198.51.100.9:400",
    ];
    for sent in v4 {
        for router in ["198.51.100.1", "198.51.100.9"] {
            let (error, quote) = error_about(&state, sent, router, false);
            assert_eq!((error, quote.as_str()), (format!("error {router}:3 > 10.0.0.1:3"), sent));
        }
        let sent = sent.replace("198.51.100.9", "203.0.113.5");
        let (error, quote) = error_about(&state, &sent, "203.0.113.1", true);
        assert_eq!((error.as_str(), quote), ("error 203.0.113.1:3 > 10.0.0.1:3", sent));
    }
    let v6 = [
        "udp [fd00::1]:400 > [2001:db8:9::9]:80",
        "ack [fd00::1]:400 > [2001:db8:9::9]:80",
        "ping [fd00::1]:400 > [2001:db8:9::9]:400",
    ];
    for sent in v6 {
        let (error, quote) = error_about(&state, sent, "2001:db8:9::1", false);
        assert_eq!((error.as_str(), quote.as_str()), ("error [2001:db8:9::1]:1 > [fd00::1]:4", sent));
        let sent = sent.replace("2001:db8:9::9", "2001:db8:113::5");
        let (_, quote) = error_about(&state, &sent, "2001:db8:113::1", true);
        assert_eq!(quote, sent);
    }
}

#[test]
fn an_error_of_the_pod_about_an_answer_is_translated_out() {
    let mut node = Node::new(&pooled(POOL, (5000, 6000), DEPENDENT));
    let port = source_port(&node.send(ONE, "udp 10.0.0.1:400 > 198.51.100.9:80").at(HOST));
    let answer = format!("udp 198.51.100.9:80 > 192.0.2.1:{port}");
    let output = node.send(HOST, &answer);
    let error = error4([10, 0, 0, 1], [198, 51, 100, 9], (3, 3), to_pod(&output.trunk[0]).1);
    let output = node.step(Side::Trunk, &tagged(ONE.0, ONE.1, &error));
    assert_eq!(output.at(HOST), "error 192.0.2.1:3 > 198.51.100.9:3");
    assert_eq!(read(&to_pod(&output.trunk[0]).1[28..]), answer);
}

#[test]
fn an_error_with_a_vrf_label_finds_the_flow_of_a_pod() {
    // Not translated: the flow expects its answers at the label of the pod.
    let mut node = Node::new(&plain());
    let output = node.send(ONE, "udp 10.0.0.1:4000 > 10.0.9.7:80");
    let error = error4([10, 0, 9, 7], [10, 0, 0, 1], (3, 3), to_node(&output.uplink[0]).2);
    for label in [17, BLUE] {
        let seen = node.step(Side::Uplink, &fabric(label, &error)).at(ONE);
        assert_eq!(seen, "error 10.0.9.7:3 > 10.0.0.1:3");
    }
    let unknown = error4([10, 0, 9, 7], [10, 0, 0, 2], (3, 3), &packet("udp 10.0.0.2:1 > 10.0.9.7:2"));
    node.step(Side::Uplink, &fabric(BLUE, &unknown)).dropped("uplink.icmp_error_unmatched");
}

#[test]
fn our_own_errors_quote_what_the_sender_sent() {
    let mut state = usual();
    state.vifs[2].mtu = 600;
    let mut node = Node::new(&state);
    let mut expired = packet("udp 10.0.0.1:4000 > 198.51.100.9:80");
    (expired[8], expired[10]) = (1, 0);
    expired[11] = 0;
    let sum = encap::Sum::of(&expired[..20]).finish();
    expired[10..12].copy_from_slice(&sum.to_be_bytes());
    let output = node.step(Side::Trunk, &tagged(ONE.0, ONE.1, &expired));
    assert_eq!(output.at(ONE), "error 169.254.1.1:11 > 10.0.0.1:0");
    assert_eq!(to_pod(&output.trunk[0]).1[28..], expired);

    // Too big, with the MTU of the way out.
    let mut big = support::frames::udp6("fd00::1", "2001:db8:9::9", (4000, 80), 64, 700);
    let output = node.step(Side::Trunk, &tagged(ONE.0, ONE.1, &big));
    big.truncate(1232);
    assert_eq!(output.at(ONE), "error [fe80::1]:2 > [fd00::1]:0");
    let message = to_pod(&output.trunk[0]).1;
    assert_eq!((&message[44..48], &message[48..]), (&600u32.to_be_bytes()[..], &big[..]));

    // And to the server about an answer that is too big for the pod.
    let mut state = usual();
    state.vifs[0].mtu = 1280;
    let mut node = Node::new(&state);
    node.send(ONE, "udp [fd00::1]:4000 > [2001:db8:9::9]:80").at(HOST);
    let big = support::frames::udp6("2001:db8:9::9", "2001:db8::1", (80, 4000), 64, 1300);
    let output = node.step(Side::Trunk, &tagged(HOST.0, HOST.1, &big));
    assert_eq!(output.at(HOST), "error [fe80::1]:2 > [2001:db8:9::9]:0");
    assert_eq!(to_pod(&output.trunk[0]).1[48..], big[..1232]);
}

#[test]
fn a_flow_keeps_its_port_when_the_snapshot_changes() {
    for mapping in [DEPENDENT, INDEPENDENT] {
        let state = pooled(POOL, (5000, 6000), mapping);
        let mut node = Node::new(&state);
        let sent = "ack 10.0.0.1:400 > 198.51.100.9:80";
        let before = node.send(ONE, sent);
        let mut more = state.clone();
        more.nat.pools[0].addresses.push("192.0.2.2".parse().unwrap());
        more.nat.pools[0].addresses.push("192.0.2.3".parse().unwrap());
        more.routes.push(support::route("public", "100.64.0.0/10", vec![to_tunnel("172.30.0.3", 71)]));
        node.publish(&more);
        let after = node.send(ONE, sent);
        assert_eq!(before.trunk, after.trunk);
        after.assert_moved(&[("one.rx", 1), ("vhost0.tx", 1), ("hits", 1), ("revalidations", 1)]);
    }
}

#[test]
fn without_its_pool_a_flow_ends_and_never_shows_the_sender() {
    for mapping in [DEPENDENT, INDEPENDENT] {
        for (kind, told) in
            [("ack", "rst 198.51.100.9:80 > 10.0.0.1:4000"), ("udp", "error 169.254.1.1:3 > 10.0.0.1:3")]
        {
            let mut node = Node::new(&pooled(POOL, (1024, 65535), mapping));
            let sent = format!("{kind} 10.0.0.1:4000 > 198.51.100.9:80");
            node.send(ONE, &sent).at(HOST);
            node.publish(&plain());
            for _ in 0..3 {
                let output = node.send(ONE, &sent);
                assert_eq!(output.at(ONE), told);
                assert_eq!(output.moved["one.nat_mapping_gone"], 1);
                let late = node.send(HOST, &format!("{kind} 198.51.100.9:80 > 192.0.2.1:4000"));
                assert_eq!(late.moved["vhost0.nat_mapping_gone"], 1);
                // Nor after another change.
                let mut other = plain();
                other.routes.remove(2);
                node.publish(&other);
            }
            // What begins later goes as the configuration now says.
            node.now += 11_000;
            node.sweep();
            assert_eq!(node.send(ONE, &sent).at(HOST), sent);
        }
    }
}

#[test]
fn with_another_pool_a_connection_ends_and_other_flows_begin_anew() {
    let mut node = Node::new(&pooled(&["192.0.2.1"], (1024, 65535), DEPENDENT));
    for kind in ["ack", "udp"] {
        node.send(ONE, &format!("{kind} 10.0.0.1:4000 > 198.51.100.9:80")).at(HOST);
    }
    node.publish(&pooled(&["192.0.2.2"], (1024, 65535), DEPENDENT));
    let output = node.send(ONE, "ack 10.0.0.1:4000 > 198.51.100.9:80");
    assert_eq!(output.at(ONE), "rst 198.51.100.9:80 > 10.0.0.1:4000");
    let output = node.send(ONE, "udp 10.0.0.1:4000 > 198.51.100.9:80");
    assert_eq!(output.at(HOST), "udp 192.0.2.2:4000 > 198.51.100.9:80");
    let output = node.send(ONE, "syn 10.0.0.1:4000 > 198.51.100.9:80");
    assert_eq!(output.at(HOST), "syn 192.0.2.2:4000 > 198.51.100.9:80");
}

#[test]
fn one_pod_can_not_take_the_whole_table_with_mappings() {
    let state = pooled(POOL, (1024, 65535), INDEPENDENT);
    let mut node = Node::with_flows(&state, 100, 10);
    let mut refused = 0;
    for n in 0..12 {
        let output = node.send(ONE, &format!("udp 10.0.0.1:{} > 198.51.100.9:80", 4000 + n));
        refused += output.moved.get("one.vif_flow_limit").copied().unwrap_or(0);
    }
    assert_eq!(refused, 7);
    node.send(TWO, "udp 10.0.0.2:4000 > 198.51.100.9:80").at(HOST);
}

#[test]
fn mappings_go_with_their_vif() {
    let mut state = pooled(POOL, (1024, 65535), INDEPENDENT);
    let mut node = Node::new(&state);
    node.send(ONE, "udp 10.0.0.1:4000 > 198.51.100.9:80").at(HOST);
    assert_eq!(node.flows.len(), 2);
    state.vifs.remove(0);
    node.publish(&state);
    node.sweep();
    assert_eq!(node.flows.len(), 0);
}
