//! The single-producer single-consumer rings shared with the kernel (`net/xdp/xsk_queue.h`).
//!
//! Indices run freely through all of `u32`; an entry lies at `index & (size - 1)`. A producer writes entries,
//! then stores its index with release; a consumer loads that index with acquire, reads the entries, then
//! stores its own index with release. Both ends are the same code, so the in-memory kernel runs it too.

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::Error;
use crate::mapping::Mapping;

/// `struct xdp_desc`: a packet in the UMEM.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Descriptor {
    pub(crate) address: u64,
    pub(crate) len: u32,
    pub(crate) options: u32,
}

const _: () = assert!(size_of::<Descriptor>() == size_of::<libc::xdp_desc>());

/// What may lie in a ring.
///
/// # Safety
/// Every bit pattern must be a value of the type.
pub(crate) unsafe trait Entry: Copy {}

// SAFETY: an integer.
unsafe impl Entry for u64 {}
// SAFETY: integers without padding.
unsafe impl Entry for Descriptor {}

/// Byte offsets in a ring's mapping (`struct xdp_ring_offset`).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) producer: usize,
    pub(crate) consumer: usize,
    pub(crate) flags: usize,
    pub(crate) entries: usize,
}

impl Layout {
    /// Bytes a ring of `size` entries takes.
    pub(crate) fn len<T: Entry>(&self, size: u32) -> usize {
        self.entries.saturating_add((size as usize).saturating_mul(size_of::<T>()))
    }
}

/// A ring's memory: checked once, then every index is masked into it.
pub(crate) struct Memory<T> {
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    flags: NonNull<AtomicU32>,
    entries: NonNull<T>,
    size: u32,
    mapping: Arc<Mapping>,
    _entries: PhantomData<T>,
}

// SAFETY: the pointers lead into the mapping, which is kept alive here and bound to no thread.
unsafe impl<T: Entry> Send for Memory<T> {}

impl<T: Entry> Memory<T> {
    pub(crate) fn new(
        mapping: Arc<Mapping>,
        layout: Layout,
        size: u32,
        ring: &'static str,
    ) -> Result<Self, Error> {
        if !size.is_power_of_two() {
            return Err(Error::RingSize { ring, size });
        }
        let words = [layout.producer, layout.consumer, layout.flags];
        let words_fit = words.iter().all(|at| {
            at.is_multiple_of(align_of::<AtomicU32>())
                && at.checked_add(size_of::<AtomicU32>()).is_some_and(|end| end <= mapping.len())
        });
        let entries_fit =
            layout.entries.is_multiple_of(align_of::<T>()) && layout.len::<T>(size) <= mapping.len();
        if !words_fit || !entries_fit {
            return Err(Error::RingLayout { ring });
        }
        // SAFETY: every offset was just checked to lie inside the mapping.
        let at = |offset: usize| unsafe { mapping.start().add(offset) };
        Ok(Self {
            producer: at(layout.producer).cast(),
            consumer: at(layout.consumer).cast(),
            flags: at(layout.flags).cast(),
            entries: at(layout.entries).cast(),
            size,
            mapping,
            _entries: PhantomData,
        })
    }

    /// The same ring once more, for the other end.
    pub(crate) fn other_end(&self) -> Self {
        Self { mapping: Arc::clone(&self.mapping), ..*self }
    }

    pub(crate) fn producer(&self) -> &AtomicU32 {
        // SAFETY: aligned and inside the mapping (see new); shared memory is only ever touched atomically.
        unsafe { self.producer.as_ref() }
    }

    pub(crate) fn consumer(&self) -> &AtomicU32 {
        // SAFETY: as for the producer index.
        unsafe { self.consumer.as_ref() }
    }

    pub(crate) fn flags(&self) -> &AtomicU32 {
        // SAFETY: as for the producer index.
        unsafe { self.flags.as_ref() }
    }

    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    fn slot(&self, index: u32) -> *mut T {
        // SAFETY: the masked index is below size, and size entries lie inside the mapping (see new).
        unsafe { self.entries.as_ptr().add((index & (self.size - 1)) as usize) }
    }

    fn read(&self, index: u32) -> T {
        // SAFETY: slot is inside the mapping and aligned, and any bytes are a T. Volatile: read exactly once,
        // so that a value checked is the value used, whatever the other side does meanwhile.
        unsafe { self.slot(index).read_volatile() }
    }

    fn write(&self, index: u32, entry: T) {
        // SAFETY: slot is inside the mapping and aligned, and the other side does not read it before publish.
        unsafe { self.slot(index).write_volatile(entry) }
    }

    fn needs_wakeup(&self) -> bool {
        self.flags().load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }
}

/// The writing end.
pub(crate) struct Producer<T> {
    memory: Memory<T>,
    head: u32,
    consumer_seen: u32,
}

impl<T: Entry> Producer<T> {
    pub(crate) fn new(memory: Memory<T>) -> Self {
        let head = memory.producer().load(Ordering::Acquire);
        let consumer_seen = memory.consumer().load(Ordering::Acquire);
        Self { memory, head, consumer_seen }
    }

    /// Writes an entry, not yet visible; gives it back if the ring is full.
    pub(crate) fn push(&mut self, entry: T) -> Result<(), T> {
        if self.is_full() {
            return Err(entry);
        }
        self.memory.write(self.head, entry);
        self.head = self.head.wrapping_add(1);
        Ok(())
    }

    /// Whether there is no room, looking at the consumer's index again only if there seems to be none.
    pub(crate) fn is_full(&mut self) -> bool {
        if self.used() < self.memory.size() {
            return false;
        }
        self.consumer_seen = self.memory.consumer().load(Ordering::Acquire);
        self.used() >= self.memory.size()
    }

    /// Makes all entries written visible to the consumer.
    pub(crate) fn publish(&mut self) {
        self.memory.producer().store(self.head, Ordering::Release);
    }

    /// Entries the consumer has not taken yet, published or not. At most the ring's size.
    pub(crate) fn pending(&self) -> u32 {
        let consumer = self.memory.consumer().load(Ordering::Acquire);
        self.head.wrapping_sub(consumer).min(self.memory.size())
    }

    pub(crate) fn needs_wakeup(&self) -> bool {
        self.memory.needs_wakeup()
    }

    pub(crate) fn size(&self) -> u32 {
        self.memory.size()
    }

    /// More than `size` if the consumer's index is nonsense, which then counts as full.
    fn used(&self) -> u32 {
        self.head.wrapping_sub(self.consumer_seen)
    }
}

/// The reading end.
pub(crate) struct Consumer<T> {
    memory: Memory<T>,
    tail: u32,
    producer_seen: u32,
}

impl<T: Entry> Consumer<T> {
    pub(crate) fn new(memory: Memory<T>) -> Self {
        let tail = memory.consumer().load(Ordering::Acquire);
        Self { memory, tail, producer_seen: tail }
    }

    /// The oldest entry, if there is one. Its slot stays taken until [`release`](Self::release).
    pub(crate) fn pop(&mut self) -> Option<T> {
        if self.tail == self.producer_seen {
            // A producer that claims more entries than the ring holds is lying: nothing is read then.
            self.producer_seen = self.tail.wrapping_add(self.available());
        }
        if self.tail == self.producer_seen {
            return None;
        }
        let entry = self.memory.read(self.tail);
        self.tail = self.tail.wrapping_add(1);
        Some(entry)
    }

    /// Gives the slots of all entries popped back to the producer.
    pub(crate) fn release(&mut self) {
        self.memory.consumer().store(self.tail, Ordering::Release);
    }

    /// Entries not popped yet; zero if the producer's index is nonsense.
    pub(crate) fn available(&self) -> u32 {
        let producer = self.memory.producer().load(Ordering::Acquire);
        let available = producer.wrapping_sub(self.tail);
        if available > self.memory.size() { 0 } else { available }
    }

    pub(crate) fn size(&self) -> u32 {
        self.memory.size()
    }
}

#[cfg(test)]
mod tests;
