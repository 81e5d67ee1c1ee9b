//! What is known of one direction of a pair, updated by every packet without a lock.

use crate::sync::{AtomicU64, Ordering};
use crate::tcp::{Marks, Segment, Step, Track, step};
use crate::timeout::Millis;

/// Attempts to store the time of a packet. A worker that loses them all lost to others that stored theirs.
const ATTEMPTS: usize = 4;

/// How much older than the last packet its stored time may be, so that most packets have none to store: a line
/// that is not written stays in the caches of all workers.
pub(crate) const GRAIN: Millis = Millis(512);

/// Last time, marks and incarnation of a direction, in one word so that they change together.
///
/// Milliseconds (40) | TCP marks (8) | low bits of the slot's incarnation (16): a late update by the holder of an
/// old reference fails instead of keeping a stranger alive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Seen(u64);

impl Seen {
    const LAST_MOMENT: u64 = (1 << 40) - 1;

    fn new(at: Millis, marks: Marks, tag: u16) -> Seen {
        Seen(at.0.min(Seen::LAST_MOMENT) << 24 | u64::from(marks.0) << 16 | u64::from(tag))
    }

    const fn at(self) -> Millis {
        Millis(self.0 >> 24)
    }

    const fn marks(self) -> Marks {
        Marks((self.0 >> 16) as u8)
    }

    const fn tag(self) -> u16 {
        self.0 as u16
    }
}

/// One packet of a direction.
#[derive(Clone, Copy)]
pub(crate) struct Packet {
    pub(crate) now: Millis,
    pub(crate) bytes: u32,
    pub(crate) segment: Option<Segment>,
}

/// Counts of a direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Counts {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

/// The mutable half of a direction: 32 bytes.
///
/// Packets and bytes are counted by a load and a store, as an atomic addition costs more than the rest of a hit:
/// two workers that carry the *same* direction at the same moment can lose a count. Nothing is decided by them but
/// whether there was a packet at all.
#[repr(C)]
pub(crate) struct Activity {
    seen: AtomicU64,
    packets: AtomicU64,
    bytes: AtomicU64,
    /// Track end (32) | track ack (32).
    sequence: AtomicU64,
}

impl Activity {
    pub(crate) fn new() -> Activity {
        Activity {
            seen: AtomicU64::new(0),
            packets: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            sequence: AtomicU64::new(0),
        }
    }

    /// Starts a new life of the slot.
    pub(crate) fn reset(&self, now: Millis, tag: u16) {
        self.packets.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
        self.sequence.store(0, Ordering::Relaxed);
        self.seen.store(Seen::new(now, Marks::default(), tag).0, Ordering::Release);
    }

    /// Takes up what is known of an earlier life, in a slot that was just reset.
    pub(crate) fn resume(&self, last: Millis, marks: Marks, tag: u16) {
        self.seen.store(Seen::new(last, marks, tag).0, Ordering::Release);
    }

    /// Notes a packet, unless the slot has begun another life.
    #[inline(always)]
    pub(crate) fn record(&self, other: &Activity, tag: u16, packet: &Packet) {
        let before = Seen(self.seen.load(Ordering::Acquire));
        if before.tag() != tag {
            return;
        }
        self.packets.store(self.packets.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        let bytes = self.bytes.load(Ordering::Relaxed).wrapping_add(packet.bytes.into());
        self.bytes.store(bytes, Ordering::Relaxed);
        let marks = match &packet.segment {
            None => before.marks(),
            Some(segment) => self.follow(other, tag, segment),
        };
        self.store_seen(before, packet.now, marks);
    }

    /// Takes a TCP step and returns the new marks of this direction.
    #[inline(never)]
    fn follow(&self, other: &Activity, tag: u16, segment: &Segment) -> Marks {
        let own = self.track();
        let next = match step(&own, &other.track(), segment) {
            Step::Unchanged => return own.marks,
            Step::Own(next) => next,
            Step::Restart(next) => {
                let seen = Seen(other.seen.load(Ordering::Acquire));
                if seen.tag() == tag {
                    other.store_seen(seen, seen.at(), Marks::default());
                }
                next
            }
        };
        let word = u64::from(next.end) << 32 | u64::from(next.ack);
        self.sequence.store(word, Ordering::Relaxed);
        next.marks
    }

    fn store_seen(&self, before: Seen, now: Millis, marks: Marks) {
        let mut current = before;
        for _ in 0..ATTEMPTS {
            if marks == current.marks() && now.since(current.at()) < GRAIN {
                return;
            }
            let next = Seen::new(now.max(current.at()), marks, before.tag());
            let stored =
                self.seen.compare_exchange_weak(current.0, next.0, Ordering::Release, Ordering::Acquire);
            match stored {
                Ok(_) => return,
                Err(actual) if Seen(actual).tag() != before.tag() => return,
                Err(actual) => current = Seen(actual),
            }
        }
    }

    /// Last time a packet was seen, or the time the pair was made; the true one is less than [`GRAIN`] later.
    pub(crate) fn last(&self) -> Millis {
        Seen(self.seen.load(Ordering::Relaxed)).at()
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts { packets: self.packets.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }

    pub(crate) fn track(&self) -> Track {
        let marks = Seen(self.seen.load(Ordering::Acquire)).marks();
        let word = self.sequence.load(Ordering::Relaxed);
        Track { marks, end: (word >> 32) as u32, ack: word as u32 }
    }
}
