//! How many answers a vif may cause per second (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 f).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use flow_table::Millis;

use crate::ids::VifSlot;

/// Time one answer costs, in milliseconds: 100 a second on average.
const COST: u64 = 10;
/// What may be spent ahead, in milliseconds: a burst of 50.
const BURST: u64 = 500;

/// A bucket for each vif, shared by the workers: the time at which it will be full again
/// (generic cell rate algorithm, ITU-T I.371). Two workers that meet may let one answer too many pass.
#[derive(Debug)]
pub struct AnswerLimiter {
    full_at: Box<[AtomicU64]>,
}

impl AnswerLimiter {
    /// All buckets full.
    pub fn new() -> Self {
        Self { full_at: (0..VifSlot::TABLE).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Whether the vif may cause one more answer now.
    pub fn allow(&self, vif: VifSlot, now: Millis) -> bool {
        let Some(bucket) = self.full_at.get(vif.index()) else { return false };
        let full_at = bucket.load(Relaxed).max(now.0);
        if full_at + COST > now.0 + BURST {
            return false;
        }
        bucket.store(full_at + COST, Relaxed);
        true
    }
}

impl Default for AnswerLimiter {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_a_rate_for_each_vif_alone() {
        let limiter = AnswerLimiter::new();
        let (one, other) = (VifSlot::new(1).unwrap(), VifSlot::new(2).unwrap());
        let granted = |vif, from, to| (from..to).filter(|now| limiter.allow(vif, Millis(*now))).count();
        assert_eq!((0..1000).filter(|_| limiter.allow(one, Millis(5000))).count(), 50);
        assert_eq!(granted(one, 5001, 6001), 100);
        assert!(limiter.allow(other, Millis(5000)));
    }
}
