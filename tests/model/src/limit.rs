//! What a vif may cause only so much of.

use crate::router::{Router, State};

/// What a vif may cause only so much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limited {
    /// Messages about its packets.
    Errors,
    /// Answers to ARP and neighbour solicitations.
    Neighbours,
    /// Broadcasts.
    Broadcasts,
}

impl Router {
    /// 50 at once (100 broadcasts), 100 a second: a credit of 500 ms (1000), of which each takes 10.
    pub(crate) fn may_cause(&self, what: Limited, slot: u16, state: &mut State) -> bool {
        let full = if what == Limited::Broadcasts { 1000 } else { 500 };
        let (credit, at) = state.credits.get(&(what, slot)).copied().unwrap_or((full, self.now));
        let credit = (credit + (self.now - at)).min(full);
        let allowed = credit >= 10;
        state.credits.insert((what, slot), (if allowed { credit - 10 } else { credit }, self.now));
        allowed
    }
}
