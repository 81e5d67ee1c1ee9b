//! Transport headers: ports or what stands in for them, and what the flow table wants to know.

use flow_table::{Family, Segment, Tuple};

use super::{array_at, u16_at, u32_at};
use crate::drop::DropReason;

/// IP protocol numbers (IANA).
pub mod protocol {
    /// ICMP for IPv4.
    pub const ICMP: u8 = 1;
    /// IGMP.
    pub const IGMP: u8 = 2;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// ICMP for IPv6.
    pub const ICMPV6: u8 = 58;
    /// SCTP.
    pub const SCTP: u8 = 132;
}

/// Bytes of a TCP header without options.
pub(crate) const TCP_HEADER: u16 = 20;

/// What the transport header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum L4 {
    /// TCP, with what the state machine needs.
    Tcp(Segment),
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
    /// ICMP or ICMPv6 echo; the identifier stands for both ports.
    Echo(EchoKind),
    /// ICMP or ICMPv6 error, quoting another packet.
    IcmpError,
    /// ICMP that no pod has a reason to send through us: redirect, source quench.
    IcmpRefused,
    /// ICMPv6 neighbour discovery but for redirects (RFC 4861): it does not leave its link.
    Discovery(Discovery),
    /// IGMP or MLD (RFC 3376, RFC 3810): who on the link listens to which group.
    GroupMembership,
    /// ICMP or ICMPv6 of any other kind.
    IcmpOther,
    /// Any other protocol; it has no ports.
    Other,
    /// A fragment that is not the first: the transport header is elsewhere.
    Absent,
}

/// Which message of neighbour discovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// A host asks for routers.
    RouterSolicitation,
    /// A router speaks of itself.
    RouterAdvertisement,
    /// Who has this address?
    Solicitation,
    /// This station has it.
    Advertisement,
}

/// Which half of an echo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EchoKind {
    /// The question.
    Request,
    /// The answer.
    Reply,
}

impl EchoKind {
    /// ICMP type of an echo reply (RFC 792).
    pub const REPLY_V4: u8 = 0;
    /// ICMPv6 type of an echo reply (RFC 4443 section 4.2).
    pub const REPLY_V6: u8 = 129;
}

/// Transport facts of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// What it is.
    pub l4: L4,
    /// Source port, echo identifier, or 0.
    pub sport: u16,
    /// Destination port, echo identifier, or 0.
    pub dport: u16,
}

/// Whether `segment` is the whole transport payload or its beginning only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// A first fragment: lengths may point beyond it.
    FirstFragment,
}

/// Reads the transport header of `protocol` in `segment`, the bytes after the IP header(s).
///
/// # Errors
/// [`DropReason::MalformedL4`] when it is cut short or its lengths lie, [`DropReason::FragmentTiny`]
/// when it is a first fragment that the header reaches out of (RFC 1858 section 3).
#[inline(always)]
pub fn parse(protocol_number: u8, segment: &[u8], extent: Extent) -> Result<Transport, DropReason> {
    let transport = match protocol_number {
        protocol::TCP => tcp(segment),
        protocol::UDP => udp(segment, extent),
        protocol::SCTP => sctp(segment),
        protocol::ICMP => icmp(segment, icmpv4_kind),
        protocol::ICMPV6 => icmp(segment, icmpv6_kind),
        protocol::IGMP => Some(Transport { l4: L4::GroupMembership, sport: 0, dport: 0 }),
        _ => Some(Transport { l4: L4::Other, sport: 0, dport: 0 }),
    };
    transport.ok_or(match extent {
        Extent::FirstFragment if segment.len() < header_len(protocol_number, segment) => {
            DropReason::FragmentTiny
        }
        Extent::FirstFragment | Extent::Whole => DropReason::MalformedL4,
    })
}

/// Length that a transport header has, as far as `segment` tells.
fn header_len(protocol_number: u8, segment: &[u8]) -> usize {
    match protocol_number {
        protocol::TCP => {
            let claimed = segment.get(12).map_or(0, |byte| usize::from(byte >> 4) * 4);
            claimed.max(usize::from(TCP_HEADER))
        }
        protocol::UDP | protocol::ICMP | protocol::ICMPV6 => 8,
        protocol::SCTP => 12,
        _ => 0,
    }
}

#[inline(always)]
fn tcp(segment: &[u8]) -> Option<Transport> {
    let fixed: [u8; 20] = array_at(segment, 0)?;
    let header = usize::from(fixed[12] >> 4) * 4;
    if header < 20 || header > segment.len() {
        return None;
    }
    let l4 = L4::Tcp(Segment {
        flags: fixed[13],
        seq: u32_at(&fixed, 4)?,
        ack: u32_at(&fixed, 8)?,
        payload: u32::try_from(segment.len() - header).ok()?,
    });
    Some(Transport { l4, sport: u16_at(&fixed, 0)?, dport: u16_at(&fixed, 2)? })
}

#[inline(always)]
fn udp(segment: &[u8], extent: Extent) -> Option<Transport> {
    let fixed: [u8; 8] = array_at(segment, 0)?;
    let len = usize::from(u16_at(&fixed, 4)?);
    let fits = match extent {
        Extent::Whole => len <= segment.len(),
        Extent::FirstFragment => true,
    };
    let transport = Transport { l4: L4::Udp, sport: u16_at(&fixed, 0)?, dport: u16_at(&fixed, 2)? };
    (len >= 8 && fits).then_some(transport)
}

/// RFC 9260 section 3: a common header of 12 bytes.
fn sctp(segment: &[u8]) -> Option<Transport> {
    let fixed: [u8; 12] = array_at(segment, 0)?;
    Some(Transport { l4: L4::Sctp, sport: u16_at(&fixed, 0)?, dport: u16_at(&fixed, 2)? })
}

fn icmp(segment: &[u8], kind: fn(u8) -> L4) -> Option<Transport> {
    let fixed: [u8; 8] = array_at(segment, 0)?;
    let l4 = kind(fixed[0]);
    let (sport, dport) = icmp_ports(l4, &fixed)?;
    Some(Transport { l4, sport, dport })
}

/// Whether a number is that of the other family's ICMP or IGMP. RFC 792 and RFC 3376 speak of IPv4
/// alone and RFC 4443 of IPv6 alone; across, the number is one that nobody answers to.
pub(crate) fn is_foreign(family: Family, protocol_number: u8) -> bool {
    matches!(
        (family, protocol_number),
        (Family::V4, protocol::ICMPV6) | (Family::V6, protocol::ICMP | protocol::IGMP)
    )
}

/// Whether a protocol has ports in the first four bytes of its header.
pub(crate) fn has_ports(protocol_number: u8) -> bool {
    matches!(protocol_number, protocol::TCP | protocol::UDP | protocol::SCTP)
}

/// Ports, or what stands for them, in the first 8 bytes of a quoted transport header. None for
/// what no ICMP error may be about.
pub(crate) fn quoted_ports(protocol_number: u8, head: &[u8; 8]) -> Option<(u16, u16)> {
    let kind = match protocol_number {
        protocol::ICMP => icmpv4_kind(head[0]),
        protocol::ICMPV6 => icmpv6_kind(head[0]),
        _ if has_ports(protocol_number) => return Some((u16_at(head, 0)?, u16_at(head, 2)?)),
        _ => return Some((0, 0)),
    };
    match kind {
        L4::IcmpError | L4::IcmpRefused => None,
        kind => icmp_ports(kind, head),
    }
}

/// What stands for ports in an ICMP message: of an echo its identifier, for both; of other
/// messages that begin a flow their type, as source port of a question and as destination port
/// of its answer, which has the question's type there.
fn icmp_ports(l4: L4, head: &[u8; 8]) -> Option<(u16, u16)> {
    match (l4, head[0]) {
        (L4::Echo(_), _) => u16_at(head, 4).map(|id| (id, id)),
        // Replies to timestamp, information, mask and node information queries.
        (L4::IcmpOther, answer @ (14 | 16 | 18 | 140)) => Some((0, u16::from(answer) - 1)),
        (L4::IcmpOther | L4::Discovery(_) | L4::GroupMembership, kind) => Some((u16::from(kind), 0)),
        _ => Some((0, 0)),
    }
}

/// Whether a tuple of ICMP is that of an echo.
pub(crate) fn is_echo(tuple: &Tuple) -> bool {
    tuple.sport == tuple.dport
}

/// The ICMP type that a flow began with, or to which its first packet was the answer.
pub(crate) fn icmp_question(tuple: &Tuple) -> u16 {
    match (tuple.sport, tuple.dport, tuple.protocol) {
        (_, _, protocol::ICMP) if is_echo(tuple) => ECHO_V4,
        (_, _, _) if is_echo(tuple) => ECHO_V6,
        (0, question, _) => question,
        (question, _, _) => question,
    }
}

const ECHO_V4: u16 = 8;
const ECHO_V6: u16 = 128;

/// RFC 792, RFC 1812 section 4.3.2.7 for what is an error.
fn icmpv4_kind(kind: u8) -> L4 {
    match kind {
        EchoKind::REPLY_V4 => L4::Echo(EchoKind::Reply),
        8 => L4::Echo(EchoKind::Request),
        3 | 11 | 12 => L4::IcmpError,
        // RFC 6633 has ended source quench; a redirect would talk past the router, which is us.
        4 | 5 => L4::IcmpRefused,
        _ => L4::IcmpOther,
    }
}

/// RFC 4443 section 2.1: types below 128 are errors.
fn icmpv6_kind(kind: u8) -> L4 {
    match kind {
        128 => L4::Echo(EchoKind::Request),
        EchoKind::REPLY_V6 => L4::Echo(EchoKind::Reply),
        130..=132 | 143 => L4::GroupMembership,
        133 => L4::Discovery(Discovery::RouterSolicitation),
        134 => L4::Discovery(Discovery::RouterAdvertisement),
        135 => L4::Discovery(Discovery::Solicitation),
        136 => L4::Discovery(Discovery::Advertisement),
        137 => L4::IcmpRefused,
        0..=127 => L4::IcmpError,
        _ => L4::IcmpOther,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_that_lie_are_malformed() {
        let mut tcp = [0u8; 20];
        tcp[12] = 5 << 4;
        assert!(parse(protocol::TCP, &tcp, Extent::Whole).is_ok());
        for offset in [0, 4, 6, 15] {
            tcp[12] = offset << 4;
            assert_eq!(parse(protocol::TCP, &tcp, Extent::Whole), Err(DropReason::MalformedL4), "{offset}");
        }
        let udp = [0, 1, 0, 2, 0, 9, 0, 0];
        assert_eq!(parse(protocol::UDP, &udp, Extent::Whole), Err(DropReason::MalformedL4));
        assert!(parse(protocol::UDP, &udp, Extent::FirstFragment).is_ok());
        let short = [0, 1, 0, 2, 0, 7, 0, 0];
        assert_eq!(parse(protocol::UDP, &short, Extent::FirstFragment), Err(DropReason::MalformedL4));
        for protocol_number in
            [protocol::TCP, protocol::UDP, protocol::SCTP, protocol::ICMP, protocol::ICMPV6]
        {
            for len in 0..8 {
                let cut = parse(protocol_number, &[0u8; 8][..len], Extent::Whole);
                assert_eq!(cut, Err(DropReason::MalformedL4), "{protocol_number} {len}");
            }
        }
    }

    #[test]
    fn a_first_fragment_holds_the_whole_header() {
        let mut tcp = [0u8; 24];
        tcp[12] = 6 << 4;
        assert!(parse(protocol::TCP, &tcp, Extent::FirstFragment).is_ok());
        for len in [8, 16, 20, 23] {
            let cut = parse(protocol::TCP, &tcp[..len], Extent::FirstFragment);
            assert_eq!(cut, Err(DropReason::FragmentTiny), "{len}");
        }
        tcp[12] = 4 << 4;
        assert_eq!(parse(protocol::TCP, &tcp, Extent::FirstFragment), Err(DropReason::MalformedL4));
        assert_eq!(parse(protocol::SCTP, &[0; 8], Extent::FirstFragment), Err(DropReason::FragmentTiny));
    }

    #[test]
    fn echo_is_keyed_by_its_identifier() {
        let echo = parse(protocol::ICMP, &[8, 0, 0, 0, 0x12, 0x34, 0, 1], Extent::Whole).unwrap();
        assert_eq!(echo, Transport { l4: L4::Echo(EchoKind::Request), sport: 0x1234, dport: 0x1234 });
        let unreachable = parse(protocol::ICMPV6, &[1, 4, 0, 0, 0x12, 0x34, 0, 1], Extent::Whole).unwrap();
        assert_eq!(unreachable, Transport { l4: L4::IcmpError, sport: 0, dport: 0 });
    }

    #[test]
    fn other_questions_of_icmp_are_keyed_by_their_type() {
        let ports = |number, kind| {
            let parsed = parse(number, &[kind, 0, 0, 0, 0, 9, 0, 0], Extent::Whole).unwrap();
            (parsed.sport, parsed.dport)
        };
        assert_eq!((ports(protocol::ICMP, 13), ports(protocol::ICMP, 14)), ((13, 0), (0, 13)));
        assert_eq!((ports(protocol::ICMPV6, 139), ports(protocol::ICMPV6, 140)), ((139, 0), (0, 139)));
        assert_eq!(ports(protocol::ICMPV6, 135), (135, 0));
        let question = |protocol, (sport, dport)| {
            let family = flow_table::Family::V4;
            let (src, dst) = (flow_table::Addr(1), flow_table::Addr(2));
            icmp_question(&Tuple { family, protocol, src, dst, sport, dport })
        };
        assert_eq!(question(protocol::ICMP, (13, 0)), 13);
        assert_eq!(question(protocol::ICMP, (0, 13)), 13);
        assert_eq!(question(protocol::ICMP, (13, 13)), 8);
        assert_eq!(question(protocol::ICMPV6, (0, 0)), 128);
    }
}
