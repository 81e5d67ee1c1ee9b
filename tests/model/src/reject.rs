//! Telling a sender why its packet goes no further.

use dataplane::drop::DropReason;
use dataplane::ids::VrfName;

use crate::answer;
use crate::fib;
use crate::packet::{Kind, Packet, Tuple};
use crate::pairs::Output;
use crate::plan::{self, Ingress};
use crate::router::Router;
use crate::way::Halt;

/// Where a message about this packet may go; several where an ECMP group leads back.
pub fn ways(router: &Router, ingress: &Ingress, packet: &Packet) -> Vec<Output> {
    let Some(name) = ingress.vif() else { return Vec::new() };
    let Some(vif) = fib::vif(&router.desired, name) else { return Vec::new() };
    let back = |vrf: &VrfName, node| plan::ways_back(router, vrf, node, &packet.tuple, None);
    match ingress {
        Ingress::Vif(_) if fib::may_send(&router.desired, vif, packet.tuple.src) => {
            router.ids.vif(name).map(|ids| Output::Vif(ids.id)).into_iter().collect()
        }
        Ingress::Vif(_) | Ingress::VrfLabel(..) | Ingress::AllLabel(..) => Vec::new(),
        Ingress::VifLabel(_, node) => back(&vif.vrf, *node),
    }
}

/// The message to the sender, if there is one to send (RFC 1812 section 4.3.2.7, RFC 4443 section 2.4).
pub fn message(router: &Router, ingress: &Ingress, packet: &Packet, halt: Halt) -> Option<Vec<u8>> {
    let about = match packet.kind {
        Kind::Error | Kind::Refused | Kind::LaterFragment => false,
        Kind::Tcp { flags, .. } => flags & 4 == 0,
        _ => true,
    };
    if !about || plan::refuse_martians(&packet.tuple).is_err() {
        return None;
    }
    let v4 = packet.tuple.src.is_ipv4();
    let (kind, code, rest) = match (halt, v4) {
        (Halt::TooBig(mtu), true) => (3, 4, mtu.min(65535) as u32),
        (Halt::TooBig(mtu), false) => (2, 0, mtu as u32),
        (Halt::Drop(DropReason::TtlExceeded), true) => (11, 0, 0),
        (Halt::Drop(DropReason::TtlExceeded), false) => (3, 0, 0),
        (Halt::Drop(DropReason::NoRoute), true) => (3, 0, 0),
        (Halt::Drop(DropReason::NoRoute), false) => (1, 0, 0),
        (Halt::Drop(DropReason::NoNeighbour | DropReason::VifDown | DropReason::UplinkDown), true) => {
            (3, 1, 0)
        }
        (Halt::Drop(DropReason::NoNeighbour | DropReason::VifDown | DropReason::UplinkDown), false) => {
            (1, 3, 0)
        }
        (
            Halt::Drop(
                DropReason::ServiceNoBackend
                | DropReason::ServicePortUnmapped
                | DropReason::ServiceBackendGone,
            ),
            _,
        ) => {
            if let Kind::Tcp { .. } = packet.kind {
                return Some(reset(packet.tuple, packet.kind));
            }
            if v4 { (3, 3, 0) } else { (1, 4, 0) }
        }
        _ => return None,
    };
    let vif = fib::vif(&router.desired, ingress.vif()?)?;
    let (gateway, most) = if v4 { (vif.gateway_v4.into(), 576) } else { (vif.gateway_v6.into(), 1280) };
    let room = most - if v4 { 28 } else { 48 };
    let quote = &packet.bytes[..packet.bytes.len().min(room)];
    let header = [&[kind, code, 0, 0][..], &u32::to_be_bytes(rest)].concat();
    Some(answer::icmp(gateway, packet.tuple.src, [&header[..], quote].concat()))
}

/// RFC 9293 section 3.5.2, group 1.
fn reset(tuple: Tuple, kind: Kind) -> Vec<u8> {
    let Kind::Tcp { flags, seq, ack, payload } = kind else { return Vec::new() };
    if flags & 0x10 != 0 {
        return answer::tcp(tuple.reversed(), ack, 0, 4);
    }
    let counted = payload + u32::from(flags & 2 != 0) + u32::from(flags & 1 != 0);
    answer::tcp(tuple.reversed(), 0, seq.wrapping_add(counted), 0x14)
}
