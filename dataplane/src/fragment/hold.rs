//! Frames of fragments that came before the first one. They stay with the worker they came to.

use std::collections::VecDeque;

use flow_table::Millis;

use crate::io::Side;
use crate::packet::ip::Piece;
use crate::verdict::Flow;

/// Frames one worker holds at most: a quarter of the smallest UMEM share.
const MAX_HELD: usize = 256;
/// Frames of one vif (or of the remote senders into one VRF) among them.
const MAX_PER_CONTEXT: usize = 64;

/// A fragment that came before the first one of its datagram.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    pub(crate) flow: Flow,
    pub(crate) piece: Piece,
    pub(crate) until: Millis,
}

/// Its frame, and the side that came from.
#[derive(Debug)]
pub(crate) struct Held<F> {
    pub(crate) frame: F,
    pub(crate) side: Side,
    pub(crate) waiting: Waiting,
}

/// The frames of one worker that wait, in the order they came.
#[derive(Debug)]
pub(crate) struct Hold<F> {
    frames: VecDeque<Held<F>>,
    /// What the table's news were when all of them were last looked at.
    news: u64,
    /// When the next of them has waited long enough.
    next: Option<Millis>,
}

impl<F> Hold<F> {
    pub(crate) fn new() -> Self {
        Self { frames: VecDeque::with_capacity(MAX_HELD), news: 0, next: None }
    }

    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(crate) fn has_room(&self, waiting: &Waiting) -> bool {
        let context = waiting.flow.context;
        let same = self.frames.iter().filter(|held| held.waiting.flow.context == context).count();
        self.frames.len() < MAX_HELD && same < MAX_PER_CONTEXT
    }

    pub(crate) fn push(&mut self, held: Held<F>) {
        let until = held.waiting.until;
        self.next = Some(self.next.map_or(until, |next| Millis(next.0.min(until.0))));
        self.frames.push_back(held);
    }

    /// How many frames to look at again now: all when there are news or one has waited long
    /// enough, else none. Each is taken with [`Hold::pop`], and pushed again if it waits on.
    pub(crate) fn due(&mut self, news: u64, now: Millis) -> usize {
        let late = self.next.is_some_and(|next| next.0 <= now.0);
        if news == self.news && !late {
            return 0;
        }
        self.news = news;
        self.next = None;
        self.frames.len()
    }

    pub(crate) fn pop(&mut self) -> Option<Held<F>> {
        self.frames.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use flow_table::{Context, Family};

    use super::*;
    use crate::ids::VifSlot;
    use crate::packet::ip::Ip;
    use crate::verdict::Ingress;

    fn held(context: u32, until: u64) -> Held<()> {
        let bytes = [
            0x45, 0, 0, 28, 0, 1, 0, 1, 64, 17, 0x66, 0xcd, 10, 0, 0, 1, 10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        let ip = Ip::parse(Family::V4, &bytes).unwrap();
        let flow = Flow { ingress: Ingress::Vif(VifSlot::new(1).unwrap()), ip, context: Context(context) };
        let piece = Piece { id: 1, start: 8, end: 16, more: false };
        Held { frame: (), side: Side::Trunk, waiting: Waiting { flow, piece, until: Millis(until) } }
    }

    #[test]
    fn frames_are_due_when_there_are_news_or_one_is_late() {
        let mut hold = Hold::new();
        hold.push(held(1, 500));
        hold.push(held(1, 300));
        assert_eq!(hold.due(0, Millis(299)), 0);
        assert_eq!(hold.due(0, Millis(300)), 2);
        let (first, _) = (hold.pop().unwrap(), hold.pop().unwrap());
        hold.push(first);
        assert_eq!(hold.due(0, Millis(499)), 0, "the late one is gone");
        assert_eq!(hold.due(1, Millis(499)), 1);
    }

    #[test]
    fn room_is_shared_out() {
        let mut hold = Hold::new();
        for context in 0..4 {
            for _ in 0..MAX_PER_CONTEXT {
                assert!(hold.has_room(&held(context, 9).waiting));
                hold.push(held(context, 9));
            }
            assert!(!hold.has_room(&held(context, 9).waiting));
        }
        assert_eq!(hold.len(), MAX_HELD);
        assert!(!hold.has_room(&held(4, 9).waiting));
    }
}
