//! One pointer swap from the control thread to the workers.

use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};

use crate::snapshot::Snapshot;

/// What a worker holds to see the current snapshot.
pub type SnapshotCache = Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>;

/// The control thread's end.
///
/// Old snapshots are kept here until no worker holds them any more, so that it is always this
/// side that frees them.
#[derive(Debug)]
pub struct Publisher {
    current: Arc<ArcSwap<Snapshot>>,
    retired: Vec<Arc<Snapshot>>,
}

impl Publisher {
    /// Starts with a first snapshot.
    pub fn new(first: Snapshot) -> Self {
        Self { current: Arc::new(ArcSwap::from_pointee(first)), retired: Vec::new() }
    }

    /// A view for one worker.
    pub fn subscribe(&self) -> SnapshotCache {
        Cache::new(Arc::clone(&self.current))
    }

    /// The current snapshot, for readers off the packet path.
    pub fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// A view for readers off the packet path that outlive the borrow.
    pub fn shared(&self) -> Arc<ArcSwap<Snapshot>> {
        Arc::clone(&self.current)
    }

    /// Replaces the snapshot and frees those that no worker holds any more.
    pub fn publish(&mut self, next: Snapshot) {
        self.retired.push(self.current.swap(Arc::new(next)));
        self.reclaim();
    }

    /// Frees old snapshots; returns how many are still held.
    pub fn reclaim(&mut self) -> usize {
        self.retired.retain(|snapshot| Arc::strong_count(snapshot) > 1);
        self.retired.len()
    }
}
