//! One datagram under way: which of its parts have come, and what its first fragment has said.

use crate::drop::DropReason;
use crate::packet::ip::Piece;

/// Parts of one datagram that are told apart: 64 KiB over a path with an MTU of 576 has 119.
const MAX_PIECES: usize = 128;
/// Fragments of one datagram that may wait for its first: 64 KiB at an MTU of 1500 has 44 others.
const MAX_WAITING: u8 = 64;

/// What only the first fragment tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    pub(crate) protocol: u8,
    pub(crate) sport: u16,
    pub(crate) dport: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The first fragment has not come.
    Waiting,
    /// It has.
    Known(Ports),
    /// RFC 5722 section 4: fragments overlap, so none of the datagram is taken any more.
    Poisoned,
}

/// The parts that have come and the frames that wait.
#[derive(Clone, Debug)]
pub(crate) struct Datagram {
    state: State,
    parts: [(u16, u16); MAX_PIECES],
    count: usize,
    bytes: u32,
    total: Option<u16>,
    waiting: u8,
}

impl Datagram {
    pub(crate) const EMPTY: Datagram = Datagram {
        state: State::Waiting,
        parts: [(0, 0); MAX_PIECES],
        count: 0,
        bytes: 0,
        total: None,
        waiting: 0,
    };

    /// Forgets everything; the old parts are behind the count.
    pub(crate) fn clear(&mut self) {
        self.state = State::Waiting;
        (self.count, self.bytes, self.total, self.waiting) = (0, 0, None, 0);
    }

    /// The first fragment has come.
    pub(crate) fn first(&mut self, piece: &Piece, ports: Ports) -> Result<(), DropReason> {
        self.receive(piece)?;
        self.state = State::Known(ports);
        Ok(())
    }

    /// A later fragment has come: the ports it belongs to, or none and it counts as waiting.
    pub(crate) fn later(&mut self, piece: &Piece) -> Result<Option<Ports>, DropReason> {
        if self.state == State::Waiting && self.waiting == MAX_WAITING {
            return Err(DropReason::FragmentTableFull);
        }
        self.receive(piece)?;
        match self.state {
            State::Known(ports) => Ok(Some(ports)),
            State::Waiting | State::Poisoned => {
                self.waiting += 1;
                Ok(None)
            }
        }
    }

    /// A waiting fragment asks again; it counts as waiting no more unless the answer is `None`.
    pub(crate) fn again(&mut self) -> Result<Option<Ports>, DropReason> {
        match self.state {
            State::Waiting => Ok(None),
            State::Known(ports) => {
                self.give_up();
                Ok(Some(ports))
            }
            State::Poisoned => {
                self.give_up();
                Err(DropReason::FragmentOverlap)
            }
        }
    }

    /// A waiting fragment is gone.
    pub(crate) fn give_up(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// Whether a waiting fragment need wait no longer.
    pub(crate) fn has_news(&self) -> bool {
        self.waiting > 0 && self.state != State::Waiting
    }

    /// Whether every part has come and gone on.
    pub(crate) fn is_done(&self) -> bool {
        let complete = self.total.is_some_and(|total| u32::from(total) == self.bytes);
        complete && self.waiting == 0 && matches!(self.state, State::Known(_))
    }

    fn receive(&mut self, piece: &Piece) -> Result<(), DropReason> {
        if self.state == State::Poisoned {
            return Err(DropReason::FragmentOverlap);
        }
        if self.is_duplicate(piece) {
            // RFC 8200 section 4.5: an exact duplicate may be dropped and the others kept.
            return Err(DropReason::FragmentDuplicate);
        }
        if self.contradicts(piece) {
            self.state = State::Poisoned;
            return Err(DropReason::FragmentOverlap);
        }
        let free = self.parts.get_mut(self.count).ok_or(DropReason::FragmentTableFull)?;
        *free = (piece.start, piece.end);
        self.count += 1;
        self.bytes += u32::from(piece.end - piece.start);
        if !piece.more {
            self.total = Some(piece.end);
        }
        Ok(())
    }

    fn received(&self) -> &[(u16, u16)] {
        self.parts.get(..self.count).unwrap_or_default()
    }

    fn is_duplicate(&self, piece: &Piece) -> bool {
        let was_last = self.total == Some(piece.end);
        piece.more != was_last && self.received().contains(&(piece.start, piece.end))
    }

    /// Whether a part overlaps another or does not agree with where the datagram ends.
    fn contradicts(&self, piece: &Piece) -> bool {
        let overlaps = |(start, end): &(u16, u16)| piece.start < *end && *start < piece.end;
        let past_end = match (self.total, piece.more) {
            (Some(total), true) => piece.end > total,
            (Some(_), false) => true,
            (None, true) => false,
            (None, false) => self.received().iter().any(|(_, end)| *end > piece.end),
        };
        past_end || self.received().iter().any(overlaps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: Ports = Ports { protocol: 17, sport: 1, dport: 2 };

    fn piece(start: u16, end: u16, more: bool) -> Piece {
        Piece { id: 1, start, end, more }
    }

    /// Feeds fragments `(start, end, more)` and gives the last answer.
    fn feed(pieces: &[(u16, u16, bool)]) -> (Datagram, Result<(), DropReason>) {
        let mut datagram = Datagram::EMPTY;
        let mut last = Ok(());
        for (start, end, more) in pieces {
            let piece = piece(*start, *end, *more);
            last = match start {
                0 => datagram.first(&piece, PORTS),
                _ => datagram.later(&piece).map(drop),
            };
        }
        (datagram, last)
    }

    type Row = (&'static [(u16, u16, bool)], DropReason, bool);

    #[test]
    fn overlaps_poison_and_duplicates_do_not() {
        let rows: [Row; 9] = [
            (&[(0, 16, true), (8, 24, true)], DropReason::FragmentOverlap, true),
            (&[(8, 24, true), (0, 16, true)], DropReason::FragmentOverlap, true),
            (&[(0, 64, true), (8, 16, true)], DropReason::FragmentOverlap, true),
            (&[(8, 16, true), (0, 64, true)], DropReason::FragmentOverlap, true),
            (&[(0, 16, true), (16, 20, false), (16, 20, false)], DropReason::FragmentDuplicate, false),
            (&[(0, 16, true), (16, 24, true), (16, 24, false)], DropReason::FragmentOverlap, true),
            (&[(0, 16, true), (16, 20, false), (24, 32, true)], DropReason::FragmentOverlap, true),
            (&[(0, 16, true), (32, 40, true), (16, 20, false)], DropReason::FragmentOverlap, true),
            (&[(0, 16, true), (16, 20, false), (24, 28, false)], DropReason::FragmentOverlap, true),
        ];
        for (pieces, reason, poisoned) in rows {
            let (mut datagram, last) = feed(pieces);
            assert_eq!(last, Err(reason), "{pieces:?}");
            let next = datagram.later(&piece(1024, 1032, true));
            let expected = if poisoned { DropReason::FragmentOverlap } else { reason };
            assert_eq!(next.is_err_and(|next| next == expected), poisoned, "{pieces:?}");
        }
    }

    #[test]
    fn a_datagram_is_done_when_all_have_come_and_none_waits() {
        let (mut datagram, _) = feed(&[(16, 20, false), (8, 16, true), (0, 8, true)]);
        assert!(datagram.has_news() && !datagram.is_done());
        assert_eq!(datagram.again(), Ok(Some(PORTS)));
        assert!(!datagram.is_done());
        assert_eq!(datagram.again(), Ok(Some(PORTS)));
        assert!(datagram.is_done());
        datagram.clear();
        assert!(!datagram.is_done());
        assert_eq!(datagram.later(&piece(8, 16, true)), Ok(None));
    }

    #[test]
    fn room_is_bounded() {
        let (mut datagram, _) = feed(&[(0, 8, true)]);
        for n in 1..MAX_PIECES as u16 {
            assert_eq!(datagram.later(&piece(n * 8, n * 8 + 8, true)), Ok(Some(PORTS)));
        }
        assert_eq!(datagram.later(&piece(8000, 8008, true)), Err(DropReason::FragmentTableFull));
        let mut headless = Datagram::EMPTY;
        for n in 1..=u16::from(MAX_WAITING) {
            assert_eq!(headless.later(&piece(n * 8, n * 8 + 8, true)), Ok(None));
        }
        assert_eq!(headless.later(&piece(8000, 8008, true)), Err(DropReason::FragmentTableFull));
        headless.give_up();
        assert_eq!(headless.later(&piece(8000, 8008, true)), Ok(None));
    }
}
