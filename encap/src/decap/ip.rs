//! The outer IP header.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::DecapError;
use crate::UDP;
use crate::checksum::Sum;

/// IPv6 fragment header (RFC 8200 section 4.5).
const FRAGMENT: u8 = 44;

/// A checked outer IP header in front of UDP.
pub(super) struct Ip<'a> {
    pub(super) addresses: Addresses,
    pub(super) tos: u8,
    /// Header with its options, bytes.
    pub(super) header_len: usize,
    /// What follows the header, to the end of the IP packet.
    pub(super) payload: &'a [u8],
}

pub(super) enum Addresses {
    V4 { src: Ipv4Addr, dst: Ipv4Addr },
    V6 { src: Ipv6Addr, dst: Ipv6Addr },
}

impl Addresses {
    pub(super) fn src(&self) -> IpAddr {
        match *self {
            Addresses::V4 { src, .. } => src.into(),
            Addresses::V6 { src, .. } => src.into(),
        }
    }

    pub(super) fn dst(&self) -> IpAddr {
        match *self {
            Addresses::V4 { dst, .. } => dst.into(),
            Addresses::V6 { dst, .. } => dst.into(),
        }
    }

    /// The pseudo header for a UDP datagram of `length` bytes.
    pub(super) fn pseudo_header(&self, length: u16) -> Sum {
        match *self {
            Addresses::V4 { src, dst } => Sum::pseudo_v4(src, dst, UDP, length),
            Addresses::V6 { src, dst } => Sum::pseudo_v6(src, dst, UDP, length.into()),
        }
    }
}

#[inline(always)]
pub(super) fn parse_v4(packet: &[u8]) -> Result<Ip<'_>, DecapError> {
    let header: &[u8; 20] = packet.first_chunk().ok_or(DecapError::Truncated)?;
    let header_len = usize::from(header[0] & 0xf) * 4;
    let total_len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[0] >> 4 != 4 || header_len < 20 || total_len < header_len {
        return Err(DecapError::BadHeader);
    }
    let packet = packet.get(..total_len).ok_or(DecapError::Truncated)?;
    let (with_options, payload) = packet.split_at_checked(header_len).ok_or(DecapError::BadHeader)?;
    // Of known length if it has no options, as nearly all have none.
    let sum = if header_len == header.len() { Sum::of(header) } else { Sum::of(with_options) };
    if sum.finish() != 0 {
        return Err(DecapError::HeaderChecksum);
    }
    // More fragments, or an offset (RFC 791 section 3.1).
    if u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0 {
        return Err(DecapError::Fragment);
    }
    if header[9] != UDP {
        return Err(DecapError::NotUdp);
    }
    let [.., s0, s1, s2, s3, d0, d1, d2, d3] = *header;
    let addresses = Addresses::V4 { src: Ipv4Addr::new(s0, s1, s2, s3), dst: Ipv4Addr::new(d0, d1, d2, d3) };
    Ok(Ip { addresses, tos: header[1], header_len, payload })
}

pub(super) fn parse_v6(packet: &[u8]) -> Result<Ip<'_>, DecapError> {
    let (fixed, rest) = packet.split_first_chunk::<8>().ok_or(DecapError::Truncated)?;
    let (src, rest) = rest.split_first_chunk::<16>().ok_or(DecapError::Truncated)?;
    let (dst, rest) = rest.split_first_chunk::<16>().ok_or(DecapError::Truncated)?;
    let [ver, class, _, _, len0, len1, next_header, _] = *fixed;
    if ver >> 4 != 6 {
        return Err(DecapError::BadHeader);
    }
    let payload_len = usize::from(u16::from_be_bytes([len0, len1]));
    let payload = rest.get(..payload_len).ok_or(DecapError::Truncated)?;
    match next_header {
        UDP => {}
        FRAGMENT => return Err(DecapError::Fragment),
        _ => return Err(DecapError::NotUdp),
    }
    let addresses = Addresses::V6 { src: (*src).into(), dst: (*dst).into() };
    Ok(Ip { addresses, tos: ver << 4 | class >> 4, header_len: 40, payload })
}
