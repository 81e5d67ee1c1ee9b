//! What each vif has counted over the last ten minutes, for the charts of its page.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use dataplane::counters::PortTotals;
use dataplane::ids::VifId;

use crate::view::{RateSample, RatesView};

/// Time between two samples.
pub const STEP: Duration = Duration::from_secs(5);
/// Samples kept of a vif: ten minutes of differences, about 6 KB.
const KEPT: usize = 121;

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    rx: [u64; 2],
    tx: [u64; 2],
    dropped: u64,
}

/// The samples of all vifs.
#[derive(Debug, Default)]
pub struct History {
    vifs: HashMap<VifId, VecDeque<Sample>>,
    taken: Option<Instant>,
}

impl History {
    /// Whether the next sample is due.
    pub fn is_due(&self, now: Instant) -> bool {
        self.taken.is_none_or(|taken| now.saturating_duration_since(taken) >= STEP)
    }

    /// Takes a sample of every vif and forgets those that are gone.
    pub fn take(&mut self, now: Instant, vifs: impl Iterator<Item = (VifId, PortTotals)>) {
        self.taken = Some(now);
        let mut last = std::mem::take(&mut self.vifs);
        for (vif, totals) in vifs {
            let mut samples = last.remove(&vif).unwrap_or_default();
            if samples.len() == KEPT {
                samples.pop_front();
            }
            samples.push_back(Sample {
                at: now,
                rx: [totals.rx.packets, totals.rx.bytes],
                tx: [totals.tx.packets, totals.tx.bytes],
                dropped: totals.dropped(),
            });
            self.vifs.insert(vif, samples);
        }
    }

    /// The rates of a vif between its samples, the oldest first.
    pub fn rates(&self, vif: VifId) -> RatesView {
        let samples = self.vifs.get(&vif).into_iter().flatten();
        let later = samples.clone().skip(1);
        RatesView {
            seconds_between: STEP.as_secs(),
            samples: samples.zip(later).map(|(then, now)| rate(then, now)).collect(),
        }
    }
}

fn rate(then: &Sample, now: &Sample) -> RateSample {
    let seconds = now.at.saturating_duration_since(then.at).as_secs_f64().max(f64::MIN_POSITIVE);
    let per_second = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
    RateSample {
        rx_packets: per_second(now.rx[0], then.rx[0]),
        tx_packets: per_second(now.tx[0], then.tx[0]),
        rx_bits: per_second(now.rx[1], then.rx[1]) * 8.0,
        tx_bits: per_second(now.tx[1], then.tx[1]) * 8.0,
        drops: per_second(now.dropped, then.dropped),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dataplane::counters::TrafficTotals;

    fn totals(packets: u64) -> PortTotals {
        let mut totals =
            PortTotals { rx: TrafficTotals { packets, bytes: 100 * packets }, ..PortTotals::default() };
        totals.drops[0] = packets / 10;
        totals
    }

    #[test]
    fn rates_are_differences_by_the_time_between() {
        let (mut history, start) = (History::default(), Instant::now());
        assert!(history.is_due(start));
        history.take(start, [(VifId(1), totals(0))].into_iter());
        assert!(!history.is_due(start + STEP / 2));
        assert!(history.rates(VifId(1)).samples.is_empty());
        history.take(start + STEP * 2, [(VifId(1), totals(1000))].into_iter());
        let [sample] = history.rates(VifId(1)).samples[..] else { panic!("one difference") };
        assert_eq!((sample.rx_packets, sample.rx_bits, sample.drops), (100.0, 80_000.0, 10.0));
        assert_eq!(sample.tx_packets, 0.0);
    }

    #[test]
    fn ten_minutes_are_kept_and_vifs_that_are_gone_are_not() {
        let (mut history, start) = (History::default(), Instant::now());
        for step in 0..500 {
            history.take(start + STEP * step, [(VifId(1), totals(u64::from(step)))].into_iter());
        }
        assert_eq!(history.rates(VifId(1)).samples.len(), 120);
        history.take(start + STEP * 500, [(VifId(2), totals(5))].into_iter());
        assert!(history.rates(VifId(1)).samples.is_empty());
        assert_eq!(history.vifs.len(), 1);
    }
}
