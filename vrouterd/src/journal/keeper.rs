//! The thread that writes the journal.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use dataplane::carry::Roster;
use dataplane::snapshot::Snapshot;
use flow_table::{FlowTable, Millis};

use super::clock::BootId;
use super::file::{JournalFile, Pass, SpreadSeeds};

/// Time in which the whole table is written once.
const PASS: Duration = Duration::from_secs(2);
/// Slots looked at in one go: some milliseconds at most.
const SLICE: usize = 8192;
/// Longest wait for the last pass. A disk that hangs must not keep the daemon from ending.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a journal is written of.
#[derive(Clone, Debug)]
pub struct Source {
    /// The pairs.
    pub flows: Arc<FlowTable>,
    /// What their ids stand for.
    pub snapshots: Arc<ArcSwap<Snapshot>>,
    /// Seeds of the workers' spread.
    pub spread: SpreadSeeds,
    /// Zero of the table's time.
    pub epoch: Instant,
}

/// Writes the journal as long as it lives.
#[derive(Debug)]
pub struct Keeper {
    last: Option<Sender<()>>,
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

/// Whether the last pass could be written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Disk {
    Well,
    Failing,
}

/// What the thread is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// Nothing yet.
    GoOn,
    /// Write once more and end.
    Last,
    /// End.
    End,
}

impl Keeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub fn start(file: JournalFile, source: Source) -> io::Result<Self> {
        let ((last, orders), (end, ended)) = (channel(), channel());
        let scribe = Scribe { file, source, boot: BootId::current(), disk: Disk::Well };
        let body = move || {
            scribe.run(&orders);
            drop(end);
        };
        let thread = std::thread::Builder::new().name("vr-journal".to_owned()).spawn(body)?;
        Ok(Self { last: Some(last), ended, thread: Some(thread) })
    }

    /// Writes the table a last time, once the workers have stopped, and ends the thread.
    pub fn finish(&mut self) {
        let Some(last) = self.last.take() else { return };
        let _ = last.send(());
        match self.ended.recv_timeout(PATIENCE) {
            Err(RecvTimeoutError::Timeout) => {
                tracing::warn!("the journal of flows is not written: the disk hangs")
            }
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
                    tracing::error!("the thread of the flow journal had panicked");
                }
            }
        }
    }
}

struct Scribe {
    file: JournalFile,
    source: Source,
    boot: BootId,
    disk: Disk,
}

impl Scribe {
    fn run(mut self, orders: &Receiver<()>) {
        let pause = PASS / self.source.flows.capacity().div_ceil(SLICE).max(1) as u32;
        loop {
            let (begun, mut order) = (Instant::now(), Order::GoOn);
            let written = self.write(|| order = wait(order, orders, pause));
            self.note(written);
            match wait(order, orders, PASS.saturating_sub(begun.elapsed())) {
                Order::GoOn => {}
                Order::Last => {
                    let written = self.write(|| {});
                    return self.note(written);
                }
                Order::End => return,
            }
        }
    }

    /// Writes the whole table; rests after each slice.
    fn write(&self, mut rest: impl FnMut()) -> io::Result<()> {
        let Source { flows, snapshots, spread, epoch } = &self.source;
        let mut pass = self.file.begin(self.boot, *spread)?;
        for first in (0..flows.capacity()).step_by(SLICE) {
            self.write_slice(&mut pass, first)?;
            rest();
        }
        let now = Millis(epoch.elapsed().as_millis() as u64);
        self.file.finish(pass, &Roster::of(&snapshots.load()), now)
    }

    fn write_slice(&self, pass: &mut Pass, first: usize) -> io::Result<()> {
        let mut written = Ok(());
        self.source.flows.carry(first..first + SLICE, |pair| {
            if written.is_ok() {
                written = pass.add(pair);
            }
        });
        written
    }

    /// Says once that the disk does not take the journal, and once that it does again.
    fn note(&mut self, written: io::Result<()>) {
        let path = self.file.path();
        match (written, self.disk) {
            (Ok(()), Disk::Well) => {}
            (Ok(()), Disk::Failing) => {
                self.disk = Disk::Well;
                tracing::info!(file = %path.display(), "flows are kept for the next start again");
            }
            (Err(_), Disk::Failing) => self.file.abandon(),
            (Err(error), Disk::Well) => {
                self.disk = Disk::Failing;
                self.file.abandon();
                tracing::warn!(
                    file = %path.display(),
                    %error,
                    "flows are not kept for the next start: make node.state_dir writable, with room on its disk"
                );
            }
        }
    }
}

/// Waits for an order, unless there has been one.
fn wait(order: Order, orders: &Receiver<()>, pause: Duration) -> Order {
    if order != Order::GoOn {
        return order;
    }
    match orders.recv_timeout(pause) {
        Ok(()) => Order::Last,
        Err(RecvTimeoutError::Timeout) => Order::GoOn,
        Err(RecvTimeoutError::Disconnected) => Order::End,
    }
}

#[cfg(test)]
mod tests;
