//! From another node: outer headers off, label to vif or VRF.

use encap::{DecapError, Label, Outer, ecn};
use flow_table::{Context, Family};

use crate::broadcast::Broadcast;
use crate::drop::DropReason;
use crate::fib;
use crate::ids::{TunnelId, VifSlot};
use crate::packet::ethernet::Ethernet;
use crate::packet::ip::Ip;
use crate::packet::{Packet, write_at};
use crate::snapshot::{LabelTarget, Snapshot};
use crate::stage::link;
use crate::stage::plan::is_multicast;
use crate::verdict::{Flow, Ingress, Prepared, vrf_context};

/// What a label means here.
enum Meaning<'s> {
    /// One pod, or a lookup.
    One(LabelTarget),
    /// All pods of a VRF.
    All(&'s Broadcast),
}

/// Looks at a frame from the uplink and leaves the inner packet, its ECN field combined with
/// the outer one.
#[inline(always)]
pub(crate) fn prepare(snapshot: &Snapshot, packet: &mut Packet<'_>, into: &mut Prepared) {
    let mut vif = None;
    if let Err(reason) = decapsulate(snapshot, (packet, into), &mut vif) {
        *into = Prepared::Drop { vif, reason };
    }
}

/// `vif` is set as soon as the label has named it, so that later drops are laid at its door.
#[inline(always)]
fn decapsulate(
    snapshot: &Snapshot,
    (packet, into): (&mut Packet<'_>, &mut Prepared),
    vif: &mut Option<VifSlot>,
) -> Result<(), DropReason> {
    let ethernet = Ethernet::parse(packet.bytes())?;
    let fabric = &snapshot.fabric;
    if Some(ethernet.dst) != fabric.mac {
        return Err(DropReason::NotForUs);
    }
    packet.pull(ethernet.len);
    match Ip::family_of(packet.bytes()) {
        Some(Family::V4) => {
            let outer = encap::decapsulate_v4(packet.bytes(), &fabric.ports).map_err(reason)?;
            enter(snapshot, &outer, (packet, into), vif)
        }
        Some(Family::V6) => enter_over_v6(snapshot, (packet, into), vif),
        None => Err(DropReason::MalformedTunnel),
    }
}

/// Apart from IPv4, so that neither family has its headers copied to where the other's would be.
#[inline(never)]
fn enter_over_v6(
    snapshot: &Snapshot,
    (packet, into): (&mut Packet<'_>, &mut Prepared),
    vif: &mut Option<VifSlot>,
) -> Result<(), DropReason> {
    let fabric = &snapshot.fabric;
    let outer =
        encap::decapsulate_v6(packet.bytes(), &fabric.ports, fabric.zero_checksum6).map_err(reason)?;
    enter(snapshot, &outer, (packet, into), vif)
}

/// What the label means, and whether the sender is one of ours.
#[inline(always)]
fn enter(
    snapshot: &Snapshot,
    outer: &Outer,
    (packet, into): (&mut Packet<'_>, &mut Prepared),
    vif: &mut Option<VifSlot>,
) -> Result<(), DropReason> {
    if outer.dst != snapshot.fabric.address {
        return Err(DropReason::NotForUs);
    }
    let meaning = meaning(snapshot, outer.label)?;
    let target = meaning.target();
    let context = match target {
        LabelTarget::Vif(slot) => {
            *vif = Some(slot);
            Context(snapshot.vif(slot).ok_or(DropReason::InvalidLabel)?.id.0)
        }
        LabelTarget::Vrf(vrf) => vrf_context(vrf),
    };
    let (family, address) = fib::family_and_addr(outer.src);
    let peer = snapshot.tunnel_by_address(family, address).ok_or(DropReason::TunnelSourceMismatch)?;
    meaning.check(peer, outer.ttl)?;

    let ingress = Ingress::Fabric { target, peer };
    let outer_ecn = outer.ecn();
    packet.truncate(outer.payload.end);
    packet.pull(outer.payload.start);
    match Ip::family_of(packet.bytes()) {
        Some(Family::V4) => admit(Family::V4, (ingress, context), &meaning, outer_ecn, (packet, into)),
        Some(Family::V6) => admit_v6((ingress, context), &meaning, outer_ecn, (packet, into)),
        None => Err(DropReason::MalformedMpls),
    }
}

/// Apart from IPv4, so that neither family has its headers copied to where the other's would be.
#[inline(never)]
fn admit_v6(
    from: (Ingress, Context),
    meaning: &Meaning<'_>,
    outer: ecn::Ecn,
    place: (&mut Packet<'_>, &mut Prepared),
) -> Result<(), DropReason> {
    admit(Family::V6, from, meaning, outer, place)
}

/// Looks at the inner packet.
#[inline(always)]
fn admit(
    family: Family,
    (ingress, context): (Ingress, Context),
    meaning: &Meaning<'_>,
    outer: ecn::Ecn,
    (packet, into): (&mut Packet<'_>, &mut Prepared),
) -> Result<(), DropReason> {
    let mut ip = Ip::parse(family, packet.bytes())?;
    packet.truncate(ip.len);
    link::refuse_from_fabric(family, ip.l4, ip.tuple.dst)?;
    ip.tos = combine_ecn(packet, family, ip.tos, outer)?;
    let flow = Flow { ingress, ip, context };
    match meaning {
        Meaning::One(_) => *into = Prepared::Flow(flow),
        Meaning::All(broadcast) if broadcast.carries(family, ip.l4, ip.tuple.dst) => {
            *into = Prepared::Broadcast(flow);
        }
        Meaning::All(_) if is_multicast(family, ip.tuple.dst) => {
            return Err(DropReason::MulticastUnsupported);
        }
        Meaning::All(_) => return Err(DropReason::LabelDestinationMismatch),
    }
    Ok(())
}

#[inline(always)]
fn meaning(snapshot: &Snapshot, label: Label) -> Result<Meaning<'_>, DropReason> {
    match snapshot.label(label) {
        Some(target) => Ok(Meaning::One(target)),
        None => other_meaning(snapshot, label),
    }
}

/// What a label means that names neither a pod nor a VRF. Nobody is given a label below 16 (RFC 3032 section 2.1).
#[cold]
fn other_meaning(snapshot: &Snapshot, label: Label) -> Result<Meaning<'_>, DropReason> {
    if label.is_explicit_null() {
        // RFC 3032 section 2.1: the stack ends here and the inner header decides.
        let vrf = snapshot.fabric.explicit_null.ok_or(DropReason::ReservedLabel)?;
        return Ok(Meaning::One(LabelTarget::Vrf(vrf)));
    }
    match snapshot.broadcast_by_label(label) {
        Some(broadcast) => Ok(Meaning::All(broadcast)),
        None if snapshot.is_quarantined(label) => Err(DropReason::LabelQuarantined),
        None => Err(DropReason::InvalidLabel),
    }
}

impl Meaning<'_> {
    #[inline(always)]
    fn target(&self) -> LabelTarget {
        match self {
            Meaning::One(target) => *target,
            Meaning::All(broadcast) => LabelTarget::Vrf(broadcast.vrf()),
        }
    }

    /// RFC 3443 section 3.1: an entry that arrives with TTL 0 is not forwarded; where a lookup is
    /// still to be done, the hop to it costs one. A packet for all has come as far as it goes: 1 is
    /// what hosts send to groups. Only nodes that hear our broadcasts may send theirs.
    #[inline(always)]
    fn check(&self, peer: TunnelId, ttl: u8) -> Result<(), DropReason> {
        match (self, ttl) {
            (Meaning::All(broadcast), _) if !broadcast.has_node(peer) => {
                Err(DropReason::TunnelSourceMismatch)
            }
            (_, 0) | (Meaning::One(LabelTarget::Vrf(_)), 1) => Err(DropReason::TtlExceeded),
            (Meaning::One(LabelTarget::Vif(_) | LabelTarget::Vrf(_)) | Meaning::All(_), _) => Ok(()),
        }
    }
}

/// The ECN field after both headers (RFC 6040 section 4.2), in the packet too; RFC 1624 for the header checksum of
/// IPv4.
#[inline(always)]
fn combine_ecn(
    packet: &mut Packet<'_>,
    family: Family,
    inner_tos: u8,
    outer: ecn::Ecn,
) -> Result<u8, DropReason> {
    let inner = ecn::Ecn::from_tos(inner_tos);
    let combined = ecn::decapsulate(inner, outer).map_err(|_| DropReason::EcnViolation)?;
    if combined == inner {
        return Ok(inner_tos);
    }
    let tos = combined.set_in(inner_tos);
    write_tos(packet.bytes_mut(), family, inner_tos, tos);
    Ok(tos)
}

#[cold]
fn write_tos(bytes: &mut [u8], family: Family, old: u8, tos: u8) {
    match family {
        Family::V4 => {
            let checksum = crate::packet::u16_at(bytes, 10).unwrap_or_default();
            let delta = encap::Delta::NONE.replace_u16(u16::from(old), u16::from(tos));
            write_at(bytes, 1, [tos]);
            write_at(bytes, 10, delta.apply(checksum).to_be_bytes());
        }
        Family::V6 => {
            let second = bytes.get(1).copied().unwrap_or_default();
            write_at(bytes, 0, [0x60 | tos >> 4, tos << 4 | second & 0x0f]);
        }
    }
}

fn reason(error: DecapError) -> DropReason {
    match error {
        DecapError::Truncated | DecapError::BadHeader | DecapError::UdpLength => DropReason::MalformedTunnel,
        DecapError::NotUdp | DecapError::WrongPort => DropReason::NotForUs,
        DecapError::HeaderChecksum | DecapError::UdpChecksum => DropReason::TunnelChecksum,
        DecapError::Fragment => DropReason::TunnelFragment,
        DecapError::MplsTruncated
        | DecapError::StackTooDeep
        | DecapError::NotBottom
        | DecapError::InnerUnknown => DropReason::MalformedMpls,
        DecapError::ReservedLabel => DropReason::ReservedLabel,
    }
}
