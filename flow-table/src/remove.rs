//! Taking a pair out.

use crate::index::FlowHash;
use crate::key::Direction;
use crate::origin::Origin;
use crate::pair::Pair;
use crate::statistics::Cause;
use crate::sync::Ordering;
use crate::table::{FlowTable, PairRef};

impl FlowTable {
    /// Removes a pair. False if it is gone already.
    pub fn remove(&self, pair: PairRef) -> bool {
        let removed = self.unlink(pair, Cause::Purged, |_| true);
        if removed {
            self.slots.give_back(pair.index);
        }
        removed
    }

    /// Takes a pair out of the index if `agrees` still says so once nobody else can write the slot. The slot is
    /// then the caller's.
    pub(crate) fn unlink(&self, pair: PairRef, cause: Cause, agrees: impl Fn(&Pair) -> bool) -> bool {
        let Some(slot) = self.pairs.get(pair.index as usize) else { return false };
        let Some((forward, reverse)) = self.hashes(pair) else { return false };
        let _locks = self.index.lock(forward, reverse);
        let unlinked = slot.write(pair.incarnation, |slot| {
            if !agrees(slot) {
                return (pair.incarnation, false);
            }
            self.index.unlink(forward, pair.index, Direction::Forward);
            self.index.unlink(reverse, pair.index, Direction::Reverse);
            self.owners.release(self.origin(pair.index).owner);
            (pair.incarnation.next(), true)
        });
        let removed = unlinked.unwrap_or(false);
        if removed {
            self.counters.removed(cause);
        }
        removed
    }

    fn hashes(&self, pair: PairRef) -> Option<(FlowHash, FlowHash)> {
        let (forward, reverse) =
            self.read(pair, |pair| (pair.key(Direction::Forward), pair.key(Direction::Reverse)))?;
        Some((self.index.hash(&forward), self.index.hash(&reverse)))
    }

    pub(crate) fn origin(&self, index: u32) -> Origin {
        let word = self.origins.get(index as usize).map_or(0, |word| word.load(Ordering::Relaxed));
        Origin::from_word(word)
    }
}
