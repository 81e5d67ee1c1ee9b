//! Datagrams under way, shared by the workers.
//!
//! A keyed hash names a shard; a shard is a handful of slots behind a lock that is held for one
//! step and never waited for in the kernel. All memory is taken at the start.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

use ahash::RandomState;
use flow_table::{Addr, Context, Family, Millis};

use super::datagram::{Datagram, Ports};
use crate::drop::DropReason;
use crate::packet::ip::Piece;

/// How long a datagram is remembered after the first of its fragments to come, in milliseconds.
pub const LIFETIME: u64 = 2000;
/// Slots of one shard.
const SLOTS: usize = 64;
/// Slots of one shard that a single vif (or the remote senders into one VRF) may take, so that a
/// flood of identifications from one pod leaves room for the others.
pub const PER_CONTEXT: usize = SLOTS / 4;

/// What makes fragments belong together (RFC 791 section 3.2, RFC 8200 section 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DatagramKey {
    pub(crate) context: Context,
    pub(crate) family: Family,
    pub(crate) src: Addr,
    pub(crate) dst: Addr,
    pub(crate) protocol: u8,
    pub(crate) id: u32,
}

/// What becomes of a fragment that is not the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Later {
    /// The first one has named the ports.
    Follow(Ports),
    /// The first one has not come; there is no use in waiting longer than this.
    Wait(Millis),
}

/// The table of the node.
#[derive(Debug)]
pub struct FragmentTable {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    news: AtomicU64,
}

impl FragmentTable {
    /// Room for at least `capacity` datagrams at 0.6 KiB each. The hash must be keyed by a secret.
    pub fn new(capacity: usize, hasher: RandomState) -> Self {
        let shards = capacity.div_ceil(SLOTS).max(1);
        Self {
            shards: (0..shards).map(|_| Mutex::new(Shard::new())).collect(),
            hasher,
            news: AtomicU64::new(0),
        }
    }

    /// Changes when a fragment that waits on some worker need wait no longer.
    pub(crate) fn news(&self) -> u64 {
        self.news.load(Ordering::Acquire)
    }

    /// A first fragment has come.
    pub(crate) fn first(
        &self,
        key: &DatagramKey,
        piece: &Piece,
        ports: Ports,
        now: Millis,
    ) -> Result<(), DropReason> {
        self.with(key, now, |datagram, _| datagram.first(piece, ports))
    }

    /// A later fragment has come. If it is to wait, the caller calls [`FragmentTable::again`]
    /// until it need not, or [`FragmentTable::give_up`].
    pub(crate) fn later(&self, key: &DatagramKey, piece: &Piece, now: Millis) -> Result<Later, DropReason> {
        self.with(key, now, |datagram, until| {
            datagram.later(piece).map(|ports| ports.map_or(Later::Wait(until), Later::Follow))
        })
    }

    /// A fragment that waits asks again. None: it waits on.
    pub(crate) fn again(&self, key: &DatagramKey, now: Millis) -> Result<Option<Ports>, DropReason> {
        let hash = self.hasher.hash_one(key);
        let mut shard = self.lock(hash);
        let slot = shard.find(hash, key, now).ok_or(DropReason::FragmentTimeout)?;
        let answer = shard.datagrams[slot].again();
        shard.settle(slot);
        answer
    }

    /// A fragment that waited has been dropped.
    pub(crate) fn give_up(&self, key: &DatagramKey, now: Millis) {
        let hash = self.hasher.hash_one(key);
        let mut shard = self.lock(hash);
        if let Some(slot) = shard.find(hash, key, now) {
            shard.datagrams[slot].give_up();
            shard.settle(slot);
        }
    }

    fn with<T>(
        &self,
        key: &DatagramKey,
        now: Millis,
        step: impl FnOnce(&mut Datagram, Millis) -> Result<T, DropReason>,
    ) -> Result<T, DropReason> {
        let hash = self.hasher.hash_one(key);
        let mut shard = self.lock(hash);
        let (slot, until) = shard.find_or_make(hash, key, now)?;
        let datagram = &mut shard.datagrams[slot];
        let had_news = datagram.has_news();
        let answer = step(datagram, until);
        if datagram.has_news() && !had_news {
            self.news.fetch_add(1, Ordering::Release);
        }
        shard.settle(slot);
        answer
    }

    /// Spins: the lock is held for a step of some hundred nanoseconds, and a worker makes no
    /// system call to wait.
    fn lock(&self, hash: u64) -> MutexGuard<'_, Shard> {
        let shard = &self.shards[(hash >> 32) as usize % self.shards.len()];
        loop {
            match shard.try_lock() {
                Ok(guard) => return guard,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => std::hint::spin_loop(),
            }
        }
    }
}

/// What is compared for all slots of a shard, apart from the bulk.
#[derive(Clone, Copy, Debug)]
struct Head {
    hash: u64,
    until: Millis,
    context: Context,
}

#[derive(Debug)]
struct Shard {
    heads: [Option<Head>; SLOTS],
    keys: Box<[Option<DatagramKey>]>,
    datagrams: Box<[Datagram]>,
}

impl Shard {
    fn new() -> Self {
        Self {
            heads: [None; SLOTS],
            keys: vec![None; SLOTS].into_boxed_slice(),
            datagrams: vec![Datagram::EMPTY; SLOTS].into_boxed_slice(),
        }
    }

    fn find(&self, hash: u64, key: &DatagramKey, now: Millis) -> Option<usize> {
        let matches = |(slot, head): (usize, &Option<Head>)| {
            let head = head.filter(|head| head.hash == hash && head.until.0 > now.0)?;
            (self.keys[slot] == Some(*key)).then_some((slot, head))
        };
        self.heads.iter().enumerate().find_map(matches).map(|(slot, _)| slot)
    }

    fn find_or_make(
        &mut self,
        hash: u64,
        key: &DatagramKey,
        now: Millis,
    ) -> Result<(usize, Millis), DropReason> {
        if let Some(slot) = self.find(hash, key, now) {
            let until = self.heads[slot].map_or(now, |head| head.until);
            return Ok((slot, until));
        }
        let is_live = |head: &Option<Head>| head.is_some_and(|head| head.until.0 > now.0);
        let of_context = |head: &&Option<Head>| head.is_some_and(|head| head.context == key.context);
        let taken = self.heads.iter().filter(of_context).filter(|head| is_live(head)).count();
        let free = self.heads.iter().position(|head| !is_live(head));
        let slot = free.filter(|_| taken < PER_CONTEXT).ok_or(DropReason::FragmentTableFull)?;
        let until = Millis(now.0.saturating_add(LIFETIME));
        self.heads[slot] = Some(Head { hash, until, context: key.context });
        self.keys[slot] = Some(*key);
        self.datagrams[slot].clear();
        Ok((slot, until))
    }

    /// Frees the slot of a datagram that is through.
    fn settle(&mut self, slot: usize) {
        if self.datagrams[slot].is_done() {
            self.heads[slot] = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: Ports = Ports { protocol: 17, sport: 4000, dport: 80 };
    const NOW: Millis = Millis(10_000);

    fn table() -> FragmentTable {
        FragmentTable::new(1, RandomState::with_seeds(1, 2, 3, 4))
    }

    fn key(context: u32, id: u32) -> DatagramKey {
        let (src, dst) = (Addr(1), Addr(2));
        DatagramKey { context: Context(context), family: Family::V4, src, dst, protocol: 17, id }
    }

    fn piece(start: u16, end: u16, more: bool) -> Piece {
        Piece { id: 0, start, end, more }
    }

    #[test]
    fn later_fragments_follow_the_first() {
        let table = table();
        let key = key(1, 7);
        assert_eq!(table.later(&key, &piece(8, 16, true), NOW), Ok(Later::Wait(Millis(12_000))));
        assert_eq!(table.again(&key, NOW), Ok(None));
        let before = table.news();
        assert_eq!(table.first(&key, &piece(0, 8, true), PORTS, NOW), Ok(()));
        assert_ne!(table.news(), before);
        assert_eq!(table.again(&key, NOW), Ok(Some(PORTS)));
        let before = table.news();
        assert_eq!(table.later(&key, &piece(16, 20, false), NOW), Ok(Later::Follow(PORTS)));
        assert_eq!(table.news(), before);
        assert_eq!(table.again(&key, NOW), Err(DropReason::FragmentTimeout), "the slot is free again");
    }

    #[test]
    fn equal_identifications_of_different_contexts_are_different_datagrams() {
        let table = table();
        assert_eq!(table.first(&key(1, 7), &piece(0, 8, true), PORTS, NOW), Ok(()));
        let other = table.later(&key(2, 7), &piece(8, 16, true), NOW);
        assert_eq!(other, Ok(Later::Wait(Millis(12_000))));
    }

    #[test]
    fn datagrams_are_forgotten_in_time() {
        let table = table();
        let key = key(1, 7);
        assert!(table.later(&key, &piece(8, 16, true), NOW).is_ok());
        assert_eq!(table.again(&key, Millis(11_999)), Ok(None));
        assert_eq!(table.again(&key, Millis(12_000)), Err(DropReason::FragmentTimeout));
        let anew = table.later(&key, &piece(8, 16, true), Millis(12_000));
        assert_eq!(anew, Ok(Later::Wait(Millis(14_000))));
    }

    #[test]
    fn one_context_can_not_fill_a_shard() {
        let table = table();
        let first = |context, id| table.first(&key(context, id), &piece(0, 8, true), PORTS, NOW);
        for context in 0..4 {
            for id in 0..PER_CONTEXT as u32 {
                assert_eq!(first(context, id), Ok(()));
            }
            assert_eq!(first(context, 99), Err(DropReason::FragmentTableFull));
        }
        assert_eq!(first(4, 0), Err(DropReason::FragmentTableFull));
        let later = Millis(NOW.0 + LIFETIME);
        assert_eq!(table.first(&key(4, 0), &piece(0, 8, true), PORTS, later), Ok(()));
    }

    #[test]
    fn workers_meet_in_the_table() {
        let table = table();
        let run = |context: u32| {
            for id in 0..2000 {
                let key = key(context, id);
                assert!(matches!(table.later(&key, &piece(8, 12, false), NOW), Ok(Later::Wait(_))));
                assert_eq!(table.first(&key, &piece(0, 8, true), PORTS, NOW), Ok(()));
                assert_eq!(table.again(&key, NOW), Ok(Some(PORTS)));
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| run(1));
            scope.spawn(|| run(2));
        });
        assert_eq!(table.news(), 4000);
    }
}
