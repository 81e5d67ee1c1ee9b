//! Armed traces: the next packets of a running node that match a filter.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dataplane::snapshot::Snapshot;
use dataplane::tap::{Order, Tap, Taps, TooManyTaps};
use flow_table::Millis;

use crate::view::{CaughtView, caught};

/// Most packets of one trace.
pub const MOST_PACKETS: u64 = 1000;
/// Traces that are kept to be read after their end.
const KEPT: usize = 8;

/// A trace, for its reader.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ArmedView {
    /// Its name.
    pub id: u64,
    /// `armed` while packets are waited for, else `done`.
    pub state: &'static str,
    /// Packets that matched but came faster than they could be taken.
    pub missed: u64,
    /// The packets so far, in the order of each worker.
    pub packets: Vec<CaughtView>,
}

#[derive(Debug)]
struct Armed {
    tap: Arc<Tap>,
    packets: Vec<CaughtView>,
}

/// The traces of a node, running and done.
#[derive(Debug)]
pub struct Traces {
    taps: Arc<Taps>,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    last: u64,
    traces: BTreeMap<u64, Armed>,
}

impl Traces {
    /// None yet.
    pub fn new(taps: Arc<Taps>) -> Self {
        Self { taps, book: Mutex::default() }
    }

    /// Starts a trace and names it. The oldest of those that are done gives way.
    ///
    /// # Errors
    /// [`TooManyTaps`].
    pub fn arm(&self, order: Order) -> Result<u64, TooManyTaps> {
        let tap = self.taps.arm(order)?;
        let mut book = self.book();
        book.last += 1;
        let id = book.last;
        book.traces.insert(id, Armed { tap, packets: Vec::new() });
        while book.traces.len() > KEPT {
            book.traces.pop_first();
        }
        Ok(id)
    }

    /// A trace as far as it has come.
    pub fn read(&self, id: u64, snapshot: &Snapshot, now: Millis) -> Option<ArmedView> {
        let mut book = self.book();
        let armed = book.traces.get_mut(&id)?;
        armed.drain(snapshot);
        let state = if armed.tap.is_over(now) { "done" } else { "armed" };
        Some(ArmedView { id, state, missed: armed.tap.missed(), packets: armed.packets.clone() })
    }

    /// Ends a trace and forgets it. Says whether there was one.
    pub fn end(&self, id: u64) -> bool {
        let armed = self.book().traces.remove(&id);
        armed.is_some_and(|armed| {
            self.taps.disarm(&armed.tap);
            true
        })
    }

    /// Takes over what the workers have recorded, and ends what is over. Once a second.
    pub fn tidy(&self, snapshot: &Snapshot, now: Millis) {
        self.book().traces.values_mut().for_each(|armed| armed.drain(snapshot));
        self.taps.tidy(now);
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Armed {
    fn drain(&mut self, snapshot: &Snapshot) {
        let records = std::iter::from_fn(|| self.tap.take());
        self.packets.extend(records.filter_map(|record| caught(snapshot, &record)));
    }
}
