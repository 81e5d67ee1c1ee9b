//! Real packets, picked out on a live node for the operator.
//!
//! ```text
//! control: arm -> list of taps --generation--> worker: one relaxed load a batch; with a tap, a look at each packet
//!          drain <- ring of the worker <------- record, or a count of those there was no room for
//! ```
//!
//! A worker holds the list of taps as it was at its last batch. Lists that were replaced are kept here
//! until no worker holds them, so that no worker ever frees one.

mod filter;
mod record;
mod watch;

use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use crossbeam::queue::ArrayQueue;
use flow_table::Millis;

pub use filter::{Catch, Filter};
pub use record::{FlowFound, Head, Record, SNAP, Seen};
pub(crate) use watch::{Sighting, Watch};

/// Taps at once.
pub const MOST_TAPS: usize = 4;
/// Records that wait in the ring of one worker, 1.7 KiB each.
pub const RING: usize = 512;

/// One request for packets.
#[derive(Debug)]
pub struct Tap {
    pub(crate) filter: Filter,
    pub(crate) catch: Catch,
    until: Millis,
    /// Records still wanted.
    left: AtomicU64,
    missed: AtomicU64,
    rings: Box<[ArrayQueue<Record>]>,
}

impl Tap {
    /// Takes the oldest record of some worker.
    pub fn take(&self) -> Option<Record> {
        self.rings.iter().find_map(ArrayQueue::pop)
    }

    /// Packets that were wanted but found a full ring.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Whether nothing more will be recorded.
    pub fn is_over(&self, now: Millis) -> bool {
        self.left.load(Ordering::Relaxed) == 0 || now >= self.until
    }

    /// Keeps a record if it is still wanted; by worker `worker` alone.
    pub(crate) fn keep(&self, worker: usize, record: Record) {
        let wanted = record.at < self.until
            && self
                .left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok();
        let ring = self.rings.get(worker);
        if wanted && ring.is_none_or(|ring| ring.push(record).is_err()) {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What a tap is to take.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Which packets.
    pub filter: Filter,
    /// What of them.
    pub catch: Catch,
    /// Most records.
    pub count: u64,
    /// When it ends, whatever has come by then.
    pub until: Millis,
}

/// There are [`MOST_TAPS`] already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MOST_TAPS} traces and captures are running already: wait for one to end, or end it")]
pub struct TooManyTaps;

type List = Arc<Vec<Arc<Tap>>>;

/// The taps of a node.
#[derive(Debug)]
pub struct Taps {
    /// Moves with every change of the list.
    generation: AtomicU64,
    list: ArcSwap<Vec<Arc<Tap>>>,
    retired: Mutex<Vec<List>>,
    workers: usize,
}

impl Taps {
    /// None yet, for this many workers.
    pub fn new(workers: usize) -> Self {
        Self {
            generation: AtomicU64::new(0),
            list: ArcSwap::default(),
            retired: Mutex::default(),
            workers: workers.max(1),
        }
    }

    /// Starts a tap.
    ///
    /// # Errors
    /// [`TooManyTaps`].
    pub fn arm(&self, order: Order) -> Result<Arc<Tap>, TooManyTaps> {
        let mut retired = self.retired();
        let mut list = self.list.load().as_ref().clone();
        if list.len() >= MOST_TAPS {
            return Err(TooManyTaps);
        }
        let tap = Arc::new(Tap {
            filter: order.filter,
            catch: order.catch,
            until: order.until,
            left: AtomicU64::new(order.count),
            missed: AtomicU64::new(0),
            rings: (0..self.workers).map(|_| ArrayQueue::new(RING)).collect(),
        });
        list.push(Arc::clone(&tap));
        self.replace(&mut retired, list);
        Ok(tap)
    }

    /// Ends a tap; what it has recorded can still be taken.
    pub fn disarm(&self, tap: &Arc<Tap>) {
        let mut retired = self.retired();
        let mut list = self.list.load().as_ref().clone();
        list.retain(|other| !Arc::ptr_eq(other, tap));
        self.replace(&mut retired, list);
    }

    /// Ends the taps that are over, and frees lists that no worker holds any more. Now and then.
    pub fn tidy(&self, now: Millis) {
        let mut retired = self.retired();
        let list = self.list.load_full();
        if list.iter().any(|tap| tap.is_over(now)) {
            let left = list.iter().filter(|tap| !tap.is_over(now)).cloned().collect();
            drop(list);
            self.replace(&mut retired, left);
        }
        retired.retain(|list| Arc::strong_count(list) > 1);
    }

    fn replace(&self, retired: &mut Vec<List>, list: Vec<Arc<Tap>>) {
        retired.push(self.list.swap(Arc::new(list)));
        self.generation.fetch_add(1, Ordering::Release);
        retired.retain(|list| Arc::strong_count(list) > 1);
    }

    fn retired(&self) -> MutexGuard<'_, Vec<List>> {
        self.retired.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker's view of the taps. By default it sees none, ever.
#[derive(Debug)]
pub struct TapEye {
    taps: Arc<Taps>,
    worker: usize,
    seen: u64,
    list: List,
}

impl TapEye {
    /// The view of a worker, counted from 0.
    pub fn new(taps: &Arc<Taps>, worker: usize) -> Self {
        Self { taps: Arc::clone(taps), worker, seen: 0, list: Arc::default() }
    }

    /// What to look for in this batch, if anything: one relaxed load while nothing changes.
    pub(crate) fn look(&mut self) -> Option<Watch<'_>> {
        let generation = self.taps.generation.load(Ordering::Relaxed);
        if generation != self.seen {
            fence(Ordering::Acquire);
            self.seen = generation;
            self.list = self.taps.list.load_full();
        }
        if self.list.is_empty() { None } else { Some(Watch { taps: &self.list, worker: self.worker }) }
    }
}

impl Default for TapEye {
    fn default() -> Self {
        Self::new(&Arc::new(Taps::new(1)), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: Order = Order { filter: Filter::ALL, catch: Catch::Ends, count: 700, until: Millis(1000) };

    fn record(at: u64) -> Record {
        Record {
            at: Millis(at),
            seen: Seen::Sent { vif: crate::ids::VifSlot::new(1).unwrap() },
            head: Head::of(b"x"),
        }
    }

    #[test]
    fn a_tap_keeps_what_there_is_room_for_and_counts_the_rest() {
        let taps = Arc::new(Taps::new(2));
        let tap = taps.arm(ORDER).unwrap();
        (0..600).for_each(|n| tap.keep(1, record(n)));
        assert_eq!((tap.missed(), tap.is_over(Millis(5))), (600 - RING as u64, false));
        tap.keep(0, record(1000));
        assert_eq!(std::iter::from_fn(|| tap.take()).count(), RING);
        (0..200).for_each(|_| tap.keep(0, record(7)));
        assert_eq!((std::iter::from_fn(|| tap.take()).count(), tap.is_over(Millis(8))), (100, true));
    }

    #[test]
    fn a_worker_sees_a_tap_and_its_end_and_frees_no_list() {
        let taps = Arc::new(Taps::new(1));
        let mut eye = TapEye::new(&taps, 0);
        assert!(eye.look().is_none());
        let tap = taps.arm(ORDER).unwrap();
        assert_eq!(eye.look().unwrap().taps.len(), 1);
        taps.disarm(&tap);
        assert_eq!(taps.retired().len(), 1, "the worker still holds the list");
        assert!(eye.look().is_none());
        taps.tidy(Millis(0));
        assert_eq!(taps.retired().len(), 0);
        assert_eq!(Arc::strong_count(&tap), 1);
    }

    #[test]
    fn taps_are_few_and_end_by_themselves() {
        let taps = Arc::new(Taps::new(1));
        let armed: Vec<_> = (0..MOST_TAPS).map(|_| taps.arm(ORDER).unwrap()).collect();
        assert_eq!(taps.arm(ORDER).unwrap_err(), TooManyTaps);
        taps.tidy(Millis(999));
        assert_eq!(taps.arm(ORDER).unwrap_err(), TooManyTaps);
        taps.tidy(Millis(1000));
        assert!(armed.iter().all(|tap| tap.is_over(Millis(1000))));
        assert!(taps.arm(ORDER).is_ok());
    }
}
