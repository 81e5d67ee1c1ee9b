//! What an IP packet says, read with etherparse where it reads what the RFCs say.

use std::net::IpAddr;

use dataplane::drop::DropReason;
use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice, TcpHeaderSlice};

use crate::bytes::{checksum, u16_at, u32_at};
use crate::plan::is_multicast;

/// Addresses, protocol and ports; an ICMP echo has its identifier in both ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tuple {
    /// Source.
    pub src: IpAddr,
    /// Destination.
    pub dst: IpAddr,
    /// Protocol number.
    pub protocol: u8,
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
}

impl Tuple {
    /// The tuple of an answer.
    pub fn reversed(self) -> Tuple {
        Tuple { src: self.dst, dst: self.src, sport: self.dport, dport: self.sport, ..self }
    }
}

/// What the transport is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TCP.
    Tcp {
        /// Flags.
        flags: u8,
        /// Sequence number.
        seq: u32,
        /// Acknowledgement number.
        ack: u32,
        /// Bytes behind the header.
        payload: u32,
    },
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
    /// ICMP echo request of the packet's family.
    EchoRequest,
    /// ICMP echo reply.
    EchoReply,
    /// ICMP error.
    Error,
    /// ICMP redirect or source quench.
    Refused,
    /// ICMPv6 router solicitation.
    RouterSolicitation,
    /// ICMPv6 router advertisement.
    RouterAdvertisement,
    /// ICMPv6 neighbour solicitation.
    Solicitation,
    /// ICMPv6 neighbour advertisement.
    Advertisement,
    /// IGMP or MLD.
    Membership,
    /// Other ICMP.
    Icmp,
    /// Another protocol.
    Other,
    /// A fragment that is not the first of its datagram.
    LaterFragment,
}

/// Place of a fragment in its datagram, in bytes behind the part that every fragment repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Identification.
    pub id: u32,
    /// First byte.
    pub start: usize,
    /// The byte behind the last.
    pub end: usize,
    /// Whether others follow.
    pub more: bool,
}

/// A packet that was found to be in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// From its first to its last byte, without padding.
    pub bytes: Vec<u8>,
    /// Who, where, how.
    pub tuple: Tuple,
    /// Transport.
    pub kind: Kind,
    /// Offset of the transport header.
    pub l4: usize,
    /// TTL or hop limit.
    pub ttl: u8,
    /// TOS byte or traffic class.
    pub tos: u8,
    /// Where it belongs, if it is a fragment.
    pub piece: Option<Piece>,
}

impl Packet {
    /// Whether it is for the router of its own link and for nobody behind it: neighbour discovery, or membership
    /// of groups that is told to a group.
    pub fn is_of_the_link(&self) -> bool {
        match self.kind {
            Kind::RouterSolicitation
            | Kind::RouterAdvertisement
            | Kind::Solicitation
            | Kind::Advertisement => true,
            Kind::Membership => is_multicast(self.tuple.dst),
            _ => false,
        }
    }
}

/// Reads a packet of IP version 4 or 6 with padding behind it.
///
/// # Errors
/// The reason to drop it for.
pub fn parse(version: u8, bytes: &[u8]) -> Result<Packet, DropReason> {
    if version == 4 { parse_v4(bytes) } else { parse_v6(bytes) }
}

fn parse_v4(bytes: &[u8]) -> Result<Packet, DropReason> {
    let header = Ipv4HeaderSlice::from_slice(bytes).map_err(|_| DropReason::MalformedIpv4)?;
    let (header_len, len) = (header.slice().len(), usize::from(header.total_len()));
    if len < header_len || len > bytes.len() {
        return Err(DropReason::MalformedIpv4);
    }
    if checksum(&[header.slice()]) != 0 {
        return Err(DropReason::Ipv4Checksum);
    }
    check_options(header.options())?;
    let (src, dst) = (header.source_addr().into(), header.destination_addr().into());
    let tuple = Tuple { src, dst, protocol: header.protocol().0, sport: 0, dport: 0 };
    let (ttl, tos) = (header.ttl(), bytes[1]);
    let field = u16_at(bytes, 6).unwrap_or(0);
    let (more, start) = (field & 0x2000 != 0, usize::from(field & 0x1fff) * 8);
    let id = u32::from(header.identification());
    let piece = Piece { id, start, end: start + len - header_len, more };
    let piece = place(piece, header_len, DropReason::MalformedIpv4)?;
    let kind = Kind::LaterFragment;
    transport(Packet { bytes: bytes[..len].to_vec(), tuple, kind, l4: header_len, ttl, tos, piece })
}

/// Checks a fragment in front of whose data `before` bytes count towards the 65535 of the datagram.
fn place(piece: Piece, before: usize, malformed: DropReason) -> Result<Option<Piece>, DropReason> {
    if piece.start == 0 && !piece.more {
        // RFC 6946: a whole datagram.
        return Ok(None);
    }
    // RFC 791 section 3.2, RFC 8200 section 4.5.
    if piece.end == piece.start || piece.more && !piece.end.is_multiple_of(8) {
        return Err(malformed);
    }
    if before + piece.end > 65535 { Err(DropReason::FragmentOverflow) } else { Ok(Some(piece)) }
}

fn check_options(options: &[u8]) -> Result<(), DropReason> {
    let mut at = 0;
    while at < options.len() {
        match options[at] {
            0 => return Ok(()),
            1 => at += 1,
            131 | 137 => return Err(DropReason::SourceRoute),
            _ => {
                let len = usize::from(*options.get(at + 1).unwrap_or(&0));
                if len < 2 || at + len > options.len() {
                    return Err(DropReason::MalformedIpv4);
                }
                at += len;
            }
        }
    }
    Ok(())
}

fn parse_v6(bytes: &[u8]) -> Result<Packet, DropReason> {
    let header = Ipv6HeaderSlice::from_slice(bytes).map_err(|_| DropReason::MalformedIpv6)?;
    let len = 40 + usize::from(header.payload_length());
    if len == 40 || len > bytes.len() {
        return Err(DropReason::MalformedIpv6);
    }
    let bytes = &bytes[..len];
    let (mut next, mut l4, mut piece) = (header.next_header().0, 40, None);
    let mut extensions = 0;
    while matches!(next, 0 | 43 | 44 | 60) {
        // RFC 7112 section 5: the first fragment holds every header.
        let cut = if piece.is_some() { DropReason::FragmentTiny } else { DropReason::MalformedIpv6 };
        if next == 44 && piece.is_some() || extensions == 8 {
            return Err(DropReason::MalformedIpv6);
        }
        let extension = bytes.get(l4..l4 + 8).ok_or(cut)?;
        if next == 43 && extension[2] == 0 {
            return Err(DropReason::SourceRoute);
        }
        extensions += 1;
        if next == 44 {
            piece = place(piece_v6(extension, len - l4 - 8), l4 - 40, DropReason::MalformedIpv6)?;
            l4 += 8;
        } else {
            l4 += 8 + 8 * usize::from(extension[1]);
        }
        next = extension[0];
        if piece.is_some_and(|piece| piece.start > 0) {
            break;
        }
        if extensions == 8 {
            return Err(DropReason::MalformedIpv6);
        }
    }
    if l4 > len {
        return Err(if piece.is_some() { DropReason::FragmentTiny } else { DropReason::MalformedIpv6 });
    }
    let (src, dst) = (header.source_addr().into(), header.destination_addr().into());
    let tuple = Tuple { src, dst, protocol: next, sport: 0, dport: 0 };
    let (ttl, tos) = (header.hop_limit(), bytes[0] << 4 | bytes[1] >> 4);
    let kind = Kind::LaterFragment;
    let packet = transport(Packet { bytes: bytes.to_vec(), tuple, kind, l4, ttl, tos, piece })?;
    // RFC 8200 section 8.1: UDP has a checksum over IPv6, always.
    match (packet.kind, u16_at(&packet.bytes, packet.l4 + 6)) {
        (Kind::Udp, Some(0)) => Err(DropReason::MalformedL4),
        _ => Ok(packet),
    }
}

fn piece_v6(header: &[u8], len: usize) -> Piece {
    let field = u16_at(header, 2).unwrap_or(0);
    let start = usize::from(field & 0xfff8);
    Piece { id: u32_at(header, 4).unwrap_or(0), start, end: start + len, more: field & 1 == 1 }
}

fn transport(mut packet: Packet) -> Result<Packet, DropReason> {
    let segment = packet.bytes.get(packet.l4..).unwrap_or_default();
    match packet.piece {
        // RFC 3128: a TCP header that reaches into the second fragment.
        Some(Piece { start: 1..20, .. }) if packet.tuple.protocol == 6 => {
            return Err(DropReason::FragmentTiny);
        }
        Some(Piece { start: 1.., .. }) => return Ok(packet),
        Some(_) if segment.len() < header_len(packet.tuple, segment) => return Err(DropReason::FragmentTiny),
        Some(_) | None => {}
    }
    let is_first = packet.piece.is_some();
    packet.kind = kind(packet.tuple, segment, is_first).ok_or(DropReason::MalformedL4)?;
    let (sport, dport) = match packet.kind {
        Kind::Tcp { .. } | Kind::Udp | Kind::Sctp => (u16_at(segment, 0), u16_at(segment, 2)),
        Kind::EchoRequest | Kind::EchoReply => (u16_at(segment, 4), u16_at(segment, 4)),
        Kind::Icmp
        | Kind::RouterSolicitation
        | Kind::RouterAdvertisement
        | Kind::Solicitation
        | Kind::Advertisement => icmp_ports(segment[0]),
        Kind::Membership if packet.tuple.protocol == 58 => icmp_ports(segment[0]),
        _ => (None, None),
    };
    packet.tuple.sport = sport.unwrap_or(0);
    packet.tuple.dport = dport.unwrap_or(0);
    Ok(packet)
}

/// How long the transport header says it is.
fn header_len(tuple: Tuple, segment: &[u8]) -> usize {
    match (tuple.protocol, tuple.src.is_ipv4()) {
        (6, _) => segment.get(12).map_or(20, |byte| usize::from(byte >> 4) * 4).max(20),
        (132, _) => 12,
        (17, _) | (1, true) | (58, false) => 8,
        _ => 0,
    }
}

fn kind(tuple: Tuple, segment: &[u8], is_first: bool) -> Option<Kind> {
    match (tuple.protocol, tuple.src.is_ipv4()) {
        (6, _) => {
            let tcp = TcpHeaderSlice::from_slice(segment).ok()?;
            Some(Kind::Tcp {
                flags: segment[13],
                seq: tcp.sequence_number(),
                ack: tcp.acknowledgment_number(),
                payload: (segment.len() - tcp.slice().len()) as u32,
            })
        }
        (17, _) => {
            let len = usize::from(u16_at(segment, 4)?);
            (segment.len() >= 8 && len >= 8 && (is_first || len <= segment.len())).then_some(Kind::Udp)
        }
        (132, _) => (segment.len() >= 12).then_some(Kind::Sctp),
        (1, true) | (58, false) => (segment.len() >= 8).then(|| icmp(tuple.protocol, segment[0])),
        (2, true) => Some(Kind::Membership),
        // ICMP is of one family each; elsewhere its number is that of a protocol nobody speaks.
        _ => Some(Kind::Other),
    }
}

/// A question of ICMP other than echo has its type for a source port; the answer has the type of the question as
/// its destination port, so that they belong together.
pub fn icmp_ports(kind: u8) -> (Option<u16>, Option<u16>) {
    match kind {
        14 | 16 | 18 | 140 => (Some(0), Some(u16::from(kind) - 1)),
        _ => (Some(u16::from(kind)), Some(0)),
    }
}

/// What an ICMP (protocol 1) or ICMPv6 (58) type is.
pub fn icmp(protocol: u8, kind: u8) -> Kind {
    match (protocol, kind) {
        (1, 8) | (58, 128) => Kind::EchoRequest,
        (1, 0) | (58, 129) => Kind::EchoReply,
        (1, 3 | 11 | 12) => Kind::Error,
        (1, 4 | 5) | (58, 137) => Kind::Refused,
        (58, 130..=132 | 143) => Kind::Membership,
        (58, 133) => Kind::RouterSolicitation,
        (58, 134) => Kind::RouterAdvertisement,
        (58, 135) => Kind::Solicitation,
        (58, 136) => Kind::Advertisement,
        (58, 0..=127) => Kind::Error,
        _ => Kind::Icmp,
    }
}
