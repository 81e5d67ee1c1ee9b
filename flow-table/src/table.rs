//! The table and what a packet of a known flow does with it.

use std::ops::Range;

use crate::action::Action;
use crate::activity::Packet;
use crate::bucket::Entry;
use crate::index::{FlowHash, Index};
use crate::key::{Direction, FlowKey, PackedKey};
use crate::owners::Owners;
use crate::pair::{Incarnation, Pair, Read};
use crate::rewrite::Rewrite;
use crate::slots::Slots;
use crate::statistics::Counters;
use crate::sync::{AtomicU64, AtomicUsize, Ordering, pause};
use crate::tcp::Segment;
use crate::timeout::{Millis, Timeouts};

/// Most pairs a table can have; the index has 31 bits for a pair.
pub const MAX_PAIRS: u32 = 1 << 30;

/// Size and times of a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableConfig {
    /// Pairs in all; taken as 1 if 0, and as [`MAX_PAIRS`] if more.
    pub max_pairs: u32,
    /// Pairs of one owner.
    pub max_per_owner: u32,
    /// Owners; their indices are below this.
    pub max_owners: u16,
    /// Idle timeouts.
    pub timeouts: Timeouts,
}

/// Names a pair. It stays valid until the pair is removed, and then names nothing: a slot that is used again has
/// another incarnation (it would take 2^31 reuses for an old reference to fit again).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PairRef {
    pub(crate) index: u32,
    pub(crate) incarnation: Incarnation,
}

impl PairRef {
    /// Index of the slot, below the table's capacity.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.index
    }
}

/// What the table knows about a packet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Hit {
    /// The pair.
    pub pair: PairRef,
    /// Which of its keys the packet has.
    pub direction: Direction,
    /// What to do.
    pub action: Action,
    /// What to translate.
    pub rewrite: Rewrite,
}

/// A search that was begun for a batch, with what it will most likely find.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// Hash of the key.
    pub hash: FlowHash,
    likely: Option<Entry>,
}

impl From<FlowHash> for Search {
    /// One that knows no more than its hash.
    fn from(hash: FlowHash) -> Search {
        Search { hash, likely: None }
    }
}

/// A search in the index.
pub(crate) enum Found {
    Hit(Hit),
    Nothing,
    /// A candidate was being written all the time.
    Busy,
}

/// The concurrent table of flow pairs.
///
/// All memory is taken by [`FlowTable::new`]; 248 bytes and a bit for each pair, all told. Looking up and touching take no lock;
/// adding and removing take two short ones. Every method takes `&self` and may be called by any thread.
pub struct FlowTable {
    pub(crate) index: Index,
    pub(crate) pairs: Box<[Pair]>,
    /// Owner (16) | time the pair was made (48); of a slot, written with it.
    pub(crate) origins: Box<[AtomicU64]>,
    pub(crate) slots: Slots,
    pub(crate) owners: Owners,
    pub(crate) timeouts: Timeouts,
    pub(crate) counters: Counters,
    pub(crate) sweep_cursor: AtomicUsize,
    pub(crate) evict_cursor: AtomicUsize,
}

impl std::fmt::Debug for FlowTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FlowTable").field("statistics", &self.statistics()).finish_non_exhaustive()
    }
}

impl FlowTable {
    /// An empty table. `seed` must come from the system's source of randomness: who knows it can choose keys that
    /// fall into one bucket.
    #[must_use]
    pub fn new(config: TableConfig, seed: [u64; 4]) -> FlowTable {
        let count = config.max_pairs.clamp(1, MAX_PAIRS);
        let owners = Owners::new(config.max_owners, config.max_per_owner);
        FlowTable::empty(count, Index::new(count as usize, seed), owners, config.timeouts)
    }

    pub(crate) fn empty(count: u32, index: Index, owners: Owners, timeouts: Timeouts) -> FlowTable {
        FlowTable {
            index,
            pairs: (0..count).map(|_| Pair::new()).collect(),
            origins: (0..count).map(|_| AtomicU64::new(0)).collect(),
            slots: Slots::new(count),
            owners,
            timeouts,
            counters: Counters::default(),
            sweep_cursor: AtomicUsize::new(0),
            evict_cursor: AtomicUsize::new(0),
        }
    }

    /// The hash of a key, for [`FlowTable::prefetch`] and [`FlowTable::lookup`].
    #[must_use]
    #[inline(always)]
    pub fn hash(&self, key: &FlowKey) -> FlowHash {
        self.index.hash(&PackedKey::new(key))
    }

    /// Loads a word of each line the lookup will start with. A caller with a batch does this for all packets
    /// before the first lookup, and folds the results into something the compiler cannot drop.
    #[must_use]
    pub fn prefetch(&self, hash: FlowHash) -> u64 {
        self.index.prefetch(hash)
    }

    /// The second step of [`FlowTable::prefetch`], once that has been done for the whole batch: begins a search.
    #[must_use]
    #[inline]
    pub fn begin(&self, hash: FlowHash) -> Search {
        Search { hash, likely: self.index.matching(hash).next() }
    }

    /// The third: loads a word of each line of the pair that a search will most likely find, to be folded likewise.
    /// A pass of its own over the batch, as a processor has only so many instructions under way: those of a search
    /// between two loads would keep it from waiting for many of them at once.
    #[must_use]
    #[inline]
    pub fn prefetch_pair(&self, search: &Search) -> u64 {
        let likely =
            search.likely.and_then(|entry| Some((self.pairs.get(entry.pair as usize)?, entry.direction)));
        likely.map_or(0, |(pair, direction)| pair.load_any(direction))
    }

    /// Looks at what the search has most likely found. Nothing here does not mean that there is no pair of the key:
    /// it may have been made since, be written just now, or stand behind another key's with the same tag.
    #[must_use]
    #[inline(always)]
    pub fn finish(&self, search: &Search, key: &FlowKey) -> Option<Hit> {
        search.likely.and_then(|entry| {
            let (pair, direction) = (self.pairs.get(entry.pair as usize)?, entry.direction);
            let packed = PackedKey::new(key);
            let found = pair.attempt(|pair| {
                pair.holds(direction, &packed).then(|| (pair.action(direction), pair.rewrite(direction, key)))
            });
            match found {
                Read::Live(incarnation, Some((action, rewrite))) => {
                    let pair = PairRef { index: entry.pair, incarnation };
                    Some(Hit { pair, direction, action, rewrite })
                }
                Read::Live(_, None) | Read::Free | Read::Busy => None,
            }
        })
    }

    /// Finds the pair of a key. `hash` must be the hash of `key`.
    ///
    /// A pair that is being written for longer than a reader waits counts as not found; an insert then waits and
    /// finds it.
    #[must_use]
    #[inline(always)]
    pub fn lookup(&self, hash: FlowHash, key: &FlowKey) -> Option<Hit> {
        match self.find(hash, key) {
            Found::Hit(hit) => Some(hit),
            Found::Nothing | Found::Busy => None,
        }
    }

    #[inline(always)]
    pub(crate) fn find(&self, hash: FlowHash, key: &FlowKey) -> Found {
        let packed = PackedKey::new(key);
        let mut found = Found::Nothing;
        for entry in self.index.matching(hash) {
            match self.look_at(entry, key, &packed) {
                hit @ Found::Hit(_) => return hit,
                Found::Busy => found = Found::Busy,
                Found::Nothing => {}
            }
        }
        found
    }

    /// Looks whether the pair that an entry names has the key.
    #[inline(always)]
    fn look_at(&self, entry: Entry, key: &FlowKey, packed: &PackedKey) -> Found {
        let Some(pair) = self.pairs.get(entry.pair as usize) else { return Found::Nothing };
        let direction = entry.direction;
        let read = pair.read(|pair| {
            pair.holds(direction, packed).then(|| (pair.action(direction), pair.rewrite(direction, key)))
        });
        match read {
            Read::Live(incarnation, Some((action, rewrite))) => {
                let pair = PairRef { index: entry.pair, incarnation };
                Found::Hit(Hit { pair, direction, action, rewrite })
            }
            Read::Busy => Found::Busy,
            Read::Live(_, None) | Read::Free => Found::Nothing,
        }
    }

    /// Finds the pair of a key for one who holds the key's lock, so that no answer is a definite no.
    pub(crate) fn find_settled(&self, hash: FlowHash, key: &FlowKey) -> Option<Hit> {
        let mut attempt = 0;
        loop {
            match self.find(hash, key) {
                Found::Hit(hit) => return Some(hit),
                Found::Nothing => return None,
                Found::Busy => pause(attempt),
            }
            attempt = attempt.saturating_add(1);
        }
    }

    /// Notes a packet: time, counts, TCP state. `bytes` is whatever length the caller counts; `segment` is given
    /// for TCP alone. Does nothing if the pair is gone.
    #[inline(always)]
    pub fn touch(&self, hit: &Hit, now: Millis, bytes: u32, segment: Option<Segment>) {
        let Some(pair) = self.pairs.get(hit.pair.index as usize) else { return };
        let (own, other) = pair.activity(hit.direction);
        own.record(other, hit.pair.incarnation.tag(), &Packet { now, bytes, segment });
    }

    pub(crate) fn read<T>(&self, pair: PairRef, look: impl Fn(&Pair) -> T) -> Option<T> {
        self.pairs.get(pair.index as usize)?.read(look).of(pair.incarnation)
    }

    /// The forward and the reverse key.
    #[must_use]
    pub fn keys(&self, pair: PairRef) -> Option<(FlowKey, FlowKey)> {
        let (forward, reverse) =
            self.read(pair, |pair| (pair.key(Direction::Forward), pair.key(Direction::Reverse)))?;
        Some((forward.unpack(), reverse.unpack()))
    }

    /// The forward and the reverse action.
    #[must_use]
    pub fn actions(&self, pair: PairRef) -> Option<(Action, Action)> {
        self.read(pair, |pair| (pair.action(Direction::Forward), pair.action(Direction::Reverse)))
    }

    /// Whether a packet has come in the reverse direction. None if the pair is gone.
    #[must_use]
    pub fn is_answered(&self, pair: PairRef) -> Option<bool> {
        self.read(pair, |pair| pair.activity(Direction::Reverse).0.counts().packets > 0)
    }

    /// Replaces both actions, after they were derived anew. False if the pair is gone.
    pub fn replace(&self, pair: PairRef, forward: Action, reverse: Action) -> bool {
        let Some(slot) = self.pairs.get(pair.index as usize) else { return false };
        let replaced = slot.write(pair.incarnation, |slot| {
            slot.store_actions(forward, reverse);
            (pair.incarnation, ())
        });
        replaced.is_some()
    }

    /// Where the table's memory lies, for those who know how to have it in larger pages: packets read it at random.
    pub fn memory(&self) -> impl Iterator<Item = Range<*const u8>> {
        let pairs = self.pairs.as_ptr_range();
        let origins = self.origins.as_ptr_range();
        let pairs = pairs.start.cast()..pairs.end.cast();
        [self.index.memory(), pairs, origins.start.cast()..origins.end.cast()].into_iter()
    }

    /// Pairs in the table.
    #[must_use]
    pub fn len(&self) -> usize {
        self.counters.live.load(Ordering::Relaxed) as usize
    }

    /// Whether there is no pair.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Pairs there is room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.pairs.len()
    }

    /// Pairs that one owner may have.
    #[must_use]
    pub fn owner_capacity(&self) -> u32 {
        self.owners.most()
    }

    /// Pairs of an owner; 0 for one that is out of range.
    #[must_use]
    pub fn owner_len(&self, owner: u16) -> u32 {
        self.owners.len(owner)
    }
}

#[cfg(test)]
mod tests;
