//! Packets that the vrouter makes itself, built from nothing.

use std::net::IpAddr;

use crate::bytes::{checksum, octets, pseudo, put};
use crate::packet::{Packet, Tuple};
use crate::pairs::Step;
use crate::rewrite::{apply, fix_header, update_transport};

/// A plain IP packet: TTL 64, internetwork control (RFC 1812 section 4.3.2.5), DF set.
pub fn ip(src: IpAddr, dst: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let addresses = [octets(src), octets(dst)].concat();
    if src.is_ipv6() {
        let [high, low] = (payload.len() as u16).to_be_bytes();
        return [&[0x6c, 0, 0, 0, high, low, protocol, 64], &addresses[..], payload].concat();
    }
    let [high, low] = (payload.len() as u16 + 20).to_be_bytes();
    let mut header = [&[0x45, 0xc0, high, low, 0, 0, 0x40, 0, 64, protocol, 0, 0], &addresses[..]].concat();
    let sum = checksum(&[&header]);
    put(&mut header, 10, &sum.to_be_bytes());
    [&header[..], payload].concat()
}

/// An ICMP message in an IP packet, its checksum right.
pub fn icmp(src: IpAddr, dst: IpAddr, mut message: Vec<u8>) -> Vec<u8> {
    let protocol = if src.is_ipv4() { 1 } else { 58 };
    put(&mut message, 2, &[0, 0]);
    let sum = match protocol {
        1 => checksum(&[&message]),
        _ => checksum(&[&pseudo(src, dst, protocol, message.len()), &message]),
    };
    put(&mut message, 2, &sum.to_be_bytes());
    ip(src, dst, protocol, &message)
}

/// A TCP segment without payload and options.
pub fn tcp(tuple: Tuple, seq: u32, ack: u32, flags: u8) -> Vec<u8> {
    let mut segment = [tuple.sport.to_be_bytes(), tuple.dport.to_be_bytes()].concat();
    segment.extend(seq.to_be_bytes());
    segment.extend(ack.to_be_bytes());
    segment.extend([0x50, flags, 0, 0, 0, 0, 0, 0]);
    let sum = checksum(&[&pseudo(tuple.src, tuple.dst, 6, segment.len()), &segment]);
    put(&mut segment, 16, &sum.to_be_bytes());
    ip(tuple.src, tuple.dst, 6, &segment)
}

/// The answer to an echo request: addresses swapped, TTL 64, the rest as it came.
pub fn echo(request: &Packet) -> Vec<u8> {
    let mut bytes = request.bytes.clone();
    let kind = if request.tuple.src.is_ipv4() { 0 } else { 129 };
    put(&mut bytes, request.l4, &[kind, 0]);
    update_transport(request, &mut bytes, request.tuple);
    let mut reply = Packet { bytes, ..request.clone() };
    let swapped = Tuple { src: request.tuple.dst, dst: request.tuple.src, ..request.tuple };
    reply.bytes = apply(&reply, swapped, Step::Delivered);
    let before = reply.bytes.clone();
    put(&mut reply.bytes, if swapped.src.is_ipv4() { 8 } else { 7 }, &[64]);
    fix_header(&before, &mut reply.bytes);
    reply.bytes
}
