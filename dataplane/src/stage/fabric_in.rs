//! From another node: outer headers off, label to vif or VRF.

use encap::{DecapError, Label, ecn};
use flow_table::{Context, FlowKey};

use crate::broadcast::Broadcast;
use crate::drop::DropReason;
use crate::fib;
use crate::ids::{TunnelId, VifSlot};
use crate::packet::ethernet::Ethernet;
use crate::packet::ip::Ip;
use crate::packet::{Packet, write_at};
use crate::snapshot::{LabelTarget, Snapshot};
use crate::stage::plan::is_multicast;
use crate::stage::{broadcast, link};
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
pub(crate) fn prepare(snapshot: &Snapshot, packet: &mut Packet<'_>) -> Prepared {
    let mut vif = None;
    match decapsulate(snapshot, packet, &mut vif) {
        Ok(prepared) => prepared,
        Err(reason) => Prepared::Drop { vif, reason },
    }
}

/// `vif` is set as soon as the label has named it, so that later drops are laid at its door.
#[inline(always)]
fn decapsulate(
    snapshot: &Snapshot,
    packet: &mut Packet<'_>,
    vif: &mut Option<VifSlot>,
) -> Result<Prepared, DropReason> {
    let ethernet = Ethernet::parse(packet.bytes())?;
    let fabric = &snapshot.fabric;
    if Some(ethernet.dst) != fabric.mac {
        return Err(DropReason::NotForUs);
    }
    packet.pull(ethernet.len);
    let outer = encap::decapsulate(packet.bytes(), &fabric.ports, fabric.zero_checksum6).map_err(reason)?;
    if outer.dst != fabric.address {
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

    let outer_ecn = outer.ecn();
    packet.truncate(outer.payload.end);
    packet.pull(outer.payload.start);
    let family = Ip::family_of(packet.bytes()).ok_or(DropReason::MalformedMpls)?;
    let mut ip = Ip::parse(family, packet.bytes())?;
    packet.truncate(ip.len);
    link::refuse_from_fabric(family, &ip)?;
    combine_ecn(packet, &mut ip, outer_ecn)?;
    let key = FlowKey { context, tuple: ip.tuple };
    let flow = Flow { ingress: Ingress::Fabric { target, peer }, ip, key };
    match meaning {
        Meaning::One(_) => Ok(Prepared::Flow(flow)),
        Meaning::All(broadcast) if broadcast.carries(family, &ip) => Ok(broadcast::prepared(flow)),
        Meaning::All(_) if is_multicast(family, ip.tuple.dst) => Err(DropReason::MulticastUnsupported),
        Meaning::All(_) => Err(DropReason::LabelDestinationMismatch),
    }
}

fn meaning(snapshot: &Snapshot, label: Label) -> Result<Meaning<'_>, DropReason> {
    if label.is_explicit_null() {
        // RFC 3032 section 2.1: the stack ends here and the inner header decides.
        let vrf = snapshot.fabric.explicit_null.ok_or(DropReason::ReservedLabel)?;
        return Ok(Meaning::One(LabelTarget::Vrf(vrf)));
    }
    let one = snapshot.label(label).map(Meaning::One);
    let all = || snapshot.broadcast_by_label(label).map(Meaning::All);
    one.or_else(all).ok_or_else(|| match snapshot.is_quarantined(label) {
        true => DropReason::LabelQuarantined,
        false => DropReason::InvalidLabel,
    })
}

impl Meaning<'_> {
    fn target(&self) -> LabelTarget {
        match self {
            Meaning::One(target) => *target,
            Meaning::All(broadcast) => LabelTarget::Vrf(broadcast.vrf()),
        }
    }

    /// RFC 3443 section 3.1: an entry that arrives with TTL 0 is not forwarded; where a lookup is
    /// still to be done, the hop to it costs one. A packet for all has come as far as it goes: 1 is
    /// what hosts send to groups. Only nodes that hear our broadcasts may send theirs.
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

/// RFC 6040 section 4.2, and RFC 1624 for the header checksum of IPv4.
fn combine_ecn(packet: &mut Packet<'_>, ip: &mut Ip, outer: ecn::Ecn) -> Result<(), DropReason> {
    let inner = ecn::Ecn::from_tos(ip.tos);
    let combined = ecn::decapsulate(inner, outer).map_err(|_| DropReason::EcnViolation)?;
    if combined == inner {
        return Ok(());
    }
    let tos = combined.set_in(ip.tos);
    let bytes = packet.bytes_mut();
    match ip.tuple.family {
        flow_table::Family::V4 => {
            let checksum = crate::packet::u16_at(bytes, 10).unwrap_or_default();
            let delta = encap::Delta::NONE.replace_u16(u16::from(ip.tos), u16::from(tos));
            write_at(bytes, 1, [tos]);
            write_at(bytes, 10, delta.apply(checksum).to_be_bytes());
        }
        flow_table::Family::V6 => {
            let second = bytes.get(1).copied().unwrap_or_default();
            write_at(bytes, 0, [0x60 | tos >> 4, tos << 4 | second & 0x0f]);
        }
    }
    ip.tos = tos;
    Ok(())
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
