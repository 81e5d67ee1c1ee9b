//! CRC32c of SCTP (RFC 9260 appendix A), updated for a change of the ports.
//!
//! The CRC is linear: the CRC of a changed message is the old CRC xor the CRC, started at zero,
//! of the difference. So a corrupt checksum stays corrupt, as with RFC 1624.

/// Castagnoli's polynomial, bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

const TABLE: [u32; 256] = {
    let mut table = [0u32; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// What the CRC changes by when the first four bytes of a message of `len` bytes change by the
/// big-endian word `difference` (old xor new).
pub(crate) fn change_at_start(difference: u32, len: usize) -> u32 {
    let head = difference.to_be_bytes().into_iter().fold(0, step);
    (4..len).fold(head, |crc, _| step(crc, 0))
}

/// The CRC of a message whose checksum field is zero.
pub(crate) fn of(message: &[u8]) -> u32 {
    !message.iter().fold(!0, |crc, byte| step(crc, *byte))
}

fn step(crc: u32, byte: u8) -> u32 {
    TABLE[usize::from(crc as u8 ^ byte)] ^ crc >> 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_standard() {
        assert_eq!(of(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_change_equals_recomputation() {
        let mut message = *b"\x12\x34\x56\x78 some sctp packet of odd length";
        let before = of(&message);
        message[..4].copy_from_slice(&[0x00, 0x50, 0x1f, 0x90]);
        let change = change_at_start(0x1234_5678 ^ 0x0050_1f90, message.len());
        assert_eq!(before ^ change, of(&message));
    }
}
