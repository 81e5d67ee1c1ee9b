//! Ethernet II with at most one 802.1Q tag.

use flow_table::{Addr, Family};

use super::write_at;
use crate::drop::DropReason;
use crate::ids::{Mac, VifSlot};

/// Length of an untagged header.
pub const HEADER: usize = 14;
/// Length of a header with one tag.
pub const TAGGED_HEADER: usize = 18;
/// EtherType of an 802.1Q tag.
pub const TYPE_VLAN: u16 = 0x8100;
/// EtherType of ARP.
pub const TYPE_ARP: u16 = 0x0806;
/// EtherType of IPv4.
pub const TYPE_IPV4: u16 = 0x0800;
/// EtherType of IPv6.
pub const TYPE_IPV6: u16 = 0x86dd;

/// An Ethernet header, checked to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ethernet {
    /// Destination.
    pub dst: Mac,
    /// Source.
    pub src: Mac,
    /// VLAN id of the outermost tag.
    pub vlan: Option<u16>,
    /// EtherType behind the tag.
    pub ethertype: u16,
    /// Bytes before the payload.
    pub len: usize,
}

impl Ethernet {
    /// Reads the header with at most one tag; a second one shows as its EtherType.
    ///
    /// # Errors
    /// [`DropReason::MalformedEthernet`] when the frame ends inside the header.
    #[inline(always)]
    pub fn parse(frame: &[u8]) -> Result<Self, DropReason> {
        Self::read(frame).ok_or(DropReason::MalformedEthernet)
    }

    #[inline(always)]
    fn read(frame: &[u8]) -> Option<Self> {
        let (header, rest) = frame.split_first_chunk::<HEADER>()?;
        let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = *header;
        let (dst, src) = (Mac([d0, d1, d2, d3, d4, d5]), Mac([s0, s1, s2, s3, s4, s5]));
        let ethertype = u16::from_be_bytes([t0, t1]);
        if ethertype != TYPE_VLAN {
            return Some(Self { dst, src, vlan: None, ethertype, len: HEADER });
        }
        let [v0, v1, t0, t1] = *rest.first_chunk()?;
        let vlan = u16::from_be_bytes([v0, v1]) & 0x0fff;
        let ethertype = u16::from_be_bytes([t0, t1]);
        Some(Self { dst, src, vlan: Some(vlan), ethertype, len: TAGGED_HEADER })
    }
}

/// The Ethernet address of a group: RFC 1112 section 6.4, RFC 2464 section 7, and broadcast for
/// every other IPv4 address.
pub fn group_mac(family: Family, dst: Addr) -> Mac {
    let [.., a, b, c, d] = dst.0.to_be_bytes();
    match family {
        Family::V4 if a >> 4 == 0xe => Mac([0x01, 0x00, 0x5e, b & 0x7f, c, d]),
        Family::V4 => Mac::BROADCAST,
        Family::V6 => Mac([0x33, 0x33, a, b, c, d]),
    }
}

/// Writes the header of a frame to a vif: `frame` begins with [`TAGGED_HEADER`] bytes of room.
pub fn write_to_vif(frame: &mut [u8], dst: Mac, slot: VifSlot, ethertype: u16) {
    write_at(frame, 0, dst.0);
    write_at(frame, 6, Mac::GATEWAY.0);
    write_at(frame, 12, TYPE_VLAN.to_be_bytes());
    write_at(frame, 14, slot.get().to_be_bytes());
    write_at(frame, 16, ethertype.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_truncation_is_malformed() {
        let mut frame = [0u8; TAGGED_HEADER];
        write_to_vif(&mut frame, Mac([2; 6]), VifSlot::new(9).unwrap(), TYPE_IPV4);
        for len in 0..TAGGED_HEADER {
            assert_eq!(Ethernet::parse(&frame[..len]), Err(DropReason::MalformedEthernet), "{len}");
        }
        let header = Ethernet::parse(&frame).unwrap();
        assert_eq!(
            header,
            Ethernet { dst: Mac([2; 6]), src: Mac::GATEWAY, vlan: Some(9), ethertype: TYPE_IPV4, len: 18 }
        );
    }
}
