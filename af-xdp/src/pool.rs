//! The free frames of one worker.

use crate::frame::Frame;
use crate::umem::Umem;

/// Free frames of one worker, last in first out so that warm chunks are used first.
#[derive(Debug)]
pub struct FramePool {
    umem: Umem,
    free: Vec<Frame>,
    taken: usize,
    refused: u64,
}

impl FramePool {
    pub(crate) fn new(umem: Umem, free: Vec<Frame>) -> Self {
        let taken = free.len();
        Self { umem, free, taken, refused: 0 }
    }

    /// A free frame with an empty packet at the UMEM's headroom, if there is one.
    pub fn take(&mut self) -> Option<Frame> {
        self.free.pop()
    }

    /// Puts a frame back; its packet becomes empty, at the UMEM's headroom.
    ///
    /// A frame of another UMEM, or one more than the pool was made with, is not kept: its chunk is lost and
    /// counted by [`refused`](Self::refused). Neither happens to a worker that puts back what it took.
    pub fn put(&mut self, mut frame: Frame) {
        let empty = frame.set_extent(self.umem.headroom(), 0);
        if !self.umem.owns(&frame) || self.room() == 0 || empty.is_err() {
            self.refused += 1;
            return;
        }
        self.free.push(frame);
    }

    /// Free frames in the pool.
    #[must_use]
    pub fn len(&self) -> usize {
        self.free.len()
    }

    /// Whether no frame is free.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.free.is_empty()
    }

    /// Frames the pool was made with.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// Frames that were put and not kept.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    pub(crate) fn room(&self) -> usize {
        self.taken - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::UmemConfig;

    fn small() -> Umem {
        Umem::new(UmemConfig { chunk_count: 4, ..UmemConfig::default() }).unwrap()
    }

    #[test]
    fn a_frame_comes_back_empty() {
        let umem = small();
        let mut pool = umem.take_pool(2).unwrap();
        let mut frame = pool.take().unwrap();
        frame.set_extent(0, 1500).unwrap();
        pool.put(frame);
        let frame = pool.take().unwrap();
        assert_eq!((frame.offset(), frame.len()), (256, 0));
        assert_eq!((pool.len(), pool.taken()), (1, 2));
    }

    #[test]
    fn strangers_are_refused_and_counted() {
        let (umem, other) = (small(), small());
        let mut pool = umem.take_pool(1).unwrap();
        pool.put(other.take_pool(1).unwrap().take().unwrap());
        pool.put(umem.take_pool(1).unwrap().take().unwrap());
        assert_eq!((pool.len(), pool.refused()), (1, 2));
    }
}
