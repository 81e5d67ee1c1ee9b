//! ICMP errors of others: they belong to the flow of the packet they quote and follow it back,
//! with the quoted packet translated the other way (RFC 5508 section 4.2).

use std::net::Ipv6Addr;

use encap::{Delta, Sum};
use flow_table::{Addr, Family, Rewrite, RewriteKind, Tuple};

use crate::packet::ip::Ip;
use crate::packet::l4::{self, protocol};
use crate::packet::{array_at, u16_at, write_at};

/// Length of the ICMP header before the quote.
const ICMP_HEADER: usize = 8;

/// The packet that an ICMP error quotes, as far as it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quote {
    /// As the quoted packet was on the wire.
    pub(crate) tuple: Tuple,
    /// Offset of its IP header from that of the error.
    at: usize,
    /// Offset of its transport header from that of the error.
    l4_at: usize,
}

impl Quote {
    /// Reads the quote. RFC 792 promises the IP header and 8 bytes: enough for the ports.
    /// The lengths in it speak of the packet as it was, not of the quote.
    pub(crate) fn parse(packet: &[u8], ip: &Ip) -> Option<Self> {
        let at = ip.l4_offset + ICMP_HEADER;
        let quoted = packet.get(at..)?;
        let (family, protocol_number, header, src, dst) = match ip.tuple.family {
            Family::V4 => {
                let fixed: [u8; 20] = array_at(quoted, 0)?;
                let header = usize::from(fixed[0] & 0x0f) * 4;
                let later = u16_at(&fixed, 6)? & 0x1fff != 0;
                if fixed[0] >> 4 != 4 || header < 20 || later {
                    return None;
                }
                let [src, dst] = [12, 16].map(|at| Addr::from_v4(array_at(&fixed, at).unwrap_or_default()));
                (Family::V4, fixed[9], header, src, dst)
            }
            Family::V6 => {
                let fixed: [u8; 40] = array_at(quoted, 0)?;
                if fixed[0] >> 4 != 6 {
                    return None;
                }
                let [src, dst] = [8, 24].map(|at| Addr::from_v6(array_at(&fixed, at).unwrap_or_default()));
                (Family::V6, fixed[6], 40, src, dst)
            }
        };
        let head: [u8; 8] = array_at(quoted, header)?;
        let (sport, dport) = match l4::is_foreign(family, protocol_number) {
            true => (0, 0),
            false => l4::quoted_ports(protocol_number, &head)?,
        };
        let tuple = Tuple { family, protocol: protocol_number, src, dst, sport, dport };
        Some(Self { tuple, at, l4_at: at + header })
    }

    /// RFC 5508 section 4.2: an error whose checksum is wrong goes no further, nor one that quotes a
    /// header with a wrong one. What the quote says of its transport is not checked: it is cut.
    pub(crate) fn is_sound(&self, packet: &[u8], ip: &Ip) -> bool {
        let message = packet.get(ip.l4_offset..).unwrap_or_default();
        let covered = match ip.tuple.family {
            Family::V4 => Sum::of(message),
            Family::V6 => {
                let [src, dst] = [ip.tuple.src, ip.tuple.dst].map(|addr| Ipv6Addr::from_bits(addr.0));
                Sum::pseudo_v6(src, dst, protocol::ICMPV6, message.len() as u32).add_bytes(message)
            }
        };
        let quoted = match ip.tuple.family {
            Family::V4 => Sum::of(packet.get(self.at..self.l4_at).unwrap_or_default()).finish(),
            Family::V6 => 0,
        };
        covered.finish() == 0 && quoted == 0
    }

    /// Translates the error and its quote on the way back. `rewrite` is that of the flow's
    /// answers, to which the error belongs: what it does to a source is undone in the quote's
    /// destination. Every checksum is updated by what has changed, so a wrong one stays wrong.
    pub(crate) fn translate(&self, packet: &mut [u8], ip: &mut Ip, rewrite: &Rewrite) {
        if rewrite.kind == RewriteKind::None {
            return;
        }
        let mut icmp = self.translate_quote(packet, rewrite);
        let answer = self.tuple.reversed();
        // Only the flow's own end is hidden; a router on the way speaks for itself.
        let src = if ip.tuple.src == answer.src { rewrite.src } else { ip.tuple.src };
        let header = translate_outer(packet, ip, src, rewrite.dst);
        if ip.tuple.protocol == protocol::ICMPV6 {
            icmp = icmp.combine(header);
        }
        let at = ip.l4_offset + 2;
        let checksum = u16_at(packet, at).unwrap_or_default();
        write_at(packet, at, icmp.apply(checksum).to_be_bytes());
        if ip.tuple.family == Family::V4 {
            let checksum = u16_at(packet, 10).unwrap_or_default();
            write_at(packet, 10, header.apply(checksum).to_be_bytes());
        }
        ip.tuple.src = src;
        ip.tuple.dst = rewrite.dst;
    }

    /// Rewrites the quote and gives the change of the ICMP checksum that this makes.
    fn translate_quote(&self, packet: &mut [u8], rewrite: &Rewrite) -> Delta {
        let (l3, l4) = (Delta::from_raw(rewrite.l3_delta), Delta::from_raw(rewrite.l4_delta));
        let mut change = Delta::NONE;
        let mut put = |at: usize, new: u16| {
            let Some(old) = u16_at(packet, at) else { return };
            change = change.replace_u16(old, new);
            write_at(packet, at, new.to_be_bytes());
        };
        let (addresses, width) = match self.tuple.family {
            Family::V4 => (self.at + 12, 4),
            Family::V6 => (self.at + 8, 16),
        };
        for (at, address) in [(addresses, rewrite.dst), (addresses + width, rewrite.src)] {
            for word in 0..width / 2 {
                put(at + 2 * word, (address.0 >> (8 * width - 16 - 16 * word)) as u16);
            }
        }
        if l4::has_ports(self.tuple.protocol) {
            put(self.l4_at, rewrite.dport);
            put(self.l4_at + 2, rewrite.sport);
        } else if self.tuple.sport != rewrite.dport {
            // Of messages without ports only an echo is changed, in its identifier.
            put(self.l4_at + 4, rewrite.dport);
        }
        // The answers' deltas turn source into source; the quote is the other direction of the
        // same translation, and swapping source and destination changes no sum.
        if self.tuple.family == Family::V4 {
            let at = self.at + 10;
            if let Some(old) = u16_at(packet, at) {
                let new = l3.apply(old);
                change = change.replace_u16(old, new);
                write_at(packet, at, new.to_be_bytes());
            }
        }
        let (at, apply): (usize, fn(Delta, u16) -> u16) = match self.tuple.protocol {
            number if l4::is_foreign(self.tuple.family, number) => return change,
            protocol::TCP => (self.l4_at + 16, Delta::apply),
            protocol::UDP => (self.l4_at + 6, Delta::apply_udp),
            protocol::ICMP | protocol::ICMPV6 => (self.l4_at + 2, Delta::apply),
            _ => return change,
        };
        // Behind the 8 bytes that are promised the checksum may be missing.
        if let Some(old) = u16_at(packet, at) {
            let new = apply(l4, old);
            change = change.replace_u16(old, new);
            write_at(packet, at, new.to_be_bytes());
        }
        change
    }
}

/// Rewrites the addresses of the error itself and gives the change of a sum over them.
fn translate_outer(packet: &mut [u8], ip: &Ip, src: Addr, dst: Addr) -> Delta {
    match ip.tuple.family {
        Family::V4 => {
            let [old_src, old_dst, src, dst] =
                [ip.tuple.src, ip.tuple.dst, src, dst].map(|a| (a.0 as u32).to_be_bytes());
            write_at(packet, 12, src);
            write_at(packet, 16, dst);
            Delta::NONE.replace_bytes(&old_src, &src).replace_bytes(&old_dst, &dst)
        }
        Family::V6 => {
            let [old_src, old_dst, src, dst] =
                [ip.tuple.src, ip.tuple.dst, src, dst].map(|a| a.0.to_be_bytes());
            write_at(packet, 8, src);
            write_at(packet, 24, dst);
            Delta::NONE.replace_bytes(&old_src, &src).replace_bytes(&old_dst, &dst)
        }
    }
}
