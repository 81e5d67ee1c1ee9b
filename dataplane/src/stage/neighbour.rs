//! Neighbour solicitations from a pod (RFC 4861), answered with the gateway MAC like ARP, and its
//! advertisements.

use encap::Sum;
use flow_table::{Addr, Family};

use crate::drop::DropReason;
use crate::ids::{Mac, VifSlot};
use crate::limiter::Limited;
use crate::packet::ethernet::{TAGGED_HEADER, TYPE_IPV6, write_to_vif};
use crate::packet::ip::Ip;
use crate::packet::l4::protocol::ICMPV6;
use crate::packet::{Packet, array_at, write_at};
use crate::pipeline::Pipeline;
use crate::snapshot::{Snapshot, Vif};
use crate::verdict::{Verdict, Way};

const IPV6_HEADER: usize = 40;
/// Solicitation or advertisement without options: ICMPv6 header, flags or reserved, target.
const MESSAGE: usize = 24;
/// A link-layer address option for Ethernet.
const OPTION: usize = 8;
const ADVERTISEMENT: u8 = 136;
/// Router, solicited, override (RFC 4861 section 4.4).
const FLAGS: u8 = 0b1110_0000;
/// RFC 4861 section 7.1.1: 255 proves that no router has forwarded it.
const HOP_LIMIT: u8 = 255;

/// Takes a solicitation and, unless it is for the pod's own address, turns the frame into the
/// advertisement.
pub(crate) fn answer(
    pipeline: &Pipeline<'_>,
    slot: VifSlot,
    ip: &Ip,
    packet: &mut Packet<'_>,
) -> Result<Verdict, DropReason> {
    let snapshot = pipeline.snapshot;
    let vif = snapshot.vif(slot).ok_or(DropReason::UnknownVif)?;
    let target = target(ip, packet.bytes())?;
    let source = ip.tuple.src;
    // RFC 4861 section 7.1.1: the unspecified source means duplicate address detection.
    if source == Addr(0) || vif.has_address(Family::V6, target) {
        return Ok(Verdict::Consumed);
    }
    if !may_be(vif, source) {
        return Err(DropReason::SpoofedSource);
    }
    let routed = || snapshot.vrf(vif.vrf).is_some_and(|vrf| vrf.lookup(Family::V6, target).is_some());
    if !vif.is_gateway(Family::V6, target) && !routed() {
        return Err(DropReason::NoRoute);
    }
    limit(pipeline, vif.slot)?;
    advertise(vif, source, target, packet)
}

/// Counts an answer to ARP or to a solicitation, and refuses it when the vif has had too many.
pub(super) fn limit(pipeline: &Pipeline<'_>, vif: VifSlot) -> Result<(), DropReason> {
    let allowed = pipeline.limiter.allow(Limited::Neighbours, vif, pipeline.now);
    if allowed { Ok(()) } else { Err(DropReason::NeighbourRatelimited) }
}

/// Takes an advertisement. The vrouter has the pods' addresses from the configuration, and answers
/// for each of them itself, so there is nobody to tell.
pub(crate) fn hear(snapshot: &Snapshot, slot: VifSlot, ip: &Ip, frame: &[u8]) -> Result<Verdict, DropReason> {
    let vif = snapshot.vif(slot).ok_or(DropReason::UnknownVif)?;
    let target = target(ip, frame)?;
    if !may_be(vif, ip.tuple.src) {
        return Err(DropReason::SpoofedSource);
    }
    if may_be(vif, target) { Ok(Verdict::Consumed) } else { Err(DropReason::SpoofedNeighbour) }
}

/// Whether an IPv6 address can be the pod's. Nobody tells us its link-local one; it is not ours.
pub(crate) fn may_be(vif: &Vif, address: Addr) -> bool {
    let link_local = is_link_local(address) && !vif.is_gateway(Family::V6, address);
    link_local || vif.has_address(Family::V6, address)
}

/// The target of a valid solicitation or advertisement (RFC 4861 sections 7.1.1 and 7.1.2).
fn target(ip: &Ip, frame: &[u8]) -> Result<Addr, DropReason> {
    read_target(ip, frame).ok_or(DropReason::MalformedL4)
}

fn read_target(ip: &Ip, frame: &[u8]) -> Option<Addr> {
    let packet = frame.get(TAGGED_HEADER..)?.get(..ip.len)?;
    let message = packet.get(ip.l4_offset..)?;
    let target: [u8; 16] = array_at(message, 8)?;
    let pseudo = Sum::pseudo_v6(
        std::net::Ipv6Addr::from_bits(ip.tuple.src.0),
        std::net::Ipv6Addr::from_bits(ip.tuple.dst.0),
        ICMPV6,
        u32::try_from(message.len()).ok()?,
    );
    let valid = ip.ttl == HOP_LIMIT
        && ip.l4_offset == IPV6_HEADER
        && message.get(1) == Some(&0)
        && target[0] != 0xff
        && pseudo.add_bytes(message).finish() == 0;
    valid.then_some(Addr::from_v6(target))
}

pub(crate) fn is_link_local(address: Addr) -> bool {
    address.0 >> 118 == 0xfe80 >> 6
}

fn advertise(vif: &Vif, to: Addr, target: Addr, packet: &mut Packet<'_>) -> Result<Verdict, DropReason> {
    let payload = MESSAGE + OPTION;
    let len = TAGGED_HEADER + IPV6_HEADER + payload;
    // RFC 4861 section 4.3: a unicast solicitation need not carry the option that the answer has.
    let missing = len.saturating_sub(packet.len());
    if !packet.push(missing) {
        return Err(DropReason::FrameTooBig);
    }
    packet.truncate(len);
    let frame = packet.bytes_mut();
    write_to_vif(frame, vif.mac, vif.slot, TYPE_IPV6);
    let body = frame.get_mut(TAGGED_HEADER..).unwrap_or_default();
    write_at(body, 0, [0x60, 0, 0, 0, 0, payload as u8, ICMPV6, HOP_LIMIT]);
    write_at(body, 8, target.0.to_be_bytes());
    write_at(body, 24, to.0.to_be_bytes());
    let message = body.get_mut(IPV6_HEADER..).unwrap_or_default();
    write_at(message, 0, [ADVERTISEMENT, 0, 0, 0, FLAGS, 0, 0, 0]);
    write_at(message, 8, target.0.to_be_bytes());
    write_at(message, 24, [2, 1]);
    write_at(message, 26, Mac::GATEWAY.0);
    let pseudo = Sum::pseudo_v6(
        std::net::Ipv6Addr::from_bits(target.0),
        std::net::Ipv6Addr::from_bits(to.0),
        ICMPV6,
        payload as u32,
    );
    let checksum = pseudo.add_bytes(message).finish();
    write_at(message, 2, checksum.to_be_bytes());
    Ok(Verdict::Answer(Way::Vif(vif.slot)))
}
