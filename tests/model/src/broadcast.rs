//! Broadcast and link-local multicast: who hears a packet.

use std::net::IpAddr;

use dataplane::desired::{Broadcast, Link, Vif, VifKind};
use dataplane::drop::DropReason;
use dataplane::ids::{Mac, VrfName};

use crate::bytes::octets;
use crate::fib;
use crate::limit::Limited;
use crate::neighbour;
use crate::packet::{Kind, Packet};
use crate::pairs::Output;
use crate::plan::{self, Ingress};
use crate::router::{Arrival, Draft, Outcome, Router};
use crate::split;
use crate::way::{self, Halt};

/// What a VRF does about packets for all.
pub fn of<'r>(router: &'r Router, vrf: &VrfName) -> Option<&'r Broadcast> {
    router.desired.broadcasts.iter().find(|broadcast| broadcast.vrf == *vrf)
}

/// Whether a packet in a VRF is for all.
pub fn carries(router: &Router, vrf: &VrfName, packet: &Packet) -> bool {
    let Some(broadcast) = of(router, vrf) else { return false };
    let to_all = match packet.tuple.dst {
        IpAddr::V4(v4) => {
            let directed = broadcast.subnets.iter().any(|subnet| subnet.broadcast() == v4);
            directed || v4.is_broadcast() || v4.octets()[..3] == [224, 0, 0]
        }
        IpAddr::V6(v6) => v6.segments()[0] == 0xff02,
    };
    to_all && packet.kind != Kind::Error && packet.kind != Kind::Refused
}

/// Whether a packet from a vif is for all.
pub fn is_for_all(router: &Router, vif: &Vif, packet: &Packet) -> bool {
    vif.kind == VifKind::Pod && carries(router, &vif.vrf, packet)
}

impl Router {
    /// A packet that a node has sent to the label for all.
    pub(crate) fn take_for_all(
        &self,
        at: &Arrival,
        vrf: &VrfName,
        packet: &Packet,
        draft: Draft,
    ) -> Vec<Outcome> {
        if carries(self, vrf, packet) {
            self.replicate(at, packet, draft)
        } else if plan::is_multicast(packet.tuple.dst) {
            vec![draft.dropped(&at.port, DropReason::MulticastUnsupported)]
        } else {
            vec![draft.dropped(&at.port, DropReason::LabelDestinationMismatch)]
        }
    }

    /// The copies of a packet for all.
    pub(crate) fn replicate(&self, at: &Arrival, packet: &Packet, mut draft: Draft) -> Vec<Outcome> {
        let vrf = match self.admit_for_all(at, packet, &mut draft) {
            Ok(vrf) => vrf,
            Err(reason) => return vec![draft.dropped(&at.port, reason)],
        };
        let targets = self.hearers(&at.ingress, &vrf);
        if targets.is_empty() {
            return vec![draft.dropped(&at.port, DropReason::NoMember)];
        }
        draft.count("generated", targets.len() as u64 - 1);
        let mut emitted = Vec::new();
        for (output, hearer) in targets {
            let open = match self.may_hear(output, packet) {
                true => way::check(self, output, packet.bytes.len()),
                false => Err(DropReason::PolicyDenied.into()),
            };
            let pieces = match (open, output) {
                (Ok(()), _) => vec![packet.bytes.clone()],
                (Err(Halt::TooBig(mtu)), Output::Tunnel(..)) if split::is_allowed(packet, mtu) => {
                    split::cut(&packet.bytes, mtu)
                }
                (Err(halt), _) => {
                    let port = if at.ingress.vif().is_some() { &at.port } else { &hearer };
                    draft.count(&format!("{port}.{}", halt.reason().name()), 1);
                    continue;
                }
            };
            draft.count("generated", pieces.len() as u64 - 1);
            for piece in pieces {
                let Some(mut left) = way::leave(self, output, &piece) else { continue };
                if let Output::Vif(_) = output {
                    left.frame[..6].copy_from_slice(&group(packet.tuple.dst).0);
                }
                emitted.push(left);
            }
        }
        vec![draft.sent(emitted)]
    }

    /// The VRF of a packet that may go to all.
    fn admit_for_all(&self, at: &Arrival, packet: &Packet, draft: &mut Draft) -> Result<VrfName, DropReason> {
        let src = packet.tuple.src;
        plan::refuse_strange(&packet.tuple)?;
        if packet.ttl == 0 {
            return Err(DropReason::TtlExceeded);
        }
        match &at.ingress {
            Ingress::Vif(name) => {
                let vif = fib::vif(&self.desired, name).ok_or(DropReason::UnknownVif)?;
                let slot = self.ids.vif(name).ok_or(DropReason::UnknownVif)?.slot;
                if !neighbour::may_be(vif, src) {
                    return Err(DropReason::SpoofedSource);
                }
                if !self.may_cause(Limited::Broadcasts, slot, &mut draft.state) {
                    return Err(DropReason::BroadcastRatelimited);
                }
                if !self.may_speak(vif, packet) {
                    return Err(DropReason::PolicyDenied);
                }
                Ok(vif.vrf.clone())
            }
            Ingress::VifLabel(..) => Err(DropReason::InvalidLabel),
            Ingress::VrfLabel(vrf, node) | Ingress::AllLabel(vrf, node) => {
                let link_local = matches!(src, IpAddr::V6(v6) if v6.is_unicast_link_local());
                if !link_local && plan::ways_back(self, vrf, *node, &packet.tuple, None).is_empty() {
                    return Err(DropReason::TunnelSourceMismatch);
                }
                Ok(vrf.clone())
            }
        }
    }

    /// Where copies go, each with the name of the port.
    fn hearers(&self, ingress: &Ingress, vrf: &VrfName) -> Vec<(Output, String)> {
        let hears = |vif: &&Vif| {
            let other = ingress.vif() != Some(&vif.name);
            vif.vrf == *vrf && vif.kind == VifKind::Pod && vif.link == Link::Up && other
        };
        let vifs = self.desired.vifs.iter().filter(hears);
        let mut targets: Vec<_> = vifs
            .filter_map(|vif| Some((Output::Vif(self.ids.vif(&vif.name)?.id), vif.name.to_string())))
            .collect();
        if let Ingress::Vif(_) = ingress {
            let nodes = of(self, vrf).map_or(&[][..], |broadcast| &broadcast.nodes);
            targets.extend(
                nodes.iter().map(|to| (Output::Tunnel(to.node, to.label.get()), "uplink".to_owned())),
            );
        }
        targets
    }
}

/// RFC 1112 section 6.4, RFC 2464 section 7.
fn group(dst: IpAddr) -> Mac {
    let octets = octets(dst);
    match dst {
        IpAddr::V4(v4) if v4.is_multicast() => {
            Mac([0x01, 0x00, 0x5e, octets[1] & 0x7f, octets[2], octets[3]])
        }
        IpAddr::V4(_) => Mac::BROADCAST,
        IpAddr::V6(_) => Mac([0x33, 0x33, octets[12], octets[13], octets[14], octets[15]]),
    }
}
