//! Packet I/O in memory: the twin of the AF_XDP sockets for tests and benchmarks.

use std::collections::VecDeque;
use std::time::Duration;

use crate::io::{Extent, PacketIo, Side};

/// A buffer of [`MemoryIo`].
#[derive(Debug)]
pub struct MemoryFrame {
    buffer: Box<[u8]>,
    extent: Extent,
}

/// Frames in queues, one pair per side. The number of buffers is fixed at the start.
#[derive(Debug)]
pub struct MemoryIo {
    free: Vec<MemoryFrame>,
    rx: [VecDeque<MemoryFrame>; 2],
    tx: [VecDeque<MemoryFrame>; 2],
    tx_capacity: usize,
    frames: usize,
}

/// Size of a buffer.
const BUFFER: usize = 4096;
/// Room before a frame.
const HEADROOM: usize = 256;

fn row(side: Side) -> usize {
    match side {
        Side::Trunk => 0,
        Side::Uplink => 1,
    }
}

impl MemoryIo {
    /// `frames` buffers in all, and transmit queues of `tx_capacity` frames.
    pub fn new(frames: usize, tx_capacity: usize) -> Self {
        let frame = |_| MemoryFrame {
            buffer: vec![0; BUFFER].into_boxed_slice(),
            extent: Extent { start: HEADROOM, len: 0 },
        };
        let queue = || VecDeque::with_capacity(frames);
        Self {
            free: (0..frames).map(frame).collect(),
            rx: [queue(), queue()],
            tx: [queue(), queue()],
            tx_capacity,
            frames,
        }
    }

    /// Puts a frame on the wire of a side. False when no buffer is free or it does not fit in one.
    pub fn inject(&mut self, side: Side, bytes: &[u8]) -> bool {
        let Some(mut frame) = self.allocate() else { return false };
        let Some(room) = frame.buffer.get_mut(HEADROOM..HEADROOM + bytes.len()) else {
            self.recycle(frame);
            return false;
        };
        room.copy_from_slice(bytes);
        frame.extent = Extent { start: HEADROOM, len: bytes.len() };
        self.rx[row(side)].push_back(frame);
        true
    }

    /// Takes what was sent to a side, oldest first.
    pub fn sent(&mut self, side: Side) -> Vec<Vec<u8>> {
        let frames: Vec<_> = self.tx[row(side)].drain(..).collect();
        let take = |frame: MemoryFrame| {
            let end = frame.extent.start + frame.extent.len;
            let bytes = frame.buffer.get(frame.extent.start..end).unwrap_or_default().to_vec();
            self.free.push(frame);
            bytes
        };
        frames.into_iter().map(take).collect()
    }

    /// Puts what was sent back among the free buffers and says how many frames that were.
    pub fn discard_sent(&mut self) -> usize {
        let before = self.free.len();
        for queue in &mut self.tx {
            self.free.extend(queue.drain(..));
        }
        self.free.len() - before
    }

    /// Whether every buffer is in one of the queues or free, but for `held` of them that the
    /// worker has kept.
    pub fn is_conserved(&self, held: usize) -> bool {
        let queued = |queues: &[VecDeque<MemoryFrame>; 2]| queues.iter().map(VecDeque::len).sum::<usize>();
        self.free.len() + queued(&self.rx) + queued(&self.tx) + held == self.frames
    }
}

impl PacketIo for MemoryIo {
    type Frame = MemoryFrame;

    fn receive(&mut self, side: Side, into: &mut Vec<MemoryFrame>, max: usize) -> usize {
        let queue = &mut self.rx[row(side)];
        let count = max.min(queue.len());
        into.extend(queue.drain(..count));
        count
    }

    fn open<'a>(&'a self, frame: &'a mut MemoryFrame) -> (&'a mut [u8], Extent) {
        (&mut frame.buffer, frame.extent)
    }

    fn set_extent(&self, frame: &mut MemoryFrame, extent: Extent) {
        let fits = extent.start.checked_add(extent.len).is_some_and(|end| end <= frame.buffer.len());
        frame.extent = if fits { extent } else { Extent { start: HEADROOM, len: 0 } };
    }

    fn allocate(&mut self) -> Option<MemoryFrame> {
        let mut frame = self.free.pop()?;
        frame.extent = Extent { start: HEADROOM, len: 0 };
        Some(frame)
    }

    fn send(&mut self, side: Side, frame: MemoryFrame) -> Result<(), MemoryFrame> {
        let queue = &mut self.tx[row(side)];
        if queue.len() == self.tx_capacity {
            return Err(frame);
        }
        queue.push_back(frame);
        Ok(())
    }

    fn recycle(&mut self, frame: MemoryFrame) {
        self.free.push(frame);
    }

    fn flush(&mut self) {}

    fn tick(&mut self) {}

    fn wait(&mut self, _timeout: Duration) {}
}
