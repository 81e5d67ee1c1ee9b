//! Fragments that arrive in unlucky orders or that only an attacker sends, frame by frame from a pod.

use encap::Sum;
use etherparse::PacketBuilder;
use pnet::datalink::{self, Channel, DataLinkSender};
use tests::{Lab, Plan, Pod, eventually, pattern, tcp, udp, udp_greeting};

use crate::{PORT, TARGET};

const LARGE: usize = 60_000;
const GATEWAY_MAC: [u8; 6] = [0, 0, 0x5e, 0, 1, 0];
const UDP: u8 = 17;
const TCP: u8 = 6;

fn near_and_far() -> Plan {
    let ports = [tcp(PORT, TARGET), udp(PORT, TARGET)];
    Plan::two_nodes()
        .pod("client", "node-a")
        .pod("near", "node-a")
        .pod("far", "node-b")
        .service("near", &ports, &["near"])
        .service("far", &ports, &["far"])
}

/// Sends frames from a pod's interface, past its IP stack.
struct Sender {
    frames: Box<dyn DataLinkSender>,
    mac: [u8; 6],
}

impl Sender {
    fn of(pod: &Pod) -> Self {
        let frames = pod.namespace.within(|| {
            let found = datalink::interfaces().into_iter().find(|found| found.name == "eth0").unwrap();
            match datalink::channel(&found, datalink::Config::default()).unwrap() {
                Channel::Ethernet(sender, _) => sender,
                _ => panic!("eth0 is no Ethernet device"),
            }
        });
        let mac: Vec<u8> =
            pod.plan.mac.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        Self { frames, mac: mac.try_into().unwrap() }
    }

    fn send(&mut self, packet: &[u8]) {
        let ethertype = if packet[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] };
        let frame = [&GATEWAY_MAC, &self.mac[..], &ethertype, packet].concat();
        self.frames.send_to(&frame, None).unwrap().unwrap();
    }
}

/// A fragment of an IPv4 packet from the client (RFC 791, section 3.2); `start` counts bytes.
fn piece4(to: [u8; 4], (id, start, more): (u16, usize, bool), protocol: u8, part: &[u8]) -> Vec<u8> {
    let field = (start / 8) as u16 | if more { 0x2000 } else { 0 };
    let mut header = vec![0x45, 0];
    header.extend((20 + part.len() as u16).to_be_bytes());
    header.extend(id.to_be_bytes());
    header.extend(field.to_be_bytes());
    header.extend([64, protocol, 0, 0, 10, 0, 1, 2]);
    header.extend(to);
    let sum = Sum::of(&header).finish();
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    [&header, part].concat()
}

/// The fragments of an IPv6 packet (RFC 8200, section 4.5), in pieces of at most 1440 bytes.
fn pieces6(whole: &[u8]) -> Vec<Vec<u8>> {
    const PIECE: usize = 1440;
    let (header, data) = whole.split_at(40);
    let piece = |(place, part): (usize, &[u8])| {
        let start = place * PIECE;
        let field = start as u16 | u16::from(start + part.len() < data.len());
        let mut packet = header.to_vec();
        packet[4..6].copy_from_slice(&(8 + part.len() as u16).to_be_bytes());
        packet[6] = 44;
        packet.extend([header[6], 0]);
        packet.extend(field.to_be_bytes());
        packet.extend([0, 0, 0, 7]);
        [&packet, part].concat()
    };
    data.chunks(PIECE).enumerate().map(piece).collect()
}

#[test]
fn ipv6_pieces_in_any_order_make_the_same_datagram() {
    let lab = Lab::start("fragments6", near_and_far());
    let _servers = ["near", "far"].map(|name| lab.pod(name).serve_udp(TARGET));
    let client = lab.pod("client");
    let mut sender = Sender::of(client);
    let message: Vec<u8> = pattern(LARGE).flatten().collect();
    for (to, backend) in [("fd00:96::10", "near"), ("fd00:96::11", "far")] {
        // Backwards, the first one last, and shuffled: 17 has no divisor in common with the 42 pieces.
        for order in [
            |turn, count| count - 1 - turn,
            |turn, count| (turn + 1) % count,
            |turn, count| (turn * 17 + 5) % count,
        ] {
            let order: fn(usize, usize) -> usize = order;
            let socket = client.namespace.udp("[fd00:1::2]:0");
            let own = socket.local_addr().unwrap();
            let [src, dst] = ["fd00:1::2", to].map(|text| text.parse::<std::net::Ipv6Addr>().unwrap());
            let mut whole = Vec::new();
            let builder = PacketBuilder::ipv6(src.octets(), dst.octets(), 64).udp(own.port(), PORT);
            builder.write(&mut whole, &message).unwrap();
            let pieces = pieces6(&whole);
            assert_eq!(pieces.len(), 42);
            (0..pieces.len()).for_each(|turn| sender.send(&pieces[order(turn, pieces.len())]));
            let mut answer = vec![0; 0x10000];
            let length = socket.recv(&mut answer).unwrap_or_else(|error| panic!("{backend}: {error}"));
            let greeting = format!("{backend} {own}\n");
            assert!(answer[..length] == [greeting.as_bytes(), &message].concat(), "{backend}: changed");
        }
    }
}

/// The first piece of a UDP datagram for port 80.
fn udp_head(bytes: usize) -> Vec<u8> {
    [&[0x10, 0, 0, 80, 0x10, 0, 0, 0][..], &vec![7; bytes - 8]].concat()
}

#[test]
fn hostile_fragments_are_counted_drops_and_harm_nobody() {
    const SERVICE: [u8; 4] = [10, 96, 0, 11];
    let lab = Lab::start("fragments-hostile", near_and_far().pod("neighbour", "node-a"));
    let _server = lab.pod("far").serve_udp(TARGET);
    let mut sender = Sender::of(lab.pod("client"));
    let part = vec![7; 512];
    for id in 0..10 {
        // An overlap poisons its datagram (RFC 5722): what comes after it is dropped too.
        sender.send(&piece4(SERVICE, (id, 0, true), UDP, &udp_head(512)));
        sender.send(&piece4(SERVICE, (id, 256, true), UDP, &part));
        sender.send(&piece4(SERVICE, (id, 1024, false), UDP, &part));
        // The TCP header does not fit, and a second fragment that would overwrite it (RFC 1858, RFC 3128).
        sender.send(&piece4(SERVICE, (100 + id, 0, true), TCP, &[7; 8]));
        sender.send(&piece4(SERVICE, (200 + id, 8, false), TCP, &[7; 64]));
        // Longer than any datagram may be.
        sender.send(&piece4(SERVICE, (300 + id, 65_528, false), UDP, &part));
        // The first one never comes.
        sender.send(&piece4(SERVICE, (400 + id, 512, true), UDP, &part));
    }
    // Meanwhile another pod of the node sends large datagrams to the same service.
    let message: Vec<u8> = pattern(LARGE).flatten().collect();
    for _ in 0..5 {
        let socket = lab.pod("neighbour").namespace.udp("10.0.1.4:0");
        let greeting = udp_greeting(&socket, "10.96.0.11:80", &message).unwrap();
        assert_eq!(greeting.backend, "far");
    }
    let node = lab.node("node-a");
    let expected = [
        ("fragment_overlap", 20.0),
        ("fragment_tiny", 20.0),
        ("fragment_overflow", 10.0),
        ("fragment_timeout", 10.0),
    ];
    for (reason, count) in expected {
        eventually(5, &format!("{count} times {reason}"), || node.metrics().drops(reason) == count);
    }
    eventually(2, "nothing is held any more", || node.metrics().sum("vrouter_held_packets", &[]) == 0.0);
    let (came, went) = node.metrics().sides();
    assert!(came >= went, "{came} came, {went} went");
}
