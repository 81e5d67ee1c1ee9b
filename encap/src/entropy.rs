//! The UDP source port as entropy for the underlay's ECMP (RFC 7510 section 3).

/// The outer source port of a flow, 49152..=65535: 14 bits of entropy from a hash of the inner flow.
///
/// Every bit of `hash` takes part. The underlay's choice is independent of the choices made on this node only
/// if `hash` is: do not pass the hash that has picked an ECMP member.
#[must_use]
#[inline]
pub const fn source_port(hash: u32) -> u16 {
    let folded = hash ^ hash >> 14 ^ hash >> 28;
    0xc000 | (folded & 0x3fff) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_ports() {
        let table = [(0, 49152), (1, 49153), (0x3fff, 65535), (0x4000, 49153), (0x1000_0000, 0xc001)];
        for (hash, port) in table {
            assert_eq!(source_port(hash), port, "{hash:#x}");
        }
    }

    #[test]
    fn every_port_of_the_range_is_reached_and_no_other() {
        let mut seen = vec![0_u32; 65536];
        for hash in 0..0x1_0000 {
            seen[usize::from(source_port(hash))] += 1;
        }
        assert!(seen[..49152].iter().all(|&count| count == 0));
        assert!(seen[49152..].iter().all(|&count| count == 4));
    }

    #[test]
    fn every_bit_of_the_hash_changes_the_port() {
        for bit in 0..32 {
            assert_ne!(source_port(0x5a5a_1234), source_port(0x5a5a_1234 ^ 1 << bit), "bit {bit}");
        }
    }
}
