//! Taking the outer headers off.

mod ip;
mod mpls;
mod udp;

use core::fmt;
use core::net::IpAddr;
use core::ops::Range;

use crate::ecn::Ecn;
use crate::label::Label;
use crate::{LEGACY_MPLS_UDP_PORT, MPLS_UDP_PORT};

/// The UDP destination ports that are taken as MPLS over UDP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ports {
    /// The assigned port, [`MPLS_UDP_PORT`] by default.
    pub current: u16,
    /// The port of old releases, [`LEGACY_MPLS_UDP_PORT`] by default; `None` refuses it.
    pub legacy: Option<u16>,
}

impl Default for Ports {
    fn default() -> Ports {
        Ports { current: MPLS_UDP_PORT, legacy: Some(LEGACY_MPLS_UDP_PORT) }
    }
}

impl Ports {
    /// Whether `port`, a UDP destination port, is one of them.
    #[must_use]
    pub fn accept(&self, port: u16) -> bool {
        port == self.current || Some(port) == self.legacy
    }
}

/// What to do with an outer UDP checksum of 0 over IPv6 (RFC 6935, RFC 6936). Over IPv4 it is always accepted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum ZeroChecksum6 {
    /// Take the packet.
    Accept,
    /// Refuse the packet (RFC 8200 section 8.1).
    #[default]
    Refuse,
}

/// What the outer headers said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outer {
    /// The sending node's tunnel address.
    pub src: IpAddr,
    /// The address the packet was sent to, of the same family.
    pub dst: IpAddr,
    /// TOS byte or traffic class of the outer header: DSCP and ECN.
    pub tos: u8,
    /// UDP source port.
    pub source_port: u16,
    /// The label that says where the packet goes: 16 or more, or an explicit null (0 or 2).
    pub label: Label,
    /// Traffic class of that label's entry, 0..=7.
    pub traffic_class: u8,
    /// TTL of that label's entry, hops, as received; 0 and 1 are not refused here.
    pub ttl: u8,
    /// Entries popped: the label's own, padding, explicit nulls and an entropy pair; 1..=16.
    pub labels: u8,
    /// Where the inner packet lies in the slice given to [`decapsulate`], bytes. It starts with the nibble 4 or
    /// 6 and ends with the outer UDP datagram; its own lengths are not checked here.
    pub payload: Range<usize>,
}

impl Outer {
    /// The outer ECN field, for [`crate::ecn::decapsulate`].
    #[must_use]
    pub const fn ecn(&self) -> Ecn {
        Ecn::from_tos(self.tos)
    }
}

/// Reads the outer headers of an MPLS-over-UDP packet (RFC 7510) and finds the inner packet.
///
/// `packet` starts with the outer IP header; bytes after the IP packet (Ethernet padding) and after the UDP
/// datagram are ignored. IPv6 extension headers are not walked. The addresses, the label and the TTL are
/// reported, not judged. One level is taken off, whatever the inner packet is.
///
/// A non-zero UDP checksum is verified over both families, which reads the whole datagram; 0 costs nothing.
///
/// # Errors
/// The [`DecapError`] of the first check that fails, outermost header first.
pub fn decapsulate(packet: &[u8], ports: &Ports, checksum6: ZeroChecksum6) -> Result<Outer, DecapError> {
    match packet.first().ok_or(DecapError::Truncated)? >> 4 {
        4 => decapsulate_v4(packet, ports),
        6 => decapsulate_v6(packet, ports, checksum6),
        _ => Err(DecapError::BadHeader),
    }
}

/// [`decapsulate`] of a packet whose outer header is IPv4. Inlined where it is called: what it finds is then taken
/// from registers.
///
/// # Errors
/// As [`decapsulate`].
#[inline(always)]
pub fn decapsulate_v4(packet: &[u8], ports: &Ports) -> Result<Outer, DecapError> {
    behind_ip(&ip::parse_v4(packet)?, ports, ZeroChecksum6::Refuse)
}

/// [`decapsulate`] of a packet whose outer header is IPv6.
///
/// # Errors
/// As [`decapsulate`].
pub fn decapsulate_v6(packet: &[u8], ports: &Ports, checksum6: ZeroChecksum6) -> Result<Outer, DecapError> {
    behind_ip(&ip::parse_v6(packet)?, ports, checksum6)
}

/// What is behind the outer IP header.
#[inline(always)]
fn behind_ip(ip: &ip::Ip<'_>, ports: &Ports, checksum6: ZeroChecksum6) -> Result<Outer, DecapError> {
    let udp = udp::parse(ip, ports, checksum6)?;
    let stack = mpls::pop(udp.data)?;
    match stack.payload.first() {
        Some(0x40..=0x4f | 0x60..=0x6f) => {}
        Some(_) | None => return Err(DecapError::InnerUnknown),
    }
    let end = ip.header_len + udp::HEADER + udp.data.len();
    Ok(Outer {
        src: ip.addresses.src(),
        dst: ip.addresses.dst(),
        tos: ip.tos,
        source_port: udp.source_port,
        label: stack.entry.label,
        traffic_class: stack.entry.traffic_class,
        ttl: stack.entry.ttl,
        labels: stack.labels,
        payload: end - stack.payload.len()..end,
    })
}

/// Why a packet is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DecapError {
    /// The packet ends before its outer IP header says, or within that header.
    Truncated,
    /// Outer IP version neither 4 nor 6, IHL below 5, or total length below the header's.
    BadHeader,
    /// Outer IPv4 header checksum wrong.
    HeaderChecksum,
    /// Outer protocol, or first IPv6 next header, is not UDP.
    NotUdp,
    /// UDP destination port is not one of [`Ports`].
    WrongPort,
    /// Outer IPv4 fragment, first or later, or IPv6 fragment header.
    Fragment,
    /// IP payload or UDP length below 8, or UDP length beyond the IP payload.
    UdpLength,
    /// UDP checksum wrong, or 0 over IPv6 with [`ZeroChecksum6::Refuse`].
    UdpChecksum,
    /// The datagram ends within the label stack.
    MplsTruncated,
    /// 16 entries and none of them at the bottom.
    StackTooDeep,
    /// A label of 16 or more with S = 0 above another label. Every label is handed out on its own, so no such
    /// stack is meant for this node.
    NotBottom,
    /// A label of 1, 3..=6 or 8..=15, or an entropy label indicator (7) at the bottom or without a label.
    ReservedLabel,
    /// The inner packet is empty or its first nibble is neither 4 nor 6.
    InnerUnknown,
}

impl fmt::Display for DecapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DecapError::Truncated => "outer IP packet is cut short",
            DecapError::BadHeader => "outer IP version or header length is wrong",
            DecapError::HeaderChecksum => "outer IPv4 header checksum is wrong",
            DecapError::NotUdp => "outer packet is not UDP",
            DecapError::WrongPort => "outer UDP destination port is not one for MPLS over UDP",
            DecapError::Fragment => "outer packet is a fragment; check the underlay MTU towards its sender",
            DecapError::UdpLength => "outer UDP length does not fit the IP packet",
            DecapError::UdpChecksum => "outer UDP checksum is wrong, or zero over IPv6 and not accepted",
            DecapError::MplsTruncated => "packet ends within the label stack",
            DecapError::StackTooDeep => "label stack has no bottom within 16 entries",
            DecapError::NotBottom => "label is not at the bottom of the stack",
            DecapError::ReservedLabel => "label stack holds a reserved label",
            DecapError::InnerUnknown => "inner packet is neither IPv4 nor IPv6",
        })
    }
}

impl core::error::Error for DecapError {}

#[cfg(test)]
mod tests;
