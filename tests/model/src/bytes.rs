//! Fields at offsets, and checksums summed in full (RFC 1071).

use std::net::IpAddr;

/// Two bytes in network order.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// Four bytes in network order.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Overwrites bytes; those that lie outside are left out.
pub fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes.iter_mut().skip(at).zip(value).for_each(|(to, from)| *to = *from);
}

/// The octets of an address.
pub fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// The Internet checksum of pieces, each counted as if padded to an even length.
pub fn checksum(pieces: &[&[u8]]) -> u16 {
    let mut sum = 0u64;
    for piece in pieces {
        for pair in piece.chunks(2) {
            sum += u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The pseudo header of IPv4 (RFC 768) or IPv6 (RFC 8200 section 8.1) in front of `len` bytes.
pub fn pseudo(src: IpAddr, dst: IpAddr, protocol: u8, len: usize) -> Vec<u8> {
    let mut header = [octets(src), octets(dst)].concat();
    header.extend((len as u32).to_be_bytes());
    header.extend([0, 0, 0, protocol]);
    header
}

/// What a checksum field must say after the data under it has changed, where `before` and `after`
/// are what a right field would say: a field that was wrong stays wrong by as much.
pub fn keep_error(field: u16, before: u16, after: u16) -> u16 {
    let [field_class, before, after] = [field, before, after].map(|value| u32::from(value) % 0xffff);
    if before == after { field } else { ((field_class + after + 0xffff - before) % 0xffff) as u16 }
}

/// CRC32c of SCTP, bit by bit (RFC 9260 appendix A), over a packet whose CRC field counts as zero.
pub fn crc32c(packet: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for (at, byte) in packet.iter().enumerate() {
        crc ^= u32::from(if (8..12).contains(&at) { 0 } else { *byte });
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}
