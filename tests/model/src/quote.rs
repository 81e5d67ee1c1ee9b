//! The packet that an ICMP error quotes, and its translation (RFC 5508 section 4.2).

use std::net::IpAddr;

use crate::bytes::{checksum, keep_error, pseudo, put, u16_at};
use crate::packet::{Kind, Packet, Tuple, icmp, icmp_ports};
use crate::pairs::Step;
use crate::rewrite::{fix_header, put_addresses, right};

/// A quoted packet: its tuple and where it lies in the error.
#[derive(Clone, Copy, Debug)]
pub struct Quote {
    /// Tuple, as on the wire.
    pub tuple: Tuple,
    at: usize,
    l4: usize,
}

/// Reads the quote of an error. RFC 792 promises the IP header and 8 bytes.
pub fn read(error: &Packet) -> Option<Quote> {
    let at = error.l4 + 8;
    let quoted = error.bytes.get(at..)?;
    let v4 = error.tuple.src.is_ipv4();
    let fixed = quoted.get(..if v4 { 20 } else { 40 })?;
    let header = if v4 { usize::from(fixed[0] & 15) * 4 } else { 40 };
    if fixed[0] >> 4 != if v4 { 4 } else { 6 } || header < 20 {
        return None;
    }
    if v4 && u16_at(fixed, 6)? & 0x1fff != 0 {
        return None;
    }
    let (protocol, src, dst): (u8, IpAddr, IpAddr) = if v4 {
        let four = |at: usize| <[u8; 4]>::try_from(&fixed[at..at + 4]).ok();
        (fixed[9], four(12)?.into(), four(16)?.into())
    } else {
        let sixteen = |at: usize| <[u8; 16]>::try_from(&fixed[at..at + 16]).ok();
        (fixed[6], sixteen(8)?.into(), sixteen(24)?.into())
    };
    let head = quoted.get(header..header + 8)?;
    let (sport, dport) = match (protocol, v4) {
        (6 | 17 | 132, _) => (u16_at(head, 0)?, u16_at(head, 2)?),
        (1, true) | (58, false) => match icmp(protocol, head[0]) {
            Kind::EchoRequest | Kind::EchoReply => (u16_at(head, 4)?, u16_at(head, 4)?),
            Kind::Error | Kind::Refused => return None,
            _ => {
                let (sport, dport) = icmp_ports(head[0]);
                (sport?, dport?)
            }
        },
        _ => (0, 0),
    };
    Some(Quote { tuple: Tuple { src, dst, protocol, sport, dport }, at, l4: at + header })
}

/// Whether the checksums of an error and of the header it quotes are right (RFC 5508 section 4.2).
pub fn is_sound(error: &Packet, quote: &Quote) -> bool {
    let message = &error.bytes[error.l4..];
    let header = &error.bytes[quote.at..quote.l4];
    if error.tuple.src.is_ipv4() {
        checksum(&[message]) == 0 && checksum(&[header]) == 0
    } else {
        checksum(&[&pseudo(error.tuple.src, error.tuple.dst, 58, message.len()), message]) == 0
    }
}

/// The error as it leaves when the answers of its flow leave with the tuple `answer`.
pub fn translate(error: &Packet, quote: &Quote, answer: Tuple, step: Step) -> Vec<u8> {
    let mut bytes = error.bytes.clone();
    let back = quote.tuple.reversed();
    let mut to = error.tuple;
    if answer != back {
        // Only the flow's own end is hidden; a router on the way speaks for itself.
        to.src = if error.tuple.src == back.src { answer.src } else { error.tuple.src };
        to.dst = answer.dst;
        translate_quote(error, &mut bytes, quote, answer.reversed());
        put_addresses(&mut bytes, to.src, to.dst);
        fix_icmp(error, &mut bytes, to);
    }
    if step == Step::Routed {
        let at = if to.src.is_ipv4() { 8 } else { 7 };
        put(&mut bytes, at, &[error.ttl.saturating_sub(1)]);
    }
    fix_header(&error.bytes, &mut bytes);
    bytes
}

fn translate_quote(error: &Packet, bytes: &mut [u8], quote: &Quote, to: Tuple) {
    let old = &error.bytes[quote.at..];
    let header = quote.l4 - quote.at;
    put_addresses(&mut bytes[quote.at..], to.src, to.dst);
    if to.src.is_ipv4() {
        let field = u16_at(old, 10).unwrap_or(0);
        let [before, after] =
            [&old[..header], &bytes[quote.at..quote.l4]].map(|header| right(header, 10, &[]));
        put(bytes, quote.at + 10, &keep_error(field, before, after).to_be_bytes());
    }
    if matches!(to.protocol, 6 | 17 | 132) {
        put(bytes, quote.l4, &to.sport.to_be_bytes());
        put(bytes, quote.l4 + 2, &to.dport.to_be_bytes());
    }
    let at = match to.protocol {
        6 => 16,
        17 => 6,
        _ => return,
    };
    let (old, new) = (&old[header..], &bytes[quote.l4..]);
    // Behind the 8 bytes that are promised the checksum may be missing.
    let Some(field) = u16_at(old, at).filter(|field| to.protocol != 17 || *field != 0) else { return };
    let pseudo = |tuple: Tuple| pseudo(tuple.src, tuple.dst, tuple.protocol, old.len());
    let field = keep_error(field, right(old, at, &pseudo(quote.tuple)), right(new, at, &pseudo(to)));
    let field = if to.protocol == 17 && field == 0 { 0xffff } else { field };
    put(bytes, quote.l4 + at, &field.to_be_bytes());
}

fn fix_icmp(error: &Packet, bytes: &mut [u8], to: Tuple) {
    let (old, new) = (&error.bytes[error.l4..], &bytes[error.l4..]);
    let covered = |tuple: Tuple, message: &[u8]| match tuple.protocol {
        1 => checksum(&[&cleared(message)]),
        _ => checksum(&[&pseudo(tuple.src, tuple.dst, tuple.protocol, message.len()), &cleared(message)]),
    };
    let field = u16_at(old, 2).unwrap_or(0);
    let field = keep_error(field, covered(error.tuple, old), covered(to, new));
    put(bytes, error.l4 + 2, &field.to_be_bytes());
}

fn cleared(message: &[u8]) -> Vec<u8> {
    let mut message = message.to_vec();
    put(&mut message, 2, &[0, 0]);
    message
}
