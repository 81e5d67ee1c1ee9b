//! IPv4 and IPv6 headers, checked once (RFC 791, RFC 8200).

use flow_table::{Addr, Family, Tuple};

use super::l4::{self, L4, Transport};
use super::{array_at, u16_at, u32_at};
use crate::drop::DropReason;

/// Extension headers walked before a packet is refused; real ones carry three at the most.
const MAX_EXTENSIONS: usize = 8;

/// What the pipeline needs of an IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip {
    /// Addresses, protocol and ports.
    pub tuple: Tuple,
    /// What the transport header says.
    pub l4: L4,
    /// Offset of the transport header from the start of the IP header.
    pub l4_offset: usize,
    /// Length of the packet by its own header; what lies behind it is padding.
    pub len: usize,
    /// TTL or hop limit.
    pub ttl: u8,
    /// TOS or traffic class byte: DSCP and ECN.
    pub tos: u8,
    /// Whether it is a fragment.
    pub fragment: Fragment,
    /// Whether routers may fragment it.
    pub dont_fragment: encap::DontFragment,
}

/// Place of a packet in its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// The whole datagram.
    Whole,
    /// The first fragment, with the transport header.
    First(Piece),
    /// A later fragment.
    Later(Piece),
}

/// Which part of its datagram a fragment carries, in bytes of the IPv4 payload or of the
/// fragmentable part of an IPv6 packet. Never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Identification: 16 bits in IPv4, 32 in IPv6.
    pub id: u32,
    /// Its first byte, a multiple of 8.
    pub start: u16,
    /// The byte behind its last.
    pub end: u16,
    /// Whether others follow it.
    pub more: bool,
}

/// What a fragment header says, before it is held against the packet.
struct Claim {
    id: u32,
    /// In units of 8 bytes.
    offset: u16,
    more: bool,
    /// Bytes of the fragment.
    len: usize,
    /// Bytes before the payload that count towards the datagram's 65535.
    before: usize,
}

impl Claim {
    /// `malformed` is the family's reason for a fragment that is empty or ends off the grid.
    #[inline(always)]
    fn check(&self, malformed: DropReason) -> Result<Fragment, DropReason> {
        if self.offset == 0 && !self.more {
            // RFC 6946: an atomic fragment is a whole datagram.
            return Ok(Fragment::Whole);
        }
        // RFC 791 section 3.2, RFC 8200 section 4.5: all but the last are multiples of 8 bytes.
        if self.len == 0 || (self.more && !self.len.is_multiple_of(8)) {
            return Err(malformed);
        }
        let start = self.offset << 3;
        let end = usize::from(start) + self.len;
        if self.before + end > usize::from(u16::MAX) {
            return Err(DropReason::FragmentOverflow);
        }
        let end = u16::try_from(end).map_err(|_| DropReason::FragmentOverflow)?;
        let piece = Piece { id: self.id, start, end, more: self.more };
        Ok(if start == 0 { Fragment::First(piece) } else { Fragment::Later(piece) })
    }
}

impl Ip {
    /// Reads the packet at the start of `bytes`; padding may follow it.
    ///
    /// # Errors
    /// The reason to drop it for: malformed headers, a wrong IPv4 header checksum, source routes.
    #[inline(always)]
    pub fn parse(family: Family, bytes: &[u8]) -> Result<Self, DropReason> {
        match family {
            Family::V4 => parse_v4(bytes),
            Family::V6 => parse_v6(bytes),
        }
    }

    /// The family by the first nibble, when it is one we know.
    pub fn family_of(bytes: &[u8]) -> Option<Family> {
        match bytes.first()? >> 4 {
            4 => Some(Family::V4),
            6 => Some(Family::V6),
            _ => None,
        }
    }
}

#[inline(always)]
fn parse_v4(bytes: &[u8]) -> Result<Ip, DropReason> {
    let fixed: [u8; 20] = array_at(bytes, 0).ok_or(DropReason::MalformedIpv4)?;
    let header_len = usize::from(fixed[0] & 0x0f) * 4;
    let len = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    if fixed[0] >> 4 != 4 || header_len < 20 || len < header_len || len > bytes.len() {
        return Err(DropReason::MalformedIpv4);
    }
    // RFC 1812 section 5.2.2: a router verifies the checksum of every packet it forwards.
    let sum = encap::Sum::of(&fixed);
    if header_len > fixed.len() {
        let options = bytes.get(fixed.len()..header_len).ok_or(DropReason::MalformedIpv4)?;
        check_options(sum, options)?;
    } else if sum.finish() != 0 {
        return Err(DropReason::Ipv4Checksum);
    }

    let flags_and_offset = u16::from_be_bytes([fixed[6], fixed[7]]);
    let segment = bytes.get(header_len..len).unwrap_or_default();
    let claim = Claim {
        id: u32::from(u16::from_be_bytes([fixed[4], fixed[5]])),
        offset: flags_and_offset & 0x1fff,
        more: flags_and_offset & 0x2000 != 0,
        len: segment.len(),
        before: header_len,
    };
    let fragment = claim.check(DropReason::MalformedIpv4)?;
    let transport = transport((Family::V4, fixed[9]), segment, fragment)?;
    let [src, dst] = [12, 16].map(|at| Addr::from_v4(array_at(&fixed, at).unwrap_or_default()));
    Ok(Ip {
        tuple: Tuple {
            family: Family::V4,
            protocol: fixed[9],
            src,
            dst,
            sport: transport.sport,
            dport: transport.dport,
        },
        l4: transport.l4,
        l4_offset: header_len,
        len,
        ttl: fixed[8],
        tos: fixed[1],
        fragment,
        dont_fragment: match flags_and_offset & 0x4000 {
            0 => encap::DontFragment::Clear,
            _ => encap::DontFragment::Set,
        },
    })
}

/// RFC 791 section 3.1 for the form of options, RFC 7126 section 4.3 and 4.4 for refusing source routes. `fixed` is
/// the sum of the header before them.
#[cold]
fn check_options(fixed: encap::Sum, mut options: &[u8]) -> Result<(), DropReason> {
    if fixed.add_bytes(options).finish() != 0 {
        return Err(DropReason::Ipv4Checksum);
    }
    while let Some((&kind, rest)) = options.split_first() {
        options = match kind {
            0 => return Ok(()),
            1 => rest,
            131 | 137 => return Err(DropReason::SourceRoute),
            _ => {
                let len = rest.first().copied().map_or(0, usize::from);
                let skipped = if len < 2 { None } else { options.get(len..) };
                skipped.ok_or(DropReason::MalformedIpv4)?
            }
        };
    }
    Ok(())
}

fn parse_v6(bytes: &[u8]) -> Result<Ip, DropReason> {
    let fixed: [u8; 40] = array_at(bytes, 0).ok_or(DropReason::MalformedIpv6)?;
    let payload = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
    let len = 40 + payload;
    // A payload length of 0 announces a jumbogram (RFC 2675); no link here carries one.
    if fixed[0] >> 4 != 6 || payload == 0 || len > bytes.len() {
        return Err(DropReason::MalformedIpv6);
    }
    let packet = bytes.get(..len).unwrap_or_default();
    let chain = walk_extensions(packet, fixed[6])?;
    let segment = packet.get(chain.offset..).unwrap_or_default();
    let transport = transport((Family::V6, chain.protocol), segment, chain.fragment)?;
    // RFC 8200 section 8.1: UDP has a checksum over IPv6, always.
    if transport.l4 == L4::Udp && u16_at(segment, 6) == Some(0) {
        return Err(DropReason::MalformedL4);
    }
    let [src, dst] = [8, 24].map(|at| Addr::from_v6(array_at(&fixed, at).unwrap_or_default()));
    Ok(Ip {
        tuple: Tuple {
            family: Family::V6,
            protocol: chain.protocol,
            src,
            dst,
            sport: transport.sport,
            dport: transport.dport,
        },
        l4: transport.l4,
        l4_offset: chain.offset,
        len,
        ttl: fixed[7],
        tos: fixed[0] << 4 | fixed[1] >> 4,
        fragment: chain.fragment,
        dont_fragment: encap::DontFragment::Set,
    })
}

#[inline(always)]
fn transport(
    (family, protocol): (Family, u8),
    segment: &[u8],
    fragment: Fragment,
) -> Result<Transport, DropReason> {
    match fragment {
        Fragment::Whole | Fragment::First(_) if l4::is_foreign(family, protocol) => {
            Ok(Transport { l4: L4::Other, sport: 0, dport: 0 })
        }
        Fragment::Whole => l4::parse(protocol, segment, l4::Extent::Whole),
        Fragment::First(_) => l4::parse(protocol, segment, l4::Extent::FirstFragment),
        // RFC 3128: the first fragment can not hold a whole TCP header if this is its neighbour.
        Fragment::Later(piece) if protocol == l4::protocol::TCP && piece.start < l4::TCP_HEADER => {
            Err(DropReason::FragmentTiny)
        }
        Fragment::Later(_) => Ok(Transport { l4: L4::Absent, sport: 0, dport: 0 }),
    }
}

struct Chain {
    protocol: u8,
    offset: usize,
    fragment: Fragment,
}

/// Walks hop-by-hop, routing, destination and fragment headers (RFC 8200 section 4).
fn walk_extensions(packet: &[u8], first: u8) -> Result<Chain, DropReason> {
    let mut chain = Chain { protocol: first, offset: 40, fragment: Fragment::Whole };
    for _ in 0..MAX_EXTENSIONS {
        let at = chain.offset;
        let header: Option<[u8; 8]> = array_at(packet, at);
        // RFC 7112 section 5: the first fragment carries the whole chain.
        let cut_short = match chain.fragment {
            Fragment::Whole | Fragment::Later(_) => DropReason::MalformedIpv6,
            Fragment::First(_) => DropReason::FragmentTiny,
        };
        match (chain.protocol, chain.fragment) {
            (0 | 43 | 60, _) => {
                let header = header.ok_or(cut_short)?;
                // RFC 5095 section 3: type 0 routing headers are not processed.
                if chain.protocol == 43 && header[2] == 0 {
                    return Err(DropReason::SourceRoute);
                }
                chain.protocol = header[0];
                chain.offset = at + 8 + usize::from(header[1]) * 8;
            }
            (44, Fragment::Whole) => {
                let header = header.ok_or(cut_short)?;
                chain.protocol = header[0];
                chain.offset = at + 8;
                chain.fragment = fragment_v6(header, packet.len() - chain.offset, at - 40)?;
                if matches!(chain.fragment, Fragment::Later(_)) {
                    return Ok(chain);
                }
            }
            (44, Fragment::First(_) | Fragment::Later(_)) => return Err(DropReason::MalformedIpv6),
            _ if at > packet.len() => return Err(cut_short),
            _ => return Ok(chain),
        }
    }
    Err(DropReason::MalformedIpv6)
}

/// `len` bytes follow the fragment header, `before` bytes of extension headers precede it.
fn fragment_v6(header: [u8; 8], len: usize, before: usize) -> Result<Fragment, DropReason> {
    let offset_and_more = u16_at(&header, 2).unwrap_or_default();
    let claim = Claim {
        id: u32_at(&header, 4).unwrap_or_default(),
        offset: offset_and_more >> 3,
        more: offset_and_more & 1 == 1,
        len,
        before,
    };
    claim.check(DropReason::MalformedIpv6)
}

#[cfg(test)]
#[path = "ip_tests.rs"]
mod tests;
