//! What a sent frame says without the parts that only the hash and the worker know.

use std::net::IpAddr;

use crate::bytes::{checksum, pseudo, put, u16_at};
use crate::router::Side;

/// A frame from the wire, checked and masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// The frame with outer identification, outer checksums and entropy port zeroed.
    pub frame: Vec<u8>,
    /// The entropy port, of a tunnel frame.
    pub entropy: Option<u16>,
}

/// Checks what cannot be foretold of a sent frame, and blanks it out.
///
/// # Errors
/// A checksum is wrong, or the entropy port is outside 49152..=65535 (RFC 7510 section 3).
pub fn wire(side: Side, frame: &[u8]) -> Result<Wire, String> {
    let mut masked = frame.to_vec();
    if side == Side::Trunk {
        return Ok(Wire { frame: masked, entropy: None });
    }
    let ip = if u16_at(frame, 12) == Some(0x8100) { 18 } else { 14 };
    let packet = frame.get(ip..).ok_or("no outer IP header")?;
    let v4 = packet.first().is_some_and(|byte| byte >> 4 == 4);
    let udp = if v4 { 20 } else { 40 };
    let datagram = packet.get(udp..).ok_or("no outer UDP header")?;
    if v4 {
        if checksum(&[&packet[..20]]) != 0 {
            return Err("outer IPv4 checksum is wrong".to_owned());
        }
        put(&mut masked, ip + 4, &[0, 0]);
        put(&mut masked, ip + 10, &[0, 0]);
    } else if u16_at(datagram, 6) != Some(0) {
        let address = |at: usize| {
            let octets: [u8; 16] = packet.get(at..at + 16)?.try_into().ok()?;
            Some(IpAddr::from(octets))
        };
        let (src, dst) = address(8).zip(address(24)).ok_or("no outer addresses")?;
        if checksum(&[&pseudo(src, dst, 17, datagram.len()), datagram]) != 0 {
            return Err("outer UDP checksum is wrong".to_owned());
        }
        put(&mut masked, ip + udp + 6, &[0, 0]);
    }
    let entropy = u16_at(datagram, 0).filter(|port| *port >= 49152).ok_or("entropy port out of range")?;
    put(&mut masked, ip + udp, &[0, 0]);
    Ok(Wire { frame: masked, entropy: Some(entropy) })
}
