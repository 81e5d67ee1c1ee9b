//! ARP (RFC 826) and the messages of the link (RFC 4861, RFC 3376, RFC 3810) from a pod.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dataplane::desired::Vif;
use dataplane::drop::DropReason;
use dataplane::ids::Mac;

use crate::answer;
use crate::bytes::{checksum, octets, pseudo, put};
use crate::fib;
use crate::packet::{Kind, Packet};
use crate::router::Router;

/// What a question gets.
pub enum Reply {
    /// Nothing; it was for nobody else.
    Nothing,
    /// An ARP packet.
    Arp(Vec<u8>),
    /// An IPv6 packet.
    Ip(Vec<u8>),
}

/// Takes an ARP packet, which starts behind the Ethernet header.
///
/// # Errors
/// The reason to drop it for.
pub fn arp(router: &Router, vif: &Vif, body: &[u8]) -> Result<Reply, DropReason> {
    let body = body.get(..28).ok_or(DropReason::MalformedArp)?;
    if body[..6] != [0, 1, 8, 0, 6, 4] {
        return Err(DropReason::MalformedArp);
    }
    let four = |at: usize| Ipv4Addr::new(body[at], body[at + 1], body[at + 2], body[at + 3]);
    let (sender, target) = (four(14), four(24));
    let own = |address: Ipv4Addr| vif.addresses.contains(&IpAddr::V4(address));
    if body[8..14] != vif.mac.0 {
        return Err(DropReason::SpoofedMac);
    }
    if !sender.is_unspecified() && !own(sender) {
        return Err(DropReason::SpoofedSource);
    }
    match body[6..8] {
        [0, 2] => Ok(Reply::Nothing),
        [0, 1] if own(target) => Ok(Reply::Nothing),
        [0, 1] if target == vif.gateway_v4 || fib::has_route(&router.desired, &vif.vrf, target.into()) => {
            let halves = [&Mac::GATEWAY.0[..], &target.octets(), &vif.mac.0, &sender.octets()].concat();
            Ok(Reply::Arp([&[0, 1, 8, 0, 6, 4, 0, 2], &halves[..]].concat()))
        }
        [0, 1] => Err(DropReason::NoRoute),
        _ => Err(DropReason::MalformedArp),
    }
}

/// Takes a message of the link.
///
/// # Errors
/// The reason to drop it for.
pub fn link(router: &Router, vif: &Vif, packet: &Packet) -> Result<Reply, DropReason> {
    match packet.kind {
        Kind::Solicitation => solicitation(router, vif, packet),
        Kind::Advertisement => match (target(packet)?, packet.tuple.src) {
            (_, src) if !may_be(vif, src) => Err(DropReason::SpoofedSource),
            (target, _) if !may_be(vif, target.into()) => Err(DropReason::SpoofedNeighbour),
            _ => Ok(Reply::Nothing),
        },
        Kind::RouterAdvertisement => Err(DropReason::RaGuard),
        _ => Ok(Reply::Nothing),
    }
}

/// Whether an address is the pod's, or a link-local one that is not the gateway's.
pub fn may_be(vif: &Vif, address: IpAddr) -> bool {
    let link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    link_local && address != IpAddr::V6(vif.gateway_v6) || vif.addresses.contains(&address)
}

/// RFC 4861 sections 7.1.1 and 7.1.2.
fn target(packet: &Packet) -> Result<Ipv6Addr, DropReason> {
    let message = &packet.bytes[packet.l4..];
    let octets: [u8; 16] =
        message.get(8..24).and_then(|octets| octets.try_into().ok()).ok_or(DropReason::MalformedL4)?;
    let target = Ipv6Addr::from(octets);
    let sum = checksum(&[&pseudo(packet.tuple.src, packet.tuple.dst, 58, message.len()), message]);
    if packet.ttl != 255 || packet.l4 != 40 || message[1] != 0 || target.is_multicast() || sum != 0 {
        return Err(DropReason::MalformedL4);
    }
    Ok(target)
}

fn solicitation(router: &Router, vif: &Vif, packet: &Packet) -> Result<Reply, DropReason> {
    let (target, src) = (target(packet)?, packet.tuple.src);
    if src == IpAddr::V6(Ipv6Addr::UNSPECIFIED) || vif.addresses.contains(&target.into()) {
        return Ok(Reply::Nothing);
    }
    if !may_be(vif, src) {
        return Err(DropReason::SpoofedSource);
    }
    if target != vif.gateway_v6 && !fib::has_route(&router.desired, &vif.vrf, target.into()) {
        return Err(DropReason::NoRoute);
    }
    let mut message = [&[136, 0, 0, 0, 0xe0, 0, 0, 0], &octets(target.into())[..]].concat();
    message.extend([2, 1]);
    message.extend(Mac::GATEWAY.0);
    let mut packet = answer::icmp(target.into(), src, message);
    put(&mut packet, 0, &[0x60, 0]);
    put(&mut packet, 7, &[255]);
    Ok(Reply::Ip(packet))
}
