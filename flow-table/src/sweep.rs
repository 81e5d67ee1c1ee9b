//! Finding and removing idle pairs.

use crate::action::Output;
use crate::activity::GRAIN;
use crate::key::{Direction, FlowKey, PackedKey};
use crate::pair::{Pair, Read};
use crate::statistics::Cause;
use crate::sync::{AtomicUsize, Ordering};
use crate::table::{FlowTable, PairRef};
use crate::tcp;
use crate::timeout::{FlowState, Millis, Pressure};

const TCP: u8 = 6;

/// What a sweep did.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Swept {
    /// Slots looked at, free ones included.
    pub examined: usize,
    /// Pairs removed because they were idle.
    pub expired: usize,
    /// Pairs removed because the caller wanted them no more.
    pub purged: usize,
}

/// What a sweep sees of a pair.
struct Glance {
    forward: PackedKey,
    reverse: PackedKey,
    is_idle: bool,
}

impl FlowTable {
    /// Looks at the next `budget` slots, at most once around the table, and removes the pairs of which both
    /// directions have been idle for longer than their timeout, and at once those that `keep` refuses: it is given
    /// the forward and the reverse key, and says whether packets with them can come still. Called by a control
    /// thread.
    pub fn sweep(&self, now: Millis, budget: usize, keep: impl Fn(&FlowKey, &FlowKey) -> bool) -> Swept {
        let examined = budget.min(self.capacity());
        let start = self.sweep_cursor.fetch_add(examined, Ordering::Relaxed) % self.capacity();
        let mut swept = Swept { examined, ..Swept::default() };
        for index in self.taken_from(start, examined) {
            match self.sweep_slot(index as u32, now, &keep) {
                Some(Cause::Expired) => swept.expired += 1,
                Some(Cause::Purged) => swept.purged += 1,
                Some(Cause::Evicted) | None => continue,
            }
            self.slots.give_back(index as u32);
        }
        swept
    }

    /// The slots that are not free of the `count` slots from slot `start` on, around the end of the table.
    pub(crate) fn taken_from(&self, start: usize, count: usize) -> impl Iterator<Item = usize> {
        let (capacity, end) = (self.capacity(), start + count);
        self.slots.taken(start..end.min(capacity)).chain(self.slots.taken(0..end.saturating_sub(capacity)))
    }

    /// Removes the pair in a slot if it is idle or not to be kept, and says why; the slot is then the caller's.
    fn sweep_slot(
        &self,
        index: u32,
        now: Millis,
        keep: impl Fn(&FlowKey, &FlowKey) -> bool,
    ) -> Option<Cause> {
        let read = self.pairs.get(index as usize)?.read(|slot| Glance {
            forward: slot.key(Direction::Forward),
            reverse: slot.key(Direction::Reverse),
            is_idle: self.is_idle(slot, now, Pressure::Normal),
        });
        let Read::Live(incarnation, glance) = read else { return None };
        let pair = PairRef { index, incarnation };
        if !keep(&glance.forward.unpack(), &glance.reverse.unpack()) {
            return self.unlink(pair, Cause::Purged, |_| true).then_some(Cause::Purged);
        }
        let idle = |slot: &Pair| self.is_idle(slot, now, Pressure::Normal);
        (glance.is_idle && self.unlink(pair, Cause::Expired, idle)).then_some(Cause::Expired)
    }

    pub(crate) fn next_slot(&self, cursor: &AtomicUsize) -> u32 {
        (cursor.fetch_add(1, Ordering::Relaxed) % self.capacity()) as u32
    }

    pub(crate) fn is_idle(&self, slot: &Pair, now: Millis, pressure: Pressure) -> bool {
        let (forward, reverse) = slot.activity(Direction::Forward);
        now.since(forward.last().max(reverse.last())) > self.patience(slot, pressure)
    }

    fn patience(&self, slot: &Pair, pressure: Pressure) -> Millis {
        let tuple = slot.key(Direction::Forward).unpack().tuple;
        let state = state(slot);
        // The RFCs say how long a pair stays at the least, and the time stored may be older than the packet.
        let usual = self.timeouts.of(state, tuple.protocol, tuple.dport).0.saturating_add(GRAIN.0);
        let (_, reverse) = slot.activity(Direction::Forward);
        let short = match (pressure, state) {
            (Pressure::Full, FlowState::TcpOpening) => self.timeouts.tcp_opening_full.0,
            (Pressure::Full, FlowState::Stateless) if reverse.counts().packets == 0 => {
                self.timeouts.unanswered_full.0
            }
            _ => usual,
        };
        Millis(short.min(usual))
    }
}

/// What the pair in a slot is doing.
pub(crate) fn state(slot: &Pair) -> FlowState {
    if let Output::Drop { .. } = slot.action(Direction::Forward).output {
        return FlowState::Dropped;
    }
    if slot.key(Direction::Forward).unpack().tuple.protocol != TCP {
        return FlowState::Stateless;
    }
    let (forward, reverse) = slot.activity(Direction::Forward);
    tcp::state(&forward.track(), &reverse.track())
}

#[cfg(test)]
mod tests;
