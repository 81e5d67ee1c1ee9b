//! From a vif: who it is, and whether the frame may be its.

use dataplane::desired::Vif;
use dataplane::drop::DropReason;
use dataplane::ids::Mac;

use crate::broadcast;
use crate::bytes::u16_at;
use crate::fib;
use crate::packet::{self, Packet};
use crate::plan::is_multicast;
use crate::router::Router;

/// What a frame from a vif holds.
pub enum Content<'a> {
    /// ARP, from behind the Ethernet header.
    Arp(&'a [u8]),
    /// A message that stays on the link.
    Link(Packet),
    /// An IP packet for all.
    All(Packet),
    /// Any other IP packet.
    Ip(Packet),
}

/// The vif that the VLAN of a frame names; a frame that ends within its header names none.
pub fn vif<'r>(router: &'r Router, frame: &[u8]) -> Result<&'r Vif, DropReason> {
    if frame.len() < 18 || u16_at(frame, 12) != Some(0x8100) {
        return Err(DropReason::MalformedEthernet);
    }
    let slot = u16_at(frame, 14).unwrap_or(0) & 0xfff;
    if slot == 0 || slot == 0xfff {
        return Err(DropReason::MalformedEthernet);
    }
    let name = router.ids.at_slot(slot).ok_or(DropReason::UnknownVif)?;
    fib::vif(&router.desired, name).ok_or(DropReason::UnknownVif)
}

/// Reads a frame of a vif.
///
/// # Errors
/// The reason to drop it for.
pub fn content<'a>(router: &Router, vif: &Vif, frame: &'a [u8]) -> Result<Content<'a>, DropReason> {
    if frame[6..12] != vif.mac.0 {
        return Err(DropReason::SpoofedMac);
    }
    if frame[..6] != Mac::GATEWAY.0 && frame[0] & 1 == 0 {
        return Err(DropReason::NotForUs);
    }
    let body = &frame[18..];
    let version = match u16_at(frame, 16) {
        Some(0x0800) => 4,
        Some(0x86dd) => 6,
        Some(0x0806) => return Ok(Content::Arp(body)),
        Some(0x8100) => return Err(DropReason::MalformedEthernet),
        _ => return Err(DropReason::UnsupportedEthertype),
    };
    let packet = packet::parse(version, body)?;
    match packet.kind {
        // RFC 6980 section 5: neighbour discovery in fragments is ignored.
        _ if packet.is_of_the_link() && packet.piece.is_some() => Err(DropReason::FragmentUnsupported),
        _ if packet.is_of_the_link() => Ok(Content::Link(packet)),
        _ if broadcast::is_for_all(router, vif, &packet) => Ok(Content::All(packet)),
        // RFC 1812 section 5.3.4: a unicast packet in a group frame is not forwarded.
        _ if frame[0] & 1 == 1 && !is_multicast(packet.tuple.dst) => Err(DropReason::NotForUs),
        _ => Ok(Content::Ip(packet)),
    }
}
