//! The atomics of this crate, all named here so that a model checker can be put in their place.

pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

/// Rounds of spinning before a waiter gives its processor to the one it waits for.
const SPINS: u32 = 64;

/// Lets a moment pass, without giving the processor away.
pub(crate) fn spin() {
    std::hint::spin_loop();
}

/// Waits a moment for another thread; `attempt` counts the calls of one wait, from 0.
///
/// What is waited for takes well under a microsecond unless its thread was preempted, so after [`SPINS`] rounds
/// the processor is given up: the other thread may need this very one.
pub(crate) fn pause(attempt: u32) {
    if attempt < SPINS {
        spin();
    } else {
        std::thread::yield_now();
    }
}
