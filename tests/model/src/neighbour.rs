//! ARP (RFC 826) and neighbour solicitations (RFC 4861) from a pod.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dataplane::desired::Vif;
use dataplane::drop::DropReason;
use dataplane::ids::Mac;

use crate::answer;
use crate::bytes::{checksum, octets, pseudo, put};
use crate::fib;
use crate::packet::Packet;
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

/// Takes a neighbour solicitation.
///
/// # Errors
/// The reason to drop it for.
pub fn solicitation(router: &Router, vif: &Vif, packet: &Packet) -> Result<Reply, DropReason> {
    let message = &packet.bytes[packet.l4..];
    let octets_of_target: [u8; 16] =
        message.get(8..24).and_then(|octets| octets.try_into().ok()).ok_or(DropReason::MalformedL4)?;
    let target = Ipv6Addr::from(octets_of_target);
    let (src, dst) = (packet.tuple.src, packet.tuple.dst);
    let sum = checksum(&[&pseudo(src, dst, 58, message.len()), message]);
    // RFC 4861 section 7.1.1.
    if packet.ttl != 255 || packet.l4 != 40 || message[1] != 0 || target.is_multicast() || sum != 0 {
        return Err(DropReason::MalformedL4);
    }
    if src == IpAddr::V6(Ipv6Addr::UNSPECIFIED) || vif.addresses.contains(&target.into()) {
        return Ok(Reply::Nothing);
    }
    let link_local = matches!(src, IpAddr::V6(v6) if v6.is_unicast_link_local());
    if !link_local && !vif.addresses.contains(&src) {
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
