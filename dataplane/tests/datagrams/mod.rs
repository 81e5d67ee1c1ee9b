//! Datagrams in pieces, cut and put together apart from the code under test.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "a test stops where it goes wrong"
)]

use std::collections::BTreeMap;
use std::net::IpAddr;

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};

use crate::support::frames;

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// A UDP packet with its IP header, DF clear.
pub(crate) fn udp(src: &str, dst: &str, (sport, dport): (u16, u16), body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    match (src.parse().unwrap(), dst.parse().unwrap()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let builder = PacketBuilder::ipv4(src.octets(), dst.octets(), 63).udp(sport, dport);
            builder.write(&mut bytes, body).unwrap();
            bytes[6] = 0;
            fix_header(&mut bytes);
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let builder = PacketBuilder::ipv6(src.octets(), dst.octets(), 63).udp(sport, dport);
            builder.write(&mut bytes, body).unwrap();
        }
        (src, dst) => panic!("{src} -> {dst}"),
    }
    bytes
}

/// An SCTP packet over IPv4; nobody looks at its checksum.
pub(crate) fn sctp(src: &str, dst: &str, (sport, dport): (u16, u16), body: &[u8]) -> Vec<u8> {
    let ports = [sport.to_be_bytes(), dport.to_be_bytes()].concat();
    fragment4(src, dst, 132, 0, (0, false), &[&ports, &[0; 8][..], body].concat())
}

/// Makes the checksum of an IPv4 header right.
pub(crate) fn fix_header(packet: &mut [u8]) {
    let header = usize::from(packet[0] & 15) * 4;
    packet[10..12].fill(0);
    let sum = ones_sum(&packet[..header]);
    packet[10..12].copy_from_slice(&(!sum).to_be_bytes());
}

pub(crate) fn set_ttl(packet: &mut [u8], ttl: u8) {
    packet[8] = ttl;
    fix_header(packet);
}

fn ones_sum(bytes: &[u8]) -> u16 {
    let words =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// One IPv4 fragment: where it starts, in bytes, and whether more follow.
pub(crate) fn fragment4(
    src: &str,
    dst: &str,
    protocol: u8,
    id: u32,
    (start, more): (usize, bool),
    part: &[u8],
) -> Vec<u8> {
    let [src, dst] = [src, dst].map(|text| text.parse::<std::net::Ipv4Addr>().unwrap().octets());
    let field = (start / 8) as u16 | if more { 0x2000 } else { 0 };
    let mut bytes = vec![0x45, 0];
    bytes.extend((20 + part.len() as u16).to_be_bytes());
    bytes.extend((id as u16).to_be_bytes());
    bytes.extend(field.to_be_bytes());
    bytes.extend([63, protocol, 0, 0]);
    bytes.extend([src, dst].concat());
    bytes.extend(part);
    fix_header(&mut bytes);
    bytes
}

/// Cuts an IPv4 packet without options.
pub(crate) fn cut4(packet: &[u8], mtu: usize, id: u32) -> Vec<Vec<u8>> {
    let (header, body) = packet.split_at(20);
    let room = (mtu - 20) & !7;
    let count = body.len().div_ceil(room);
    let piece = |(n, part): (usize, &[u8])| {
        let mut bytes = [header, part].concat();
        let len = bytes.len() as u16;
        let field = (n * room / 8) as u16 | if n + 1 < count { 0x2000 } else { 0 };
        bytes[2..4].copy_from_slice(&len.to_be_bytes());
        bytes[4..6].copy_from_slice(&(id as u16).to_be_bytes());
        bytes[6..8].copy_from_slice(&field.to_be_bytes());
        fix_header(&mut bytes);
        bytes
    };
    body.chunks(room).enumerate().map(piece).collect()
}

/// Cuts an IPv6 packet without extension headers; one that fits becomes an atomic fragment.
pub(crate) fn cut6(packet: &[u8], mtu: usize, id: u32) -> Vec<Vec<u8>> {
    let (header, body) = packet.split_at(40);
    let room = (mtu - 48) & !7;
    let count = body.len().div_ceil(room);
    let piece = |(n, part): (usize, &[u8])| {
        let field = (n * room) as u16 | u16::from(n + 1 < count);
        let mut bytes = [header, &[header[6], 0], &field.to_be_bytes(), &id.to_be_bytes(), part].concat();
        let len = (bytes.len() - 40) as u16;
        bytes[4..6].copy_from_slice(&len.to_be_bytes());
        bytes[6] = 44;
        bytes
    };
    body.chunks(room).enumerate().map(piece).collect()
}

/// Puts the fragments of one datagram together; nothing may be missing, come twice or disagree.
pub(crate) fn put_together(fragments: &[Vec<u8>]) -> Vec<u8> {
    let mut parts = BTreeMap::new();
    let mut ids = Vec::new();
    let mut end = None;
    for bytes in fragments {
        let (id, start, more, part) = place(bytes);
        ids.push(id);
        if !more {
            assert_eq!(end.replace(start + part.len()), None, "two ends");
        }
        assert_eq!(parts.insert(start, part), None, "{start} twice");
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let mut body = Vec::new();
    for (start, part) in parts {
        assert_eq!(start, body.len(), "a hole or an overlap");
        body.extend(part);
    }
    assert_eq!(Some(body.len()), end);
    let first = &fragments[0];
    let mut whole = if first[0] >> 4 == 4 { first[..20].to_vec() } else { first[..40].to_vec() };
    if whole.len() == 20 {
        whole[6..8].fill(0);
        whole[2..4].copy_from_slice(&(20 + body.len() as u16).to_be_bytes());
        fix_header(&mut whole);
    } else {
        whole[6] = first[40];
        whole[4..6].copy_from_slice(&(body.len() as u16).to_be_bytes());
    }
    whole.extend(body);
    whole
}

/// Identification, start, "more follow" and the part itself.
fn place(bytes: &[u8]) -> (u32, usize, bool, Vec<u8>) {
    let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    if bytes[0] >> 4 == 4 {
        assert_eq!(bytes[0], 0x45);
        assert_eq!(usize::from(word(2)), bytes.len());
        assert_eq!(ones_sum(&bytes[..20]), 0xffff, "header checksum");
        assert_eq!(word(6) & 0xc000, 0);
        let start = usize::from(word(6) & 0x1fff) * 8;
        return (u32::from(word(4)), start, word(6) & 0x2000 != 0, bytes[20..].to_vec());
    }
    assert_eq!((bytes[0] >> 4, bytes[6]), (6, 44));
    assert_eq!(usize::from(word(4)) + 40, bytes.len());
    let id = u32::from(word(44)) << 16 | u32::from(word(46));
    (id, usize::from(word(42) & !7), word(42) & 1 == 1, bytes[48..].to_vec())
}

/// Source, destination and payload of a UDP packet whose checksum must be right.
pub(crate) fn udp_is_right(packet: &[u8]) -> (String, String, Vec<u8>) {
    let sliced = SlicedPacket::from_ip(packet).unwrap();
    let Some(TransportSlice::Udp(udp)) = sliced.transport else { panic!("not UDP") };
    let header = udp.to_header();
    let (src, dst, computed) = match sliced.net {
        Some(NetSlice::Ipv4(ip)) => {
            let ip = ip.header().to_header();
            let computed = header.calc_checksum_ipv4(&ip, udp.payload()).unwrap();
            (IpAddr::from(ip.source), IpAddr::from(ip.destination), computed)
        }
        Some(NetSlice::Ipv6(ip)) => {
            let ip = ip.header().to_header();
            let computed = header.calc_checksum_ipv6(&ip, udp.payload()).unwrap();
            (IpAddr::from(ip.source), IpAddr::from(ip.destination), computed)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(header.checksum, computed, "UDP checksum");
    let ends = [(src, header.source_port), (dst, header.destination_port)];
    let [src, dst] = ends.map(|(address, port)| format!("{address}:{port}"));
    (src, dst, udp.payload().to_vec())
}

/// The packet from pod `n` with VLAN `n`.
pub(crate) fn from_pod(n: u16, packet: &[u8]) -> Vec<u8> {
    let ethertype: u16 = if packet[0] >> 4 == 4 { 0x0800 } else { 0x86dd };
    let mut frame = vec![0, 0, 0x5e, 0, 1, 0, 2, 0, 0, 0, 8, n as u8, 0x81, 0];
    frame.extend(n.to_be_bytes());
    frame.extend(ethertype.to_be_bytes());
    frame.extend(packet);
    frame
}

/// The packet from the node 10.1.1.2.
pub(crate) fn from_fabric(label: u32, packet: &[u8]) -> Vec<u8> {
    frames::tunnelled(("10.1.1.2", "10.1.1.1"), label, packet)
}

/// Outer source port, label and inner packet of a frame to another node; it is no outer fragment.
pub(crate) fn tunnelled(frame: &[u8]) -> (u16, u32, Vec<u8>) {
    let packet = &frame[14..];
    assert_eq!(packet[6..8], [0, 0], "an outer fragment");
    let outer = encap::decapsulate(packet, &encap::Ports::default(), encap::ZeroChecksum6::Refuse).unwrap();
    let port = u16::from_be_bytes([packet[20], packet[21]]);
    (port, outer.label.get(), packet[outer.payload].to_vec())
}
