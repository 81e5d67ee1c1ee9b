//! Frames: good ones of every kind, and the ways to make them bad.

use std::net::IpAddr;

use model_router::bytes::{checksum, crc32c, octets, pseudo, put};
use model_router::packet::Tuple;

use crate::dice::Dice;

const PORTS: [u16; 9] = [80, 53, 1000, 1001, 8080, 5353, 99, 0, 6635];
const OPTIONS: [&[u8]; 5] = [&[], &[1, 1, 1, 0], &[7, 4, 4, 0], &[131, 3, 4, 0], &[7, 9, 4, 0]];
const SIZES: [usize; 8] = [0, 1, 8, 37, 40, 560, 1240, 1460];

/// An IP packet of some kind between two addresses of one family.
pub(crate) fn packet(src: IpAddr, dst: IpAddr, dice: &mut Dice<'_>) -> Vec<u8> {
    let sport = dice.pick(&PORTS);
    // Most packets are for a port that services have.
    let (kind, dport) = match dice.roll(8) {
        0 => (0, 80),
        1 => (2, 80),
        2 => (4, 53),
        3 => (6, 53),
        4 => (5, 80),
        5 => (7, 99),
        _ => (dice.roll(12), dice.pick(&PORTS)),
    };
    transport(Tuple { src, dst, protocol: 17, sport, dport }, kind, dice)
}

/// A packet with these ports; `kind` is the transport: 0..=3 TCP, 4..=6 UDP, 7 SCTP, 8 and 9 echo, then others.
pub(crate) fn transport(tuple: Tuple, kind: usize, dice: &mut Dice<'_>) -> Vec<u8> {
    let Tuple { src, dst, sport, dport, .. } = tuple;
    let payload = vec![0x5a; dice.pick(&SIZES)];
    let ports = [sport.to_be_bytes(), dport.to_be_bytes()].concat();
    let (v4_icmp, v6_icmp) = (1, 58);
    let icmp = if src.is_ipv4() { v4_icmp } else { v6_icmp };
    let (protocol, mut segment) = match kind {
        0..=3 => (6, tcp(&ports, kind, dice)),
        4..=6 => (17, [&ports[..], &(payload.len() as u16 + 8).to_be_bytes(), &[0, 0], &payload].concat()),
        7 => (132, [&ports[..], &[0; 8], &payload].concat()),
        8 | 9 => {
            // Echo, and now and then another question and its answer.
            let codes: [u8; 4] = match (icmp == v4_icmp, kind) {
                (true, 8) => [8, 8, 8, 13],
                (true, _) => [0, 0, 0, 14],
                (false, 8) => [128, 128, 128, 139],
                (false, _) => [129, 129, 129, 140],
            };
            let code = dice.pick(&codes);
            (icmp, [&[code, 0, 0, 0][..], &sport.to_be_bytes(), &[0, 1], &payload].concat())
        }
        // The other family's ICMP, and a protocol without ports.
        10 => (
            v4_icmp + v6_icmp - icmp,
            [&[dice.pick(&[8, 128, 135, 3]), 0, 0, 0, 0, 7, 0, 1], &payload[..]].concat(),
        ),
        _ => (47, payload.clone()),
    };
    if dice.roll(8) != 7 {
        seal(src, dst, protocol, &mut segment, kind == 6);
    }
    ip(src, dst, protocol, &segment, dice)
}

fn tcp(ports: &[u8], kind: usize, dice: &mut Dice<'_>) -> Vec<u8> {
    const SYN: u8 = 2;
    const OPTIONS: [&[u8]; 5] =
        [&[], &[2, 4, 5, 0xb4], &[1, 2, 4, 5, 0xb4, 0, 0, 0], &[1, 1, 2, 4], &[2, 4, 1, 0]];
    let flags = [SYN, SYN | 16, 16, dice.pick(&[17, 4, 20, 24, 0, 0xff])][kind];
    let options = if flags & SYN != 0 { dice.pick(&OPTIONS) } else { &[] };
    let words = 5 + options.len() / 4;
    let numbers = [[0, 0, 1, dice.byte()], [0, 0, 1, dice.byte()]];
    let payload = vec![0x5a; dice.pick(&SIZES)];
    let fixed = [(words as u8) << 4, flags, 0xff, 0xff, 0, 0, 0, 0];
    [ports, numbers.as_flattened(), &fixed, options, &payload].concat()
}

/// Writes the right checksum of a segment.
pub(crate) fn seal(src: IpAddr, dst: IpAddr, protocol: u8, segment: &mut [u8], without_udp: bool) {
    let covered = [pseudo(src, dst, protocol, segment.len()), segment.to_vec()].concat();
    match protocol {
        6 => put(segment, 16, &checksum(&[&covered]).to_be_bytes()),
        17 if !without_udp => {
            let sum = checksum(&[&covered]);
            put(segment, 6, &(if sum == 0 { 0xffff } else { sum }).to_be_bytes());
        }
        132 => {
            let crc = crc32c(segment);
            put(segment, 8, &crc.to_le_bytes());
        }
        1 => {
            let sum = checksum(&[segment]);
            put(segment, 2, &sum.to_be_bytes());
        }
        58 => put(segment, 2, &checksum(&[&covered]).to_be_bytes()),
        _ => {}
    }
}

/// An IP header in front: some TTL, TOS, DF, and now and then options or an extension header.
pub(crate) fn ip(src: IpAddr, dst: IpAddr, protocol: u8, payload: &[u8], dice: &mut Dice<'_>) -> Vec<u8> {
    let ttl = dice.pick(&[64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 2, 255, 255, 1, 0]);
    let tos = dice.pick(&[0, 0, 0xb8, 1, 2, 3]);
    let addresses = [octets(src), octets(dst)].concat();
    if src.is_ipv6() {
        let destination_options = vec![protocol, 0, 1, 4, 0, 0, 0, 0];
        let atomic_fragment = vec![protocol, 0, 0, 0, 0, 0, 0, 1];
        let none = (protocol, Vec::new());
        let (next, extension) =
            dice.pick(&[none.clone(), none.clone(), none, (60, destination_options), (44, atomic_fragment)]);
        let [high, low] = ((payload.len() + extension.len()) as u16).to_be_bytes();
        let fixed = [0x60 | tos >> 4, tos << 4, 0, 0, high, low, next, ttl];
        return [&fixed, &addresses[..], &extension, payload].concat();
    }
    let options: &[u8] = OPTIONS[dice.roll(32).saturating_sub(32 - OPTIONS.len())];
    let words = 5 + options.len() / 4;
    let [high, low] = ((4 * words + payload.len()) as u16).to_be_bytes();
    let flags = dice.pick(&[0, 0, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x20]);
    let fixed = [0x40 | words as u8, tos, high, low, 0, 9, flags, 0, ttl, protocol, 0, 0];
    let mut header = [&fixed, &addresses[..], options].concat();
    let sum = checksum(&[&header]);
    put(&mut header, 10, &sum.to_be_bytes());
    [&header[..], payload].concat()
}

/// A frame from a vif.
pub(crate) fn tagged(slot: u16, src: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let tag = [0x8100, slot, ethertype].map(u16::to_be_bytes);
    [&[0, 0, 0x5e, 0, 1, 0], &src[..], tag.as_flattened(), payload].concat()
}

/// The EtherType of an IP packet.
pub(crate) fn ethertype(packet: &[u8]) -> u16 {
    if packet.first().is_some_and(|byte| byte >> 4 == 6) { 0x86dd } else { 0x0800 }
}
