//! The kernel's side of a pair: delivers, collects, and lies on request.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{KernelIndex, Link, Refusal, Wakeup, Wire};
use crate::ring::{Consumer, Descriptor, Memory, Producer};
use crate::umem::{Marks, Umem};

pub(super) struct Handles {
    pub(super) rx: Memory<Descriptor>,
    pub(super) tx: Memory<Descriptor>,
    pub(super) fill: Memory<u64>,
    pub(super) completion: Memory<u64>,
}

/// The kernel's side of a [`pair`](super::pair).
pub struct FakeKernel {
    pub(super) wire: Arc<Wire>,
    pub(super) umem: Umem,
    pub(super) marks: Marks,
    pub(super) rx: Producer<Descriptor>,
    pub(super) tx: Consumer<Descriptor>,
    pub(super) fill: Consumer<u64>,
    pub(super) completion: Producer<u64>,
    pub(super) rings: Handles,
    pub(super) withheld: VecDeque<u64>,
}

impl FakeKernel {
    /// Receives a packet: takes a chunk from the fill ring, writes the packet behind the headroom, and puts it
    /// into the rx ring. Returns its address in the UMEM.
    ///
    /// # Errors
    /// [`Refusal`]; the packet is dropped and, as by the kernel, counted.
    pub fn deliver(&mut self, packet: &[u8]) -> Result<u64, Refusal> {
        let mut state = self.wire.state();
        if !state.open {
            return Err(Refusal::Closed);
        }
        if packet.len() > self.umem.chunk_size() - self.umem.headroom() {
            state.statistics.rx_dropped += 1;
            return Err(Refusal::TooLong);
        }
        if self.rx.is_full() {
            state.statistics.rx_ring_full += 1;
            return Err(Refusal::RxFull);
        }
        let Some(chunk) = self.fill.pop() else {
            state.statistics.rx_fill_ring_empty += 1;
            return Err(Refusal::FillEmpty);
        };
        self.fill.release();
        let address = chunk + self.umem.headroom() as u64;
        let room = self.umem.lent_bytes(address, packet.len(), self.marks.fill).ok_or(Refusal::NotLent)?;
        // SAFETY: lent_bytes vouches for the room and that the chunk is lent; under the lock it stays so.
        unsafe { room.copy_from_nonoverlapping(packet.as_ptr(), packet.len()) };
        let descriptor = Descriptor { address, len: packet.len() as u32, options: 0 };
        self.rx.push(descriptor).map_err(|_| Refusal::RxFull)?;
        self.rx.publish();
        Ok(address)
    }

    /// Takes a chunk from the fill ring and keeps it, as a driver does. Returns the chunk's address.
    pub fn swallow_fill(&mut self) -> Option<u64> {
        let chunk = self.fill.pop();
        self.fill.release();
        chunk
    }

    /// Puts any descriptor into the rx ring.
    ///
    /// # Errors
    /// [`Refusal::RxFull`].
    pub fn forge_rx(&mut self, address: u64, len: u32, options: u32) -> Result<(), Refusal> {
        self.rx.push(Descriptor { address, len, options }).map_err(|_| Refusal::RxFull)?;
        self.rx.publish();
        Ok(())
    }

    /// Puts any address into the completion ring.
    ///
    /// # Errors
    /// [`Refusal::CompletionFull`].
    pub fn forge_completion(&mut self, address: u64) -> Result<(), Refusal> {
        self.completion.push(address).map_err(|_| Refusal::CompletionFull)?;
        self.completion.publish();
        Ok(())
    }

    /// Sends the oldest packet of the tx ring and completes it. Returns the packet, or None if the ring is empty.
    ///
    /// # Errors
    /// [`Refusal`]; with the completion ring full nothing is taken, as by the kernel.
    pub fn collect(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        if self.completion.is_full() {
            return Err(Refusal::CompletionFull);
        }
        let packet = self.collect_uncompleted()?;
        if packet.is_some() {
            self.complete_newest();
        }
        Ok(packet)
    }

    /// Sends the oldest packet of the tx ring and does not complete it yet. None if the ring is empty.
    ///
    /// # Errors
    /// [`Refusal::Closed`], or [`Refusal::NotLent`] for a descriptor of a chunk that is not the kernel's.
    pub fn collect_uncompleted(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        let state = self.wire.state();
        if !state.open {
            return Err(Refusal::Closed);
        }
        let Some(descriptor) = self.tx.pop() else { return Ok(None) };
        self.tx.release();
        let len = descriptor.len as usize;
        let start =
            self.umem.lent_bytes(descriptor.address, len, self.marks.transmit).ok_or(Refusal::NotLent)?;
        // SAFETY: lent_bytes vouches for the bytes and that the chunk is lent; under the lock it stays so.
        let packet = unsafe { std::slice::from_raw_parts(start, len) }.to_vec();
        drop(state);
        self.withheld.push_back(descriptor.address);
        Ok(Some(packet))
    }

    /// Completes packets sent and not completed, oldest first, as far as the ring has room. Returns how many.
    pub fn complete_withheld(&mut self) -> usize {
        let mut count = 0;
        while let Some(address) = self.withheld.pop_front() {
            if self.completion.push(address).is_err() {
                self.withheld.push_front(address);
                break;
            }
            count += 1;
        }
        self.completion.publish();
        count
    }

    fn complete_newest(&mut self) {
        let Some(address) = self.withheld.pop_back() else { return };
        if self.completion.push(address).is_err() {
            self.withheld.push_back(address);
        }
        self.completion.publish();
    }

    /// Overwrites an index the kernel owns.
    pub fn set_index(&mut self, index: KernelIndex, value: u32) {
        let word = match index {
            KernelIndex::RxProducer => self.rings.rx.producer(),
            KernelIndex::TxConsumer => self.rings.tx.consumer(),
            KernelIndex::FillConsumer => self.rings.fill.consumer(),
            KernelIndex::CompletionProducer => self.rings.completion.producer(),
        };
        word.store(value, Ordering::Release);
    }

    /// Sets the tx ring's flag; [`Wakeup::Needed`] at first, as in copy mode always.
    pub fn ask_for_tx_wakeup(&mut self, wakeup: Wakeup) {
        self.rings.tx.flags().store(flag(wakeup), Ordering::Release);
    }

    /// Sets the fill ring's flag; [`Wakeup::NotNeeded`] at first.
    pub fn ask_for_rx_wakeup(&mut self, wakeup: Wakeup) {
        self.rings.fill.flags().store(flag(wakeup), Ordering::Release);
    }

    /// Changes the state of the device.
    pub fn set_link(&mut self, link: Link) {
        self.wire.state().link = link;
    }

    /// What `sendto` answers from now on: an error number, or success. It never sends by itself: collect does.
    pub fn set_kick_error(&mut self, number: Option<i32>) {
        self.wire.state().kick_error = number;
    }

    /// `sendto` calls so far.
    #[must_use]
    pub fn kicks(&self) -> u64 {
        self.wire.state().kicks
    }

    /// `recvfrom` calls so far.
    #[must_use]
    pub fn pokes(&self) -> u64 {
        self.wire.state().pokes
    }
}

fn flag(wakeup: Wakeup) -> u32 {
    match wakeup {
        Wakeup::Needed => libc::XDP_RING_NEED_WAKEUP,
        Wakeup::NotNeeded => 0,
    }
}
