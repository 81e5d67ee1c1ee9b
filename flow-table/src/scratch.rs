//! A small table beside the real one, in which a packet can be tried out and the real one stays as it is.

use crate::insert::NewPair;
use crate::pair::Half;
use crate::table::{FlowTable, MAX_PAIRS, PairRef};
use crate::timeout::Millis;
use crate::view::FlowView;

impl FlowTable {
    /// An empty table with room for `max_pairs` that hashes keys as this one does. Its owners may have as many
    /// pairs as here, and have none yet.
    #[must_use]
    pub fn scratch(&self, max_pairs: u32) -> FlowTable {
        let count = max_pairs.clamp(1, MAX_PAIRS);
        FlowTable::empty(count, self.index.alike(count as usize), self.owners.alike(), self.timeouts.clone())
    }

    /// Adds a pair of another table with its keys, actions and owner, as if no packet of it had come yet. False if
    /// the pair is gone, is here already, or there is no room for it.
    pub fn adopt(&self, other: &FlowTable, pair: PairRef, now: Millis) -> bool {
        let (Some((forward, reverse)), Some(actions), Some(view)) =
            (other.keys(pair), other.actions(pair), other.look(pair, now))
        else {
            return false;
        };
        let new = NewPair {
            forward: Half { key: forward, action: actions.0 },
            reverse: Half { key: reverse, action: actions.1 },
            owner: view.owner,
        };
        self.insert(&new, now).is_ok()
    }

    /// Leaves no more room than there is in another table: for every owner, and in all.
    pub fn fill_as(&self, other: &FlowTable, now: Millis) {
        for owner in 0..other.owners.range() {
            let count = other.owners.len(owner);
            let gives_way = count >= other.owners.most() && other.would_evict_own(owner, now);
            self.owners.set(owner, if gives_way { other.owners.most().saturating_sub(1) } else { count });
        }
        if other.slots.is_exhausted() && !other.would_evict(now) {
            self.slots.exhaust();
        }
    }

    /// One pair; none if it is gone.
    #[must_use]
    pub fn look(&self, pair: PairRef, now: Millis) -> Option<FlowView> {
        let index = pair.index as usize;
        self.view_slot(index, self.pairs.get(index)?, now).filter(|view| view.pair == pair)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{START, TCP, UDP, find, owned, table, translated};

    #[test]
    fn a_scratch_table_hashes_alike_and_leaves_the_other_alone() {
        let table = table(16);
        let pair = owned(translated(TCP, 1), 3);
        let hit = table.insert(&pair, START).unwrap();
        let scratch = table.scratch(8);
        assert!(scratch.is_empty());
        assert_eq!(scratch.hash(&pair.forward.key), table.hash(&pair.forward.key));
        assert!(scratch.adopt(&table, hit.pair, START));
        assert!(!scratch.adopt(&table, hit.pair, START), "it is there already");
        let found = find(&scratch, &pair.forward.key).unwrap();
        assert_eq!((found.action, found.rewrite), (hit.action, hit.rewrite));
        scratch.remove(found.pair);
        assert_eq!((scratch.len(), table.len()), (0, 1));
        assert!(!scratch.adopt(&scratch, found.pair, START), "it is gone");
    }

    #[test]
    fn owners_can_be_as_far_as_in_the_other_table() {
        let table = table(16);
        for n in 0..3 {
            table.insert(&owned(translated(UDP, n), 2), START).unwrap();
        }
        let scratch = table.scratch(8);
        scratch.fill_as(&table, START);
        assert_eq!((scratch.owner_len(2), scratch.owner_len(1)), (3, 0));
        scratch.insert(&translated(UDP, 9), START).unwrap();
    }

    #[test]
    fn a_scratch_table_has_no_more_room_than_the_other() {
        let table = table(2);
        for n in 0..2 {
            table.insert(&translated(UDP, n), START).unwrap();
        }
        let refused = |now| {
            let scratch = table.scratch(8);
            scratch.fill_as(&table, now);
            scratch.insert(&translated(UDP, 9), now).is_err()
        };
        assert!(refused(START));
        assert!(!refused(Millis(START.0 + 10_000_000)), "all are idle and give way");
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn one_pair_is_shown_while_it_is_there() {
        let table = table(16);
        let hit = table.insert(&translated(TCP, 1), START).unwrap();
        let view = table.look(hit.pair, Millis(START.0 + 7)).unwrap();
        assert_eq!((view.pair, view.age), (hit.pair, Millis(7)));
        table.remove(hit.pair);
        assert_eq!(table.look(hit.pair, START), None);
    }
}
