//! ICMP: what the vrouter tells senders, and errors of others through the translation.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it goes wrong"
)]

mod support;

use dataplane::desired::{Desired, Transport};
use dataplane::io::Side;
use encap::Sum;
use etherparse::{NetSlice, PacketBuilder, SlicedPacket};
use support::frames::{error4, error6, fabric, tagged, udp4, udp6};
use support::{Node, desired, route, service, to_tunnel, to_vif, vif, vrf};

const CLIENT: [u8; 6] = [2, 0, 0, 0, 0, 1];
const POD: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// A client (slot 1) and a pod (slot 2) behind 10.96.0.1 and fd00:96::1; another client at 10.9.9.9.
fn state() -> Desired {
    let mut state = desired("172.30.0.1", &["172.30.0.2"]);
    state.vrfs = vec![vrf("blue")];
    state.vifs = vec![
        vif("client", "blue", &["10.0.0.1", "fd00::1"], "02:00:00:00:00:01", 17),
        vif("pod", "blue", &["10.0.0.2", "fd00::2"], "02:00:00:00:00:02", 18),
    ];
    state.routes = vec![
        route("blue", "10.9.9.9/32", vec![to_tunnel("172.30.0.2", 40)]),
        route("blue", "fd00:9::9/128", vec![to_tunnel("172.30.0.2", 40)]),
    ];
    let ports = [(Transport::Udp, 53, 5353), (Transport::Tcp, 80, 8080)];
    state.services = vec![
        service("blue", "10.96.0.1", &ports, vec![to_vif("pod")]),
        service("blue", "fd00:96::1", &ports, vec![to_vif("pod")]),
    ];
    state
}

/// An ICMP message as it came out: source, destination, type, code, the rest of the header, the
/// quote. All checksums outside the quote must be right.
#[derive(Debug, PartialEq)]
struct Seen {
    src: String,
    dst: String,
    kind: (u8, u8),
    rest: u32,
    quote: Vec<u8>,
}

fn icmp(packet: &[u8]) -> Seen {
    let sliced = SlicedPacket::from_ip(packet).unwrap();
    let (src, dst, message) = match sliced.net.unwrap() {
        NetSlice::Ipv4(ip) => {
            let header = ip.header().to_header();
            assert_eq!(header.header_checksum, header.calc_header_checksum());
            let message = ip.payload().payload;
            assert_eq!(Sum::of(message).finish(), 0, "ICMP checksum");
            (ip.header().source_addr().to_string(), ip.header().destination_addr().to_string(), message)
        }
        NetSlice::Ipv6(ip) => {
            let (src, dst) = (ip.header().source_addr(), ip.header().destination_addr());
            let message = ip.payload().payload;
            let pseudo = Sum::pseudo_v6(src, dst, 58, message.len() as u32);
            assert_eq!(pseudo.add_bytes(message).finish(), 0, "ICMPv6 checksum");
            (src.to_string(), dst.to_string(), message)
        }
        NetSlice::Arp(_) => panic!("ARP"),
    };
    let rest = u32::from_be_bytes([message[4], message[5], message[6], message[7]]);
    Seen { src, dst, kind: (message[0], message[1]), rest, quote: message[8..].to_vec() }
}

/// The inner packet of a frame to the fabric.
fn inner(frame: &[u8]) -> &[u8] {
    let ports = encap::Ports::default();
    let outer = encap::decapsulate(&frame[14..], &ports, encap::ZeroChecksum6::Refuse).unwrap();
    &frame[14..][outer.payload]
}

#[test]
fn a_ttl_that_is_used_up_is_told_from_the_gateway_with_the_packet_as_sent() {
    let mut node = Node::new(&state());
    for (ttl, dst) in [(1, [10, 9, 9, 9]), (0, [10, 9, 9, 9]), (1, [10, 96, 0, 1])] {
        let packet = udp4([10, 0, 0, 1], dst, (4000, 53), ttl, 20);
        let output = node.step(Side::Trunk, &tagged(1, CLIENT, &packet));
        let seen = icmp(&output.trunk[0][18..]);
        assert_eq!((seen.src.as_str(), seen.dst.as_str()), ("169.254.1.1", "10.0.0.1"));
        assert_eq!((seen.kind, seen.rest), ((11, 0), 0));
        assert_eq!(seen.quote, packet, "quoted before translation and decrement");
        assert_eq!(output.moved["client.ttl_exceeded"], 1);
        assert_eq!(output.moved["generated"], 1);
    }
    let packet = udp6("fd00::1", "fd00:9::9", (4000, 53), 1, 2000);
    let output = node.step(Side::Trunk, &tagged(1, CLIENT, &packet));
    let seen = icmp(&output.trunk[0][18..]);
    assert_eq!((seen.src.as_str(), seen.kind), ("fe80::1", (3, 0)));
    assert_eq!(seen.quote.len(), 1280 - 48, "RFC 4443: not more than the minimum MTU");
    assert_eq!(seen.quote, packet[..1232]);
}

#[test]
fn too_big_is_told_with_what_fits_the_tunnel() {
    let mut node = Node::new(&state());
    let mut packet = udp4([10, 0, 0, 1], [10, 9, 9, 9], (4000, 53), 64, 1600);
    packet[6] = 0x40;
    packet[10..12].fill(0);
    let sum = Sum::of(&packet[..20]).finish();
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    let output = node.step(Side::Trunk, &tagged(1, CLIENT, &packet));
    let seen = icmp(&output.trunk[0][18..]);
    assert_eq!((seen.kind, seen.rest), ((3, 4), 1568), "uplink 1600 - 32");
    assert_eq!(seen.quote, packet[..576 - 28]);
    assert_eq!(output.moved["client.frame_too_big"], 1);

    let packet = udp6("fd00::1", "fd00:9::9", (4000, 53), 64, 1600);
    let output = node.step(Side::Trunk, &tagged(1, CLIENT, &packet));
    let seen = icmp(&output.trunk[0][18..]);
    assert_eq!((seen.kind, seen.rest), ((2, 0), 1568));
}

#[test]
fn what_can_not_be_reached_is_told() {
    let mut node = Node::new(&state());
    let rows = [
        ([192, 0, 2, 1], 53, (3, 0), "client.no_route"),
        ([10, 96, 0, 1], 54, (3, 3), "client.service_port_unmapped"),
    ];
    for (dst, port, kind, counter) in rows {
        let packet = udp4([10, 0, 0, 1], dst, (4000, port), 64, 20);
        let output = node.step(Side::Trunk, &tagged(1, CLIENT, &packet));
        let seen = icmp(&output.trunk[0][18..]);
        assert_eq!((seen.kind, output.moved[counter]), (kind, 1));
        assert_eq!(seen.quote, packet);
    }
    let mut away = state();
    away.underlay.tunnels.clear();
    node.publish(&away);
    let packet = udp4([10, 0, 0, 1], [10, 9, 9, 9], (4000, 53), 64, 20);
    let output = node.step(Side::Trunk, &tagged(1, CLIENT, &packet));
    assert_eq!(icmp(&output.trunk[0][18..]).kind, (3, 1));
    assert_eq!(output.moved["client.no_neighbour"], 1);
}

#[test]
fn some_packets_are_never_answered() {
    let mut node = Node::new(&state());
    let quote = udp4([192, 0, 2, 1], [10, 0, 0, 1], (1, 2), 64, 8);
    let about_an_error = error4([10, 0, 0, 1], [192, 0, 2, 1], (3, 3), &quote);
    let spoofed = udp4([10, 0, 0, 7], [192, 0, 2, 1], (4000, 53), 1, 20);
    let multicast = udp4([10, 0, 0, 1], [224, 0, 0, 1], (4000, 53), 1, 20);
    for packet in [about_an_error, spoofed, multicast] {
        let output = node.step(Side::Trunk, &tagged(1, CLIENT, &packet));
        assert!(output.trunk.is_empty(), "{:?}", output.moved);
        assert!(!output.moved.contains_key("generated"));
    }
}

#[test]
fn answers_are_limited_for_each_vif_alone() {
    let mut node = Node::new(&state());
    let packet = tagged(1, CLIENT, &udp4([10, 0, 0, 1], [192, 0, 2, 1], (4000, 53), 64, 20));
    let mut told = 0;
    for _ in 0..60 {
        told += node.step(Side::Trunk, &packet).trunk.len();
    }
    assert_eq!(told, 50);
    let output = node.step(Side::Trunk, &packet);
    output.assert_moved(&[("client.rx", 1), ("client.no_route", 1), ("misses", 1), ("suppressed", 1)]);
    let other = tagged(2, POD, &udp4([10, 0, 0, 2], [192, 0, 2, 1], (4000, 53), 64, 20));
    assert_eq!(node.step(Side::Trunk, &other).trunk.len(), 1);
    node.now += 1000;
    assert_eq!(node.step(Side::Trunk, &packet).trunk.len(), 1);
}

#[test]
fn a_client_of_another_node_is_told_through_its_tunnel() {
    let mut node = Node::new(&state());
    let packet = udp4([10, 9, 9, 9], [10, 96, 0, 1], (4000, 54), 63, 20);
    let output = node.step(Side::Uplink, &fabric(18, &packet));
    let seen = icmp(inner(&output.uplink[0]));
    assert_eq!((seen.dst.as_str(), seen.kind), ("10.9.9.9", (3, 3)));
    assert_eq!(seen.quote, packet);
    output.assert_moved(&[
        ("uplink.rx", 1),
        ("uplink.tx", 1),
        ("generated", 1),
        ("misses", 1),
        ("pairs", 1),
        ("pod.service_port_unmapped", 1),
    ]);
}

#[test]
fn a_closed_port_behind_the_service_reaches_the_clients_socket() {
    // Full quotes and the 8 bytes that RFC 792 promises; local client and one behind the fabric.
    for quoted in [usize::MAX, 28] {
        let mut node = Node::new(&state());
        let request = udp4([10, 0, 0, 1], [10, 96, 0, 1], (4000, 53), 64, 20);
        let seen_by_pod = node.step(Side::Trunk, &tagged(1, CLIENT, &request)).trunk[0][18..].to_vec();
        let quote = &seen_by_pod[..quoted.min(seen_by_pod.len())];
        let error = error4([10, 0, 0, 2], [10, 0, 0, 1], (3, 3), quote);
        let output = node.step(Side::Trunk, &tagged(2, POD, &error));
        let seen = icmp(&output.trunk[0][18..]);
        assert_eq!((seen.src.as_str(), seen.dst.as_str(), seen.kind), ("10.96.0.1", "10.0.0.1", (3, 3)));
        assert_quoted4(&seen.quote, &request, quoted);

        let request = udp4([10, 9, 9, 9], [10, 96, 0, 1], (4000, 53), 63, 20);
        let seen_by_pod = node.step(Side::Uplink, &fabric(18, &request)).trunk[0][18..].to_vec();
        let quote = &seen_by_pod[..quoted.min(seen_by_pod.len())];
        let error = error4([10, 0, 0, 2], [10, 9, 9, 9], (3, 3), quote);
        let output = node.step(Side::Trunk, &tagged(2, POD, &error));
        let seen = icmp(inner(&output.uplink[0]));
        assert_eq!((seen.src.as_str(), seen.dst.as_str(), seen.kind), ("10.96.0.1", "10.9.9.9", (3, 3)));
        assert_eq!(seen.quote, request[..quoted.min(request.len())]);
        output.assert_moved(&[("pod.rx", 1), ("uplink.tx", 1)]);
    }
}

/// The client's packet was decremented on its way, so the quote differs in TTL and checksum only.
fn assert_quoted4(quote: &[u8], request: &[u8], quoted: usize) {
    let request = &request[..quoted.min(request.len())];
    assert_eq!(Sum::of(&quote[..20]).finish(), 0, "quoted header checksum");
    assert_eq!(quote[8] + 1, request[8]);
    assert_eq!((&quote[..8], quote[9], &quote[12..]), (&request[..8], request[9], &request[12..]));
}

#[test]
fn a_closed_port_behind_the_service_in_ipv6() {
    let mut node = Node::new(&state());
    let request = udp6("fd00:9::9", "fd00:96::1", (4000, 53), 63, 20);
    let seen_by_pod = node.step(Side::Uplink, &fabric(18, &request)).trunk[0][18..].to_vec();
    let error = error6("fd00::2", "fd00:9::9", (1, 4), &seen_by_pod);
    let output = node.step(Side::Trunk, &tagged(2, POD, &error));
    let seen = icmp(inner(&output.uplink[0]));
    assert_eq!((seen.src.as_str(), seen.dst.as_str(), seen.kind), ("fd00:96::1", "fd00:9::9", (1, 4)));
    assert_eq!(seen.quote, request);
}

#[test]
fn an_error_that_arrives_from_the_fabric_finds_the_client() {
    let mut node = Node::new(&state());
    let request = udp4([10, 0, 0, 1], [10, 9, 9, 9], (4000, 53), 64, 20);
    let sent = inner(&node.step(Side::Trunk, &tagged(1, CLIENT, &request)).uplink[0]).to_vec();
    // The other node's gateway speaks: its address is in no route.
    let error = error4([169, 254, 1, 1], [10, 0, 0, 1], (11, 0), &sent);
    let output = node.step(Side::Uplink, &fabric(17, &error));
    let seen = icmp(&output.trunk[0][18..]);
    assert_eq!((seen.src.as_str(), seen.dst.as_str()), ("169.254.1.1", "10.0.0.1"));
    assert_eq!(seen.quote, sent);
}

#[test]
fn errors_without_a_flow_and_redirects_are_drops() {
    let mut node = Node::new(&state());
    let quote = udp4([10, 9, 9, 9], [10, 0, 0, 2], (9, 9), 64, 8);
    let row = |node: &mut Node, packet: &[u8], counter: &str| {
        let output = node.step(Side::Trunk, &tagged(2, POD, packet));
        output.assert_moved(&[("pod.rx", 1), (counter, 1)]);
    };
    row(&mut node, &error4([10, 0, 0, 2], [10, 9, 9, 9], (3, 3), &quote), "pod.icmp_error_unmatched");
    row(&mut node, &error4([10, 0, 0, 2], [10, 9, 9, 9], (3, 3), &quote[..27]), "pod.icmp_error_malformed");
    row(&mut node, &error4([10, 0, 0, 2], [10, 9, 9, 9], (5, 1), &quote), "pod.icmp_redirect");
    row(&mut node, &error4([10, 0, 0, 2], [10, 9, 9, 9], (4, 0), &quote), "pod.icmp_redirect");
}

#[test]
fn the_gateway_answers_ping() {
    let mut node = Node::new(&state());
    let mut packet = Vec::new();
    let builder = PacketBuilder::ipv4([10, 0, 0, 1], [169, 254, 1, 1], 64);
    builder.icmpv4_echo_request(7, 1).write(&mut packet, b"ping").unwrap();
    let output = node.step(Side::Trunk, &tagged(1, CLIENT, &packet));
    let seen = icmp(&output.trunk[0][18..]);
    assert_eq!((seen.src.as_str(), seen.dst.as_str(), seen.kind), ("169.254.1.1", "10.0.0.1", (0, 0)));
    assert_eq!((seen.rest, seen.quote.as_slice()), (7 << 16 | 1, &b"ping"[..]));
    output.assert_moved(&[("client.rx", 1), ("client.tx", 1), ("generated", 1), ("consumed", 1)]);

    let [src, dst] = ["fd00::1", "fe80::1"].map(|a| a.parse::<std::net::Ipv6Addr>().unwrap().octets());
    let mut packet = Vec::new();
    PacketBuilder::ipv6(src, dst, 64).icmpv6_echo_request(7, 1).write(&mut packet, b"ping").unwrap();
    let output = node.step(Side::Trunk, &tagged(1, CLIENT, &packet));
    assert_eq!(icmp(&output.trunk[0][18..]).kind, (129, 0));
}

#[test]
fn segment_sizes_are_clamped_across_the_fabric_both_ways_and_not_locally() {
    let syn = |src: [u8; 4], dst: [u8; 4], ports: (u16, u16)| {
        let options = [etherparse::TcpOptionElement::MaximumSegmentSize(8960)];
        let builder =
            PacketBuilder::ipv4(src, dst, 64).tcp(ports.0, ports.1, 1, 100).syn().options(&options).unwrap();
        let mut packet = Vec::new();
        builder.write(&mut packet, &[]).unwrap();
        packet
    };
    let mss = |packet: &[u8]| u16::from_be_bytes([packet[42], packet[43]]);
    let mut node = Node::new(&state());
    let out = node.step(Side::Trunk, &tagged(1, CLIENT, &syn([10, 0, 0, 1], [10, 9, 9, 9], (1, 2))));
    assert_eq!(mss(inner(&out.uplink[0])), 1568 - 40);
    let into = node.step(Side::Uplink, &fabric(18, &syn([10, 9, 9, 9], [10, 96, 0, 1], (1, 80))));
    assert_eq!(mss(&into.trunk[0][18..]), 1568 - 40);
    let local = node.step(Side::Trunk, &tagged(1, CLIENT, &syn([10, 0, 0, 1], [10, 0, 0, 2], (1, 2))));
    assert_eq!(mss(&local.trunk[0][18..]), 8960);

    let mut off = state();
    off.node.mss_clamp = dataplane::desired::MssClamp::Off;
    let mut node = Node::new(&off);
    let out = node.step(Side::Trunk, &tagged(1, CLIENT, &syn([10, 0, 0, 1], [10, 9, 9, 9], (1, 2))));
    assert_eq!(mss(inner(&out.uplink[0])), 8960);
}
