//! Making room for a new pair: idle ones give way, sooner than a sweep would remove them.

use crate::pair::{Pair, Read};
use crate::statistics::Cause;
use crate::sync::Ordering;
use crate::table::{FlowTable, PairRef};
use crate::timeout::{Millis, Pressure};

/// Slots that an insert into a full table looks at for one that may give way.
pub(crate) const REACH: usize = 32;

/// Slots of which an insert asks who owns them, when its owner has its share: eight in a cache line.
pub(crate) const OWNER_REACH: u32 = 256;

impl FlowTable {
    /// A slot from a pair that may give way in a full table.
    pub(crate) fn evict(&self, now: Millis) -> Option<u32> {
        (0..REACH.min(self.capacity()))
            .map(|_| self.next_slot(&self.evict_cursor))
            .find(|index| self.evict_slot(*index, now, |_| true))
    }

    /// A slot from a pair that may give way, of an owner that has its share. Who opens connections without end
    /// loses those that came to nothing, and nobody else loses any.
    pub(crate) fn evict_own(&self, owner: u16, now: Millis) -> Option<u32> {
        // At most 2^30.
        let capacity = self.capacity() as u32;
        let start = self.owners.advance(owner, OWNER_REACH);
        let is_own = |index: u32| self.origin(index).owner == owner;
        (0..OWNER_REACH.min(capacity))
            .map(|step| start.wrapping_add(step) % capacity)
            .find(|index| is_own(*index) && self.evict_slot(*index, now, is_own))
    }

    /// Whether the next insert into this table, being full, would find a pair that gives way.
    pub(crate) fn would_evict(&self, now: Millis) -> bool {
        let start = self.evict_cursor.load(Ordering::Relaxed);
        let slots = (0..REACH.min(self.capacity())).map(|step| (start + step) % self.capacity());
        slots.into_iter().any(|index| self.would_give_way(index as u32, now))
    }

    /// Whether the next insert for an owner that has its share would find a pair of it that gives way.
    pub(crate) fn would_evict_own(&self, owner: u16, now: Millis) -> bool {
        let (capacity, start) = (self.capacity() as u32, self.owners.cursor(owner));
        (0..OWNER_REACH.min(capacity))
            .map(|step| start.wrapping_add(step) % capacity)
            .any(|index| self.origin(index).owner == owner && self.would_give_way(index, now))
    }

    fn would_give_way(&self, index: u32, now: Millis) -> bool {
        let slot = self.pairs.get(index as usize);
        let idle = |slot: &Pair| self.is_idle(slot, now, Pressure::Full);
        slot.is_some_and(|slot| matches!(slot.read(idle), Read::Live(_, true)))
    }

    /// Removes the pair in a slot if it is idle for a full table and `agrees`; the slot is then the caller's.
    fn evict_slot(&self, index: u32, now: Millis, agrees: impl Fn(u32) -> bool) -> bool {
        let Some(slot) = self.pairs.get(index as usize) else { return false };
        let idle = |slot: &Pair| self.is_idle(slot, now, Pressure::Full) && agrees(index);
        match slot.read(idle) {
            // A packet may come between the look and the removal, so the slot is asked again.
            Read::Live(incarnation, true) => {
                self.unlink(PairRef { index, incarnation }, Cause::Evicted, idle)
            }
            Read::Live(_, false) | Read::Free | Read::Busy => false,
        }
    }
}

#[cfg(test)]
mod tests;
