//! From another node: outer headers off, label read (RFC 7510, RFC 3032, RFC 6040).

use std::net::IpAddr;

use dataplane::drop::DropReason;
use encap::Udp6Checksum;

use crate::broadcast;
use crate::bytes::{checksum, pseudo, u16_at, u32_at};
use crate::packet::{self, Kind, Packet};
use crate::plan::Ingress;
use crate::rewrite::fix_header;
use crate::router::Router;

struct Outer<'a> {
    src: IpAddr,
    dst: IpAddr,
    ecn: u8,
    payload: &'a [u8],
}

struct Entry {
    label: u32,
    bottom: bool,
    ttl: u8,
}

/// A packet taken off, or why not, with the vif that its label has named by then.
pub type Taken = Result<(Ingress, Packet), (Option<Ingress>, DropReason)>;

/// Takes the outer headers off a frame from the uplink.
pub fn take(router: &Router, frame: &[u8]) -> Taken {
    let bare = |reason| (None, reason);
    let header = if u16_at(frame, 12) == Some(0x8100) { 18 } else { 14 };
    let packet = frame.get(header..).ok_or(bare(DropReason::MalformedEthernet))?;
    let own = router.desired.underlay.uplink.as_ref().map(|uplink| uplink.mac.0);
    if own.as_ref().map(|mac| &mac[..]) != frame.get(..6) {
        return Err(bare(DropReason::NotForUs));
    }
    let outer = ip(packet).map_err(bare)?;
    let datagram = udp(router, &outer).map_err(bare)?;
    let (entry, inner) = stack(datagram).map_err(bare)?;
    if !matches!(inner.first().map(|byte| byte >> 4), Some(4 | 6)) {
        return Err(bare(DropReason::MalformedMpls));
    }
    if outer.dst != router.desired.node.tunnel_address {
        return Err(bare(DropReason::NotForUs));
    }
    let ingress = ingress(router, entry.label, outer.src).map_err(bare)?;
    let named = ingress.vif().map(|_| ingress.clone());
    let inner = judge(router, &ingress, &entry, &outer, inner).map_err(|reason| (named, reason))?;
    Ok((ingress, inner))
}

fn judge(
    router: &Router,
    ingress: &Ingress,
    entry: &Entry,
    outer: &Outer<'_>,
    inner: &[u8],
) -> Result<Packet, DropReason> {
    if !router.state.endpoints.contains(&outer.src) {
        return Err(DropReason::TunnelSourceMismatch);
    }
    if let Ingress::AllLabel(vrf, node) = ingress
        && !broadcast::of(router, vrf).is_some_and(|all| all.nodes.iter().any(|to| to.node == *node))
    {
        return Err(DropReason::TunnelSourceMismatch);
    }
    let routed_here = matches!(ingress, Ingress::VrfLabel(..));
    if entry.ttl == 0 || entry.ttl == 1 && routed_here {
        return Err(DropReason::TtlExceeded);
    }
    let packet = packet::parse(inner[0] >> 4, inner)?;
    if packet.is_of_the_link() {
        let is_advertisement = packet.kind == Kind::RouterAdvertisement;
        return Err(if is_advertisement { DropReason::RaGuard } else { DropReason::OffLink });
    }
    combine_ecn(packet, outer.ecn)
}

fn ip(packet: &[u8]) -> Result<Outer<'_>, DropReason> {
    let malformed = DropReason::MalformedTunnel;
    match packet.first().map(|byte| byte >> 4) {
        Some(4) => {
            let fixed = packet.get(..20).ok_or(malformed)?;
            let header = usize::from(fixed[0] & 15) * 4;
            let len = usize::from(u16_at(fixed, 2).unwrap_or(0));
            if header < 20 || len < header || len > packet.len() {
                return Err(malformed);
            }
            if checksum(&[&packet[..header]]) != 0 {
                return Err(DropReason::TunnelChecksum);
            }
            if fixed[6] & 0x3f != 0 || fixed[7] != 0 {
                return Err(DropReason::TunnelFragment);
            }
            let four = |at: usize| IpAddr::from([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
            let outer =
                Outer { src: four(12), dst: four(16), ecn: fixed[1] & 3, payload: &packet[header..len] };
            if fixed[9] == 17 { Ok(outer) } else { Err(DropReason::NotForUs) }
        }
        Some(6) => {
            let fixed = packet.get(..40).ok_or(malformed)?;
            let len = 40 + usize::from(u16_at(fixed, 4).unwrap_or(0));
            let payload = packet.get(40..len).ok_or(malformed)?;
            let sixteen = |at: usize| <[u8; 16]>::try_from(&fixed[at..at + 16]).map(IpAddr::from);
            let src = sixteen(8).map_err(|_| malformed)?;
            let dst = sixteen(24).map_err(|_| malformed)?;
            match fixed[6] {
                17 => Ok(Outer { src, dst, ecn: fixed[1] >> 4 & 3, payload }),
                44 => Err(DropReason::TunnelFragment),
                _ => Err(DropReason::NotForUs),
            }
        }
        _ => Err(malformed),
    }
}

fn udp<'a>(router: &Router, outer: &Outer<'a>) -> Result<&'a [u8], DropReason> {
    let node = &router.desired.node;
    let header = outer.payload.get(..8).ok_or(DropReason::MalformedTunnel)?;
    let port = u16_at(header, 2);
    if port != Some(node.udp_port) && (port.is_none() || port != node.legacy_udp_port) {
        return Err(DropReason::NotForUs);
    }
    let len = usize::from(u16_at(header, 4).unwrap_or(0));
    let datagram = outer.payload.get(..len).filter(|_| len >= 8).ok_or(DropReason::MalformedTunnel)?;
    let zero_is_right = outer.src.is_ipv4() || node.outer.udp6_checksum == Udp6Checksum::Zero;
    let right = match u16_at(header, 6) {
        Some(0) => zero_is_right,
        _ => checksum(&[&pseudo(outer.src, outer.dst, 17, len), datagram]) == 0,
    };
    if right { Ok(&datagram[8..]) } else { Err(DropReason::TunnelChecksum) }
}

fn stack(datagram: &[u8]) -> Result<(Entry, &[u8]), DropReason> {
    let entry = |number: usize| {
        let word = u32_at(datagram, 4 * number).filter(|_| number < 16)?;
        Some(Entry { label: word >> 12, bottom: word & 0x100 != 0, ttl: word as u8 })
    };
    let mut decides: Option<Entry> = None;
    let mut number = 0;
    loop {
        let mut top = entry(number).ok_or(DropReason::MalformedMpls)?;
        let (label, mut bottom) = (top.label, top.bottom);
        number += 1;
        match label {
            0xf_ffff if !bottom => {}
            7 if !bottom => {
                top = entry(number).ok_or(DropReason::MalformedMpls)?;
                bottom = top.bottom;
                number += 1;
            }
            0 | 2 | 16.. => {
                if decides.is_some_and(|above| above.label >= 16) {
                    return Err(DropReason::MalformedMpls);
                }
                decides = Some(top);
            }
            _ => return Err(DropReason::ReservedLabel),
        }
        if bottom {
            let entry = decides.ok_or(DropReason::ReservedLabel)?;
            return Ok((entry, &datagram[4 * number..]));
        }
    }
}

fn ingress(router: &Router, label: u32, node: IpAddr) -> Result<Ingress, DropReason> {
    let desired = &router.desired;
    if label < 16 {
        let vrf = desired.node.explicit_null_vrf.clone().ok_or(DropReason::ReservedLabel)?;
        return Ok(Ingress::VrfLabel(vrf, node));
    }
    if let Some(vif) = desired.vifs.iter().find(|vif| vif.label.get() == label) {
        return Ok(Ingress::VifLabel(vif.name.clone(), node));
    }
    let vrf = desired.vrfs.iter().find(|vrf| vrf.label.is_some_and(|own| own.get() == label));
    let all = desired.broadcasts.iter().find(|all| all.label.is_some_and(|own| own.get() == label));
    let ingress = vrf.map(|vrf| Ingress::VrfLabel(vrf.name.clone(), node));
    ingress.or(all.map(|all| Ingress::AllLabel(all.vrf.clone(), node))).ok_or(DropReason::InvalidLabel)
}

/// RFC 6040 figure 4: rows are the inner field, columns the outer one, both 00, 01, 10, 11.
fn combine_ecn(mut packet: Packet, outer: u8) -> Result<Packet, DropReason> {
    const DROP: u8 = 4;
    const TABLE: [[u8; 4]; 4] = [[0, 0, 0, DROP], [1, 1, 1, 3], [2, 1, 2, 3], [3, 3, 3, 3]];
    let combined = TABLE[usize::from(packet.tos & 3)][usize::from(outer)];
    if combined == DROP {
        return Err(DropReason::EcnViolation);
    }
    packet.tos = packet.tos & !3 | combined;
    let before = packet.bytes.clone();
    if packet.tuple.src.is_ipv4() {
        packet.bytes[1] = packet.tos;
    } else {
        packet.bytes[1] = packet.tos << 4 | before[1] & 15;
    }
    fix_header(&before, &mut packet.bytes);
    Ok(packet)
}
