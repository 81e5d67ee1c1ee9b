//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624).

use core::net::{Ipv4Addr, Ipv6Addr};

/// A running one's complement sum of 16-bit words in network byte order (RFC 1071).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Sum(u64);

impl Sum {
    /// The sum of `bytes`; an odd last byte counts as if followed by zero.
    #[must_use]
    #[inline]
    pub fn of(bytes: &[u8]) -> Sum {
        Sum::default().add_bytes(bytes)
    }

    /// The IPv4 pseudo header of UDP and TCP (RFC 768). `length` is that of the L4 header and data, bytes.
    #[must_use]
    pub fn pseudo_v4(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, length: u16) -> Sum {
        Sum::of(&src.octets()).add_bytes(&dst.octets()).add_u16(protocol.into()).add_u16(length)
    }

    /// The IPv6 pseudo header (RFC 8200 section 8.1). `length` is that of the upper-layer packet, bytes.
    #[must_use]
    pub fn pseudo_v6(src: Ipv6Addr, dst: Ipv6Addr, next_header: u8, length: u32) -> Sum {
        Sum::of(&src.octets())
            .add_bytes(&dst.octets())
            .add_u16(next_header.into())
            .add_bytes(&length.to_be_bytes())
    }

    /// Adds `bytes`, which must start at an even offset of the summed data; an odd last byte counts as if
    /// followed by zero, so only the last piece may be odd.
    #[must_use]
    #[inline(always)]
    pub fn add_bytes(self, bytes: &[u8]) -> Sum {
        // 2^16 is 1 modulo 0xffff, so 32-bit words give the same sum in half the steps (RFC 1071 section 2 (C)).
        let (words, tail) = bytes.as_chunks::<4>();
        let sum = words.iter().fold(0, |sum: u64, word| sum + u64::from(u32::from_be_bytes(*word)));
        let rest: [u8; 4] = match *tail {
            [a] => [a, 0, 0, 0],
            [a, b] => [a, b, 0, 0],
            [a, b, c] => [a, b, c, 0],
            _ => [0; 4],
        };
        Sum(self.0 + u64::from(fold(sum)) + u64::from(u32::from_be_bytes(rest)))
    }

    /// Adds one word, given as a value.
    #[must_use]
    pub const fn add_u16(self, word: u16) -> Sum {
        Sum(self.0 + word as u64)
    }

    /// The checksum field: the complement of the sum. Over data that holds a right checksum it is 0.
    #[must_use]
    #[inline]
    pub const fn finish(self) -> u16 {
        !fold(self.0)
    }

    /// The checksum field of UDP, where 0 would mean "none" and is sent as 0xffff (RFC 768).
    #[must_use]
    pub const fn finish_udp(self) -> u16 {
        match self.finish() {
            0 => 0xffff,
            checksum => checksum,
        }
    }
}

/// The change of a checksum by a change of the words it covers: a one's complement number, ~m + m' of RFC 1624.
///
/// It is made without sight of the packet, stored in the compiled action, and applied to each packet. Because
/// only the difference is added, a checksum that was wrong stays wrong by as much; the receiver still sees it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Delta(u16);

impl Delta {
    /// No change; leaves every checksum exactly as it is.
    pub const NONE: Delta = Delta(0);

    /// This change and the replacement of one covered word.
    #[must_use]
    pub const fn replace_u16(self, old: u16, new: u16) -> Delta {
        self.plus(!old).plus(new)
    }

    /// This change and the replacement of covered bytes that start at an even offset. A slice of odd length
    /// counts as if followed by zero; the lengths may differ.
    #[must_use]
    pub fn replace_bytes(self, old: &[u8], new: &[u8]) -> Delta {
        self.replace_u16(fold(Sum::of(old).0), fold(Sum::of(new).0))
    }

    /// Both changes; the order does not matter.
    #[must_use]
    pub const fn combine(self, other: Delta) -> Delta {
        self.plus(other.0)
    }

    /// The new value of an IPv4 header, TCP, ICMP or ICMPv6 checksum field: HC' = ~(~HC + ~m + m')
    /// (RFC 1624 section 3, equation 3).
    #[must_use]
    pub const fn apply(self, checksum: u16) -> u16 {
        !ones_add(!checksum, self.0)
    }

    /// The new value of a UDP checksum field: 0, no checksum, stays 0; a result of 0 is sent as 0xffff (RFC 768).
    #[must_use]
    pub const fn apply_udp(self, checksum: u16) -> u16 {
        match checksum {
            0 => 0,
            _ => match self.apply(checksum) {
                0 => 0xffff,
                updated => updated,
            },
        }
    }

    /// Restores what [`Delta::as_raw`] gave.
    #[must_use]
    pub const fn from_raw(raw: u16) -> Delta {
        Delta::NONE.plus(raw)
    }

    /// The one's complement number, for storage in an action.
    #[must_use]
    pub const fn as_raw(self) -> u16 {
        self.0
    }

    /// Adds `word` and writes zero as 0x0000, never as 0xffff: the second zero would turn the checksum
    /// 0xffff into 0x0000 (RFC 1624 section 3 discusses the two zeros).
    const fn plus(self, word: u16) -> Delta {
        match ones_add(self.0, word) {
            0xffff => Delta(0),
            sum => Delta(sum),
        }
    }
}

/// One's complement addition: the carry comes back in at the bottom.
const fn ones_add(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    // With a carry the sum is at most 0xfffe, so this addition cannot wrap.
    sum.wrapping_add(carry as u16)
}

/// Folds the carries of a sum into 16 bits.
#[inline]
const fn fold(sum: u64) -> u16 {
    // Below 2^33, 2^18, 0x10004 and 0x10000: no loop, because how often it runs could not be foretold.
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    ((sum >> 16) + (sum & 0xffff)) as u16
}

#[cfg(test)]
mod tests;
