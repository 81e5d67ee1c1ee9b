//! How much a vif may cause per second beyond its own packets.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use flow_table::Millis;

use crate::ids::VifSlot;

/// What is counted for each vif, each on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// ICMP errors and resets (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 f).
    Errors,
    /// Answers to ARP and neighbour solicitations.
    Neighbours,
    /// Broadcast and multicast, each packet once however many copies it needs.
    Broadcasts,
}

impl Limited {
    /// How many there are.
    const COUNT: usize = 3;

    /// Time that one costs, in milliseconds: 100 a second on average.
    const COST: u64 = 10;

    const fn index(self) -> usize {
        match self {
            Limited::Errors => 0,
            Limited::Neighbours => 1,
            Limited::Broadcasts => 2,
        }
    }

    /// What may be spent ahead, in milliseconds: a burst of 50, or of 100 broadcasts.
    const fn burst(self) -> u64 {
        match self {
            Limited::Errors | Limited::Neighbours => 500,
            Limited::Broadcasts => 1000,
        }
    }
}

/// Buckets for each vif, shared by the workers: the time at which each will be full again
/// (generic cell rate algorithm, ITU-T I.371). Two workers that meet may let one too many pass.
#[derive(Debug)]
pub struct VifLimiter {
    full_at: [Box<[AtomicU64]>; Limited::COUNT],
}

impl VifLimiter {
    /// All buckets full.
    pub fn new() -> Self {
        let buckets = || (0..VifSlot::TABLE).map(|_| AtomicU64::new(0)).collect();
        Self { full_at: core::array::from_fn(|_| buckets()) }
    }

    /// Whether the vif may cause one more now.
    pub fn allow(&self, what: Limited, vif: VifSlot, now: Millis) -> bool {
        let buckets = self.full_at.get(what.index());
        let Some(bucket) = buckets.and_then(|buckets| buckets.get(vif.index())) else { return false };
        let full_at = bucket.load(Relaxed).max(now.0);
        if full_at + Limited::COST > now.0 + what.burst() {
            return false;
        }
        bucket.store(full_at + Limited::COST, Relaxed);
        true
    }
}

impl Default for VifLimiter {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_a_rate_for_each_vif_and_kind_alone() {
        let limiter = VifLimiter::new();
        let (one, other) = (VifSlot::new(1).unwrap(), VifSlot::new(2).unwrap());
        for (what, burst) in [(Limited::Errors, 50), (Limited::Neighbours, 50), (Limited::Broadcasts, 100)] {
            let granted =
                |vif, from, to| (from..to).filter(|now| limiter.allow(what, vif, Millis(*now))).count();
            let at_once = (0..1000).filter(|_| limiter.allow(what, one, Millis(5000))).count();
            assert_eq!(at_once, burst, "{what:?}");
            assert_eq!(granted(one, 5001, 6001), 100);
            assert!(limiter.allow(what, other, Millis(5000)));
        }
    }
}
