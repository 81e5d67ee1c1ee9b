//! Carrying out what a flow has compiled: TTL, addresses, ports, checksums by RFC 1624 deltas.
//! A checksum that was wrong stays wrong; the receiver shall see it.

use encap::Delta;
use flow_table::{Family, Rewrite, RewriteKind, Ttl};

use crate::drop::DropReason;
use crate::packet::ip::Ip;
use crate::packet::l4::{L4, protocol};
use crate::packet::{crc32c, u16_at, u32_at, write_at};

/// Refuses a packet whose TTL the step would use up (RFC 1812 section 5.3.1, RFC 8200 section 3).
pub(crate) fn check_ttl(ip: &Ip, ttl: Ttl) -> Result<(), DropReason> {
    match ttl {
        Ttl::Decrement if ip.ttl <= 1 => Err(DropReason::TtlExceeded),
        Ttl::Decrement | Ttl::Keep => Ok(()),
    }
}

/// Rewrites the packet that starts at its IP header.
pub(crate) fn apply(packet: &mut [u8], ip: &mut Ip, ttl: Ttl, rewrite: &Rewrite) {
    let new_ttl = match ttl {
        Ttl::Decrement => ip.ttl.saturating_sub(1),
        Ttl::Keep => ip.ttl,
    };
    let header = match rewrite.kind {
        RewriteKind::None => Delta::NONE,
        RewriteKind::Translate => {
            translate(packet, ip, rewrite);
            Delta::from_raw(rewrite.l3_delta)
        }
    };
    write_ttl(packet, ip, new_ttl, header);
}

/// Sets the TTL or hop limit; `header` is what else has changed in an IPv4 header.
pub(crate) fn write_ttl(packet: &mut [u8], ip: &mut Ip, ttl: u8, header: Delta) {
    match ip.tuple.family {
        Family::V4 => {
            // The TTL is the high byte of the word it shares with the protocol.
            let header = header.replace_u16(u16::from(ip.ttl) << 8, u16::from(ttl) << 8);
            let checksum = u16_at(packet, 10).unwrap_or_default();
            write_at(packet, 8, [ttl]);
            write_at(packet, 10, header.apply(checksum).to_be_bytes());
        }
        Family::V6 => write_at(packet, 7, [ttl]),
    }
    ip.ttl = ttl;
}

fn translate(packet: &mut [u8], ip: &Ip, rewrite: &Rewrite) {
    match ip.tuple.family {
        Family::V4 => {
            write_at(packet, 12, (rewrite.src.0 as u32).to_be_bytes());
            write_at(packet, 16, (rewrite.dst.0 as u32).to_be_bytes());
        }
        Family::V6 => {
            write_at(packet, 8, rewrite.src.0.to_be_bytes());
            write_at(packet, 24, rewrite.dst.0.to_be_bytes());
        }
    }
    let segment = packet.get_mut(ip.l4_offset..).unwrap_or_default();
    let delta = Delta::from_raw(rewrite.l4_delta);
    match ip.l4 {
        L4::Tcp(_) => {
            write_ports(segment, rewrite);
            let checksum = u16_at(segment, 16).unwrap_or_default();
            write_at(segment, 16, delta.apply(checksum).to_be_bytes());
        }
        L4::Udp => {
            write_ports(segment, rewrite);
            let checksum = u16_at(segment, 6).unwrap_or_default();
            write_at(segment, 6, delta.apply_udp(checksum).to_be_bytes());
        }
        L4::Sctp => {
            let old = u32_at(segment, 0).unwrap_or_default();
            write_ports(segment, rewrite);
            let new = u32_at(segment, 0).unwrap_or_default();
            // RFC 9260 appendix A: the CRC is carried in little-endian byte order.
            let crc = u32_at(segment, 8).unwrap_or_default().swap_bytes();
            let crc = crc ^ crc32c::change_at_start(old ^ new, segment.len());
            write_at(segment, 8, crc.to_le_bytes());
        }
        L4::Echo(_) => {
            write_at(segment, 4, rewrite.sport.to_be_bytes());
            let checksum = u16_at(segment, 2).unwrap_or_default();
            write_at(segment, 2, delta.apply(checksum).to_be_bytes());
        }
        L4::IcmpError | L4::IcmpRefused | L4::IcmpOther | L4::Discovery(_) | L4::GroupMembership => {
            // RFC 4443 section 2.3: the pseudo header counts for ICMPv6 only.
            if ip.tuple.protocol == protocol::ICMPV6 {
                let checksum = u16_at(segment, 2).unwrap_or_default();
                write_at(segment, 2, delta.apply(checksum).to_be_bytes());
            }
        }
        L4::Other | L4::Absent => {}
    }
}

fn write_ports(segment: &mut [u8], rewrite: &Rewrite) {
    write_at(segment, 0, rewrite.sport.to_be_bytes());
    write_at(segment, 2, rewrite.dport.to_be_bytes());
}
