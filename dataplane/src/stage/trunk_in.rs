//! From a vif: the VLAN names it, the MAC addresses must be the pod's and ours.

use flow_table::{Context, Family, FlowKey};

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
pub(crate) fn prepare(snapshot: &Snapshot, packet: &mut Packet<'_>) -> Prepared {
    let (vif, ethernet) = match vif_of(snapshot, packet.bytes()) {
        Ok(found) => found,
        Err(reason) => return Prepared::Drop { vif: None, reason },
    };
    match classify(snapshot, vif, ethernet, packet) {
        Ok(prepared) => prepared,
        Err(reason) => Prepared::Drop { vif: Some(vif.slot), reason },
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
    packet: &mut Packet<'_>,
) -> Result<Prepared, DropReason> {
    if ethernet.src != vif.mac {
        return Err(DropReason::SpoofedMac);
    }
    if ethernet.dst != Mac::GATEWAY && !ethernet.dst.is_group() {
        return Err(DropReason::NotForUs);
    }
    let family = match ethernet.ethertype {
        ethernet::TYPE_IPV4 => Family::V4,
        ethernet::TYPE_IPV6 => Family::V6,
        ethernet::TYPE_ARP => return Ok(Prepared::Arp { vif: vif.slot }),
        ethernet::TYPE_VLAN => return Err(DropReason::MalformedEthernet),
        _ => return Err(DropReason::UnsupportedEthertype),
    };
    let ip = Ip::parse(family, packet.bytes().get(TAGGED_HEADER..).unwrap_or_default())?;
    if let Some(message) = link::message(family, &ip) {
        return Ok(Prepared::Link { vif: vif.slot, message, ip });
    }
    let is_for_all = broadcast::is_for_all(snapshot, vif, (family, &ip));
    // RFC 1812 section 5.3.4: a unicast packet in a group frame is not forwarded.
    if !is_for_all && ethernet.dst.is_group() && !is_multicast(family, ip.tuple.dst) {
        return Err(DropReason::NotForUs);
    }
    packet.pull(TAGGED_HEADER);
    packet.truncate(ip.len);
    let key = FlowKey { context: Context(vif.id.0), tuple: ip.tuple };
    let flow = Flow { ingress: Ingress::Vif(vif.slot), ip, key };
    Ok(if is_for_all { broadcast::prepared(flow) } else { Prepared::Flow(flow) })
}
