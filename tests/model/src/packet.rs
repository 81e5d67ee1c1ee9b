//! What an IP packet says, read with etherparse where it reads what the RFCs say.

use std::net::IpAddr;

use dataplane::drop::DropReason;
use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice, TcpHeaderSlice};

use crate::bytes::{checksum, u16_at};
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
    /// A fragment; what is behind its fragment fields has not been read.
    Fragment,
}

/// A packet that was found to be in order.
#[derive(Clone, Debug)]
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

/// Reads a packet of IP version 4 or 6 with padding behind it; of a fragment only that it is one.
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
    let is_fragment = header.is_fragmenting_payload();
    let packet =
        Packet { bytes: bytes[..len].to_vec(), tuple, kind: Kind::Fragment, l4: header_len, ttl, tos };
    if is_fragment { Ok(packet) } else { transport(packet) }
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
    let (mut next, mut l4, mut is_fragment) = (header.next_header().0, 40, false);
    let mut extensions = 0;
    while matches!(next, 0 | 43 | 44 | 60) && !is_fragment {
        let extension = bytes.get(l4..l4 + 8).ok_or(DropReason::MalformedIpv6)?;
        if next == 43 && extension[2] == 0 {
            return Err(DropReason::SourceRoute);
        }
        extensions += 1;
        if next == 44 {
            // RFC 6946: offset 0 and nothing to follow is a whole datagram.
            is_fragment = extension[2] != 0 || extension[3] & 0xf9 != 0;
            l4 += 8;
        } else {
            l4 += 8 + 8 * usize::from(extension[1]);
        }
        next = extension[0];
        if extensions == 8 && !is_fragment {
            return Err(DropReason::MalformedIpv6);
        }
    }
    if !is_fragment && l4 > len {
        return Err(DropReason::MalformedIpv6);
    }
    let (src, dst) = (header.source_addr().into(), header.destination_addr().into());
    let tuple = Tuple { src, dst, protocol: next, sport: 0, dport: 0 };
    let (ttl, tos) = (header.hop_limit(), bytes[0] << 4 | bytes[1] >> 4);
    let packet = Packet { bytes: bytes.to_vec(), tuple, kind: Kind::Fragment, l4, ttl, tos };
    if is_fragment {
        return Ok(packet);
    }
    let packet = transport(packet)?;
    // RFC 8200 section 8.1: UDP has a checksum over IPv6, always.
    match (packet.kind, u16_at(&packet.bytes, packet.l4 + 6)) {
        (Kind::Udp, Some(0)) => Err(DropReason::MalformedL4),
        _ => Ok(packet),
    }
}

fn transport(mut packet: Packet) -> Result<Packet, DropReason> {
    let segment = packet.bytes.get(packet.l4..).unwrap_or_default();
    packet.kind = kind(packet.tuple, segment).ok_or(DropReason::MalformedL4)?;
    let (sport, dport) = match packet.kind {
        Kind::Tcp { .. } | Kind::Udp | Kind::Sctp => (u16_at(segment, 0), u16_at(segment, 2)),
        Kind::EchoRequest | Kind::EchoReply => (u16_at(segment, 4), u16_at(segment, 4)),
        Kind::Icmp => icmp_ports(segment[0]),
        Kind::Membership if packet.tuple.protocol == 58 => icmp_ports(segment[0]),
        _ => (None, None),
    };
    packet.tuple.sport = sport.unwrap_or(0);
    packet.tuple.dport = dport.unwrap_or(0);
    Ok(packet)
}

fn kind(tuple: Tuple, segment: &[u8]) -> Option<Kind> {
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
            (segment.len() >= 8 && (8..=segment.len()).contains(&len)).then_some(Kind::Udp)
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
