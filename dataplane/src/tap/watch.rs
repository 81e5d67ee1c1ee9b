//! What a worker does for its taps.

use std::sync::Arc;

use flow_table::{FlowKey, Millis, Tuple};

use super::Tap;
use super::filter::Catch;
use super::record::{FlowFound, Head, Record, Seen};
use crate::drop::DropReason;
use crate::ids::VifSlot;
use crate::io::Side;
use crate::packet::ethernet::{Ethernet, TYPE_IPV4, TYPE_IPV6};
use crate::packet::ip::Ip;
use crate::verdict::{Prepared, Verdict, Way};

/// The taps of one batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch<'a> {
    pub(super) taps: &'a [Arc<Tap>],
    pub(super) worker: usize,
}

/// A packet that has come to its end.
#[derive(Debug)]
pub(crate) struct Sighting<'a> {
    pub(crate) at: Millis,
    pub(crate) side: Side,
    pub(crate) prepared: &'a Prepared,
    pub(crate) flow: FlowFound,
    pub(crate) verdict: Verdict,
}

impl Watch<'_> {
    /// Tells the taps of a packet that was received, with the frame as it came.
    pub(crate) fn ended(&self, sighting: &Sighting<'_>, head: &Head) {
        let (key, vif) = (key_of(sighting.prepared), sighting.prepared.vif());
        let tuple = key.map(|key| key.tuple);
        let out = match sighting.verdict {
            Verdict::Send(Way::Vif(slot)) => Some(slot),
            _ => None,
        };
        for tap in self.taps {
            let seen = match tap.catch {
                Catch::Ends => Some(Seen::Ended {
                    side: sighting.side,
                    vif,
                    key,
                    flow: sighting.flow,
                    verdict: sighting.verdict,
                }),
                Catch::Wire => received(sighting.side, vif, None),
                Catch::WireAndDrops => {
                    let reason = reason(sighting.verdict);
                    let lost = || reason.map(|(vif, reason)| Seen::Lost { vif, reason });
                    received(sighting.side, vif, reason.map(|(_, reason)| reason)).or_else(lost)
                }
            };
            let vifs = match seen {
                Some(Seen::Ended { .. }) => [vif, out],
                Some(Seen::Lost { vif, .. }) => [vif, None],
                Some(Seen::Received { vif, .. } | Seen::Sent { vif }) => [Some(vif), None],
                None => continue,
            };
            if let Some(seen) = seen
                && tap.filter.takes_vif(vifs)
                && tap.filter.takes_tuple(tuple.as_ref())
            {
                tap.keep(self.worker, Record { at: sighting.at, seen, head: *head });
            }
        }
    }

    /// Tells the taps of a frame that went out to a vif, or could not for want of room in the ring.
    pub(crate) fn sent(&self, at: Millis, vif: VifSlot, lost: Option<DropReason>, head: &Head) {
        for tap in self.taps {
            let seen = match (tap.catch, lost) {
                (Catch::Ends, _) | (Catch::Wire, Some(_)) => continue,
                (Catch::Wire | Catch::WireAndDrops, None) => Seen::Sent { vif },
                (Catch::WireAndDrops, Some(reason)) => Seen::Lost { vif: Some(vif), reason },
            };
            let tuple = if tap.filter.asks_for_tuple() { tuple_of(head.bytes()) } else { None };
            if tap.filter.takes_vif([Some(vif), None]) && tap.filter.takes_tuple(tuple.as_ref()) {
                tap.keep(self.worker, Record { at, seen, head: *head });
            }
        }
    }
}

/// What a vif of this node has sent.
fn received(side: Side, vif: Option<VifSlot>, dropped: Option<DropReason>) -> Option<Seen> {
    match (side, vif) {
        (Side::Trunk, Some(vif)) => Some(Seen::Received { vif, dropped }),
        (Side::Trunk, None) | (Side::Uplink, _) => None,
    }
}

fn reason(verdict: Verdict) -> Option<(Option<VifSlot>, DropReason)> {
    match verdict {
        Verdict::Drop { vif, reason } | Verdict::Reject { vif, reason, .. } => Some((vif, reason)),
        Verdict::Send(_)
        | Verdict::Split(_)
        | Verdict::Replicate(_)
        | Verdict::Answer(_)
        | Verdict::Consumed => None,
    }
}

fn key_of(prepared: &Prepared) -> Option<FlowKey> {
    match prepared {
        Prepared::Flow(flow) | Prepared::Broadcast(flow) => Some(flow.key()),
        Prepared::Wait(waiting) => Some(waiting.flow.key()),
        Prepared::Arp { .. } | Prepared::Link { .. } | Prepared::Drop { .. } => None,
    }
}

/// The tuple of a frame to a vif, if it carries IP and is not cut off.
fn tuple_of(frame: &[u8]) -> Option<Tuple> {
    let ethernet = Ethernet::parse(frame).ok()?;
    let family = match ethernet.ethertype {
        TYPE_IPV4 => flow_table::Family::V4,
        TYPE_IPV6 => flow_table::Family::V6,
        _ => return None,
    };
    Ip::parse(family, frame.get(ethernet.len..)?).ok().map(|ip| ip.tuple)
}
