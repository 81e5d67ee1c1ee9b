//! Packet I/O without queues: frames are made when they are asked for and forgotten when they are sent.
//!
//! Every received frame is written anew from a template, because the pipeline changes what it gets. What that
//! costs is measured alone (benchmark `replay`), so that it can be subtracted. There are as many buffers as
//! frames in a batch and the one used last is used first, so packet bytes are always in the first cache level;
//! with a real device they come from the last level or from memory.

use std::time::Duration;

use dataplane::io::{Extent, PacketIo, Side};

use crate::frames::{Frames, TEMPLATE};
use crate::visits::Visits;

const BUFFER: usize = 2048;
const HEADROOM: usize = 256;

/// A buffer of [`ReplayIo`].
#[derive(Debug)]
pub struct ReplayFrame {
    buffer: Box<[u8; BUFFER]>,
    /// Start (16) | length (16), as a frame of AF_XDP has it.
    extent: u32,
}

fn packed(extent: Extent) -> u32 {
    (extent.start as u32) << 16 | extent.len as u32 & 0xffff
}

/// In which order flows are visited.
#[derive(Clone, Debug)]
pub enum Order {
    /// Any flow at any time.
    Random(Visits),
    /// One after the other, this one next; after the last the first.
    Sequential(u32),
}

impl Order {
    fn next(&mut self, flows: u32) -> u32 {
        match self {
            Order::Random(visits) => visits.below(flows),
            Order::Sequential(next) => {
                let flow = *next;
                *next = if flow + 1 < flows { flow + 1 } else { 0 };
                flow
            }
        }
    }
}

/// Frames from templates.
#[derive(Debug)]
pub struct ReplayIo {
    free: Vec<ReplayFrame>,
    /// What comes in.
    pub frames: Frames,
    /// How many flows there are, at most 2^20.
    pub flows: u32,
    /// Which comes next.
    pub order: Order,
}

impl ReplayIo {
    /// `buffers` buffers.
    pub fn new(buffers: usize, frames: Frames, flows: u32) -> Self {
        let buffer = |_| ReplayFrame {
            buffer: Box::new([0; BUFFER]),
            extent: packed(Extent { start: HEADROOM, len: 0 }),
        };
        Self { free: (0..buffers).map(buffer).collect(), frames, flows, order: Order::Sequential(0) }
    }

    /// One batch through the I/O alone, in the steps in which a worker drives it.
    pub fn pass(&mut self, into: &mut Vec<ReplayFrame>, max: usize) -> u64 {
        let side = self.frames.traffic().side();
        self.receive(side, into, max);
        let mut folded = 0;
        for frame in into.iter_mut() {
            folded += self.look(frame);
        }
        for mut frame in into.drain(..) {
            folded += self.look(&mut frame);
            if let Err(frame) = self.send(side, frame) {
                self.recycle(frame);
            }
        }
        folded
    }

    fn look(&self, frame: &mut ReplayFrame) -> u64 {
        let (buffer, extent) = self.open(frame);
        let first = buffer.get(extent.start).copied().map_or(0, u64::from);
        self.set_extent(frame, extent);
        first
    }
}

impl PacketIo for ReplayIo {
    type Frame = ReplayFrame;

    fn receive(&mut self, side: Side, into: &mut Vec<ReplayFrame>, max: usize) -> usize {
        if side != self.frames.traffic().side() {
            return 0;
        }
        let count = max.min(self.free.len());
        let kept = self.free.len() - count;
        for mut frame in self.free.drain(kept..) {
            let flow = self.order.next(self.flows);
            if let Some(room) = frame.buffer[HEADROOM..].first_chunk_mut::<TEMPLATE>() {
                let len = self.frames.write(flow, room);
                frame.extent = packed(Extent { start: HEADROOM, len });
            }
            into.push(frame);
        }
        count
    }

    fn open<'a>(&'a self, frame: &'a mut ReplayFrame) -> (&'a mut [u8], Extent) {
        let extent = Extent { start: (frame.extent >> 16) as usize, len: (frame.extent & 0xffff) as usize };
        (&mut frame.buffer[..], extent)
    }

    fn set_extent(&self, frame: &mut ReplayFrame, extent: Extent) {
        frame.extent = packed(extent);
    }

    fn allocate(&mut self) -> Option<ReplayFrame> {
        self.free.pop()
    }

    fn send(&mut self, _side: Side, frame: ReplayFrame) -> Result<(), ReplayFrame> {
        self.free.push(frame);
        Ok(())
    }

    fn recycle(&mut self, frame: ReplayFrame) {
        self.free.push(frame);
    }

    fn flush(&mut self) {}

    fn tick(&mut self) {}

    fn wait(&mut self, _timeout: Duration) {}
}
