//! ARP from a pod (RFC 826): answered with the gateway MAC for everything that is routed.

use flow_table::{Addr, Family};

use crate::drop::DropReason;
use crate::ids::{Mac, VifSlot};
use crate::packet::ethernet::{TAGGED_HEADER, TYPE_ARP, TYPE_IPV4, write_to_vif};
use crate::packet::{Packet, array_at, u16_at, write_at};
use crate::pipeline::Pipeline;
use crate::snapshot::{Snapshot, Vif};
use crate::stage::neighbour;
use crate::verdict::{Verdict, Way};

const HARDWARE_ETHERNET: u16 = 1;
const REQUEST: u16 = 1;
const REPLY: u16 = 2;
/// Length of an ARP packet for IPv4 over Ethernet.
const LEN: usize = 28;

struct Arp {
    operation: u16,
    sender_mac: Mac,
    sender: Addr,
    target: Addr,
}

impl Arp {
    fn parse(bytes: &[u8]) -> Option<Arp> {
        let body: [u8; LEN] = array_at(bytes, 0)?;
        let form = (u16_at(&body, 0)?, u16_at(&body, 2)?, body[4], body[5]);
        if form != (HARDWARE_ETHERNET, TYPE_IPV4, 6, 4) {
            return None;
        }
        Some(Arp {
            operation: u16_at(&body, 6)?,
            sender_mac: Mac(array_at(&body, 8)?),
            sender: Addr::from_v4(array_at(&body, 14)?),
            target: Addr::from_v4(array_at(&body, 24)?),
        })
    }
}

/// Takes an ARP packet and, for a request we answer, turns the frame into the reply.
pub(crate) fn answer(
    pipeline: &Pipeline<'_>,
    slot: VifSlot,
    packet: &mut Packet<'_>,
) -> Result<Verdict, DropReason> {
    let snapshot = pipeline.snapshot;
    let vif = snapshot.vif(slot).ok_or(DropReason::UnknownVif)?;
    let body = packet.bytes().get(TAGGED_HEADER..).unwrap_or_default();
    let arp = Arp::parse(body).ok_or(DropReason::MalformedArp)?;
    if arp.sender_mac != vif.mac {
        return Err(DropReason::SpoofedMac);
    }
    // RFC 5227 section 2.1.1: a probe has no sender address yet.
    if arp.sender != Addr(0) && !vif.has_address(Family::V4, arp.sender) {
        return Err(DropReason::SpoofedSource);
    }
    match arp.operation {
        REQUEST if vif.has_address(Family::V4, arp.target) => Ok(Verdict::Consumed),
        REQUEST if is_ours_or_routed(snapshot, vif, arp.target) => {
            neighbour::limit(pipeline, vif.slot)?;
            Ok(reply(vif, &arp, packet))
        }
        REQUEST => Err(DropReason::NoRoute),
        REPLY => Ok(Verdict::Consumed),
        _ => Err(DropReason::MalformedArp),
    }
}

fn is_ours_or_routed(snapshot: &Snapshot, vif: &Vif, target: Addr) -> bool {
    let routed = || snapshot.vrf(vif.vrf).is_some_and(|vrf| vrf.lookup(Family::V4, target).is_some());
    vif.is_gateway(Family::V4, target) || routed()
}

fn reply(vif: &Vif, request: &Arp, packet: &mut Packet<'_>) -> Verdict {
    packet.truncate(TAGGED_HEADER + LEN);
    let frame = packet.bytes_mut();
    write_to_vif(frame, vif.mac, vif.slot, TYPE_ARP);
    let body = frame.get_mut(TAGGED_HEADER..).unwrap_or_default();
    write_at(body, 6, REPLY.to_be_bytes());
    write_at(body, 8, Mac::GATEWAY.0);
    write_at(body, 14, (request.target.0 as u32).to_be_bytes());
    write_at(body, 18, vif.mac.0);
    write_at(body, 24, (request.sender.0 as u32).to_be_bytes());
    Verdict::Answer(Way::Vif(vif.slot))
}
