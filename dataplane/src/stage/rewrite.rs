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

/// Rewrites the packet that starts at its IP header, and says which TTL or hop limit it has then.
#[inline(always)]
pub(crate) fn apply(packet: &mut [u8], ip: &Ip, ttl: Ttl, rewrite: &Rewrite) -> u8 {
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
    new_ttl
}

/// Sets the TTL or hop limit; `header` is what else has changed in an IPv4 header.
#[inline(always)]
pub(crate) fn write_ttl(packet: &mut [u8], ip: &Ip, ttl: u8, header: Delta) {
    match ip.tuple.family {
        Family::V4 => {
            if let Some(fixed) = packet.first_chunk_mut::<20>() {
                // The TTL is the high byte of the word it shares with the protocol.
                let header = header.replace_u16(u16::from(ip.ttl) << 8, u16::from(ttl) << 8);
                let checksum = header.apply(u16::from_be_bytes([fixed[10], fixed[11]]));
                fixed[8] = ttl;
                [fixed[10], fixed[11]] = checksum.to_be_bytes();
            }
        }
        Family::V6 => write_at(packet, 7, [ttl]),
    }
}

fn translate(packet: &mut [u8], ip: &Ip, rewrite: &Rewrite) {
    match ip.tuple.family {
        Family::V4 => {
            if let Some([_, _, _, _, _, _, _, _, _, _, _, _, addresses @ ..]) = packet.first_chunk_mut::<20>()
            {
                let [src, dst] = [rewrite.src, rewrite.dst].map(|address| u64::from(address.0 as u32));
                *addresses = (src << 32 | dst).to_be_bytes();
            }
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
            if let Some(header) = segment.first_chunk_mut::<20>() {
                let checksum = delta.apply(u16::from_be_bytes([header[16], header[17]]));
                [header[0], header[1]] = rewrite.sport.to_be_bytes();
                [header[2], header[3]] = rewrite.dport.to_be_bytes();
                [header[16], header[17]] = checksum.to_be_bytes();
            }
        }
        L4::Udp => {
            if let Some(header) = segment.first_chunk_mut::<8>() {
                let checksum = delta.apply_udp(u16::from_be_bytes([header[6], header[7]]));
                [header[0], header[1]] = rewrite.sport.to_be_bytes();
                [header[2], header[3]] = rewrite.dport.to_be_bytes();
                [header[6], header[7]] = checksum.to_be_bytes();
            }
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
