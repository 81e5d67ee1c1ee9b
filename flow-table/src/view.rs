//! Pairs as the operator sees them.

use crate::action::Action;
use crate::activity::Activity;
use crate::key::{Direction, FlowKey};
use crate::pair::{Pair, Read};
use crate::sweep::state;
use crate::table::{FlowTable, PairRef};
use crate::timeout::{FlowState, Millis};

/// One direction of a pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DirectionView {
    /// What its packets look like on arrival.
    pub key: FlowKey,
    /// What is done to them.
    pub action: Action,
    /// Time since its last packet, or since the pair was made; up to half a second too much.
    pub idle: Millis,
    /// Packets.
    pub packets: u64,
    /// Bytes, as given to `touch`.
    pub bytes: u64,
}

/// A pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlowView {
    /// Its name, for removing it; holds the index of its slot.
    pub pair: PairRef,
    /// Whom it counts for.
    pub owner: u16,
    /// What it is doing.
    pub state: FlowState,
    /// Time since it was made.
    pub age: Millis,
    /// The direction of the packet that made it.
    pub forward: DirectionView,
    /// The direction of the answers.
    pub reverse: DirectionView,
}

impl FlowTable {
    /// The first `limit` pairs that match, in the order of their slots from slot `from` on; to continue, give the
    /// index of the last pair plus one. For diagnostics: it allocates, and walks up to the whole table.
    ///
    /// Each pair is consistent in keys and actions; its counters may move while they are read.
    pub fn view(
        &self,
        now: Millis,
        from: usize,
        limit: usize,
        matches: impl Fn(&FlowView) -> bool,
    ) -> Vec<FlowView> {
        let slots = self.slots.taken(from..self.capacity());
        slots
            .filter_map(|index| self.view_slot(index, self.pairs.get(index)?, now))
            .filter(matches)
            .take(limit)
            .collect()
    }

    /// Shows `look` the pairs in the `slots` slots from slot `from` on, around the end of the table, and returns
    /// the slot after the last. For a control thread that passes through the table bit by bit; allocates nothing.
    pub fn visit(&self, now: Millis, from: usize, slots: usize, mut look: impl FnMut(&FlowView)) -> usize {
        let (capacity, from) = (self.capacity(), from % self.capacity());
        let slots = slots.min(capacity);
        for index in self.taken_from(from, slots) {
            if let Some(view) = self.pairs.get(index).and_then(|slot| self.view_slot(index, slot, now)) {
                look(&view);
            }
        }
        (from + slots) % capacity
    }

    pub(crate) fn view_slot(&self, index: usize, slot: &Pair, now: Millis) -> Option<FlowView> {
        let index = index as u32;
        let read = slot.read(|slot| {
            let (forward, reverse) = slot.activity(Direction::Forward);
            let forward = view_direction(slot, Direction::Forward, forward, now);
            let reverse = view_direction(slot, Direction::Reverse, reverse, now);
            (self.origin(index), state(slot), forward, reverse)
        });
        let Read::Live(incarnation, (origin, state, forward, reverse)) = read else { return None };
        let pair = PairRef { index, incarnation };
        let age = now.since(origin.created);
        Some(FlowView { pair, owner: origin.owner, state, age, forward, reverse })
    }
}

fn view_direction(slot: &Pair, direction: Direction, activity: &Activity, now: Millis) -> DirectionView {
    let counts = activity.counts();
    DirectionView {
        key: slot.key(direction).unpack(),
        action: slot.action(direction),
        idle: now.since(activity.last()),
        packets: counts.packets,
        bytes: counts.bytes,
    }
}

#[cfg(test)]
mod tests;
