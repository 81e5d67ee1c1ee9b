//! Finding the highest rate without loss, in the manner of RFC 2544 section 26.1 with short trials.

use serde::Serialize;

/// Share of the packets that may be lost in a trial that still counts as one without loss.
pub(crate) const LOSS: f64 = 0.001;
/// Rates that are tried.
const STEPS: u32 = 8;
/// The search ends when the rates with and without loss are as near to each other as that.
const NEAR: f64 = 1.03;
/// The search begins no lower than at this part of a flood.
const FLOODED: f64 = 32.0;
/// From one rate to the next while only rates of one kind are known.
const STRIDE: f64 = 1.5;

/// What one trial gave, packets per second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Trial {
    pub(crate) sent: f64,
    pub(crate) received: f64,
}

impl Trial {
    fn is_without_loss(self) -> bool {
        self.received > 0.0 && self.received >= self.sent * (1.0 - LOSS)
    }
}

/// What a search has found, packets per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Found {
    /// Highest received in a trial without loss; 0 if none was.
    pub(crate) no_loss: f64,
    /// Received while as much was sent as the generator could.
    pub(crate) saturated: f64,
}

/// Searches. `trial` sends at about the rate it is given; infinity means as fast as it can. A rate with loss gets a
/// second trial, because other programs of the machine cause losses too.
pub(crate) fn search(mut trial: impl FnMut(f64) -> Trial) -> Found {
    // Makes the flows, fills the caches.
    trial(f64::INFINITY);
    let flood = trial(f64::INFINITY);
    let mut found = Found { no_loss: 0.0, saturated: flood.received };
    if flood.is_without_loss() {
        found.no_loss = flood.received;
        return found;
    }
    let (mut low, mut high) = (None, None);
    // A flood may leave no time for anything else, so that next to nothing arrives.
    let mut rate = flood.received.max(flood.sent / FLOODED);
    for _ in 0..STEPS {
        let mut outcome = trial(rate);
        if !outcome.is_without_loss() {
            outcome = trial(rate);
        }
        if outcome.is_without_loss() {
            found.no_loss = found.no_loss.max(outcome.received);
            low = Some(rate);
        } else {
            high = Some(rate);
        }
        rate = match (low, high) {
            (Some(low), Some(high)) if high < low * NEAR => break,
            (Some(low), Some(high)) => f64::midpoint(low, high),
            (Some(low), None) => low * STRIDE,
            (None, _) => rate / STRIDE,
        };
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device that drops what is above its capacity, and receives less the more it must drop.
    fn device(capacity: f64, generator: f64) -> impl FnMut(f64) -> Trial {
        move |rate| {
            let sent = rate.min(generator);
            let received =
                if sent <= capacity { sent } else { (capacity - (sent - capacity) * 0.1).max(0.0) };
            Trial { sent, received }
        }
    }

    #[test]
    fn the_capacity_is_found_within_a_few_percent() {
        for capacity in [50e3, 310e3, 700e3, 1.9e6] {
            let found = search(device(capacity, 2e6));
            assert!((found.no_loss / capacity - 1.0).abs() < 0.04, "{capacity}: {found:?}");
            assert!(found.no_loss <= capacity && found.saturated < capacity);
        }
    }

    #[test]
    fn a_generator_that_is_slower_than_the_device_ends_the_search_at_once() {
        let mut trials = 0;
        let mut slow = device(2e6, 1e6);
        let found = search(|rate| {
            trials += 1;
            slow(rate)
        });
        assert_eq!((found.no_loss, trials), (1e6, 2));
    }

    #[test]
    fn a_generator_that_keeps_half_of_what_it_is_told_ends_near_the_capacity() {
        let mut good = device(500e3, 2e6);
        let found = search(|rate| good(rate.min(1e9) * 0.5));
        assert!(found.no_loss > 450e3, "{found:?}");
    }

    #[test]
    fn a_device_that_always_loses_has_no_rate_without_loss() {
        let found = search(|rate| Trial { sent: rate.min(1e6), received: rate.min(1e6) * 0.9 });
        assert_eq!(found.no_loss, 0.0);
    }

    #[test]
    fn a_rate_that_fails_by_accident_is_tried_again() {
        let mut count = 0;
        let mut good = device(500e3, 2e6);
        let found = search(|rate| {
            count += 1;
            let trial = good(rate);
            if count % 2 == 1 { Trial { received: trial.received * 0.99, ..trial } } else { trial }
        });
        assert!(found.no_loss > 450e3, "{found:?}");
    }
}
