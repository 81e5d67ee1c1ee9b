//! How many pairs each owner has, so that none takes the table from the others.

use crate::sync::{AtomicU32, Ordering};

struct Owner {
    count: AtomicU32,
    /// Where the search for a pair of this owner that may give way goes on.
    cursor: AtomicU32,
}

pub(crate) struct Owners {
    owners: Box<[Owner]>,
    most: u32,
}

impl Owners {
    pub(crate) fn new(owners: u16, most: u32) -> Owners {
        let owner = |_| Owner { count: AtomicU32::new(0), cursor: AtomicU32::new(0) };
        Owners { owners: (0..owners).map(owner).collect(), most }
    }

    /// As many owners with the same share, without pairs.
    pub(crate) fn alike(&self) -> Owners {
        Owners::new(self.range(), self.most)
    }

    /// Owners are below this.
    pub(crate) fn range(&self) -> u16 {
        self.owners.len() as u16
    }

    /// Sets how many pairs an owner has.
    pub(crate) fn set(&self, owner: u16, count: u32) {
        if let Some(owner) = self.owners.get(usize::from(owner)) {
            owner.count.store(count, Ordering::Relaxed);
        }
    }

    /// Where the search for a pair that may give way would go on.
    pub(crate) fn cursor(&self, owner: u16) -> u32 {
        self.owners.get(usize::from(owner)).map_or(0, |owner| owner.cursor.load(Ordering::Relaxed))
    }

    /// Counts a pair for an owner; false if it has its share, or is out of range.
    pub(crate) fn admit(&self, owner: u16) -> bool {
        let Some(owner) = self.owners.get(usize::from(owner)) else { return false };
        let below = |count| (count < self.most).then_some(count + 1);
        owner.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, below).is_ok()
    }

    /// Takes back what [`Owners::admit`] counted.
    pub(crate) fn release(&self, owner: u16) {
        if let Some(owner) = self.owners.get(usize::from(owner)) {
            owner.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Moves an owner's cursor on by `step` and gives where it was.
    pub(crate) fn advance(&self, owner: u16, step: u32) -> u32 {
        self.owners.get(usize::from(owner)).map_or(0, |owner| owner.cursor.fetch_add(step, Ordering::Relaxed))
    }

    /// Most pairs of one owner.
    pub(crate) fn most(&self) -> u32 {
        self.most
    }

    pub(crate) fn len(&self, owner: u16) -> u32 {
        self.owners.get(usize::from(owner)).map_or(0, |owner| owner.count.load(Ordering::Relaxed))
    }
}
