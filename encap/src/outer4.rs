//! The prebuilt outer IPv4 header (RFC 791).

use core::net::Ipv4Addr;

use crate::checksum::Sum;
use crate::outer::{DontFragment, DscpMode, OuterHeader};
use crate::template::{Fields, WriteError};
use crate::{UDP, shim};

const HEADER: usize = 20;

/// Bytes between the Ethernet header and the inner packet over an IPv4 underlay: IPv4, UDP, MPLS.
pub const OVERHEAD_V4: usize = HEADER + shim::LEN;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Outer4 {
    /// Zero where a field is patched: TOS, total length, identification, checksum.
    header: [u8; HEADER],
    /// Sum of `header`.
    fixed: Sum,
    dscp: DscpMode,
    udp_port: u16,
}

impl Outer4 {
    pub(crate) fn new(src: Ipv4Addr, dst: Ipv4Addr, outer: &OuterHeader) -> Outer4 {
        let flags = match outer.df {
            DontFragment::Clear => 0x00,
            DontFragment::Set => 0x40,
        };
        let [s0, s1, s2, s3] = src.octets();
        let [d0, d1, d2, d3] = dst.octets();
        let header = [0x45, 0, 0, 0, 0, 0, flags, 0, outer.ttl, UDP, 0, 0, s0, s1, s2, s3, d0, d1, d2, d3];
        Outer4 { header, fixed: Sum::of(&header), dscp: outer.dscp, udp_port: outer.udp_port }
    }

    /// Writes everything from the IPv4 header to the inner packet. `packet` is [`OVERHEAD_V4`] bytes of room
    /// and the inner packet. Nothing is written on error.
    #[inline]
    pub(crate) fn write(&self, packet: &mut [u8], fields: &Fields) -> Result<(), WriteError> {
        let total_length = u16::try_from(packet.len()).map_err(|_| WriteError::TooLong)?;
        let (header, rest) = packet.split_first_chunk_mut::<HEADER>().ok_or(WriteError::NoRoom)?;
        let udp_length = u16::try_from(rest.len()).map_err(|_| WriteError::TooLong)?;
        let shim = rest.first_chunk_mut().ok_or(WriteError::NoRoom)?;

        let tos = self.dscp.outer_tos(fields.inner_tos);
        let checksum = self.fixed.add_u16(tos.into()).add_u16(total_length).add_u16(fields.ip_id).finish();
        *header = self.header;
        header[1] = tos;
        [header[2], header[3]] = total_length.to_be_bytes();
        [header[4], header[5]] = fields.ip_id.to_be_bytes();
        [header[10], header[11]] = checksum.to_be_bytes();
        // RFC 7510 section 3: over IPv4 the UDP checksum should be zero.
        *shim = shim::bytes(self.udp_port, udp_length, fields);
        Ok(())
    }
}
