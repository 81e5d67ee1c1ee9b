//! The prebuilt outer IPv6 header (RFC 8200).

use core::net::Ipv6Addr;

use crate::checksum::Sum;
use crate::outer::{DscpMode, OuterHeader, Udp6Checksum};
use crate::template::{Fields, WriteError};
use crate::{UDP, shim};

const HEADER: usize = 40;

/// Bytes between the Ethernet header and the inner packet over an IPv6 underlay: IPv6, UDP, MPLS.
pub const OVERHEAD_V6: usize = HEADER + shim::LEN;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Outer6 {
    /// Zero where a field is patched: traffic class, payload length. The flow label is zero; the UDP source
    /// port carries the entropy.
    header: [u8; HEADER],
    /// Sum of the pseudo header without the length.
    pseudo: Sum,
    dscp: DscpMode,
    udp_port: u16,
    checksum: Udp6Checksum,
}

impl Outer6 {
    pub(crate) fn new(src: Ipv6Addr, dst: Ipv6Addr, outer: &OuterHeader) -> Outer6 {
        let mut header = [0; HEADER];
        header[0] = 0x60;
        header[6] = UDP;
        header[7] = outer.ttl;
        header[8..24].copy_from_slice(&src.octets());
        header[24..40].copy_from_slice(&dst.octets());
        Outer6 {
            header,
            pseudo: Sum::pseudo_v6(src, dst, UDP, 0),
            dscp: outer.dscp,
            udp_port: outer.udp_port,
            checksum: outer.udp6_checksum,
        }
    }

    /// Writes everything from the IPv6 header to the inner packet. `packet` is [`OVERHEAD_V6`] bytes of room
    /// and the inner packet. Nothing is written on error.
    pub(crate) fn write(&self, packet: &mut [u8], fields: &Fields) -> Result<(), WriteError> {
        let (header, rest) = packet.split_first_chunk_mut::<HEADER>().ok_or(WriteError::NoRoom)?;
        // Payload length and UDP length are equal: no extension header.
        let length = u16::try_from(rest.len()).map_err(|_| WriteError::TooLong)?;
        let (shim, inner) = rest.split_first_chunk_mut::<{ shim::LEN }>().ok_or(WriteError::NoRoom)?;

        let tos = self.dscp.outer_tos(fields.inner_tos);
        *header = self.header;
        header[0] |= tos >> 4;
        header[1] = tos << 4;
        [header[4], header[5]] = length.to_be_bytes();
        *shim = shim::bytes(self.udp_port, length, fields);
        match self.checksum {
            Udp6Checksum::Zero => {}
            Udp6Checksum::Compute => {
                let sum = self.pseudo.add_u16(length).add_bytes(shim).add_bytes(inner);
                [shim[6], shim[7]] = sum.finish_udp().to_be_bytes();
            }
        }
        Ok(())
    }
}
