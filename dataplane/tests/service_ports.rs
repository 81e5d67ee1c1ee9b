//! What a service answers on: ranges of ports, and UDP, TCP and SCTP, with checksums that hold.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it goes wrong"
)]

mod support;

use dataplane::desired::{Desired, PortRange, ServicePort, TargetPort, Transport};
use dataplane::io::Side;
use etherparse::{IpNumber, NetSlice, PacketBuilder, SlicedPacket};
use support::{Node, desired, service, service_mut, to_vif, vif, vrf};

const GATEWAY: [u8; 6] = [0, 0, 0x5e, 0, 1, 0];

/// A client (VLAN 1) and a pod (VLAN 2) behind a service of both families.
fn state(ports: &[ServicePort]) -> Desired {
    let mut state = desired("10.1.1.1", &[]);
    state.vrfs = vec![vrf("eight")];
    state.vifs.push(vif("client", "eight", &["11.1.1.1", "fd00:11::1"], "02:00:00:00:08:01", 101));
    state.vifs.push(vif("pod", "eight", &["11.1.1.2", "fd00:11::2"], "02:00:00:00:08:02", 102));
    for (n, address) in ["14.1.1.100", "fd00:14::100"].into_iter().enumerate() {
        state.services.push(service("eight", address, &[], vec![to_vif("pod")]));
        service_mut(&mut state, n).ports = ports.to_vec();
    }
    state
}

fn range(protocol: Transport, first: u16, last: u16, target: TargetPort) -> ServicePort {
    ServicePort { protocol, ports: PortRange::new(first, last).unwrap(), target }
}

/// CRC32c bit by bit (RFC 9260 appendix A), with nothing in common with the data plane's.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        for bit in 0..8 {
            let carry = (crc ^ u32::from(byte >> bit)) & 1;
            crc = (crc >> 1) ^ (0x82f6_3b78 * carry);
        }
    }
    !crc
}

/// An SCTP packet with one DATA chunk; the CRC is sent in little endian (RFC 9260 appendix A).
fn sctp(ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut packet = [ports.0.to_be_bytes(), ports.1.to_be_bytes()].concat();
    packet.extend([0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 0]);
    let chunk = [0, 3, 0, (16 + payload.len()) as u8, 0, 0, 0, 1, 0, 1, 0, 2, 0, 0, 0, 0];
    packet.extend(chunk);
    packet.extend(payload);
    packet.resize(packet.len().next_multiple_of(4), 0);
    let crc = crc32c(&packet);
    packet[8..12].copy_from_slice(&crc.to_le_bytes());
    packet
}

#[test]
fn the_independent_crc_is_that_of_the_standard() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}

/// A frame to the trunk with an IPv4 packet from VLAN `n`.
fn v4(n: u8, dst: [u8; 4], protocol: IpNumber, message: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2, 0, 0, 0, 8, n], GATEWAY)
        .single_vlan(u16::from(n).try_into().unwrap())
        .ipv4([11, 1, 1, n], dst, 64)
        .write(&mut frame, protocol, message)
        .unwrap();
    frame
}

fn v6(n: u8, dst: &str, protocol: IpNumber, message: &[u8]) -> Vec<u8> {
    let dst: std::net::Ipv6Addr = dst.parse().unwrap();
    let src: std::net::Ipv6Addr = format!("fd00:11::{n}").parse().unwrap();
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2, 0, 0, 0, 8, n], GATEWAY)
        .single_vlan(u16::from(n).try_into().unwrap())
        .ipv6(src.octets(), dst.octets(), 64)
        .write(&mut frame, protocol, message)
        .unwrap();
    frame
}

/// Source, destination and transport message of a frame.
fn read(frame: &[u8]) -> (String, String, Vec<u8>) {
    let sliced = SlicedPacket::from_ethernet(frame).unwrap();
    match sliced.net.unwrap() {
        NetSlice::Ipv4(ip) => {
            let header = ip.header();
            assert_eq!(header.header_checksum(), header.to_header().calc_header_checksum());
            let (src, dst) = (header.source_addr(), header.destination_addr());
            (src.to_string(), dst.to_string(), ip.payload().payload.to_vec())
        }
        NetSlice::Ipv6(ip) => {
            let (src, dst) = (ip.header().source_addr(), ip.header().destination_addr());
            (src.to_string(), dst.to_string(), ip.payload().payload.to_vec())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn sctp_is_translated_and_its_crc_holds_both_ways() {
    let mut node = Node::new(&state(&[ServicePort::single(Transport::Sctp, 3868, 13868)]));
    for len in [0, 1, 4, 100, 200] {
        let payload: Vec<u8> = (0..len).collect();
        let request = sctp((4000, 3868), &payload);
        let output = node.step(Side::Trunk, &v4(1, [14, 1, 1, 100], IpNumber::SCTP, &request));
        let (src, dst, message) = read(&output.trunk[0]);
        assert_eq!((src.as_str(), dst.as_str()), ("11.1.1.1", "11.1.1.2"));
        assert_eq!(message, sctp((4000, 13868), &payload), "as if it had been sent so");
        let answer = sctp((13868, 4000), &payload);
        let output = node.step(Side::Trunk, &v4(2, [11, 1, 1, 1], IpNumber::SCTP, &answer));
        let (src, dst, message) = read(&output.trunk[0]);
        assert_eq!((src.as_str(), dst.as_str()), ("14.1.1.100", "11.1.1.1"));
        assert_eq!(message, sctp((3868, 4000), &payload));
        output.assert_moved(&[("pod.rx", 1), ("client.tx", 1), ("hits", 1)]);
    }
}

#[test]
fn sctp_over_ipv6_as_well() {
    let mut node = Node::new(&state(&[ServicePort::single(Transport::Sctp, 3868, 13868)]));
    let request = sctp((4000, 3868), b"diameter");
    let output = node.step(Side::Trunk, &v6(1, "fd00:14::100", IpNumber::SCTP, &request));
    let (src, dst, message) = read(&output.trunk[0]);
    assert_eq!((src.as_str(), dst.as_str()), ("fd00:11::1", "fd00:11::2"));
    assert_eq!(message, sctp((4000, 13868), b"diameter"));
    output.assert_moved(&[("client.rx", 1), ("pod.tx", 1), ("misses", 1), ("pairs", 1)]);
}

#[test]
fn a_wrong_crc_stays_wrong() {
    let mut node = Node::new(&state(&[ServicePort::single(Transport::Sctp, 3868, 13868)]));
    let mut request = sctp((4000, 3868), b"bad");
    request[8] ^= 1;
    let output = node.step(Side::Trunk, &v4(1, [14, 1, 1, 100], IpNumber::SCTP, &request));
    let (_, _, mut message) = read(&output.trunk[0]);
    assert_ne!(message, sctp((4000, 13868), b"bad"));
    message[8] ^= 1;
    assert_eq!(message, sctp((4000, 13868), b"bad"));
}

#[test]
fn an_sctp_port_that_is_not_mapped_is_refused() {
    let mut node = Node::new(&state(&[ServicePort::single(Transport::Tcp, 3868, 13868)]));
    let request = sctp((4000, 3868), b"x");
    let output = node.step(Side::Trunk, &v4(1, [14, 1, 1, 100], IpNumber::SCTP, &request));
    let (_, dst, message) = read(&output.trunk[0]);
    assert_eq!((dst.as_str(), message[0], message[1]), ("11.1.1.1", 3, 3), "ICMP port unreachable");
    let expected = [
        ("client.rx", 1),
        ("client.tx", 1),
        ("client.service_port_unmapped", 1),
        ("generated", 1),
        ("misses", 1),
        ("pairs", 1),
    ];
    output.assert_moved(&expected);
}

fn udp(n: u8, dst: [u8; 4], ports: (u16, u16)) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2, 0, 0, 0, 8, n], GATEWAY)
        .single_vlan(u16::from(n).try_into().unwrap())
        .ipv4([11, 1, 1, n], dst, 64)
        .udp(ports.0, ports.1)
        .write(&mut frame, b"media")
        .unwrap();
    frame
}

/// The port on the pod that a datagram to a port of the service reaches; its answer must come back
/// from the port that was asked. `None` when the port is refused.
fn reached(node: &mut Node, port: u16) -> Option<u16> {
    let output = node.step(Side::Trunk, &udp(1, [14, 1, 1, 100], (4000, port)));
    if output.moved.contains_key("client.service_port_unmapped") {
        return None;
    }
    let (_, _, message) = read(&output.trunk[0]);
    let target = u16::from_be_bytes([message[2], message[3]]);
    let output = node.step(Side::Trunk, &udp(2, [11, 1, 1, 1], (target, 4000)));
    let (src, _, message) = read(&output.trunk[0]);
    assert_eq!((src.as_str(), u16::from_be_bytes([message[0], message[1]])), ("14.1.1.100", port));
    Some(target)
}

#[test]
fn a_range_of_ports_leads_to_as_many() {
    let mut node = Node::new(&state(&[range(Transport::Udp, 30000, 30500, TargetPort::From(40000))]));
    for port in (30000..=30500).step_by(50) {
        assert_eq!(reached(&mut node, port), Some(port + 10000));
    }
    assert_eq!(reached(&mut node, 29999), None);
    assert_eq!(reached(&mut node, 30501), None);
}

#[test]
fn a_range_of_ports_leads_to_one() {
    let ports = [
        range(Transport::Udp, 30000, 30500, TargetPort::One(9)),
        ServicePort::single(Transport::Udp, 53, 54),
    ];
    let mut node = Node::new(&state(&ports));
    assert_eq!(reached(&mut node, 53), Some(54));
    // One client port can not be answered from two ports of the service at a time.
    assert_eq!(reached(&mut node, 30123), Some(9));
    let output = node.step(Side::Trunk, &udp(1, [14, 1, 1, 100], (4000, 30124)));
    assert_eq!(output.moved["client.nat_port_exhausted"], 1);
    let output = node.step(Side::Trunk, &udp(1, [14, 1, 1, 100], (4001, 30124)));
    output.assert_moved(&[("client.rx", 1), ("pod.tx", 1), ("misses", 1), ("pairs", 1)]);
}
