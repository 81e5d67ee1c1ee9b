//! Explicit congestion notification across a tunnel (RFC 6040).

use core::fmt;

/// The ECN field, the two low bits of the IPv4 TOS byte or IPv6 traffic class (RFC 3168 section 5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ecn {
    /// 00: the transport does not understand ECN.
    NotEct,
    /// 01: ECN-capable transport, codepoint 1.
    Ect1,
    /// 10: ECN-capable transport, codepoint 0.
    Ect0,
    /// 11: congestion experienced.
    Ce,
}

impl Ecn {
    /// The ECN field of a TOS byte or traffic class.
    #[must_use]
    pub const fn from_tos(tos: u8) -> Ecn {
        match tos & 0b11 {
            0b00 => Ecn::NotEct,
            0b01 => Ecn::Ect1,
            0b10 => Ecn::Ect0,
            _ => Ecn::Ce,
        }
    }

    /// The two bits on the wire, 0..=3.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Ecn::NotEct => 0b00,
            Ecn::Ect1 => 0b01,
            Ecn::Ect0 => 0b10,
            Ecn::Ce => 0b11,
        }
    }

    /// `tos` with this ECN field and its own DSCP.
    #[must_use]
    pub const fn set_in(self, tos: u8) -> u8 {
        tos & !0b11 | self.bits()
    }
}

/// Congestion was experienced in the tunnel by a packet whose sender could not be told: it must be dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EcnViolation;

impl fmt::Display for EcnViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "outer header says congestion experienced, inner packet is not ECN capable; drop it (RFC 6040)",
        )
    }
}

impl core::error::Error for EcnViolation {}

/// The outer ECN field for an inner packet with TOS byte or traffic class `inner_tos`: normal mode copies it
/// (RFC 6040 section 4.1).
#[must_use]
pub const fn encapsulate(inner_tos: u8) -> Ecn {
    Ecn::from_tos(inner_tos)
}

/// The ECN field of the packet that leaves the tunnel (RFC 6040 section 4.2, figure 4).
///
/// # Errors
/// [`EcnViolation`] for CE outside over not-ECT inside, the one cell of the table that says drop.
pub const fn decapsulate(inner: Ecn, outer: Ecn) -> Result<Ecn, EcnViolation> {
    match (inner, outer) {
        (Ecn::NotEct, Ecn::Ce) => Err(EcnViolation),
        (Ecn::NotEct, Ecn::NotEct | Ecn::Ect0 | Ecn::Ect1) => Ok(Ecn::NotEct),
        (Ecn::Ect0, Ecn::NotEct | Ecn::Ect0) => Ok(Ecn::Ect0),
        (Ecn::Ect0, Ecn::Ect1) | (Ecn::Ect1, Ecn::NotEct | Ecn::Ect0 | Ecn::Ect1) => Ok(Ecn::Ect1),
        (Ecn::Ect0 | Ecn::Ect1, Ecn::Ce) | (Ecn::Ce, _) => Ok(Ecn::Ce),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encapsulation_copies_and_ignores_dscp() {
        for tos in 0..=u8::MAX {
            assert_eq!(encapsulate(tos).bits(), tos & 3);
            assert_eq!(encapsulate(tos).set_in(0b1011_1000), 0b1011_1000 | tos & 3);
        }
    }

    /// RFC 6040 figure 4, by bits: (inner, outer, what leaves).
    #[test]
    fn decapsulation_table() {
        let table = [
            (0b00, 0b00, Some(0b00)),
            (0b00, 0b10, Some(0b00)),
            (0b00, 0b01, Some(0b00)),
            (0b00, 0b11, None),
            (0b10, 0b00, Some(0b10)),
            (0b10, 0b10, Some(0b10)),
            (0b10, 0b01, Some(0b01)),
            (0b10, 0b11, Some(0b11)),
            (0b01, 0b00, Some(0b01)),
            (0b01, 0b10, Some(0b01)),
            (0b01, 0b01, Some(0b01)),
            (0b01, 0b11, Some(0b11)),
            (0b11, 0b00, Some(0b11)),
            (0b11, 0b10, Some(0b11)),
            (0b11, 0b01, Some(0b11)),
            (0b11, 0b11, Some(0b11)),
        ];
        for (inner, outer, leaves) in table {
            let result = decapsulate(Ecn::from_tos(inner), Ecn::from_tos(outer));
            assert_eq!(result.ok().map(Ecn::bits), leaves, "inner {inner:02b}, outer {outer:02b}");
        }
    }
}
