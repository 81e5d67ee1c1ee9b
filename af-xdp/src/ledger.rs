//! What a socket has given to the kernel and may take back: the rules a faulty kernel cannot talk its way around.

use crate::frame::Frame;
use crate::ring::Descriptor;
use crate::statistics::Counters;
use crate::umem::{Marks, Umem};

pub(crate) struct Ledger {
    pub(crate) umem: Umem,
    pub(crate) marks: Marks,
    pub(crate) counters: Counters,
    /// Frames on the receive side: lent under the fill mark.
    pub(crate) receiving: u32,
    /// Frames on the transmit side: lent under the transmit mark.
    pub(crate) sending: u32,
    /// Frames that came back under a descriptor that was refused. Never grows past its first capacity.
    pub(crate) spare: Vec<Frame>,
    /// Inside a multi-buffer packet, all of whose buffers are refused.
    in_chain: bool,
}

impl Ledger {
    pub(crate) fn new(umem: Umem, marks: Marks) -> Self {
        // Each chunk is in here at most once, so this is room for all of them.
        let spare = Vec::with_capacity(umem.chunk_count() as usize);
        Self { umem, marks, counters: Counters::default(), receiving: 0, sending: 0, spare, in_chain: false }
    }

    /// Lends a frame to the kernel to receive into; returns the address for the fill ring.
    pub(crate) fn lend_for_receive(&mut self, frame: Frame) -> u64 {
        self.receiving += 1;
        self.counters.refilled += 1;
        self.umem.lend(frame, self.marks.fill)
    }

    /// Lends a frame to the kernel to send; returns the descriptor for the tx ring.
    pub(crate) fn lend_for_transmit(&mut self, frame: Frame) -> Descriptor {
        self.sending += 1;
        self.counters.transmitted += 1;
        let (offset, len) = (frame.offset() as u64, frame.len() as u32);
        Descriptor { address: self.umem.lend(frame, self.marks.transmit) + offset, len, options: 0 }
    }

    /// The frame a received descriptor stands for, or nothing and a count if it is refused.
    pub(crate) fn received(&mut self, descriptor: Descriptor) -> Option<Frame> {
        // We never bind with XDP_USE_SG, so no buffer may say that its packet goes on in the next one.
        let continues = descriptor.options & libc::XDP_PKT_CONTD != 0;
        let in_chain = std::mem::replace(&mut self.in_chain, continues) || continues;
        let Some(mut frame) = self.umem.regain(descriptor.address, self.marks.fill) else {
            self.counters.bad_descriptors += 1;
            return None;
        };
        self.receiving -= 1;
        let offset = self.umem.offset_in_chunk(descriptor.address);
        if in_chain || frame.set_extent(offset, descriptor.len as usize).is_err() {
            self.counters.bad_descriptors += 1;
            self.keep(frame);
            return None;
        }
        self.counters.received += 1;
        Some(frame)
    }

    /// The frame a completion stands for, or nothing and a count if it is refused.
    pub(crate) fn sent(&mut self, address: u64) -> Option<Frame> {
        let Some(frame) = self.umem.regain(address, self.marks.transmit) else {
            self.counters.bad_completions += 1;
            return None;
        };
        self.sending -= 1;
        self.counters.completed += 1;
        Some(frame)
    }

    /// Takes a frame back, from either side, that the kernel can no longer reach.
    pub(crate) fn recall(&mut self, address: u64) -> Option<Frame> {
        if let Some(frame) = self.umem.regain(address, self.marks.fill) {
            self.receiving -= 1;
            return Some(frame);
        }
        let frame = self.umem.regain(address, self.marks.transmit)?;
        self.sending -= 1;
        Some(frame)
    }

    fn keep(&mut self, frame: Frame) {
        if self.spare.len() < self.spare.capacity() {
            self.spare.push(frame);
        }
    }
}
