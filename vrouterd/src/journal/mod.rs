//! The flow journal: what the flow table held a moment ago, for the daemon that comes after this one.
//!
//! A thread of its own writes the whole table again and again to `flows` in the state directory ([`Keeper`]), a
//! slice at a time and never in the way of a worker; the next start reads it ([`take_up`]) and puts the pairs into
//! its own table ([`adopt`]). There they are stale, so the next packet of each derives it anew and keeps its
//! target if that is still allowed: a journal can keep a choice, never a permission.

mod clock;
mod codec;
mod file;
mod keeper;

use dataplane::affinity::AffinityTable;
use dataplane::carry::Adoption;
use dataplane::snapshot::Snapshot;
use flow_table::{Carried, FlowTable, Millis, Progress};

pub use clock::{BootId, zero};
pub use file::{Journal, JournalError, JournalFile, SpreadSeeds};
pub use keeper::{Keeper, Source};

const TCP: u8 = 6;

/// What has become of the pairs of a journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// They are in the table.
    pub kept: usize,
    /// They name a vif, a VRF or a node that is not configured any more.
    pub unknown: usize,
    /// The table, or the share of a vif, is full.
    pub refused: usize,
}

/// Reads the journal of an earlier daemon. One that cannot be used is put aside with a warning.
pub fn take_up(file: &JournalFile, boot: BootId, now: Millis, most_pairs: u32) -> Option<Journal> {
    match file.read(boot, now, most_pairs) {
        Ok(journal) => journal,
        Err(error) => {
            let put = file.set_aside();
            let aside =
                put.map_or_else(|error| format!("and stays: {error}"), |path| path.display().to_string());
            let path = file.path();
            tracing::warn!(file = %path.display(), reason = %error, aside, "flows of the earlier daemon not used");
            None
        }
    }
}

/// Puts the pairs of a journal into an empty table, established connections first, and gives clients of services
/// that keep them back to their backends.
pub fn adopt(
    journal: &Journal,
    snapshot: &Snapshot,
    flows: &FlowTable,
    affinity: &AffinityTable,
    now: Millis,
) -> Adopted {
    let adoption = Adoption::new(&journal.roster, snapshot);
    let mut adopted = Adopted::default();
    let (first, others) = journal.pairs.iter().partition::<Vec<&Carried>, _>(|pair| is_established(pair));
    for pair in first.into_iter().chain(others) {
        let Some(pair) = adoption.translate(pair) else {
            adopted.unknown += 1;
            continue;
        };
        adoption.remember(&pair, affinity, now);
        match flows.restore(&pair, now) {
            Ok(_) => adopted.kept += 1,
            Err(_) => adopted.refused += 1,
        }
    }
    if adopted.unknown + adopted.refused > 0 {
        let Adopted { kept, unknown, refused } = adopted;
        tracing::warn!(kept, unknown, refused, "not all flows of the earlier daemon fit this one");
    } else {
        tracing::info!(kept = adopted.kept, "flows of the earlier daemon taken over");
    }
    adopted
}

fn is_established(Carried { pair, traces: [forward, reverse], .. }: &Carried) -> bool {
    pair.forward.key.tuple.protocol == TCP && Progress::is_established(forward.progress, reverse.progress)
}
