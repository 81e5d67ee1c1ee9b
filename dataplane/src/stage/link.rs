//! Messages between the hosts and the router of one link: neighbour discovery, IGMP, MLD. The vrouter
//! is the router, and every vif is a link of its own, so none of them is ever forwarded.

use flow_table::{Addr, Family};

use super::neighbour;
use super::plan::is_multicast;
use crate::drop::DropReason;
use crate::ids::VifSlot;
use crate::packet::Packet;
use crate::packet::ip::Ip;
use crate::packet::l4::{Discovery, L4};
use crate::pipeline::Pipeline;
use crate::verdict::{LinkMessage, Verdict};

/// The message, if the packet is one of those.
#[inline(always)]
pub(crate) fn message(family: Family, l4: L4, dst: Addr) -> Option<LinkMessage> {
    match l4 {
        L4::Discovery(discovery) => Some(LinkMessage::Discovery(discovery)),
        // To a single host, tools speak IGMP and MLD over any distance.
        L4::GroupMembership if is_multicast(family, dst) => Some(LinkMessage::GroupMembership),
        L4::GroupMembership
        | L4::Tcp(_)
        | L4::Udp
        | L4::Sctp
        | L4::Echo(_)
        | L4::IcmpError
        | L4::IcmpRefused
        | L4::IcmpOther
        | L4::Other
        | L4::Absent => None,
    }
}

/// Takes a message from a vif.
pub(crate) fn take(
    pipeline: &Pipeline<'_>,
    (slot, message): (VifSlot, LinkMessage),
    ip: &Ip,
    packet: &mut Packet<'_>,
) -> Result<Verdict, DropReason> {
    match message {
        LinkMessage::Discovery(Discovery::Solicitation) => neighbour::answer(pipeline, slot, ip, packet),
        LinkMessage::Discovery(Discovery::Advertisement) => {
            neighbour::hear(pipeline.snapshot, slot, ip, packet.bytes())
        }
        LinkMessage::Discovery(Discovery::RouterAdvertisement) => Err(DropReason::RaGuard),
        // A pod is given its routes when it is attached, and every group is delivered to all: there is
        // nothing to say, and nothing to remember.
        LinkMessage::Discovery(Discovery::RouterSolicitation) | LinkMessage::GroupMembership => {
            Ok(Verdict::Consumed)
        }
    }
}

/// Refuses what can not have come from another link (RFC 4861 section 7.1.1, RFC 2236 section 2).
#[inline(always)]
pub(crate) fn refuse_from_fabric(family: Family, l4: L4, dst: Addr) -> Result<(), DropReason> {
    match message(family, l4, dst) {
        None => Ok(()),
        Some(LinkMessage::Discovery(Discovery::RouterAdvertisement)) => Err(DropReason::RaGuard),
        Some(LinkMessage::Discovery(_) | LinkMessage::GroupMembership) => Err(DropReason::OffLink),
    }
}
