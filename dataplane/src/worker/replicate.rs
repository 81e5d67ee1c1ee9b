//! The copies of a packet that goes to all, each in a frame of its own.

use super::outlet::{Outlet, dropped};
use crate::drop::DropReason;
use crate::ecmp::Target;
use crate::io::{PacketIo, Side};
use crate::packet::Packet;
use crate::verdict::Replica;

impl<Io: PacketIo> Outlet<'_, Io> {
    /// Sends a copy to each that hears the packet. The last one takes the frame itself; the others
    /// go as far as there are free frames, and each that finds none is a drop.
    pub(super) fn replicate(&mut self, from: Side, mut frame: Io::Frame, replica: &Replica) {
        let mut targets = self.pipeline.targets(*replica);
        let Some(mut target) = targets.next() else {
            let (pipeline, vif) = (self.pipeline, replica.ingress.vif());
            return self.send_as(from, frame, |packet| pipeline.dropped(vif, DropReason::NoMember, packet));
        };
        for next in targets {
            self.pipeline.counters.generated.add(1);
            match self.duplicate(&mut frame) {
                Ok(copy) => self.send_copy(from, copy, (replica, target)),
                Err(reason) => self.lose(from, &mut frame, (replica, target), reason),
            }
            target = next;
        }
        self.send_copy(from, frame, (replica, target));
    }

    fn send_copy(&mut self, from: Side, frame: Io::Frame, copy: (&Replica, Target)) {
        let id = self.desk.next_id();
        let pipeline = self.pipeline;
        self.send_as(from, frame, |packet| pipeline.copy(copy, packet, id));
    }

    fn duplicate(&mut self, frame: &mut Io::Frame) -> Result<Io::Frame, DropReason> {
        let mut copy = self.io.allocate().ok_or(DropReason::NoFreeFrame)?;
        let (buffer, extent) = self.io.open(frame);
        let packet = Packet::new(buffer, extent);
        let (buffer, extent) = self.io.open(&mut copy);
        let mut room = Packet::new(buffer, extent);
        if !room.extend(packet.len()) {
            self.io.recycle(copy);
            return Err(DropReason::FrameTooBig);
        }
        room.bytes_mut().copy_from_slice(packet.bytes());
        let extent = room.extent();
        self.io.set_extent(&mut copy, extent);
        Ok(copy)
    }

    /// Counts a copy that was never made.
    fn lose(
        &mut self,
        from: Side,
        frame: &mut Io::Frame,
        (replica, target): (&Replica, Target),
        reason: DropReason,
    ) {
        let vif = replica.blames(target);
        let (buffer, extent) = self.io.open(frame);
        self.pipeline.dropped(vif, reason, &Packet::new(buffer, extent));
        dropped(self.pipeline.counters, from, vif, reason);
    }
}
