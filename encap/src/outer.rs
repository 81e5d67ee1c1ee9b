//! What the control side says about the outer headers of one tunnel.

use core::net::IpAddr;

use crate::ecn;

/// The outer headers of one tunnel, from which a [`crate::Template`] is built.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OuterHeader {
    /// The uplink's MAC address.
    pub src_mac: [u8; 6],
    /// The MAC address of the underlay's next hop.
    pub dst_mac: [u8; 6],
    /// The uplink's VLAN id, 1..=4094; `None` sends untagged frames.
    pub vlan: Option<u16>,
    /// This node's tunnel address.
    pub src: IpAddr,
    /// The other node's tunnel address, of the same family as `src`.
    pub dst: IpAddr,
    /// UDP destination port, by default [`crate::MPLS_UDP_PORT`].
    pub udp_port: u16,
    /// TTL or hop limit of the outer header, hops; by default 64.
    pub ttl: u8,
    /// The outer don't-fragment bit; IPv6 has none and ignores this.
    pub df: DontFragment,
    /// Where the outer DSCP comes from.
    pub dscp: DscpMode,
    /// The outer UDP checksum over IPv6; over IPv4 it is always 0 (RFC 7510 section 3).
    pub udp6_checksum: Udp6Checksum,
}

/// The DF bit of the outer IPv4 header.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum DontFragment {
    /// DF = 0: the underlay may fragment.
    #[default]
    Clear,
    /// DF = 1: the underlay drops what does not fit.
    Set,
}

/// The DSCP of the outer header. ECN always follows RFC 6040.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum DscpMode {
    /// The inner packet's DSCP (RFC 2983, uniform model).
    #[default]
    Copy,
    /// Always this DSCP, 0..=63 (RFC 2983, pipe model).
    Fixed(u8),
}

impl DscpMode {
    /// The outer TOS byte or traffic class for an inner one.
    pub(crate) const fn outer_tos(self, inner_tos: u8) -> u8 {
        let dscp = match self {
            DscpMode::Copy => inner_tos,
            DscpMode::Fixed(dscp) => dscp << 2,
        };
        ecn::encapsulate(inner_tos).set_in(dscp)
    }
}

/// The UDP checksum of the outer header over IPv6.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Udp6Checksum {
    /// A real checksum, which reads every byte of the inner packet (RFC 8200 section 8.1).
    #[default]
    Compute,
    /// 0; the receiver must have been told to accept it (RFC 6935, RFC 6936).
    Zero,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outer_tos_by_mode() {
        let table = [
            (DscpMode::Copy, 0b1011_1010, 0b1011_1010),
            (DscpMode::Copy, 0b0000_0011, 0b0000_0011),
            (DscpMode::Fixed(0), 0b1011_1001, 0b0000_0001),
            (DscpMode::Fixed(46), 0b0000_0011, 0b1011_1011),
            (DscpMode::Fixed(63), 0b0000_0000, 0b1111_1100),
        ];
        for (mode, inner, outer) in table {
            assert_eq!(mode.outer_tos(inner), outer, "{mode:?} {inner:08b}");
        }
    }
}
