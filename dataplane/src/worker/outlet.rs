//! What becomes of a frame when its packet is through: sent, cut up, copied, or given back, and counted.

use flow_table::Search;

use crate::counters::WorkerCounters;
use crate::drop::DropReason;
use crate::fragment::Split;
use crate::fragment::split::{Cut, MAX_PIECES};
use crate::ids::VifSlot;
use crate::io::{PacketIo, Side};
use crate::packet::Packet;
use crate::pipeline::Pipeline;
use crate::tap::Watch;
use crate::verdict::{Prepared, Verdict, Way};

/// Length of the VLAN tag that the trunk adds to a vif's frame.
pub(super) const TAG: usize = 4;

/// What a worker keeps from packet to packet.
#[derive(Debug)]
pub(super) struct Desk<F> {
    /// Identification of the last outer header.
    outer_id: u16,
    /// Room for the frames of one packet that is cut up; empty in between.
    pieces: Vec<F>,
}

impl<F> Desk<F> {
    pub(super) fn new() -> Self {
        Self { outer_id: 0, pieces: Vec::with_capacity(MAX_PIECES) }
    }

    pub(super) fn next_id(&mut self) -> u16 {
        self.outer_id = self.outer_id.wrapping_add(1);
        self.outer_id
    }
}

/// The way out for the packets of one batch.
pub(super) struct Outlet<'a, Io: PacketIo> {
    pub(super) io: &'a mut Io,
    pub(super) pipeline: &'a Pipeline<'a>,
    /// Who watches.
    pub(super) watch: Option<Watch<'a>>,
    pub(super) desk: &'a mut Desk<Io::Frame>,
}

impl<Io: PacketIo> Outlet<'_, Io> {
    /// Second half of the pipeline, and what it says.
    pub(super) fn finish(&mut self, from: Side, frame: Io::Frame, prepared: &Prepared, search: &Search) {
        let id = self.desk.next_id();
        let pipeline = self.pipeline;
        self.send_as(from, frame, |packet| pipeline.finish(prepared, search, packet, id));
    }

    /// Carries out what `decide` says about the packet in a frame.
    pub(super) fn send_as(
        &mut self,
        from: Side,
        mut frame: Io::Frame,
        decide: impl FnOnce(&mut Packet<'_>) -> Verdict,
    ) {
        let (buffer, extent) = self.io.open(&mut frame);
        let mut packet = Packet::new(buffer, extent);
        let verdict = decide(&mut packet);
        let extent = packet.extent();
        self.io.set_extent(&mut frame, extent);
        self.carry_out(from, frame, &verdict, extent.len);
    }

    #[inline(always)]
    fn carry_out(&mut self, from: Side, frame: Io::Frame, verdict: &Verdict, len: usize) {
        match verdict {
            Verdict::Send(Way::Vif(slot)) => self.send(Way::Vif(*slot), frame, len),
            Verdict::Send(Way::Tunnel(id)) => self.send(Way::Tunnel(*id), frame, len),
            _ => self.carry_out_other(from, frame, verdict, len),
        }
    }

    /// Whatever else there is, apart from sending on, which is what happens to nearly all packets.
    #[inline(never)]
    fn carry_out_other(&mut self, from: Side, frame: Io::Frame, verdict: &Verdict, len: usize) {
        let counters = self.pipeline.counters;
        match *verdict {
            Verdict::Send(way) => self.send(way, frame, len),
            Verdict::Split(split) => self.split(from, frame, &split),
            Verdict::Replicate(replica) => self.replicate(from, frame, &replica),
            Verdict::Answer(way) => {
                counters.consumed.add(1);
                counters.generated.add(1);
                self.send(way, frame, len);
            }
            Verdict::Reject { vif, reason, answer } => {
                dropped(counters, from, vif, reason);
                counters.generated.add(1);
                self.send(answer, frame, len);
            }
            Verdict::Consumed => {
                counters.consumed.add(1);
                self.io.recycle(frame);
            }
            Verdict::Drop { vif, reason } => {
                dropped(counters, from, vif, reason);
                self.io.recycle(frame);
            }
        }
    }

    #[inline(always)]
    fn send(&mut self, way: Way, mut frame: Io::Frame, len: usize) {
        let counters = self.pipeline.counters;
        let (side, port, len) = match way {
            Way::Vif(slot) => (Side::Trunk, counters.vif(slot), len.saturating_sub(TAG)),
            Way::Tunnel(_) => (Side::Uplink, counters.uplink(), len),
        };
        let departure = match way {
            Way::Vif(slot) => self.departure(slot, &mut frame),
            Way::Tunnel(_) => None,
        };
        match self.io.send(side, frame) {
            Ok(()) => {
                port.tx.count(len);
                self.departed(departure, None);
            }
            Err(frame) => {
                port.drop(DropReason::TxRingFull);
                self.departed(departure, Some(DropReason::TxRingFull));
                self.io.recycle(frame);
            }
        }
    }

    /// Sends a packet in pieces. There are frames for all of them or none is sent.
    fn split(&mut self, from: Side, mut frame: Io::Frame, split: &Split) {
        let mut pieces = std::mem::take(&mut self.desk.pieces);
        match self.cut(&mut frame, split, &mut pieces) {
            Ok(()) => {
                self.pipeline.counters.generated.add(pieces.len() as u64);
                self.send_piece(from, frame, split);
                pieces.drain(..).for_each(|piece| self.send_piece(from, piece, split));
            }
            Err(reason) => {
                pieces.drain(..).for_each(|piece| self.io.recycle(piece));
                let pipeline = self.pipeline;
                self.send_as(from, frame, |packet| pipeline.dropped(split.vif, reason, packet));
            }
        }
        self.desk.pieces = pieces;
    }

    fn send_piece(&mut self, from: Side, frame: Io::Frame, split: &Split) {
        let id = self.desk.next_id();
        let pipeline = self.pipeline;
        self.send_as(from, frame, |packet| pipeline.piece(split, packet, id));
    }

    /// Leaves the first piece in `frame` and puts the others into frames of their own.
    fn cut(
        &mut self,
        frame: &mut Io::Frame,
        split: &Split,
        pieces: &mut Vec<Io::Frame>,
    ) -> Result<(), DropReason> {
        let (buffer, extent) = self.io.open(frame);
        let cut = Cut::new(Packet::new(buffer, extent).bytes(), split.mtu)?;
        for _ in 1..cut.pieces() {
            pieces.push(self.io.allocate().ok_or(DropReason::NoFreeFrame)?);
        }
        let (buffer, extent) = self.io.open(frame);
        let mut whole = Packet::new(buffer, extent);
        for (n, piece) in (1..).zip(pieces) {
            let (buffer, extent) = self.io.open(piece);
            let mut packet = Packet::new(buffer, extent);
            if !cut.write(n, whole.bytes(), &mut packet) {
                return Err(DropReason::FrameTooBig);
            }
            let extent = packet.extent();
            self.io.set_extent(piece, extent);
        }
        cut.keep_first(&mut whole);
        let extent = whole.extent();
        self.io.set_extent(frame, extent);
        Ok(())
    }
}

pub(super) fn dropped(counters: &WorkerCounters, from: Side, vif: Option<VifSlot>, reason: DropReason) {
    let port = match (vif, from) {
        (Some(slot), _) => counters.vif(slot),
        (None, Side::Trunk) => counters.trunk(),
        (None, Side::Uplink) => counters.uplink(),
    };
    port.drop(reason);
}
