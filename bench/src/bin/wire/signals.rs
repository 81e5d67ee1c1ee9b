//! Leaving nothing behind when told to end.

use std::{process, thread};

use tokio::signal::unix::{SignalKind, signal};

/// As a shell shows a process that a signal has ended.
const ENDED_BY_SIGNAL: i32 = 130;

/// From now on SIGINT, SIGTERM and SIGHUP remove all namespaces of this run and the processes in them, and end it.
pub(crate) fn remove_all_on_signal() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    let wait = async {
        let [mut interrupt, mut terminate, mut hangup] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()]
                .map(|kind| signal(kind).expect("the signal can be handled"));
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    };
    thread::spawn(move || {
        runtime.block_on(wait);
        eprintln!("\nending: removing all that was made");
        // Twice, for what the other thread was just making.
        tests::remove_own();
        tests::remove_own();
        process::exit(ENDED_BY_SIGNAL);
    });
}
