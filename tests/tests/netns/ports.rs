//! Services with many ports, and over SCTP.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::time::Duration;

use pnet::packet::Packet as _;
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::ipv4::Ipv4Packet;
use pnet::transport::{
    TransportChannelType, TransportReceiver, TransportSender, ipv4_packet_iter, transport_channel,
};
use tests::{Lab, Plan, Pod, sctp, tcp, tcp_greeting, udp, udp_greeting};

const FIRST: u16 = 5000;
const COUNT: u16 = 500;
const TARGETS: u16 = 7000;

#[test]
fn every_port_of_a_range_leads_to_its_own_port_of_the_pod() {
    let ports = [udp(FIRST, TARGETS).in_a_row(COUNT), tcp(FIRST, TARGETS).in_a_row(COUNT)];
    let plan =
        Plan::two_nodes().pod("client", "node-a").pod("web", "node-b").service("media", &ports, &["web"]);
    let lab = Lab::start("port-range", plan);
    let client = &lab.pod("client").namespace;
    // The pod's own port says which one was reached.
    for offset in [0, 1, 250, COUNT - 1] {
        let _servers =
            (lab.pod("web").serve_udp(TARGETS + offset), lab.pod("web").serve_tcp(TARGETS + offset));
        for (address, own) in [("10.96.0.10", "10.0.1.2:0"), ("[fd00:96::10]", "[fd00:1::2]:0")] {
            let service = format!("{address}:{}", FIRST + offset);
            let greeting = udp_greeting(&client.udp(own), &service, b"which?");
            assert_eq!(greeting.unwrap_or_else(|error| panic!("UDP {service}: {error}")).backend, "web");
            let stream = client.connect(&service).unwrap_or_else(|error| panic!("TCP {service}: {error}"));
            assert_eq!(tcp_greeting(&stream).unwrap().backend, "web");
            let next = format!("{address}:{}", FIRST + (offset + 1) % COUNT);
            let error = client.connect(&next).expect_err("nobody listens at the next port of the pod");
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{next}: {error}");
        }
    }
    let unmapped = || lab.node("node-a").metrics().drops("service_port_unmapped");
    assert_eq!(unmapped(), 0.0);
    for outside in [FIRST - 1, FIRST + COUNT] {
        let error = client.connect(&format!("10.96.0.10:{outside}")).expect_err("behind the range");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{outside}: {error}");
    }
    assert_eq!(unmapped(), 2.0);
}

/// SCTP without a kernel that speaks it.
struct Sctp {
    sender: TransportSender,
    receiver: TransportReceiver,
}

impl Sctp {
    fn of(pod: &Pod) -> Self {
        let layer3 = TransportChannelType::Layer3(IpNextHeaderProtocols::Sctp);
        let (sender, receiver) = pod.namespace.within(|| transport_channel(0x10000, layer3)).unwrap();
        Self { sender, receiver }
    }

    fn send(&mut self, (src, dst): (Ipv4Addr, Ipv4Addr), message: &[u8]) {
        let mut packet = vec![0x45, 0];
        packet.extend((20 + message.len() as u16).to_be_bytes());
        packet.extend([0, 1, 0x40, 0, 64, 132, 0, 0]);
        packet.extend(src.octets());
        packet.extend(dst.octets());
        let sum = encap::Sum::of(&packet).finish();
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend(message);
        self.sender.send_to(Ipv4Packet::new(&packet).unwrap(), dst.into()).unwrap();
    }

    /// The next message, with the addresses it came with.
    fn receive(&mut self) -> ((Ipv4Addr, Ipv4Addr), Vec<u8>) {
        let mut packets = ipv4_packet_iter(&mut self.receiver);
        let next = packets.next_with_timeout(Duration::from_secs(5)).unwrap();
        let (packet, _) = next.expect("a message within five seconds");
        ((packet.get_source(), packet.get_destination()), packet.payload().to_vec())
    }
}

/// CRC32c, bit by bit (RFC 9260 appendix A), of a message whose own CRC counts as zero.
fn crc32c(message: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for (at, byte) in message.iter().enumerate() {
        crc ^= u32::from(if (8..12).contains(&at) { 0 } else { *byte });
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

/// A packet with one chunk: INIT (1) or INIT ACK (2), 20 bytes long (RFC 9260 section 3.3.2).
fn sctp_message((sport, dport): (u16, u16), chunk: u8) -> Vec<u8> {
    let mut message = [sport.to_be_bytes(), dport.to_be_bytes()].concat();
    message.extend([0; 8]);
    message.extend([chunk, 0, 0, 20, 0, 0, 0, 9, 0, 1, 0, 0, 0, 10, 0, 10, 0, 0, 0, 1]);
    let crc = crc32c(&message);
    message[8..12].copy_from_slice(&crc.to_le_bytes());
    message
}

#[test]
fn sctp_goes_through_the_service_and_back_with_right_checksums() {
    let plan = Plan::two_nodes()
        .pod("client", "node-a")
        .pod("near", "node-a")
        .pod("far", "node-b")
        .service("near", &[sctp(99, 9999)], &["near"])
        .service("far", &[sctp(99, 9999)], &["far"]);
    let lab = Lab::start("sctp", plan);
    let client = Ipv4Addr::new(10, 0, 1, 2);
    let ways = [("near", [10, 96, 0, 10], [10, 0, 1, 3]), ("far", [10, 96, 0, 11], [10, 0, 2, 2])];
    for (name, service, pod) in ways.map(|(name, service, pod)| (name, service.into(), pod.into())) {
        let (mut here, mut there) = (Sctp::of(lab.pod("client")), Sctp::of(lab.pod(name)));
        here.send((client, service), &sctp_message((4000, 99), 1));
        assert_eq!(there.receive(), ((client, pod), sctp_message((4000, 9999), 1)), "{name}: INIT");
        there.send((pod, client), &sctp_message((9999, 4000), 2));
        assert_eq!(here.receive(), ((service, client), sctp_message((99, 4000), 2)), "{name}: INIT ACK");
    }
}
