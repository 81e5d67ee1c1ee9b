//! MPLS labels and label stack entries (RFC 3032 section 2.1, RFC 5462, RFC 7274).

use core::fmt;

/// A 20-bit MPLS label.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Label(u32);

impl Label {
    /// IPv4 explicit null (RFC 3032 section 2.1).
    pub const EXPLICIT_NULL_V4: Label = Label(0);
    /// IPv6 explicit null (RFC 3032 section 2.1).
    pub const EXPLICIT_NULL_V6: Label = Label(2);
    /// Entropy label indicator (RFC 6790 section 3); the entry after it carries entropy, not a destination.
    pub const ENTROPY_INDICATOR: Label = Label(7);
    /// The smallest label that may be handed out; 0..=15 are special purpose (RFC 7274 section 3).
    pub const FIRST_FREE: Label = Label(16);
    /// The largest label. Old releases put it, not at the bottom of the stack, in front of the real label as padding.
    pub const MAX: Label = Label(0xf_ffff);

    /// `None` if `value` needs more than 20 bits.
    #[must_use]
    pub const fn new(value: u32) -> Option<Label> {
        if value <= Self::MAX.0 { Some(Label(value)) } else { None }
    }

    /// The label's value, 0..=0xfffff.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Whether the label is special purpose, 0..=15 (RFC 7274 section 3).
    #[must_use]
    pub const fn is_reserved(self) -> bool {
        self.0 < Self::FIRST_FREE.0
    }

    /// Whether the label is the IPv4 or the IPv6 explicit null.
    #[must_use]
    pub const fn is_explicit_null(self) -> bool {
        self.0 == Self::EXPLICIT_NULL_V4.0 || self.0 == Self::EXPLICIT_NULL_V6.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The S bit of a label stack entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stack {
    /// S = 1: the payload follows.
    Bottom,
    /// S = 0: another entry follows.
    More,
}

/// One 32-bit entry of a label stack: label (20), traffic class (3), S (1), TTL (8).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LabelStackEntry {
    /// Where the packet goes.
    pub label: Label,
    /// Traffic class, 0..=7, formerly EXP (RFC 5462). Higher bits are not sent.
    pub traffic_class: u8,
    /// Whether this is the last entry.
    pub stack: Stack,
    /// Time to live, hops.
    pub ttl: u8,
}

impl LabelStackEntry {
    /// Size on the wire, bytes.
    pub const LEN: usize = 4;

    /// The entry in network byte order.
    #[must_use]
    pub const fn encode(self) -> [u8; 4] {
        let bottom = match self.stack {
            Stack::Bottom => 1,
            Stack::More => 0,
        };
        let class = (self.traffic_class & 0x7) as u32;
        (self.label.0 << 12 | class << 9 | bottom << 8 | self.ttl as u32).to_be_bytes()
    }

    /// Reads an entry; every four bytes are one.
    #[must_use]
    pub const fn decode(bytes: [u8; 4]) -> LabelStackEntry {
        let [_, _, low, ttl] = bytes;
        LabelStackEntry {
            label: Label(u32::from_be_bytes(bytes) >> 12),
            traffic_class: low >> 1 & 0x7,
            stack: if low & 1 == 1 { Stack::Bottom } else { Stack::More },
            ttl,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn labels_have_twenty_bits() {
        assert_eq!(Label::new(0xf_ffff), Some(Label::MAX));
        assert_eq!(Label::new(0x10_0000), None);
        assert_eq!(Label::new(u32::MAX), None);
        assert_eq!(Label::new(42).map(Label::get), Some(42));
    }

    #[test]
    fn the_first_sixteen_are_reserved() {
        for value in 0..16 {
            assert!(Label::new(value).unwrap().is_reserved(), "{value}");
        }
        assert!(!Label::FIRST_FREE.is_reserved());
        assert!(!Label::MAX.is_reserved());
    }

    #[test]
    fn entries_on_literal_bytes() {
        let entry = |label, traffic_class, stack, ttl| LabelStackEntry {
            label: Label::new(label).unwrap(),
            traffic_class,
            stack,
            ttl,
        };
        let table = [
            (entry(48, 0, Stack::Bottom, 63), [0x00, 0x03, 0x01, 0x3f]),
            (entry(0xf_ffff, 0, Stack::More, 0), [0xff, 0xff, 0xf0, 0x00]),
            (entry(0, 7, Stack::More, 255), [0x00, 0x00, 0x0e, 0xff]),
            (entry(0x1_2345, 5, Stack::Bottom, 1), [0x12, 0x34, 0x5b, 0x01]),
        ];
        for (entry, bytes) in table {
            assert_eq!(entry.encode(), bytes, "{entry:?}");
            assert_eq!(LabelStackEntry::decode(bytes), entry);
        }
    }

    #[test]
    fn a_traffic_class_over_seven_does_not_reach_the_label() {
        let entry =
            LabelStackEntry { label: Label::FIRST_FREE, traffic_class: 0xff, stack: Stack::More, ttl: 0 };
        assert_eq!(entry.encode(), [0x00, 0x01, 0x0e, 0x00]);
    }

    proptest! {
        #[test]
        fn decode_then_encode_is_the_identity(bytes: [u8; 4]) {
            prop_assert_eq!(LabelStackEntry::decode(bytes).encode(), bytes);
        }
    }
}
