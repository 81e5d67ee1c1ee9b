//! From a key's hash to the entries that may be its own: two-choice hashing without displacement.
//!
//! A key has two candidate buckets and an entry never moves, so a lookup looks at exactly two cache lines and a
//! key that is in the table is found whatever else goes on.

use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

use ahash::RandomState;

use crate::bucket::{Bucket, BucketFull, BucketLock, Entry};
use crate::key::{Direction, PackedKey};

/// Hash of a key under the table's own seed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FlowHash(pub u64);

impl FlowHash {
    /// Bits mixed anew, as the candidates are already chosen by the plain ones.
    fn tag(self) -> u32 {
        ((self.0 ^ self.0 >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
    }
}

/// Entries that a bucket holds on average when every pair is in use. Four of seven leaves so much room that two
/// full candidates do not happen by chance (the test `a_full_table_refuses_no_bucket` fills one).
const AVERAGE_ENTRIES: usize = 4;

pub(crate) struct Index {
    buckets: Box<[Bucket]>,
    hasher: RandomState,
}

fn buckets(pairs: usize) -> Box<[Bucket]> {
    let count = (2 * pairs).div_ceil(AVERAGE_ENTRIES).max(2);
    (0..count).map(|_| Bucket::new()).collect()
}

impl Index {
    pub(crate) fn new(pairs: usize, seed: [u64; 4]) -> Index {
        let [a, b, c, d] = seed;
        Index { buckets: buckets(pairs), hasher: RandomState::with_seeds(a, b, c, d) }
    }

    /// An empty index for another number of pairs in which keys have the same hashes.
    pub(crate) fn alike(&self, pairs: usize) -> Index {
        Index { buckets: buckets(pairs), hasher: self.hasher.clone() }
    }

    #[inline(always)]
    pub(crate) fn hash(&self, key: &PackedKey) -> FlowHash {
        let [src_high, src_low, dst_high, dst_low, last] = key.words;
        let wide = |high: u64, low: u64| u128::from(high) << 64 | u128::from(low);
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u128(wide(src_high, src_low));
        hasher.write_u128(wide(dst_high, dst_low));
        hasher.write_u128(wide(last, key.kind.bits().into()));
        FlowHash(hasher.finish())
    }

    /// The first and the second choice; never the same.
    fn candidates(&self, hash: FlowHash) -> (usize, usize) {
        let count = self.buckets.len();
        let scale = |bits: u64| ((bits * count as u64) >> 32) as usize;
        let first = scale(hash.0 >> 32);
        let second = scale(hash.0 & 0xffff_ffff);
        if first != second { (first, second) } else { (first, (first + 1) % count) }
    }

    fn buckets(&self, hash: FlowHash) -> impl Iterator<Item = &Bucket> {
        let (first, second) = self.candidates(hash);
        self.buckets.get(first).into_iter().chain(self.buckets.get(second))
    }

    pub(crate) fn prefetch(&self, hash: FlowHash) -> u64 {
        self.buckets(hash).fold(0, |folded, bucket| folded ^ bucket.load_any())
    }

    /// The entries that may be those of the key with this hash.
    pub(crate) fn matching(&self, hash: FlowHash) -> impl Iterator<Item = Entry> {
        let tag = hash.tag();
        self.buckets(hash).flat_map(move |bucket| bucket.matching(tag))
    }

    /// Keeps others from adding or removing the two keys, until dropped.
    ///
    /// A key is guarded by the lock of its first choice. Locks are taken in the order of the buckets, so two that
    /// want each other's cannot wait in a circle.
    pub(crate) fn lock(&self, a: FlowHash, b: FlowHash) -> [Option<BucketLock<'_>>; 2] {
        let (a, b) = (self.candidates(a).0, self.candidates(b).0);
        let lower = self.buckets.get(a.min(b)).map(Bucket::lock);
        let upper = if a == b { None } else { self.buckets.get(a.max(b)).map(Bucket::lock) };
        [lower, upper]
    }

    /// Adds an entry to the emptier candidate, or to the other if it fills up meanwhile.
    pub(crate) fn link(&self, hash: FlowHash, pair: u32, direction: Direction) -> Result<(), BucketFull> {
        let entry = Entry { tag: hash.tag(), pair, direction };
        let (first, second) = self.candidates(hash);
        let (Some(first), Some(second)) = (self.buckets.get(first), self.buckets.get(second)) else {
            return Err(BucketFull);
        };
        let (emptier, fuller) =
            if first.taken() <= second.taken() { (first, second) } else { (second, first) };
        emptier.put(entry).or_else(|_| fuller.put(entry))
    }

    /// Removes an entry; one that is not there is none to remove.
    pub(crate) fn unlink(&self, hash: FlowHash, pair: u32, direction: Direction) {
        let entry = Entry { tag: hash.tag(), pair, direction };
        self.buckets(hash).for_each(|bucket| bucket.take(entry));
    }

    pub(crate) fn memory(&self) -> Range<*const u8> {
        let buckets = self.buckets.as_ptr_range();
        buckets.start.cast()..buckets.end.cast()
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.buckets)
    }
}
