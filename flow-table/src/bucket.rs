//! A cache line of the index: seven entries and a lock.

use crate::key::Direction;
use crate::sync::{AtomicU64, Ordering, pause};

/// Entries in a bucket.
pub(crate) const ENTRIES: usize = 7;

const LOCKED: u64 = 1;
const UNLOCKED: u64 = 0;

/// Names one key of one pair: tag (32) | pair index (31) and direction (1), plus one, so that 0 is no entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(crate) tag: u32,
    pub(crate) pair: u32,
    pub(crate) direction: Direction,
}

const EMPTY: u64 = 0;

impl Entry {
    fn word(self) -> u64 {
        let direction = match self.direction {
            Direction::Forward => 0,
            Direction::Reverse => 1,
        };
        u64::from(self.tag) << 32 | ((u64::from(self.pair) << 1 | direction) + 1)
    }

    fn from_word(word: u64) -> Option<Entry> {
        let name = (word as u32).checked_sub(1)?;
        let direction = if name & 1 == 0 { Direction::Forward } else { Direction::Reverse };
        Some(Entry { tag: (word >> 32) as u32, pair: name >> 1, direction })
    }
}

/// Seven entries and the lock of the keys whose first choice this bucket is.
#[repr(C, align(64))]
pub(crate) struct Bucket {
    lock: AtomicU64,
    entries: [AtomicU64; ENTRIES],
}

impl Bucket {
    pub(crate) fn new() -> Bucket {
        Bucket { lock: AtomicU64::new(UNLOCKED), entries: std::array::from_fn(|_| AtomicU64::new(EMPTY)) }
    }

    /// Loads a word, for the sake of having the line in the cache.
    pub(crate) fn load_any(&self) -> u64 {
        self.lock.load(Ordering::Relaxed)
    }

    /// The entries that may be those of a key with this tag.
    pub(crate) fn matching(&self, tag: u32) -> impl Iterator<Item = Entry> {
        self.entries.iter().filter_map(move |word| {
            let word = word.load(Ordering::Acquire);
            if (word >> 32) as u32 == tag { Entry::from_word(word) } else { None }
        })
    }

    /// How many entries are taken at this moment.
    pub(crate) fn taken(&self) -> usize {
        self.entries.iter().filter(|word| word.load(Ordering::Relaxed) != EMPTY).count()
    }

    /// Puts an entry in a free place. Needs no lock: others may be putting theirs beside it.
    pub(crate) fn put(&self, entry: Entry) -> Result<(), BucketFull> {
        let word = entry.word();
        for place in &self.entries {
            if place.compare_exchange(EMPTY, word, Ordering::Release, Ordering::Relaxed).is_ok() {
                return Ok(());
            }
        }
        Err(BucketFull)
    }

    /// Takes an entry out, if it is here. An entry is taken out by the one who holds its slot, so nobody races.
    pub(crate) fn take(&self, entry: Entry) {
        let word = entry.word();
        for place in &self.entries {
            if place.load(Ordering::Relaxed) == word {
                place.store(EMPTY, Ordering::Release);
                return;
            }
        }
    }

    pub(crate) fn lock(&self) -> BucketLock<'_> {
        let mut attempt = 0;
        while self.lock.compare_exchange_weak(UNLOCKED, LOCKED, Ordering::Acquire, Ordering::Relaxed).is_err()
        {
            pause(attempt);
            attempt = attempt.saturating_add(1);
        }
        BucketLock { bucket: self }
    }
}

/// No place is free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BucketFull;

/// Holds a bucket's lock until dropped.
pub(crate) struct BucketLock<'a> {
    bucket: &'a Bucket,
}

impl Drop for BucketLock<'_> {
    fn drop(&mut self) {
        self.bucket.lock.store(UNLOCKED, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(pair: u32, direction: Direction) -> Entry {
        Entry { tag: 0xdead_beef, pair, direction }
    }

    #[test]
    fn a_bucket_is_one_cache_line() {
        assert_eq!((size_of::<Bucket>(), align_of::<Bucket>()), (64, 64));
    }

    #[test]
    fn an_entry_keeps_every_field() {
        for pair in [0, 1, (1 << 30) - 1] {
            for direction in [Direction::Forward, Direction::Reverse] {
                for tag in [0, 1, u32::MAX] {
                    let entry = Entry { tag, pair, direction };
                    assert_eq!(Entry::from_word(entry.word()), Some(entry));
                }
            }
        }
        assert_eq!(Entry::from_word(EMPTY), None);
    }

    #[test]
    fn the_eighth_entry_is_refused_and_a_freed_place_is_used_again() {
        let bucket = Bucket::new();
        for pair in 0..7 {
            assert_eq!(bucket.put(entry(pair, Direction::Forward)), Ok(()));
        }
        assert_eq!(bucket.put(entry(7, Direction::Forward)), Err(BucketFull));
        bucket.take(entry(3, Direction::Reverse));
        assert_eq!(bucket.taken(), 7, "the other direction is another entry");
        bucket.take(entry(3, Direction::Forward));
        assert_eq!(bucket.taken(), 6);
        assert_eq!(bucket.put(entry(7, Direction::Forward)), Ok(()));
        let found: Vec<u32> = bucket.matching(0xdead_beef).map(|entry| entry.pair).collect();
        assert_eq!(found, [0, 1, 2, 7, 4, 5, 6]);
        assert_eq!(bucket.matching(0xdead_beee).count(), 0);
    }

    #[test]
    fn the_lock_lets_one_in_at_a_time() {
        let bucket = Bucket::new();
        let counter = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        let _held = bucket.lock();
                        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(counter.load(Ordering::Relaxed), 20_000);
    }
}
