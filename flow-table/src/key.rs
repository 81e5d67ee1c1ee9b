//! What a packet is looked up by.

/// The namespace of a key: equal tuples in different contexts are different flows. Opaque here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Context(pub u32);

/// The IP version of a tuple.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// An IP address as a number, the first byte on the wire being the most significant. IPv4 is in the low 32 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Addr(pub u128);

impl Addr {
    /// The four bytes of an IPv4 header.
    #[must_use]
    pub const fn from_v4(bytes: [u8; 4]) -> Addr {
        Addr(u32::from_be_bytes(bytes) as u128)
    }

    /// The sixteen bytes of an IPv6 header.
    #[must_use]
    pub const fn from_v6(bytes: [u8; 16]) -> Addr {
        Addr(u128::from_be_bytes(bytes))
    }

    /// The bytes of an IPv4 header; the low 32 bits.
    #[must_use]
    pub const fn v4_bytes(self) -> [u8; 4] {
        (self.0 as u32).to_be_bytes()
    }

    /// The bytes of an IPv6 header.
    #[must_use]
    pub const fn v6_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}

/// The five-tuple of a packet. Ports in host order, 0 where the protocol has none; an ICMP echo has its
/// identifier in both ports, so that request and reply are each other's reverse.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tuple {
    /// IP version.
    pub family: Family,
    /// IP protocol number.
    pub protocol: u8,
    /// Source address.
    pub src: Addr,
    /// Destination address.
    pub dst: Addr,
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
}

impl Tuple {
    /// The tuple of an answer: source and destination change places.
    #[must_use]
    pub const fn reversed(self) -> Tuple {
        Tuple { src: self.dst, dst: self.src, sport: self.dport, dport: self.sport, ..self }
    }
}

/// What the table is searched for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FlowKey {
    /// Namespace.
    pub context: Context,
    /// Five-tuple.
    pub tuple: Tuple,
}

/// Which of the two keys of a pair a packet matched.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// As the packet that made the pair.
    Forward,
    /// Its answers.
    Reverse,
}

impl Direction {
    /// The other direction.
    #[must_use]
    pub const fn opposite(self) -> Direction {
        match self {
            Direction::Forward => Direction::Reverse,
            Direction::Reverse => Direction::Forward,
        }
    }
}

/// IP version and protocol in nine bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Kind(u16);

impl Kind {
    /// Bits that [`Kind::bits`] may set.
    pub(crate) const MASK: u16 = 0x1ff;

    #[inline(always)]
    fn of(tuple: &Tuple) -> Kind {
        let family = match tuple.family {
            Family::V4 => 0,
            Family::V6 => 1 << 8,
        };
        Kind(family | u16::from(tuple.protocol))
    }

    pub(crate) const fn bits(self) -> u16 {
        self.0
    }

    pub(crate) const fn from_bits(bits: u16) -> Kind {
        Kind(bits & Kind::MASK)
    }
}

/// A key as the words a slot holds, for comparison without decoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PackedKey {
    /// Source high and low, destination high and low, then context (32), source port (16), destination port (16).
    pub(crate) words: [u64; 5],
    pub(crate) kind: Kind,
}

impl PackedKey {
    #[inline(always)]
    pub(crate) fn new(key: &FlowKey) -> PackedKey {
        let Tuple { src, dst, sport, dport, .. } = key.tuple;
        let last = u64::from(key.context.0) << 32 | u64::from(sport) << 16 | u64::from(dport);
        PackedKey {
            words: [(src.0 >> 64) as u64, src.0 as u64, (dst.0 >> 64) as u64, dst.0 as u64, last],
            kind: Kind::of(&key.tuple),
        }
    }

    pub(crate) fn unpack(&self) -> FlowKey {
        let [src_high, src_low, dst_high, dst_low, last] = self.words;
        let family = if self.kind.0 >> 8 == 0 { Family::V4 } else { Family::V6 };
        FlowKey {
            context: Context((last >> 32) as u32),
            tuple: Tuple {
                family,
                protocol: self.kind.0 as u8,
                src: Addr(u128::from(src_high) << 64 | u128::from(src_low)),
                dst: Addr(u128::from(dst_high) << 64 | u128::from(dst_low)),
                sport: (last >> 16) as u16,
                dport: last as u16,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_ipv4_address_is_the_low_32_bits() {
        assert_eq!(Addr::from_v4([10, 1, 2, 3]), Addr(0x0a01_0203));
        assert_eq!(Addr::from_v4([10, 1, 2, 3]).v4_bytes(), [10, 1, 2, 3]);
    }

    #[test]
    fn an_ipv6_address_is_big_endian() {
        let bytes = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
        assert_eq!(Addr::from_v6(bytes), Addr(0x2001_0db8_0000_0000_0000_0000_0000_0007));
        assert_eq!(Addr::from_v6(bytes).v6_bytes(), bytes);
    }

    #[test]
    fn reversed_swaps_both_ends() {
        let (src, dst) = (Addr(1), Addr(2));
        let tuple = Tuple { family: Family::V4, protocol: 6, src, dst, sport: 3, dport: 4 };
        assert_eq!(tuple.reversed(), Tuple { src: dst, dst: src, sport: 4, dport: 3, ..tuple });
    }

    proptest! {
        #[test]
        fn packing_loses_nothing(
            context: u32, v6: bool, protocol: u8, src: u128, dst: u128, sport: u16, dport: u16,
        ) {
            let family = if v6 { Family::V6 } else { Family::V4 };
            let tuple = Tuple { family, protocol, src: Addr(src), dst: Addr(dst), sport, dport };
            let key = FlowKey { context: Context(context), tuple };
            prop_assert_eq!(PackedKey::new(&key).unpack(), key);
        }
    }
}
