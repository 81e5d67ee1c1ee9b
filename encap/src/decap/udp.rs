//! The outer UDP header (RFC 768).

use super::ip::{Addresses, Ip};
use super::{DecapError, Ports, ZeroChecksum6};

/// Size of the UDP header, bytes.
pub(super) const HEADER: usize = 8;

/// A checked UDP datagram.
pub(super) struct Udp<'a> {
    pub(super) source_port: u16,
    /// What follows the header, to the end of the datagram.
    pub(super) data: &'a [u8],
}

#[inline(always)]
pub(super) fn parse<'a>(ip: &Ip<'a>, ports: &Ports, checksum6: ZeroChecksum6) -> Result<Udp<'a>, DecapError> {
    let [s0, s1, d0, d1, l0, l1, c0, c1] = *ip.payload.first_chunk().ok_or(DecapError::UdpLength)?;
    if !ports.accept(u16::from_be_bytes([d0, d1])) {
        return Err(DecapError::WrongPort);
    }
    // The datagram may be shorter than the IP payload, never longer; 0 is a length for jumbograms only (RFC 2675).
    let length = u16::from_be_bytes([l0, l1]);
    let datagram = ip.payload.get(..length.into()).ok_or(DecapError::UdpLength)?;
    let data = datagram.get(HEADER..).ok_or(DecapError::UdpLength)?;
    match (u16::from_be_bytes([c0, c1]), &ip.addresses, checksum6) {
        (0, Addresses::V4 { .. }, _) | (0, Addresses::V6 { .. }, ZeroChecksum6::Accept) => {}
        (0, Addresses::V6 { .. }, ZeroChecksum6::Refuse) => return Err(DecapError::UdpChecksum),
        (_, addresses, _) => {
            if !is_right(addresses, length, datagram) {
                return Err(DecapError::UdpChecksum);
            }
        }
    }
    Ok(Udp { source_port: u16::from_be_bytes([s0, s1]), data })
}

#[cold]
fn is_right(addresses: &Addresses, length: u16, datagram: &[u8]) -> bool {
    addresses.pseudo_header(length).add_bytes(datagram).finish() == 0
}
