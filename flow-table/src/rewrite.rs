//! What NAT does to the packets of one direction: new addresses and ports, and what that adds to the checksums.

use encap::Delta;

use crate::key::{Addr, Family, Tuple};

/// IP protocol numbers whose checksum this file knows (IANA).
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// Whether a direction is translated at all.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RewriteKind {
    /// The tuple stays; addresses and ports of the [`Rewrite`] are those of the packet, the deltas are 0.
    None,
    /// Addresses, ports or both change.
    Translate,
}

/// The tuple a packet has after translation, and the change of its checksums.
///
/// The deltas are `encap::Delta::as_raw` numbers (RFC 1624), to be applied with `Delta::apply`, or
/// `Delta::apply_udp` for UDP.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Rewrite {
    /// Whether there is anything to do.
    pub kind: RewriteKind,
    /// Source address afterwards.
    pub src: Addr,
    /// Destination address afterwards.
    pub dst: Addr,
    /// Source port afterwards, host order; of an ICMP echo the identifier.
    pub sport: u16,
    /// Destination port afterwards, host order; of an ICMP echo the identifier.
    pub dport: u16,
    /// Change of the IPv4 header checksum by the addresses; 0 for IPv6.
    pub l3_delta: u16,
    /// Change of the transport checksum by what it covers: ports and pseudo header of TCP and UDP; identifier of
    /// ICMP, once; identifier and pseudo header of ICMPv6. 0 for every other protocol (SCTP has a CRC32c, which
    /// has to be computed anew).
    pub l4_delta: u16,
}

impl Rewrite {
    /// The rewrite of a packet with tuple `this` in a pair whose other key has tuple `other`: it comes out as
    /// `other.reversed()`.
    pub(crate) fn between(this: &Tuple, other: &Tuple) -> Rewrite {
        let target = other.reversed();
        if *this == target {
            return Rewrite::none(this);
        }
        Rewrite::translate(&target, Deltas::between(this, &target))
    }

    /// No translation of a packet with tuple `this`.
    pub(crate) fn none(this: &Tuple) -> Rewrite {
        Rewrite { kind: RewriteKind::None, ..Rewrite::translate(this, Deltas { l3: 0, l4: 0 }) }
    }

    /// Translation to the tuple `target`.
    pub(crate) fn translate(target: &Tuple, deltas: Deltas) -> Rewrite {
        Rewrite {
            kind: RewriteKind::Translate,
            src: target.src,
            dst: target.dst,
            sport: target.sport,
            dport: target.dport,
            l3_delta: deltas.l3,
            l4_delta: deltas.l4,
        }
    }
}

/// The checksum changes of one direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Deltas {
    pub(crate) l3: u16,
    pub(crate) l4: u16,
}

impl Deltas {
    fn between(old: &Tuple, new: &Tuple) -> Deltas {
        let addresses = [(old.src, new.src), (old.dst, new.dst)]
            .into_iter()
            .fold(Delta::NONE, |delta, (from, to)| replace_addr(delta, old.family, from, to));
        let l3 = match old.family {
            Family::V4 => addresses,
            Family::V6 => Delta::NONE,
        };
        let l4 = match old.protocol {
            TCP | UDP => addresses.replace_u16(old.sport, new.sport).replace_u16(old.dport, new.dport),
            // RFC 792: the checksum covers the ICMP message alone. The identifier stands in it once.
            ICMP => Delta::NONE.replace_u16(old.sport, new.sport),
            // RFC 4443 section 2.3: the checksum covers the pseudo header too.
            ICMPV6 => addresses.replace_u16(old.sport, new.sport),
            _ => Delta::NONE,
        };
        Deltas { l3: l3.as_raw(), l4: l4.as_raw() }
    }

    /// The changes of the other direction, which puts back every word that this one replaced.
    pub(crate) fn inverse(self) -> Deltas {
        // `from_raw` writes the negative zero 0xffff as 0, as every delta is written.
        let negate = |raw: u16| Delta::from_raw(!raw).as_raw();
        Deltas { l3: negate(self.l3), l4: negate(self.l4) }
    }
}

fn replace_addr(delta: Delta, family: Family, old: Addr, new: Addr) -> Delta {
    match family {
        Family::V4 => delta.replace_bytes(&old.v4_bytes(), &new.v4_bytes()),
        Family::V6 => delta.replace_bytes(&old.v6_bytes(), &new.v6_bytes()),
    }
}

#[cfg(test)]
mod tests;
