//! The last dropped packets, for the operator.

use crossbeam::queue::ArrayQueue;
use flow_table::Millis;

use crate::drop::DropReason;
use crate::ids::VifSlot;

/// Bytes kept of each dropped packet.
pub const HEAD: usize = 64;

/// A dropped packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DropRecord {
    /// When.
    pub at: Millis,
    /// The vif it is laid to.
    pub vif: Option<VifSlot>,
    /// Why.
    pub reason: DropReason,
    /// Its length when it was dropped; headers taken off before that are gone.
    pub len: usize,
    /// Its first bytes, zeros behind its end.
    pub head: [u8; HEAD],
}

/// A bounded queue from a worker to the control thread. When it is full, further drops are
/// counted but not remembered until the control thread has drained it.
#[derive(Debug)]
pub struct DropLog(ArrayQueue<DropRecord>);

impl DropLog {
    /// Room for `capacity` records, at least one.
    pub fn new(capacity: usize) -> Self {
        Self(ArrayQueue::new(capacity.max(1)))
    }

    /// Remembers a drop if there is room.
    pub fn record(&self, at: Millis, vif: Option<VifSlot>, reason: DropReason, packet: &[u8]) {
        if self.0.is_full() {
            return;
        }
        let mut head = [0; HEAD];
        head.iter_mut().zip(packet).for_each(|(to, from)| *to = *from);
        // A worker is the only producer of its log, so there is room still.
        let _ = self.0.push(DropRecord { at, vif, reason, len: packet.len(), head });
    }

    /// Takes the oldest record.
    pub fn take(&self) -> Option<DropRecord> {
        self.0.pop()
    }
}
