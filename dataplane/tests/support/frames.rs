//! Frames as pods and other nodes send them.

use encap::{Fields, Label, OuterHeader, Sum, Template};
use etherparse::PacketBuilder;

use super::{PEER_MAC, UPLINK_MAC};

const GATEWAY: [u8; 6] = [0, 0, 0x5e, 0, 1, 0];

pub(crate) fn tagged(slot: u16, src: [u8; 6], packet: &[u8]) -> Vec<u8> {
    let ethertype = if packet[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] };
    let tag = [[0x81, 0x00], slot.to_be_bytes(), ethertype].concat();
    [&GATEWAY[..], &src[..], &tag[..], packet].concat()
}

/// A packet from node 172.30.0.2 to node 172.30.0.1.
pub(crate) fn fabric(label: u32, packet: &[u8]) -> Vec<u8> {
    tunnelled(("172.30.0.2", "172.30.0.1"), label, packet)
}

/// A packet from one node to another, as it comes in at the uplink.
pub(crate) fn tunnelled((from, to): (&str, &str), label: u32, packet: &[u8]) -> Vec<u8> {
    let template = Template::new(&OuterHeader {
        src_mac: PEER_MAC.0,
        dst_mac: UPLINK_MAC.0,
        vlan: None,
        src: from.parse().unwrap(),
        dst: to.parse().unwrap(),
        udp_port: 6635,
        ttl: 64,
        df: encap::DontFragment::Clear,
        dscp: encap::DscpMode::Copy,
        udp6_checksum: encap::Udp6Checksum::Compute,
    })
    .unwrap();
    let mut frame = [&vec![0; template.len()][..], packet].concat();
    let label = Label::new(label).unwrap();
    let fields = Fields { label, ttl: 63, source_port: 50000, inner_tos: 0, ip_id: 0 };
    template.write(&mut frame, &fields).unwrap();
    frame
}

pub(crate) fn udp4(src: [u8; 4], dst: [u8; 4], ports: (u16, u16), ttl: u8, len: usize) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4(src, dst, ttl).udp(ports.0, ports.1).write(&mut packet, &vec![7; len]).unwrap();
    packet
}

pub(crate) fn udp6(src: &str, dst: &str, ports: (u16, u16), ttl: u8, len: usize) -> Vec<u8> {
    let [src, dst] = [src, dst].map(|a| a.parse::<std::net::Ipv6Addr>().unwrap().octets());
    let mut packet = Vec::new();
    PacketBuilder::ipv6(src, dst, ttl).udp(ports.0, ports.1).write(&mut packet, &vec![7; len]).unwrap();
    packet
}

/// An ICMP error as a host sends it, quoting `quote`.
pub(crate) fn error4(src: [u8; 4], dst: [u8; 4], kind: (u8, u8), quote: &[u8]) -> Vec<u8> {
    let mut message = [&[kind.0, kind.1, 0, 0, 0, 0, 0, 0][..], quote].concat();
    let sum = Sum::of(&message).finish();
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut packet = Vec::new();
    let builder = PacketBuilder::ipv4(src, dst, 64);
    builder.write(&mut packet, etherparse::IpNumber::ICMP, &message).unwrap();
    packet
}

pub(crate) fn error6(src: &str, dst: &str, kind: (u8, u8), quote: &[u8]) -> Vec<u8> {
    let [src, dst] = [src, dst].map(|a| a.parse::<std::net::Ipv6Addr>().unwrap());
    let mut message = [&[kind.0, kind.1, 0, 0, 0, 0, 0, 0][..], quote].concat();
    let sum = Sum::pseudo_v6(src, dst, 58, message.len() as u32).add_bytes(&message).finish();
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut packet = Vec::new();
    let builder = PacketBuilder::ipv6(src.octets(), dst.octets(), 64);
    builder.write(&mut packet, etherparse::IpNumber::IPV6_ICMP, &message).unwrap();
    packet
}
