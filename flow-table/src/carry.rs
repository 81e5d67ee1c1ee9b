//! Pairs taken out of one table and put into another: what outlives the process.

use std::ops::Range;

use crate::action::{Action, Dependency, Output};
use crate::insert::{InsertError, NewPair};
use crate::key::Direction;
use crate::origin::Origin;
use crate::pair::{Half, Pair, Read};
use crate::sync::Ordering;
use crate::table::{FlowTable, Hit};
use crate::tcp::Marks;
use crate::timeout::Millis;

impl Dependency {
    /// Rests on nothing that is still there: the next packet has the pair derived anew.
    pub const STALE: Dependency = Dependency { cell: Dependency::MAX_CELL, epoch: 0 };
}

/// How far a direction of a TCP connection has come, as far as that can be known later: not its sequence numbers,
/// which have moved on by then. Empty for other protocols.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Progress(u8);

impl Progress {
    const KNOWN: u8 = Marks::CONFIRMED.0 | Marks::FINISHED.0 | Marks::RESET.0;

    /// From the bits of [`Progress::bits`]; others are ignored.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Progress {
        Progress(bits & Progress::KNOWN)
    }

    /// As a byte.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether both ends have agreed and neither has ended.
    #[must_use]
    pub const fn is_established(forward: Progress, reverse: Progress) -> bool {
        forward.0 == Marks::CONFIRMED.0 && reverse.0 == Marks::CONFIRMED.0
    }
}

/// When a direction had its last packet (or the pair was made), and how far it has come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Trace {
    /// In the time of the table.
    pub last: Millis,
    /// Of TCP.
    pub progress: Progress,
}

/// A pair outside a table. What its actions were derived from is not kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Carried {
    /// Keys, actions and owner.
    pub pair: NewPair,
    /// When it was made.
    pub created: Millis,
    /// Of the forward and of the reverse direction.
    pub traces: [Trace; 2],
}

impl FlowTable {
    /// Gives the pairs in these slots to `visit`, but for those that only remember a refusal. Slots beyond the
    /// table's capacity hold none.
    pub fn carry(&self, slots: Range<usize>, mut visit: impl FnMut(&Carried)) {
        for index in self.slots.taken(slots) {
            let Some(slot) = self.pairs.get(index) else { return };
            if let Read::Live(_, Some(carried)) = slot.read(|slot| self.carried(index as u32, slot)) {
                visit(&carried);
            }
        }
    }

    fn carried(&self, index: u32, slot: &Pair) -> Option<Carried> {
        if let Output::Drop { .. } = slot.action(Direction::Forward).output {
            return None;
        }
        let origin = self.origin(index);
        let half = |direction| {
            let action = Action { depends: Dependency::STALE, ..slot.action(direction) };
            Half { key: slot.key(direction).unpack(), action }
        };
        let trace = |direction| {
            let (activity, _) = slot.activity(direction);
            Trace { last: activity.last(), progress: Progress::from_bits(activity.track().marks.0) }
        };
        let [forward, reverse] = [Direction::Forward, Direction::Reverse].map(half);
        Some(Carried {
            pair: NewPair { forward, reverse, owner: origin.owner },
            created: origin.created,
            traces: [Direction::Forward, Direction::Reverse].map(trace),
        })
    }

    /// Makes a pair that was carried out of another table, with its age and its progress. `now` is the time, in
    /// which its own times are given as well.
    ///
    /// # Errors
    /// As [`FlowTable::insert`].
    pub fn restore(&self, carried: &Carried, now: Millis) -> Result<Hit, InsertError> {
        let hit = self.insert(&carried.pair, now)?;
        let incarnation = hit.pair.incarnation;
        let Some(slot) = self.pairs.get(hit.pair.index as usize) else { return Ok(hit) };
        slot.write(incarnation, |slot| {
            for (direction, trace) in
                [Direction::Forward, Direction::Reverse].into_iter().zip(&carried.traces)
            {
                let (activity, _) = slot.activity(direction);
                activity.resume(trace.last.min(now), Marks(trace.progress.0), incarnation.tag());
            }
            if let Some(origin) = self.origins.get(hit.pair.index as usize) {
                let origin_now = Origin { owner: carried.pair.owner, created: carried.created.min(now) };
                origin.store(origin_now.word(), Ordering::Relaxed);
            }
            (incarnation, ())
        });
        Ok(hit)
    }
}

#[cfg(test)]
mod tests;
