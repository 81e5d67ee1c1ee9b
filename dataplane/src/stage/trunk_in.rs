//! From a vif: the VLAN names it, the MAC addresses must be the pod's and ours.

use flow_table::{Context, Family};

use crate::drop::DropReason;
use crate::ids::Mac;
use crate::ids::VifSlot;
use crate::packet::ethernet::{self, Ethernet};
use crate::packet::ip::Ip;
use crate::packet::{Packet, ethernet::TAGGED_HEADER};
use crate::snapshot::{Snapshot, Vif};
use crate::stage::plan::is_multicast;
use crate::stage::{broadcast, link};
use crate::verdict::{Flow, Ingress, Prepared};

/// Looks at a frame from the trunk. An IP packet is left at its IP header; ARP and messages
/// of the link keep their Ethernet header, because an answer reuses it.
#[inline(always)]
pub(crate) fn prepare(snapshot: &Snapshot, packet: &mut Packet<'_>, into: &mut Prepared) {
    let (vif, ethernet) = match vif_of(snapshot, packet.bytes()) {
        Ok(found) => found,
        Err(reason) => return *into = Prepared::Drop { vif: None, reason },
    };
    if let Err(reason) = classify(snapshot, vif, ethernet, (packet, into)) {
        *into = Prepared::Drop { vif: Some(vif.slot), reason };
    }
}

#[inline(always)]
fn vif_of<'s>(snapshot: &'s Snapshot, frame: &[u8]) -> Result<(&'s Vif, Ethernet), DropReason> {
    let ethernet = Ethernet::parse(frame)?;
    let vlan = ethernet.vlan.ok_or(DropReason::MalformedEthernet)?;
    let slot = VifSlot::new(vlan).ok_or(DropReason::MalformedEthernet)?;
    let vif = snapshot.vif(slot).ok_or(DropReason::UnknownVif)?;
    Ok((vif, ethernet))
}

#[inline(always)]
fn classify(
    snapshot: &Snapshot,
    vif: &Vif,
    ethernet: Ethernet,
    (packet, into): (&mut Packet<'_>, &mut Prepared),
) -> Result<(), DropReason> {
    if ethernet.src != vif.mac {
        return Err(DropReason::SpoofedMac);
    }
    if ethernet.dst != Mac::GATEWAY && !ethernet.dst.is_group() {
        return Err(DropReason::NotForUs);
    }
    match ethernet.ethertype {
        ethernet::TYPE_IPV4 => admit(snapshot, vif, (Family::V4, ethernet.dst), (packet, into)),
        ethernet::TYPE_IPV6 => admit_v6(snapshot, vif, ethernet.dst, (packet, into)),
        ethernet::TYPE_ARP => {
            *into = Prepared::Arp { vif: vif.slot };
            Ok(())
        }
        ethernet::TYPE_VLAN => Err(DropReason::MalformedEthernet),
        _ => Err(DropReason::UnsupportedEthertype),
    }
}

/// Apart from IPv4, so that neither family has its headers copied to where the other's would be.
#[inline(never)]
fn admit_v6(
    snapshot: &Snapshot,
    vif: &Vif,
    mac: Mac,
    place: (&mut Packet<'_>, &mut Prepared),
) -> Result<(), DropReason> {
    admit(snapshot, vif, (Family::V6, mac), place)
}

/// `mac` is where the frame was sent to.
#[inline(always)]
fn admit(
    snapshot: &Snapshot,
    vif: &Vif,
    (family, mac): (Family, Mac),
    (packet, into): (&mut Packet<'_>, &mut Prepared),
) -> Result<(), DropReason> {
    let ip = Ip::parse(family, packet.bytes().get(TAGGED_HEADER..).unwrap_or_default())?;
    if let Some(message) = link::message(family, ip.l4, ip.tuple.dst) {
        *into = Prepared::Link { vif: vif.slot, message, ip };
        return Ok(());
    }
    let is_for_all = broadcast::is_for_all(snapshot, vif, (family, ip.l4, ip.tuple.dst));
    // RFC 1812 section 5.3.4: a unicast packet in a group frame is not forwarded.
    if !is_for_all && mac.is_group() && !is_multicast(family, ip.tuple.dst) {
        return Err(DropReason::NotForUs);
    }
    packet.pull(TAGGED_HEADER);
    packet.truncate(ip.len);
    let flow = Flow { ingress: Ingress::Vif(vif.slot), ip, context: Context(vif.id.0) };
    if is_for_all {
        *into = Prepared::Broadcast(flow);
    } else {
        *into = Prepared::Flow(flow);
    }
    Ok(())
}
