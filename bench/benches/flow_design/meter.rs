//! Times of chunks of batches on a machine that others use too.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bench::cpu::thread_time;
use crossbeam::utils::CachePadded;

use crate::load::BATCH;

/// Batches of a chunk: so few that most chunks end before the scheduler takes the processor away.
const CHUNK: u64 = 64;
/// Batches that every other thread must have done meanwhile.
const COMPANY: u64 = CHUNK * 3 / 4;
/// Part of its time a thread must have had a processor.
const SHARE: f64 = 0.97;

/// The times of one run.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Batches done, a row for each thread.
    progress: Vec<CachePadded<AtomicU64>>,
    samples: Mutex<Vec<f64>>,
}

impl Meter {
    pub(crate) fn new(threads: usize) -> Self {
        let progress = (0..threads).map(|_| CachePadded::default()).collect();
        Self { progress, samples: Mutex::new(Vec::new()) }
    }

    /// Nanoseconds per packet of the chunks that count.
    pub(crate) fn samples(self) -> Vec<f64> {
        self.samples.into_inner().unwrap()
    }

    /// Batches done by the slowest thread other than `thread`; none if there is no other.
    fn others(&self, thread: usize) -> Option<u64> {
        let others = self.progress.iter().enumerate().filter(|(other, _)| *other != thread);
        others.map(|(_, progress)| progress.load(Ordering::Relaxed)).min()
    }
}

/// One thread's clock.
pub(crate) struct ChunkClock<'a> {
    meter: &'a Meter,
    thread: usize,
    batches: u64,
    chunk: Chunk,
    nanos: Vec<f64>,
}

struct Chunk {
    begun: Instant,
    cpu: Duration,
    others: Option<u64>,
}

impl<'a> ChunkClock<'a> {
    pub(crate) fn new(meter: &'a Meter, thread: usize) -> Self {
        Self { meter, thread, batches: 0, chunk: Chunk::begin(meter, thread), nanos: Vec::with_capacity(256) }
    }

    /// Called before each batch.
    pub(crate) fn batch(&mut self) {
        if self.batches.is_multiple_of(CHUNK) {
            // Time before the first batch is not that of a chunk.
            if self.batches > 0 {
                self.nanos.extend(self.chunk.nanos(self.meter, self.thread));
            }
            self.chunk = Chunk::begin(self.meter, self.thread);
        }
        self.batches += 1;
        self.meter.progress[self.thread].store(self.batches, Ordering::Relaxed);
    }
}

impl Drop for ChunkClock<'_> {
    fn drop(&mut self) {
        self.meter.samples.lock().unwrap().append(&mut self.nanos);
    }
}

impl Chunk {
    /// The clocks are read outermost: a thread that is stopped on the way here shows in them.
    fn begin(meter: &Meter, thread: usize) -> Self {
        let (begun, cpu) = (Instant::now(), thread_time());
        Self { begun, cpu, others: meter.others(thread) }
    }

    /// Nanoseconds per packet, if the thread was not kept waiting and had company all along.
    fn nanos(&self, meter: &Meter, thread: usize) -> Option<f64> {
        let others = meter.others(thread);
        let (cpu, wall) = (thread_time() - self.cpu, self.begun.elapsed());
        let company = match (self.others, others) {
            (Some(before), Some(after)) => after - before >= COMPANY,
            (None, _) | (_, None) => true,
        };
        let ran = cpu.as_secs_f64() >= SHARE * wall.as_secs_f64();
        (company && ran).then(|| wall.as_nanos() as f64 / (CHUNK * BATCH as u64) as f64)
    }
}
