//! Waiting for something that happens a moment later, never by a fixed pause.

use std::thread;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(20);

/// Asks until `probe` gives a value, for at most `seconds`.
///
/// # Panics
/// When the time is up; `what` says what was waited for.
pub fn within<T>(seconds: u64, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {seconds} s: {what}");
        thread::sleep(PAUSE);
    }
}

/// Asks until `condition` holds, for at most `seconds`.
///
/// # Panics
/// When the time is up; `what` says what was waited for.
pub fn eventually(seconds: u64, what: &str, mut condition: impl FnMut() -> bool) {
    within(seconds, what, || condition().then_some(()));
}
