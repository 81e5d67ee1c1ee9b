//! Packets that pods send in pieces.

use etherparse::{Ipv4Header, PacketBuilder};
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::ipv4::Ipv4Packet;
use pnet::transport::{TransportChannelType, transport_channel};
use tests::{Lab, Plan, pattern, tcp, udp, udp_greeting};

use crate::{PORT, TARGET};

const LARGE: usize = 60_000;

/// A backend on the client's node behind the first service, one on the other node behind the second.
fn near_and_far() -> Plan {
    let ports = [tcp(PORT, TARGET), udp(PORT, TARGET)];
    Plan::two_nodes()
        .pod("client", "node-a")
        .pod("near", "node-a")
        .pod("far", "node-b")
        .service("near", &ports, &["near"])
        .service("far", &ports, &["far"])
}

const IPV4: [(&str, &str); 2] = [("10.96.0.10:80", "near"), ("10.96.0.11:80", "far")];
const IPV6: [(&str, &str); 2] = [("[fd00:96::10]:80", "near"), ("[fd00:96::11]:80", "far")];

/// Sends 60,000 bytes to each of the services from three ports; all of them come back from the right pod.
fn echoes(lab: &Lab, services: &[(&str, &str)]) {
    let _servers = ["near", "far"].map(|name| lab.pod(name).serve_udp(TARGET));
    let message: Vec<u8> = pattern(LARGE).flatten().collect();
    for (service, backend) in services {
        let own = if service.starts_with('[') { "[fd00:1::2]:0" } else { "10.0.1.2:0" };
        for _ in 0..3 {
            let socket = lab.pod("client").namespace.udp(own);
            let greeting = udp_greeting(&socket, service, &message)
                .unwrap_or_else(|error| panic!("{LARGE} bytes to {service}: {error}"));
            assert_eq!(
                (greeting.backend.as_str(), greeting.client),
                (*backend, socket.local_addr().unwrap())
            );
        }
    }
}

#[test]
fn a_large_datagram_comes_back_from_near_and_far_backends() {
    let lab = Lab::start("fragments", near_and_far());
    echoes(&lab, &[IPV4, IPV6].concat());
}

#[test]
fn a_large_datagram_of_pods_with_a_small_mtu_comes_back() {
    let plan = near_and_far().pod_mtu("client", 1400).pod_mtu("near", 1400).pod_mtu("far", 1400);
    let lab = Lab::start("fragments-1400", plan);
    echoes(&lab, &[IPV4, IPV6].concat());
}

/// RFC 791, section 3.2: a router splits fragments further. IPv6 leaves that to the sender.
#[test]
fn fragments_too_large_for_the_backend_or_the_uplink_are_split_further() {
    let plan = near_and_far().uplink_mtu(1500).pod_mtu("near", 1400);
    let lab = Lab::start("fragments-split", plan);
    echoes(&lab, &IPV4);
}

/// The fragments of a UDP datagram from the client's `port` to `to`, in pieces of at most 1480 bytes (RFC 791,
/// section 3.2).
fn pieces(port: u16, to: [u8; 4], message: &[u8]) -> Vec<Vec<u8>> {
    const PIECE: usize = 1480;
    let builder = PacketBuilder::ipv4([10, 0, 1, 2], to, 64).udp(port, PORT);
    let mut whole = Vec::new();
    builder.write(&mut whole, message).unwrap();
    let (header, data) = Ipv4Header::from_slice(&whole).unwrap();
    let count = data.len().div_ceil(PIECE);
    let piece = |(place, part): (usize, &[u8])| {
        let mut header = header.clone();
        header.identification = 7;
        header.dont_fragment = false;
        header.more_fragments = place + 1 < count;
        header.fragment_offset = u16::try_from(place * PIECE / 8).unwrap().try_into().unwrap();
        header.set_payload_len(part.len()).unwrap();
        let mut packet = Vec::new();
        header.write(&mut packet).unwrap();
        packet.extend_from_slice(part);
        packet
    };
    data.chunks(PIECE).enumerate().map(piece).collect()
}

/// The orders in which the pieces are sent; the port is known from the first one alone.
fn reorderings(pieces: &[Vec<u8>]) -> [Vec<&[u8]>; 3] {
    let backwards = (0..pieces.len()).rev().collect::<Vec<_>>();
    let first_last = (1..pieces.len()).chain([0]).collect();
    // 17 has no divisor in common with the 41 pieces, so that every one of them gets its turn.
    let shuffled = (0..pieces.len()).map(|turn| (turn * 17 + 5) % pieces.len()).collect();
    [backwards, first_last, shuffled]
        .map(|order| order.iter().map(|place| pieces[*place].as_slice()).collect())
}

#[test]
fn pieces_in_any_order_make_the_same_datagram() {
    let lab = Lab::start("fragments-order", near_and_far());
    let _servers = ["near", "far"].map(|name| lab.pod(name).serve_udp(TARGET));
    let client = &lab.pod("client").namespace;
    let layer3 = TransportChannelType::Layer3(IpNextHeaderProtocols::Udp);
    let (mut raw, _) = client.within(|| transport_channel(0x10000, layer3)).unwrap();
    let message: Vec<u8> = pattern(LARGE).flatten().collect();
    for (to, backend) in [([10, 96, 0, 10], "near"), ([10, 96, 0, 11], "far")] {
        for turn in 0..3 {
            let socket = client.udp("10.0.1.2:0");
            let own = socket.local_addr().unwrap();
            let pieces = pieces(own.port(), to, &message);
            assert_eq!(pieces.len(), 41);
            for piece in &reorderings(&pieces)[turn] {
                let sent = raw.send_to(Ipv4Packet::new(piece).unwrap(), to.into()).unwrap();
                assert_eq!(sent, piece.len());
            }
            let mut answer = vec![0; 0x10000];
            let length =
                socket.recv(&mut answer).unwrap_or_else(|error| panic!("{backend}, {turn}: {error}"));
            let greeting = format!("{backend} {own}\n");
            assert!(
                answer[..length] == [greeting.as_bytes(), &message].concat(),
                "{backend}, {turn}: changed"
            );
        }
    }
}

#[test]
fn a_large_ping_is_answered() {
    let lab = Lab::start("ping-large", near_and_far());
    for to in ["10.0.1.3", "fd00:1::3", "10.0.2.2", "fd00:2::2"] {
        let printed = lab.pod("client").namespace.run(&format!("ping -n -c 3 -i 0.2 -W 2 -s 8000 {to}"));
        assert!(printed.contains(" 3 received"), "{printed}");
        assert_eq!(printed.matches("8008 bytes from").count(), 3, "{printed}");
    }
}
