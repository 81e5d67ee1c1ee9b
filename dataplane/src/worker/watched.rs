//! The end of a packet while somebody watches: as without, and the taps are told.

use flow_table::Search;

use super::outlet::Outlet;
use crate::drop::DropReason;
use crate::ids::VifSlot;
use crate::io::{Extent, PacketIo, Side};
use crate::packet::Packet;
use crate::packet::ethernet::TAGGED_HEADER;
use crate::tap::{FlowFound, Head, Sighting, Watch};
use crate::verdict::Prepared;

/// Where a frame came in, and where in its buffer it then lay. A fragment that was held has lost
/// that: its Ethernet header is in front of it still.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) side: Side,
    pub(super) origin: Option<Extent>,
}

/// A frame to a vif on its way out.
pub(super) struct Departure<'a> {
    watch: Watch<'a>,
    vif: VifSlot,
    head: Head,
}

impl<'a, Io: PacketIo> Outlet<'a, Io> {
    /// As `finish`, and the taps are told.
    pub(super) fn finish_watched(
        &mut self,
        arrival: Arrival,
        mut frame: Io::Frame,
        prepared: &Prepared,
        search: &Search,
    ) {
        let Some(watch) = self.watch else { return self.finish(arrival.side, frame, prepared, search) };
        let (pipeline, id) = (self.pipeline, self.desk.next_id());
        let (buffer, extent) = self.io.open(&mut frame);
        let origin = arrival.origin.unwrap_or_else(|| before(arrival.side, extent));
        let head = Head::of(Packet::new(buffer, origin).bytes());
        let lookups = || {
            let counters = pipeline.counters;
            [&counters.flow_misses, &counters.flow_revalidations, &counters.flow_hits]
                .map(|counter| counter.get())
        };
        let earlier = lookups();
        self.send_as(arrival.side, frame, |packet| {
            let verdict = pipeline.finish(prepared, search, packet, id);
            let flow = found(earlier, lookups());
            let sighting = Sighting { at: pipeline.now, side: arrival.side, prepared, flow, verdict };
            watch.ended(&sighting, &head);
            verdict
        });
    }

    /// Looks at a frame to a vif before it goes; nothing while nobody watches.
    pub(super) fn departure(&mut self, vif: VifSlot, frame: &mut Io::Frame) -> Option<Departure<'a>> {
        let watch = self.watch?;
        let (buffer, extent) = self.io.open(frame);
        Some(Departure { watch, vif, head: Head::of(Packet::new(buffer, extent).bytes()) })
    }

    /// Tells the taps that it has gone, or why not.
    pub(super) fn departed(&self, departure: Option<Departure<'a>>, lost: Option<DropReason>) {
        if let Some(Departure { watch, vif, head }) = departure {
            watch.sent(self.pipeline.now, vif, lost, &head);
        }
    }
}

fn before(side: Side, extent: Extent) -> Extent {
    match (side, extent.start.checked_sub(TAGGED_HEADER)) {
        (Side::Trunk, Some(start)) => Extent { start, len: extent.len + TAGGED_HEADER },
        (Side::Trunk, None) | (Side::Uplink, _) => extent,
    }
}

/// Which of the counters of misses, revalidations and hits has moved.
fn found(earlier: [u64; 3], now: [u64; 3]) -> FlowFound {
    let moved = |n: usize| earlier.get(n) != now.get(n);
    match (moved(0), moved(1), moved(2)) {
        (true, _, _) => FlowFound::Miss,
        (false, true, _) => FlowFound::Stale,
        (false, false, true) => FlowFound::Hit,
        (false, false, false) => FlowFound::NotAsked,
    }
}
