//! Telling a sender why its packet goes no further: ICMP errors and TCP resets, built in the
//! packet's own frame. The quoted packet is what the sender sent: nothing has been rewritten yet.

use std::net::{Ipv4Addr, Ipv6Addr};

use encap::Sum;
use flow_table::{Addr, Family, Segment, Tuple};

use crate::drop::DropReason;
use crate::packet::ip::{Fragment, Ip};
use crate::packet::l4::{L4, protocol};
use crate::packet::{Packet, write_at};
use crate::verdict::Halt;

/// TTL of what the vrouter sends itself (RFC 1700, "IP time to live parameter").
const TTL: u8 = 64;
/// Internetwork control (RFC 1812 section 4.3.2.5).
const TOS: u8 = 0xc0;
/// An ICMP error and its quote stay within what every host takes (RFC 1812 section 4.3.2.3).
const MAX_V4: usize = 576;
/// The minimum MTU (RFC 4443 section 2.4 c).
const MAX_V6: usize = 1280;
const ICMP_HEADER: usize = 8;
const TCP_HEADER: usize = 20;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
const SYN: u8 = 0x02;
const FIN: u8 = 0x01;

/// What to tell the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notice {
    TimeExceeded,
    TooBig { mtu: usize },
    NoRoute,
    HostUnreachable,
    PortUnreachable,
}

/// Whether the sender is to be told.
pub(crate) fn concerns(halt: Halt, ip: &Ip) -> bool {
    notice(halt).is_some() && may_be_answered(ip)
}

/// Turns `packet` (from its IP header on) into the answer to its sender, from `gateway`.
pub(crate) fn build(halt: Halt, ip: &Ip, gateway: Addr, packet: &mut Packet<'_>) -> Option<Ip> {
    let notice = notice(halt)?;
    match (notice, ip.l4) {
        (Notice::PortUnreachable, L4::Tcp(segment)) => reset(ip, &segment, packet),
        _ => error(notice, ip, gateway, packet),
    }
}

fn notice(halt: Halt) -> Option<Notice> {
    match halt {
        Halt::TooBig { mtu } => Some(Notice::TooBig { mtu }),
        Halt::Drop(DropReason::TtlExceeded) => Some(Notice::TimeExceeded),
        Halt::Drop(DropReason::NoRoute) => Some(Notice::NoRoute),
        Halt::Drop(DropReason::NoNeighbour | DropReason::VifDown | DropReason::UplinkDown) => {
            Some(Notice::HostUnreachable)
        }
        Halt::Drop(
            DropReason::ServiceNoBackend
            | DropReason::ServicePortUnmapped
            | DropReason::ServiceBackendGone
            | DropReason::NatMappingGone,
        ) => Some(Notice::PortUnreachable),
        Halt::Drop(_) => None,
    }
}

/// RFC 1812 section 4.3.2.7 and RFC 4443 section 2.4 e: never about an ICMP error, a later
/// fragment, or a packet from or to more than one host.
fn may_be_answered(ip: &Ip) -> bool {
    let about = match ip.l4 {
        L4::IcmpError | L4::IcmpRefused | L4::Absent | L4::Discovery(_) => false,
        L4::Tcp(segment) => segment.flags & RST == 0,
        L4::Udp | L4::Sctp | L4::Echo(_) | L4::IcmpOther | L4::GroupMembership | L4::Other => true,
    };
    about
        && !matches!(ip.fragment, Fragment::Later(_))
        && crate::stage::plan::refuse_martians(&ip.tuple).is_ok()
}

fn error(notice: Notice, ip: &Ip, gateway: Addr, packet: &mut Packet<'_>) -> Option<Ip> {
    let (header, most, number) = match ip.tuple.family {
        Family::V4 => (20, MAX_V4, protocol::ICMP),
        Family::V6 => (40, MAX_V6, protocol::ICMPV6),
    };
    packet.truncate(most - header - ICMP_HEADER);
    if !packet.push(header + ICMP_HEADER) {
        return None;
    }
    let (kind, code, rest) = encode(notice, ip.tuple.family);
    let message = packet.bytes_mut().get_mut(header..)?;
    write_at(message, 0, [kind, code, 0, 0]);
    write_at(message, 4, rest.to_be_bytes());
    let tuple = Tuple { protocol: number, src: gateway, dst: ip.tuple.src, sport: 0, dport: 0, ..ip.tuple };
    let sum = match ip.tuple.family {
        Family::V4 => Sum::of(message),
        Family::V6 => pseudo(&tuple, message.len()).add_bytes(message),
    };
    write_at(message, 2, sum.finish().to_be_bytes());
    Some(write_ip_header(packet, tuple, L4::IcmpError))
}

/// Type, code and the four bytes behind the checksum (RFC 792, RFC 1191, RFC 4443).
fn encode(notice: Notice, family: Family) -> (u8, u8, u32) {
    match (notice, family) {
        (Notice::TimeExceeded, Family::V4) => (11, 0, 0),
        (Notice::TimeExceeded, Family::V6) => (3, 0, 0),
        (Notice::TooBig { mtu }, Family::V4) => (3, 4, u32::from(u16::try_from(mtu).unwrap_or(u16::MAX))),
        (Notice::TooBig { mtu }, Family::V6) => (2, 0, u32::try_from(mtu).unwrap_or(u32::MAX)),
        (Notice::NoRoute, Family::V4) => (3, 0, 0),
        (Notice::NoRoute, Family::V6) => (1, 0, 0),
        (Notice::HostUnreachable, Family::V4) => (3, 1, 0),
        (Notice::HostUnreachable, Family::V6) => (1, 3, 0),
        (Notice::PortUnreachable, Family::V4) => (3, 3, 0),
        (Notice::PortUnreachable, Family::V6) => (1, 4, 0),
    }
}

/// RFC 9293 section 3.5.2, group 1: the answer to a segment for a port where nobody listens.
fn reset(ip: &Ip, segment: &Segment, packet: &mut Packet<'_>) -> Option<Ip> {
    let header = match ip.tuple.family {
        Family::V4 => 20,
        Family::V6 => 40,
    };
    let (seq, ack, flags) = if segment.flags & ACK != 0 {
        (segment.ack, 0, RST)
    } else {
        let counted = u32::from(segment.flags & SYN != 0) + u32::from(segment.flags & FIN != 0);
        (0, segment.seq.wrapping_add(segment.payload).wrapping_add(counted), RST | ACK)
    };
    packet.truncate(header + TCP_HEADER);
    let tuple = ip.tuple.reversed();
    let message = packet.bytes_mut().get_mut(header..)?;
    write_at(message, 0, tuple.sport.to_be_bytes());
    write_at(message, 2, tuple.dport.to_be_bytes());
    write_at(message, 4, seq.to_be_bytes());
    write_at(message, 8, ack.to_be_bytes());
    write_at(message, 12, [5 << 4, flags, 0, 0, 0, 0, 0, 0]);
    let sum = pseudo(&tuple, message.len()).add_bytes(message);
    write_at(message, 16, sum.finish().to_be_bytes());
    let answer = Segment { flags, seq, ack, payload: 0 };
    Some(write_ip_header(packet, tuple, L4::Tcp(answer)))
}

fn pseudo(tuple: &Tuple, len: usize) -> Sum {
    match tuple.family {
        Family::V4 => {
            let [src, dst] = [tuple.src, tuple.dst].map(|addr| Ipv4Addr::from_bits(addr.0 as u32));
            Sum::pseudo_v4(src, dst, tuple.protocol, len as u16)
        }
        Family::V6 => {
            let [src, dst] = [tuple.src, tuple.dst].map(|addr| Ipv6Addr::from_bits(addr.0));
            Sum::pseudo_v6(src, dst, tuple.protocol, len as u32)
        }
    }
}

/// Writes a plain IP header over the first bytes of the packet and says what it holds.
fn write_ip_header(packet: &mut Packet<'_>, tuple: Tuple, l4: L4) -> Ip {
    let len = packet.len();
    let bytes = packet.bytes_mut();
    let l4_offset = match tuple.family {
        Family::V4 => {
            // RFC 6864 section 4.1: with DF set the identification means nothing.
            write_at(bytes, 0, [0x45, TOS]);
            write_at(bytes, 2, (len as u16).to_be_bytes());
            write_at(bytes, 4, [0, 0, 0x40, 0, TTL, tuple.protocol, 0, 0]);
            write_at(bytes, 12, (tuple.src.0 as u32).to_be_bytes());
            write_at(bytes, 16, (tuple.dst.0 as u32).to_be_bytes());
            let checksum = Sum::of(bytes.get(..20).unwrap_or_default()).finish();
            write_at(bytes, 10, checksum.to_be_bytes());
            20
        }
        Family::V6 => {
            write_at(bytes, 0, [0x60 | TOS >> 4, TOS << 4, 0, 0]);
            write_at(bytes, 4, (len.saturating_sub(40) as u16).to_be_bytes());
            write_at(bytes, 6, [tuple.protocol, TTL]);
            write_at(bytes, 8, tuple.src.0.to_be_bytes());
            write_at(bytes, 24, tuple.dst.0.to_be_bytes());
            40
        }
    };
    Ip {
        tuple,
        l4,
        l4_offset,
        len,
        ttl: TTL,
        tos: TOS,
        fragment: Fragment::Whole,
        dont_fragment: encap::DontFragment::Set,
    }
}
