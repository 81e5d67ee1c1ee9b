//! The atomics of this crate, all named here so that a model checker can be put in their place.

#[cfg(feature = "loom")]
pub(crate) use loom::sync::atomic::{AtomicU64, fence};
#[cfg(not(feature = "loom"))]
pub(crate) use std::sync::atomic::{AtomicU64, fence};

/// Orders nothing and is not read to decide about other memory, so the model checker need not look at it.
pub(crate) type Tally = std::sync::atomic::AtomicU64;
pub(crate) use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// Attempts of a reader of a slot while it is being written; a writer needs one at most unless it was preempted.
pub(crate) const READ_ATTEMPTS: u32 = if cfg!(feature = "loom") { 2 } else { 32 };

/// Lets a moment pass, without giving the processor away.
pub(crate) fn spin() {
    #[cfg(feature = "loom")]
    loom::hint::spin_loop();
    #[cfg(not(feature = "loom"))]
    std::hint::spin_loop();
}

/// Waits a moment for another thread; `attempt` counts the calls of one wait, from 0.
///
/// What is waited for takes well under a microsecond unless its thread was preempted, so after 64 rounds
/// the processor is given up: the other thread may need this very one.
#[cfg(not(feature = "loom"))]
pub(crate) fn pause(attempt: u32) {
    if attempt < 64 {
        spin();
    } else {
        std::thread::yield_now();
    }
}

/// Waits until another thread has done something.
#[cfg(feature = "loom")]
pub(crate) fn pause(_attempt: u32) {
    loom::thread::yield_now();
}
