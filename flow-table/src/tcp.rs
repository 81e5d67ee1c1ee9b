//! The TCP state of a pair, kept so that nobody can end a connection who does not see it (RFC 5961 in spirit).
//!
//! Each direction has a [`Track`]: the end of what was sent, the last acknowledgement, and what has happened. It is
//! written by packets of its own direction only, so two workers do not write the same words; the state of the pair
//! follows from both tracks.

use crate::timeout::FlowState;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// How far a sequence or acknowledgement number may lie from the last known one to be believed. All packets of a
/// connection pass here, so a real gap is at most the data in flight.
const NEAR: u32 = 4 << 20;

/// An acknowledgement completes the handshake only if it lies at most this far behind what was sent.
const CONFIRM: u32 = u16::MAX as u32;

/// What the table looks at in a TCP header.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Segment {
    /// The byte of flags: FIN 1, SYN 2, RST 4, PSH 8, ACK 16.
    pub flags: u8,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number; meaningless without the ACK flag.
    pub ack: u32,
    /// Bytes of payload.
    pub payload: u32,
}

impl Segment {
    const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The sequence number after this segment (RFC 9293 section 3.4: SYN and FIN count as one each).
    fn end(&self) -> u32 {
        let marks = u32::from(self.has(SYN)) + u32::from(self.has(FIN));
        self.seq.wrapping_add(self.payload).wrapping_add(marks)
    }
}

/// What has been seen of one direction; the default is nothing.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Track {
    pub(crate) marks: Marks,
    /// Sequence number after the last byte sent, if [`Marks::SENT`].
    pub(crate) end: u32,
    /// Highest acknowledgement sent, if [`Marks::ACKED`].
    pub(crate) ack: u32,
}

/// What has happened in one direction, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Marks(pub(crate) u8);

impl Marks {
    /// `end` is known.
    pub(crate) const SENT: Marks = Marks(1);
    /// `ack` is known.
    pub(crate) const ACKED: Marks = Marks(2);
    /// It has acknowledged what the other direction sent.
    pub(crate) const CONFIRMED: Marks = Marks(4);
    /// It has sent its last byte.
    pub(crate) const FINISHED: Marks = Marks(8);
    /// It has sent an acceptable RST.
    pub(crate) const RESET: Marks = Marks(16);

    const fn has(self, mark: Marks) -> bool {
        self.0 & mark.0 != 0
    }

    const fn with(self, mark: Marks) -> Marks {
        Marks(self.0 | mark.0)
    }
}

/// What one segment changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// The segment is not to be believed, or says nothing new.
    Unchanged,
    /// The sender's direction is now this.
    Own(Track),
    /// A new connection on the same ports: the sender's direction is now this, the other is unknown again.
    Restart(Track),
}

/// The state of a pair of directions.
pub(crate) fn state(forward: &Track, reverse: &Track) -> FlowState {
    let both = |mark| forward.marks.has(mark) && reverse.marks.has(mark);
    if forward.marks.has(Marks::RESET) || reverse.marks.has(Marks::RESET) {
        FlowState::TcpClosed
    } else if both(Marks::FINISHED) {
        let done = forward.ack == reverse.end && reverse.ack == forward.end;
        if done { FlowState::TcpClosed } else { FlowState::TcpClosing }
    } else if both(Marks::CONFIRMED) {
        FlowState::TcpEstablished
    } else {
        FlowState::TcpOpening
    }
}

/// What a segment in the direction of `own` does.
pub(crate) fn step(own: &Track, other: &Track, segment: &Segment) -> Step {
    let next = if segment.has(RST) {
        if !reset_is_acceptable(own, other, segment) {
            return Step::Unchanged;
        }
        Track { marks: own.marks.with(Marks::RESET), ..*own }
    } else if segment.has(SYN) {
        match state(own, other) {
            FlowState::TcpOpening => advance(&Track::default(), other, segment),
            // RFC 9293 section 3.10.7.4: a closed or closing pair of ports may be used again.
            FlowState::TcpClosing | FlowState::TcpClosed if !segment.has(ACK) => {
                return Step::Restart(advance(&Track::default(), &Track::default(), segment));
            }
            // RFC 5961 section 4: a SYN does nothing to a connection that stands.
            _ => return Step::Unchanged,
        }
    } else if is_plausible(own, other, segment) {
        advance(own, other, segment)
    } else {
        return Step::Unchanged;
    };
    if next == *own { Step::Unchanged } else { Step::Own(next) }
}

/// RFC 5961 section 3.2: a RST counts only with exactly the sequence number the receiver expects. That is the last
/// acknowledgement of the other end, or the end of what was sent if the acknowledgement is still on its way.
fn reset_is_acceptable(own: &Track, other: &Track, segment: &Segment) -> bool {
    let expected = own.marks.has(Marks::SENT) && segment.seq == own.end
        || other.marks.has(Marks::ACKED) && segment.seq == other.ack;
    if expected || own.marks.has(Marks::SENT) {
        return expected;
    }
    // RFC 9293 section 3.10.7.3: the answer to a SYN is acceptable if it acknowledges the SYN. A RST that is the
    // very first packet closes nothing but its own pair.
    !other.marks.has(Marks::SENT) || segment.has(ACK) && segment.ack == other.end
}

/// RFC 5961 section 5: who cannot see the connection does not know its sequence numbers.
fn is_plausible(own: &Track, other: &Track, segment: &Segment) -> bool {
    let sequence = !own.marks.has(Marks::SENT) || is_near(segment.seq, own.end);
    let acknowledgement =
        !segment.has(ACK) || !other.marks.has(Marks::SENT) || is_near(segment.ack, other.end);
    sequence && acknowledgement
}

fn advance(own: &Track, other: &Track, segment: &Segment) -> Track {
    let mut next = *own;
    if !own.marks.has(Marks::SENT) || is_after(segment.end(), own.end) {
        next.end = segment.end();
    }
    next.marks = next.marks.with(Marks::SENT);
    if segment.has(ACK) {
        if !own.marks.has(Marks::ACKED) || is_after(segment.ack, own.ack) {
            next.ack = segment.ack;
        }
        next.marks = next.marks.with(Marks::ACKED);
        if !other.marks.has(Marks::SENT) || other.end.wrapping_sub(segment.ack) <= CONFIRM {
            next.marks = next.marks.with(Marks::CONFIRMED);
        }
    }
    if segment.has(FIN) {
        next.marks = next.marks.with(Marks::FINISHED);
    }
    next
}

/// Whether `a` is later than `b` on the circle of sequence numbers (RFC 9293 section 3.4).
fn is_after(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}

fn is_near(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) <= NEAR || b.wrapping_sub(a) <= NEAR
}

#[cfg(test)]
mod tests;
