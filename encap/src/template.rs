//! The outer bytes of one tunnel, built once and copied in front of every packet.

use core::fmt;
use core::net::IpAddr;

use crate::label::Label;
use crate::outer::{DscpMode, OuterHeader};
use crate::outer4::{OVERHEAD_V4, Outer4};
use crate::outer6::{OVERHEAD_V6, Outer6};

/// Prebuilt outer bytes: Ethernet, 802.1Q if there is a VLAN, IPv4 or IPv6, UDP, MPLS. Holds no pointer.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    link: Link,
    network: Network,
}

#[derive(Clone, Copy, Debug)]
enum Link {
    Untagged([u8; 14]),
    Tagged([u8; 18]),
}

#[derive(Clone, Copy, Debug)]
enum Network {
    V4(Outer4),
    V6(Outer6),
}

/// The fields that differ from packet to packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fields {
    /// The label the other node handed out.
    pub label: Label,
    /// MPLS TTL, hops: the inner TTL after its decrement.
    pub ttl: u8,
    /// UDP source port, see [`crate::entropy::source_port`].
    pub source_port: u16,
    /// TOS byte or traffic class of the inner packet: DSCP and ECN.
    pub inner_tos: u8,
    /// Identification of the outer IPv4 header; IPv6 ignores it. Must vary where the underlay may fragment.
    pub ip_id: u16,
}

impl Template {
    /// Builds the template of a tunnel.
    ///
    /// # Errors
    /// [`TemplateError`] if the addresses are of two families or a field does not fit the wire.
    pub fn new(outer: &OuterHeader) -> Result<Template, TemplateError> {
        let (network, ethertype) = match (outer.src, outer.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => (Network::V4(Outer4::new(src, dst, outer)), 0x0800),
            (IpAddr::V6(src), IpAddr::V6(dst)) => (Network::V6(Outer6::new(src, dst, outer)), 0x86dd),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {
                return Err(TemplateError::MixedFamilies { src: outer.src, dst: outer.dst });
            }
        };
        if let DscpMode::Fixed(dscp @ 64..) = outer.dscp {
            return Err(TemplateError::Dscp(dscp));
        }
        Ok(Template { link: Link::new(outer, ethertype)?, network })
    }

    /// Bytes put in front of the inner packet: 46 (IPv4), 50 (IPv4, VLAN), 66 (IPv6), 70 (IPv6, VLAN).
    #[must_use]
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "a template is never empty")]
    pub const fn len(&self) -> usize {
        self.link.bytes().len() + self.overhead()
    }

    /// Bytes of the uplink's MTU that the tunnel takes from the inner packet, without Ethernet and VLAN:
    /// [`OVERHEAD_V4`] or [`OVERHEAD_V6`].
    #[must_use]
    #[inline]
    pub const fn overhead(&self) -> usize {
        match self.network {
            Network::V4(_) => OVERHEAD_V4,
            Network::V6(_) => OVERHEAD_V6,
        }
    }

    /// Writes the outer headers. `frame` is [`Template::len`] bytes of room, whose content does not matter,
    /// directly followed by the inner packet up to its last byte.
    ///
    /// # Errors
    /// [`WriteError`]; `frame` is then unchanged.
    #[inline]
    pub fn write(&self, frame: &mut [u8], fields: &Fields) -> Result<(), WriteError> {
        match &self.link {
            Link::Untagged(link) => self.write_after(link, frame, fields),
            Link::Tagged(link) => self.write_after(link, frame, fields),
        }
    }

    /// Once for each length, because a copy whose length is not known is a call.
    #[inline]
    fn write_after<const N: usize>(
        &self,
        link: &[u8; N],
        frame: &mut [u8],
        fields: &Fields,
    ) -> Result<(), WriteError> {
        let (room, packet) = frame.split_first_chunk_mut::<N>().ok_or(WriteError::NoRoom)?;
        match &self.network {
            Network::V4(outer) => outer.write(packet, fields)?,
            Network::V6(outer) => outer.write(packet, fields)?,
        }
        *room = *link;
        Ok(())
    }
}

impl Link {
    fn new(outer: &OuterHeader, ethertype: u16) -> Result<Link, TemplateError> {
        let [d0, d1, d2, d3, d4, d5] = outer.dst_mac;
        let [s0, s1, s2, s3, s4, s5] = outer.src_mac;
        let [e0, e1] = ethertype.to_be_bytes();
        match outer.vlan {
            None => Ok(Link::Untagged([d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, e0, e1])),
            Some(vlan @ 1..=4094) => {
                let [v0, v1] = vlan.to_be_bytes();
                Ok(Link::Tagged([d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, 0x81, 0x00, v0, v1, e0, e1]))
            }
            // IEEE 802.1Q table 9-2: 0 is a priority tag, 4095 is reserved.
            Some(vlan @ (0 | 4095..)) => Err(TemplateError::Vlan(vlan)),
        }
    }

    const fn bytes(&self) -> &[u8] {
        match self {
            Link::Untagged(bytes) => bytes,
            Link::Tagged(bytes) => bytes,
        }
    }
}

/// Why no template can be built.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TemplateError {
    /// The tunnel's two addresses are not of the same family.
    MixedFamilies {
        /// This node's address.
        src: IpAddr,
        /// The other node's address.
        dst: IpAddr,
    },
    /// The VLAN id is not in 1..=4094.
    Vlan(u16),
    /// The fixed DSCP is not in 0..=63.
    Dscp(u8),
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TemplateError::MixedFamilies { src, dst } => write!(
                f,
                "tunnel from {src} to {dst} mixes IPv4 and IPv6; give both nodes an address of the same family"
            ),
            TemplateError::Vlan(vlan) => {
                write!(f, "uplink VLAN id {vlan} is not in 1..=4094; leave it out for untagged frames")
            }
            TemplateError::Dscp(dscp) => {
                write!(f, "fixed DSCP {dscp} is not in 0..=63; give the six-bit code point, not the TOS byte")
            }
        }
    }
}

impl core::error::Error for TemplateError {}

/// Why a packet cannot be encapsulated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriteError {
    /// The frame is shorter than the template.
    NoRoom,
    /// With its outer headers the packet does not fit a 16-bit IP length.
    TooLong,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WriteError::NoRoom => {
                "frame is shorter than the outer headers; reserve Template::len() bytes of headroom"
            }
            WriteError::TooLong => {
                "packet with outer headers exceeds 65535 bytes; fragment the inner packet first"
            }
        })
    }
}

impl core::error::Error for WriteError {}

#[cfg(test)]
mod tests;
