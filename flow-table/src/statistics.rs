//! What became of the pairs.

use crate::sync::{Ordering, Tally};
use crate::table::FlowTable;

/// Counts since the table was made. Once no insert or removal is going on,
/// `created = live + expired + evicted + purged`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct TableStatistics {
    /// Pairs made.
    pub created: u64,
    /// Pairs that a sweep removed because they were idle.
    pub expired: u64,
    /// Idle pairs that gave way to a new one in a full table, or to one of an owner that had its share.
    pub evicted: u64,
    /// Pairs removed by request, or by a sweep because the caller wanted them no more.
    pub purged: u64,
    /// Pairs in the table now.
    pub live: u64,
    /// Pairs refused because the table was full and nothing in reach was idle.
    pub refused_full: u64,
    /// Pairs refused because of the owner's limit.
    pub refused_owner: u64,
    /// Pairs refused because both candidate buckets of a key were full.
    pub refused_bucket: u64,
}

/// Why a pair goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cause {
    Expired,
    Evicted,
    Purged,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) created: Tally,
    expired: Tally,
    evicted: Tally,
    purged: Tally,
    pub(crate) live: Tally,
    pub(crate) refused_full: Tally,
    pub(crate) refused_owner: Tally,
    pub(crate) refused_bucket: Tally,
}

impl Counters {
    pub(crate) fn removed(&self, cause: Cause) {
        let counter = match cause {
            Cause::Expired => &self.expired,
            Cause::Evicted => &self.evicted,
            Cause::Purged => &self.purged,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.live.fetch_sub(1, Ordering::Relaxed);
    }
}

impl FlowTable {
    /// The counts, each read on its own.
    #[must_use]
    pub fn statistics(&self) -> TableStatistics {
        let read = |counter: &Tally| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        TableStatistics {
            created: read(&counters.created),
            expired: read(&counters.expired),
            evicted: read(&counters.evicted),
            purged: read(&counters.purged),
            live: read(&counters.live),
            refused_full: read(&counters.refused_full),
            refused_owner: read(&counters.refused_owner),
            refused_bucket: read(&counters.refused_bucket),
        }
    }
}
