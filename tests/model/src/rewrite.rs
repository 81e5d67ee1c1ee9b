//! Carrying out a decision on the bytes, with every checksum summed anew and its error kept.

use std::net::IpAddr;

use crate::bytes::{checksum, crc32c, keep_error, octets, pseudo, put, u16_at};
use crate::packet::{Kind, Packet, Tuple};
use crate::pairs::Step;

/// The packet with new addresses and ports, and one hop less if it is routed here.
pub fn apply(packet: &Packet, to: Tuple, step: Step) -> Vec<u8> {
    let mut bytes = packet.bytes.clone();
    put_addresses(&mut bytes, to.src, to.dst);
    if matches!(packet.kind, Kind::Tcp { .. } | Kind::Udp | Kind::Sctp) {
        put(&mut bytes, packet.l4, &to.sport.to_be_bytes());
        put(&mut bytes, packet.l4 + 2, &to.dport.to_be_bytes());
    }
    update_transport(packet, &mut bytes, to);
    if step == Step::Routed {
        let at = if to.src.is_ipv4() { 8 } else { 7 };
        put(&mut bytes, at, &[packet.ttl.saturating_sub(1)]);
    }
    fix_header(&packet.bytes, &mut bytes);
    bytes
}

/// Writes both addresses of an IP header.
pub fn put_addresses(bytes: &mut [u8], src: IpAddr, dst: IpAddr) {
    let at = if src.is_ipv4() { 12 } else { 8 };
    put(bytes, at, &[octets(src), octets(dst)].concat());
}

/// Sums the header checksum of an IPv4 packet anew if its header has changed.
pub fn fix_header(before: &[u8], after: &mut [u8]) {
    let len = usize::from(after[0] & 0x0f) * 4;
    if after[0] >> 4 == 4 && before[..len] != after[..len] {
        put(after, 10, &[0, 0]);
        let sum = checksum(&[&after[..len]]);
        put(after, 10, &sum.to_be_bytes());
    }
}

/// Updates the transport checksum in `after`, which `before` has become for the tuple `to`.
pub fn update_transport(before: &Packet, after: &mut [u8], to: Tuple) {
    let from = before.tuple;
    let at = match before.kind {
        Kind::Tcp { .. } => 16,
        Kind::Udp => 6,
        Kind::Sctp => return update_sctp(before, after),
        Kind::Other | Kind::LaterFragment => return,
        _ => 2,
    };
    let (old, new) = (&before.bytes[before.l4..], &mut after[before.l4..]);
    let pseudo_of = |tuple: Tuple| match tuple.protocol {
        1 => Vec::new(),
        _ => pseudo(tuple.src, tuple.dst, tuple.protocol, old.len()),
    };
    let (right_before, right_after) = (right(old, at, &pseudo_of(from)), right(new, at, &pseudo_of(to)));
    let field = u16_at(old, at).unwrap_or(0);
    if before.kind == Kind::Udp && field == 0 {
        return;
    }
    let field = keep_error(field, right_before, right_after);
    let field = if before.kind == Kind::Udp && field == 0 { 0xffff } else { field };
    put(new, at, &field.to_be_bytes());
}

/// The right checksum of a segment whose checksum field is at `at`.
pub fn right(segment: &[u8], at: usize, pseudo: &[u8]) -> u16 {
    let mut segment = segment.to_vec();
    put(&mut segment, at, &[0, 0]);
    checksum(&[pseudo, &segment])
}

fn update_sctp(before: &Packet, after: &mut [u8]) {
    let (old, new) = (&before.bytes[before.l4..], &mut after[before.l4..]);
    let Some(field) = old.get(8..12).and_then(|field| field.try_into().ok()).map(u32::from_le_bytes) else {
        return;
    };
    let field = field ^ crc32c(old) ^ crc32c(new);
    put(new, 8, &field.to_le_bytes());
}

/// Whether a packet may be translated: the CRC of SCTP covers all of a datagram, so that what a change of the ports
/// changes of it depends on its length, which a fragment does not tell.
pub fn is_possible(packet: &Packet, to: Tuple) -> bool {
    let same_ports = (to.sport, to.dport) == (packet.tuple.sport, packet.tuple.dport);
    packet.piece.is_none() || packet.tuple.protocol != 132 || same_ports
}

/// Lowers the segment size that a SYN announces to what fits `mtu` (RFC 6691).
pub fn clamp(packet: &Packet, mtu: usize) -> Packet {
    let Kind::Tcp { flags, .. } = packet.kind else { return packet.clone() };
    let limit = mtu.saturating_sub(if packet.tuple.src.is_ipv4() { 40 } else { 60 }).min(65535) as u16;
    let header = usize::from(packet.bytes[packet.l4 + 12] >> 4) * 4;
    let end = packet.l4 + header;
    let mut clamped = packet.clone();
    let mut at = packet.l4 + 20;
    while flags & 2 != 0 && at < end {
        let (kind, len) = (packet.bytes[at], packet.bytes.get(at + 1).copied().filter(|_| at + 1 < end));
        match (kind, len) {
            (0, _) => break,
            (1, _) => at += 1,
            // RFC 9293 section 3.2: an option lies within the header.
            (2, Some(4)) if at + 4 <= end => {
                if u16_at(&packet.bytes, at + 2).is_some_and(|mss| mss > limit) {
                    put(&mut clamped.bytes, at + 2, &limit.to_be_bytes());
                    let mut bytes = clamped.bytes.clone();
                    update_transport(packet, &mut bytes, packet.tuple);
                    clamped.bytes = bytes;
                }
                break;
            }
            (_, Some(len)) if len >= 2 => at += usize::from(len),
            _ => break,
        }
    }
    clamped
}
