//! The slot of a pair: three cache lines of words under a sequence lock.

use crate::action::Action;
use crate::activity::Activity;
use crate::key::{Direction, FlowKey, Kind, PackedKey};
use crate::rewrite::{Deltas, Rewrite, RewriteKind};
use crate::sync::{AtomicU64, Ordering, READ_ATTEMPTS, fence, pause, spin};
use crate::timeout::Millis;

/// One direction as the caller gives it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Half {
    /// What its packets look like on arrival.
    pub key: FlowKey,
    /// What is done to them.
    pub action: Action,
}

/// How often a slot has changed hands. Odd: it holds a pair. Even: it is free.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Incarnation(u32);

impl Incarnation {
    pub(crate) const fn is_live(self) -> bool {
        self.0 & 1 == 1
    }

    pub(crate) const fn next(self) -> Incarnation {
        Incarnation(self.0.wrapping_add(1))
    }

    pub(crate) const fn tag(self) -> u16 {
        self.0 as u16
    }
}

/// Incarnation (32) | number of writes begun and ended (32), odd while one is going on.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Sequence(u64);

impl Sequence {
    const fn new(incarnation: Incarnation, writes: u32) -> Sequence {
        Sequence((incarnation.0 as u64) << 32 | writes as u64)
    }

    const fn incarnation(self) -> Incarnation {
        Incarnation((self.0 >> 32) as u32)
    }

    const fn writes(self) -> u32 {
        self.0 as u32
    }

    const fn is_being_written(self) -> bool {
        self.0 & 1 == 1
    }
}

/// What a consistent read of a slot found.
pub(crate) enum Read<T> {
    /// A pair, and what was asked of it.
    Live(Incarnation, T),
    /// No pair.
    Free,
    /// It was being written all the time.
    Busy,
}

impl<T> Read<T> {
    /// What was read, if the slot holds the pair of that incarnation.
    pub(crate) fn of(self, wanted: Incarnation) -> Option<T> {
        match self {
            Read::Live(incarnation, value) if incarnation == wanted => Some(value),
            Read::Live(..) | Read::Free | Read::Busy => None,
        }
    }
}

/// Key and action of a direction: 56 bytes.
#[repr(C)]
struct Side {
    key: [AtomicU64; 5],
    action: [AtomicU64; 2],
}

fn words<const N: usize>() -> [AtomicU64; N] {
    std::array::from_fn(|_| AtomicU64::new(0))
}

impl Side {
    fn new() -> Side {
        Side { key: words(), action: words() }
    }

    fn store_key(&self, words: [u64; 5]) {
        self.key.iter().zip(words).for_each(|(place, word)| place.store(word, Ordering::Relaxed));
    }

    fn store_action(&self, action: Action) {
        self.action.iter().zip(action.pack()).for_each(|(place, word)| place.store(word, Ordering::Relaxed));
    }

    fn key_words(&self) -> [u64; 5] {
        self.key.each_ref().map(|word| word.load(Ordering::Relaxed))
    }

    #[inline(always)]
    fn action(&self) -> Action {
        Action::unpack(self.action.each_ref().map(|word| word.load(Ordering::Relaxed)))
    }
}

/// Kinds of both keys, whether there is a translation, and the checksum changes of the forward direction:
/// L3 delta (16) | L4 delta (16) | zero (13) | translate (1) | reverse kind (9) | forward kind (9).
#[derive(Clone, Copy)]
struct Shape(u64);

impl Shape {
    const TRANSLATE: u64 = 1 << 18;

    fn new(forward: Kind, reverse: Kind, rewrite: &Rewrite) -> Shape {
        let translate = match rewrite.kind {
            RewriteKind::None => 0,
            RewriteKind::Translate => Shape::TRANSLATE,
        };
        let deltas = u64::from(rewrite.l3_delta) << 48 | u64::from(rewrite.l4_delta) << 32;
        Shape(deltas | translate | u64::from(reverse.bits()) << 9 | u64::from(forward.bits()))
    }

    const fn kind(self, direction: Direction) -> Kind {
        match direction {
            Direction::Forward => Kind::from_bits(self.0 as u16),
            Direction::Reverse => Kind::from_bits((self.0 >> 9) as u16),
        }
    }

    const fn translates(self) -> bool {
        self.0 & Shape::TRANSLATE != 0
    }

    fn deltas(self, direction: Direction) -> Deltas {
        let forward = Deltas { l3: (self.0 >> 48) as u16, l4: (self.0 >> 32) as u16 };
        match direction {
            Direction::Forward => forward,
            Direction::Reverse => forward.inverse(),
        }
    }
}

/// The slot. First line: sequence and forward side; second: reverse side and shape; third: activity.
#[repr(C, align(64))]
pub(crate) struct Pair {
    sequence: AtomicU64,
    forward: Side,
    reverse: Side,
    shape: AtomicU64,
    activity: [Activity; 2],
}

impl Pair {
    pub(crate) fn new() -> Pair {
        Pair {
            sequence: AtomicU64::new(0),
            forward: Side::new(),
            reverse: Side::new(),
            shape: AtomicU64::new(0),
            activity: [Activity::new(), Activity::new()],
        }
    }

    /// The incarnation at this moment.
    pub(crate) fn incarnation(&self) -> Incarnation {
        Sequence(self.sequence.load(Ordering::Acquire)).incarnation()
    }

    /// Reads the slot so that everything `look` loads belongs together. `look` runs on words that may be torn
    /// while a writer is at work, and again until none was; so it must be total and without effect.
    #[inline(always)]
    pub(crate) fn read<T>(&self, look: impl Fn(&Pair) -> T) -> Read<T> {
        for _ in 0..READ_ATTEMPTS {
            match self.attempt(&look) {
                // A reader does not yield, as it has a packet in its hand; it gives up instead.
                Read::Busy => spin(),
                settled => return settled,
            }
        }
        Read::Busy
    }

    /// The same in one attempt.
    #[inline(always)]
    pub(crate) fn attempt<T>(&self, look: impl FnOnce(&Pair) -> T) -> Read<T> {
        let before = Sequence(self.sequence.load(Ordering::Acquire));
        if before.is_being_written() {
            return Read::Busy;
        }
        if !before.incarnation().is_live() {
            return Read::Free;
        }
        let value = look(self);
        fence(Ordering::Acquire);
        if self.sequence.load(Ordering::Relaxed) == before.0 {
            Read::Live(before.incarnation(), value)
        } else {
            Read::Busy
        }
    }

    /// Writes the slot if it is of that incarnation. `write` returns the incarnation the slot has afterwards.
    pub(crate) fn write<T>(
        &self,
        expected: Incarnation,
        write: impl FnOnce(&Pair) -> (Incarnation, T),
    ) -> Option<T> {
        let held = self.begin(expected)?;
        let (incarnation, value) = write(self);
        let end = Sequence::new(incarnation, held.writes().wrapping_add(1));
        self.sequence.store(end.0, Ordering::Release);
        Some(value)
    }

    fn begin(&self, expected: Incarnation) -> Option<Sequence> {
        let mut attempt = 0;
        loop {
            let seen = Sequence(self.sequence.load(Ordering::Relaxed));
            if seen.incarnation() != expected {
                return None;
            }
            let held = Sequence::new(expected, seen.writes() | 1);
            if !seen.is_being_written()
                && self
                    .sequence
                    .compare_exchange_weak(seen.0, held.0, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
            {
                // No word written after this may be seen by a reader that still finds the old sequence.
                fence(Ordering::Release);
                return Some(held);
            }
            pause(attempt);
            attempt = attempt.saturating_add(1);
        }
    }

    /// Fills the slot; within [`Pair::write`].
    pub(crate) fn fill(&self, forward: &Half, reverse: &Half, rewrite: &Rewrite) {
        let keys = (PackedKey::new(&forward.key), PackedKey::new(&reverse.key));
        self.forward.store_key(keys.0.words);
        self.reverse.store_key(keys.1.words);
        self.store_actions(forward.action, reverse.action);
        self.shape.store(Shape::new(keys.0.kind, keys.1.kind, rewrite).0, Ordering::Relaxed);
    }

    /// Starts the activity of a new incarnation; within [`Pair::write`].
    pub(crate) fn reset_activity(&self, now: Millis, incarnation: Incarnation) {
        self.activity.iter().for_each(|activity| activity.reset(now, incarnation.tag()));
    }

    /// Replaces the actions; within [`Pair::write`].
    pub(crate) fn store_actions(&self, forward: Action, reverse: Action) {
        self.forward.store_action(forward);
        self.reverse.store_action(reverse);
    }

    /// Loads a word of each line, for the sake of having them in the cache.
    pub(crate) fn load_any(&self, direction: Direction) -> u64 {
        let (activity, _) = self.activity(direction);
        self.sequence.load(Ordering::Relaxed) ^ self.shape.load(Ordering::Relaxed) ^ activity.last().0
    }

    fn side(&self, direction: Direction) -> &Side {
        match direction {
            Direction::Forward => &self.forward,
            Direction::Reverse => &self.reverse,
        }
    }

    fn shape(&self) -> Shape {
        Shape(self.shape.load(Ordering::Relaxed))
    }

    /// Whether the key of this direction is `key`.
    #[inline]
    pub(crate) fn holds(&self, direction: Direction, key: &PackedKey) -> bool {
        // Not as arrays: that is a call of memcmp on copies.
        let words = self.side(direction).key.iter().zip(key.words);
        let differing = words.fold(0, |bits, (word, wanted)| bits | (word.load(Ordering::Relaxed) ^ wanted));
        differing == 0 && self.shape().kind(direction) == key.kind
    }

    pub(crate) fn key(&self, direction: Direction) -> PackedKey {
        PackedKey { words: self.side(direction).key_words(), kind: self.shape().kind(direction) }
    }

    #[inline(always)]
    pub(crate) fn action(&self, direction: Direction) -> Action {
        self.side(direction).action()
    }

    /// What translation does to a packet of this direction, whose key is `key`.
    #[inline]
    pub(crate) fn rewrite(&self, direction: Direction, key: &FlowKey) -> Rewrite {
        let shape = self.shape();
        if !shape.translates() {
            return Rewrite::none(&key.tuple);
        }
        let target = self.key(direction.opposite()).unpack().tuple.reversed();
        Rewrite::translate(&target, shape.deltas(direction))
    }

    /// The activity of this direction and of the other.
    pub(crate) fn activity(&self, direction: Direction) -> (&Activity, &Activity) {
        let [forward, reverse] = &self.activity;
        match direction {
            Direction::Forward => (forward, reverse),
            Direction::Reverse => (reverse, forward),
        }
    }
}

#[cfg(test)]
mod tests;
