//! Which slots hold a pair, or are about to: the queue that new pairs take theirs from, and a bit for each slot, so
//! that those who walk through the table step over free slots 64 at a time.

use std::ops::Range;

use crossbeam::queue::ArrayQueue;

use crate::sync::{Ordering, Tally};

const BITS: usize = 64;

/// The free slots, and the others.
pub(crate) struct Slots {
    free: ArrayQueue<u32>,
    /// A bit is set from when its slot is taken until before it is given back. Only who has a slot changes its bit,
    /// and slots change hands through the queue, so there is no order to keep here.
    taken: Box<[Tally]>,
}

impl Slots {
    /// `count` free slots.
    pub(crate) fn new(count: u32) -> Self {
        let free = ArrayQueue::new(count as usize);
        for index in 0..count {
            // The queue has one place for each index, so none is refused.
            let _ = free.push(index);
        }
        let taken = (0..(count as usize).div_ceil(BITS)).map(|_| Tally::new(0)).collect();
        Self { free, taken }
    }

    /// A slot for the caller alone.
    pub(crate) fn take(&self) -> Option<u32> {
        let index = self.free.pop()?;
        if let Some((word, bit)) = self.place(index) {
            word.fetch_or(bit, Ordering::Relaxed);
        }
        Some(index)
    }

    /// Puts a slot back that [`Slots::take`] has given.
    pub(crate) fn give_back(&self, index: u32) {
        if let Some((word, bit)) = self.place(index) {
            word.fetch_and(!bit, Ordering::Relaxed);
        }
        let _ = self.free.push(index);
    }

    /// Whether there is no free slot.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.free.is_empty()
    }

    /// Number of free slots.
    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        self.free.len()
    }

    /// Takes all free slots.
    pub(crate) fn exhaust(&self) {
        while self.take().is_some() {}
    }

    /// The taken slots of a range, in order. One that is taken or given back meanwhile may be among them or not.
    pub(crate) fn taken(&self, range: Range<usize>) -> impl Iterator<Item = usize> {
        let first = range.start / BITS;
        let words =
            self.taken.iter().enumerate().skip(first).take(range.end.div_ceil(BITS).saturating_sub(first));
        words
            .flat_map(|(number, word)| Ones(word.load(Ordering::Relaxed)).map(move |bit| number * BITS + bit))
            .filter(move |index| range.contains(index))
    }

    fn place(&self, index: u32) -> Option<(&Tally, u64)> {
        let index = index as usize;
        Some((self.taken.get(index / BITS)?, 1 << (index % BITS)))
    }
}

/// The numbers of the bits of a word that are set.
struct Ones(u64);

impl Iterator for Ones {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let lowest = self.0.trailing_zeros();
        self.0 &= self.0.checked_sub(1)?;
        Some(lowest as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(slots: &Slots, range: Range<usize>) -> Vec<usize> {
        slots.taken(range).collect()
    }

    #[test]
    fn a_slot_is_taken_until_it_is_given_back() {
        let slots = Slots::new(200);
        assert!(taken(&slots, 0..200).is_empty());
        let indices: Vec<u32> = (0..130).filter_map(|_| slots.take()).collect();
        assert_eq!(taken(&slots, 0..200), (0..130).collect::<Vec<_>>());
        slots.give_back(indices[64]);
        assert_eq!(taken(&slots, 60..68), [60, 61, 62, 63, 65, 66, 67]);
        assert!(!slots.is_exhausted());
    }

    #[test]
    fn a_range_may_be_empty_and_may_reach_beyond_the_last_slot() {
        let slots = Slots::new(3);
        slots.exhaust();
        assert!(slots.is_exhausted() && slots.take().is_none());
        assert_eq!(taken(&slots, 1..usize::MAX), [1, 2]);
        assert_eq!(taken(&slots, 1..1), [] as [usize; 0]);
        assert_eq!(taken(&slots, 64..900), [] as [usize; 0]);
    }
}
