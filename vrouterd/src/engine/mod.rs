//! The forwarding engine as it runs: UMEM, sockets and worker threads.

mod gauges;
mod io;

use std::io::{PipeWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use af_xdp::{Pages, RingSizes, Socket, SocketConfig, Umem, UmemConfig, ZeroCopy};
use ahash::RandomState;
use dataplane::affinity::AffinityTable;
use dataplane::counters::WorkerCounters;
use dataplane::droplog::DropLog;
use dataplane::fragment::FragmentTable;
use dataplane::limiter::VifLimiter;
use dataplane::publish::Publisher;
use dataplane::tap::{TapEye, Taps};
use dataplane::worker::{Continue, Idle, Worker, WorkerParts};
use flow_table::FlowTable;
use xdp_prog::{Fabric, Trunk};

pub use gauges::{GaugeBoard, IoGauge, SocketGauge};
pub use io::XskIo;

/// Dropped packets that a worker remembers until the control thread takes them.
const DROP_LOG: usize = 256;

/// How long a queue may be busy: the kernel lets go of the sockets of a process that has ended a little later
/// (net/xdp/xsk_buff_pool.c, `xp_put_pool`).
const QUEUE_PATIENCE: Duration = Duration::from_secs(2);
const QUEUE_PAUSE: Duration = Duration::from_millis(2);

/// Fewest entries of a ring.
const LEAST_RING: u32 = 64;
/// Most entries of a ring.
const MOST_RING: u32 = 2048;

/// How the engine shall run.
#[derive(Clone, Debug)]
pub struct EnginePlan {
    /// Worker threads asked for.
    pub workers: usize,
    /// CPU of each worker; workers beyond the list are left to the scheduler.
    pub cpus: Vec<u16>,
    /// UMEM frames per worker.
    pub frames: u32,
    /// Most packets taken from one side at once.
    pub batch: usize,
    /// What a worker does when there is nothing to do.
    pub idle: Idle,
    /// Whether zero-copy is wanted.
    pub zero_copy: ZeroCopy,
    /// Pages for the UMEM.
    pub pages: Pages,
    /// Index of the trunk's engine end.
    pub trunk: u32,
    /// Index of the device frames of other nodes come in on.
    pub uplink: u32,
    /// Receive queues of that device, and whether the driver really uses as many.
    pub uplink_queues: UplinkQueues,
}

/// Receive queues of the uplink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UplinkQueues {
    /// All of these.
    Exactly(u32),
    /// The first for sure, and the others as far as a socket can be bound.
    AtMost(u32),
}

/// What of the process the workers share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The flows of the node.
    pub flows: Arc<FlowTable>,
    /// The datagrams whose fragments are under way.
    pub fragments: Arc<FragmentTable>,
    /// Hash for ECMP choices.
    pub spread: RandomState,
    /// Which backend served a client last.
    pub affinity: Arc<AffinityTable>,
    /// How much each vif may cause in a second.
    pub limiter: Arc<VifLimiter>,
    /// What the operator wants to see of packets.
    pub taps: Arc<Taps>,
    /// Zero of the flow table's time.
    pub epoch: Instant,
}

/// A running worker.
#[derive(Debug)]
pub struct WorkerHandle {
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    wake: PipeWriter,
    /// CPU it is pinned to.
    pub cpu: Option<u16>,
    /// Its counters.
    pub counters: Arc<WorkerCounters>,
    /// Its dropped packets.
    pub drops: Arc<DropLog>,
    /// Its frames and sockets.
    pub gauges: Arc<GaugeBoard>,
}

/// Why the engine does not start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The AF_XDP layer says no.
    #[error("{what}: {source}")]
    Socket {
        /// What was tried.
        what: String,
        /// Its answer, with the remedy.
        source: af_xdp::Error,
    },
    /// The BPF layer says no.
    #[error("{what}: {source}")]
    Program {
        /// What was tried.
        what: String,
        /// Its answer, with the remedy.
        source: xdp_prog::Error,
    },
    /// A worker's frames do not suffice for its sockets.
    #[error(
        "{frames} frames per worker are too few for an uplink with {queues} queues: set engine.frames to at \
         least {least}, or engine.workers higher, or give the uplink fewer queues (ethtool -L)"
    )]
    TooFewFrames {
        /// Frames per worker as configured.
        frames: u32,
        /// Queues of the uplink.
        queues: u32,
        /// Frames that would do.
        least: u32,
    },
    /// No thread or pipe can be had.
    #[error("cannot start a worker: {0}; look at the limits on processes and open files (ulimit -u, -n)")]
    Thread(#[from] std::io::Error),
}

/// The running workers. Dropping it stops them.
#[derive(Debug, Default)]
pub struct Engine {
    workers: Vec<WorkerHandle>,
}

impl Engine {
    /// Binds the sockets, enters them in the programs' maps and starts the workers. At most as
    /// many workers are started as the uplink has queues: each needs one to send on.
    ///
    /// # Errors
    /// [`EngineError`]; nothing is running then.
    pub fn start(
        plan: &EnginePlan,
        publisher: &Publisher,
        shared: &Shared,
        fabric: &mut Fabric,
        trunk: &mut Trunk,
    ) -> Result<Self, EngineError> {
        let umem = plan.umem()?;
        let mut uplinks = plan.bind_uplink(&umem)?;
        for socket in &uplinks {
            enter("uplink", socket, |queue, fd| fabric.set_socket(queue, fd))?;
        }
        let count = plan.workers.clamp(1, uplinks.len().max(1));
        if count < plan.workers {
            tracing::warn!(
                asked = plan.workers,
                started = count,
                "fewer workers than asked: the uplink has no more queues (ethtool -L changes that)"
            );
        }
        let mut engine = Self::default();
        for index in 0..count {
            let socket = plan.bind(&umem, plan.trunk, index as u32, "trunk")?;
            enter("trunk", &socket, |queue, fd| trunk.set_socket(queue, fd))?;
            let own = |socket: &mut Socket| socket.queue() as usize % count == index;
            let uplinks: Vec<Socket> = uplinks.extract_if(.., own).collect();
            let pool =
                umem.take_pool(plan.frames).map_err(|source| socket_error("share out the UMEM", source))?;
            let gauges = Arc::new(GaugeBoard::default());
            let (wake, waker) = std::io::pipe()?;
            let io = XskIo::new(umem.clone(), pool, socket, uplinks, wake, Arc::clone(&gauges));
            let worker = plan.spawn(index, io, waker, gauges, publisher, shared)?;
            engine.workers.push(worker);
        }
        Ok(engine)
    }

    /// The workers.
    pub fn workers(&self) -> &[WorkerHandle] {
        &self.workers
    }

    /// Stops the workers and waits for them; their sockets are closed then.
    pub fn stop(&mut self) {
        for worker in &mut self.workers {
            worker.stop.store(true, Ordering::Relaxed);
            // A full pipe wakes the worker just as well.
            drop(worker.wake.write(&[1]));
        }
        for worker in &mut self.workers {
            if worker.thread.take().is_some_and(|thread| thread.join().is_err()) {
                tracing::error!("a worker had panicked");
            }
        }
    }

    /// Whether every worker is still running.
    pub fn is_running(&self) -> bool {
        self.workers.iter().all(|worker| worker.thread.as_ref().is_some_and(|thread| !thread.is_finished()))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

impl EnginePlan {
    fn umem(&self) -> Result<Umem, EngineError> {
        let chunk_count = self.frames.saturating_mul(self.workers.max(1) as u32);
        let config = UmemConfig { chunk_count, pages: self.pages, ..UmemConfig::default() };
        Umem::new(config).map_err(|source| socket_error("make the UMEM", source))
    }

    fn bind(&self, umem: &Umem, ifindex: u32, queue: u32, side: &str) -> Result<Socket, EngineError> {
        let rings = self.rings()?;
        let config = SocketConfig { rings, zero_copy: self.zero_copy, ..SocketConfig::new(ifindex, queue) };
        let patience = Instant::now() + QUEUE_PATIENCE;
        let bound = loop {
            match Socket::bind(umem, &config) {
                Err(af_xdp::Error::QueueBusy { .. }) if Instant::now() < patience => {
                    std::thread::sleep(QUEUE_PAUSE);
                }
                bound => break bound,
            }
        };
        bound.map_err(|source| socket_error(&format!("bind a socket to queue {queue} of the {side}"), source))
    }

    /// Rings of a worker that serves the trunk and its share of the uplink's queues. All its fill
    /// rings together take fewer frames than it has, or the last ones would stay empty and their
    /// queues dead.
    ///
    /// # Errors
    /// [`EngineError::TooFewFrames`].
    fn rings(&self) -> Result<RingSizes, EngineError> {
        let queues = self.queues();
        let sockets = 1 + queues.div_ceil(self.workers.clamp(1, queues as usize) as u32);
        let share = self.frames / (sockets + 1);
        if share < LEAST_RING {
            let least = LEAST_RING * (sockets + 1);
            return Err(EngineError::TooFewFrames { frames: self.frames, queues, least });
        }
        let fill = 1 << share.min(MOST_RING).ilog2();
        Ok(RingSizes { rx: fill, tx: MOST_RING, fill, completion: MOST_RING })
    }

    /// Queues of the uplink that get a socket.
    fn queues(&self) -> u32 {
        let (UplinkQueues::Exactly(most) | UplinkQueues::AtMost(most)) = self.uplink_queues;
        most.clamp(1, xdp_prog::QUEUES)
    }

    fn bind_uplink(&self, umem: &Umem) -> Result<Vec<Socket>, EngineError> {
        let mut sockets = Vec::new();
        for queue in 0..self.queues() {
            match self.bind(umem, self.uplink, queue, "uplink") {
                Ok(socket) => sockets.push(socket),
                Err(_) if queue > 0 && matches!(self.uplink_queues, UplinkQueues::AtMost(_)) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(sockets)
    }

    fn spawn(
        &self,
        index: usize,
        io: XskIo,
        wake: PipeWriter,
        gauges: Arc<GaugeBoard>,
        publisher: &Publisher,
        shared: &Shared,
    ) -> Result<WorkerHandle, EngineError> {
        let (counters, drops) = (Arc::new(WorkerCounters::new()), Arc::new(DropLog::new(DROP_LOG)));
        let parts = WorkerParts {
            snapshots: publisher.subscribe(),
            flows: Arc::clone(&shared.flows),
            fragments: Arc::clone(&shared.fragments),
            spread: shared.spread.clone(),
            counters: Arc::clone(&counters),
            drops: Arc::clone(&drops),
            affinity: Arc::clone(&shared.affinity),
            limiter: Arc::clone(&shared.limiter),
            batch: self.batch,
            idle: self.idle,
        };
        let mut worker = Worker::new(io, parts).with_taps(TapEye::new(&shared.taps, index));
        let stop = Arc::new(AtomicBool::new(false));
        let (flag, epoch, cpu) = (Arc::clone(&stop), shared.epoch, self.cpus.get(index).copied());
        let body = move || {
            if let Some(Err(error)) = cpu.map(|cpu| af_xdp::pin_current_thread(usize::from(cpu))) {
                tracing::warn!(worker = index, %error, "not pinned");
            }
            let clock = || -> Duration { epoch.elapsed() };
            worker.run(clock, || if flag.load(Ordering::Relaxed) { Continue::Stop } else { Continue::Yes });
        };
        let thread = std::thread::Builder::new().name(format!("vr-worker-{index}")).spawn(body)?;
        Ok(WorkerHandle { thread: Some(thread), stop, wake, cpu, counters, drops, gauges })
    }
}

fn enter(
    side: &str,
    socket: &Socket,
    set: impl FnOnce(u32, std::os::fd::BorrowedFd<'_>) -> Result<(), xdp_prog::Error>,
) -> Result<(), EngineError> {
    let Some(fd) = socket.fd() else { return Ok(()) };
    let queue = socket.queue();
    set(queue, fd).map_err(|source| EngineError::Program {
        what: format!("enter the socket of queue {queue} of the {side}"),
        source,
    })
}

fn socket_error(what: &str, source: af_xdp::Error) -> EngineError {
    EngineError::Socket { what: what.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(frames: u32, workers: usize, queues: u32) -> EnginePlan {
        EnginePlan {
            workers,
            cpus: Vec::new(),
            frames,
            batch: 64,
            idle: Idle::Sleep,
            zero_copy: ZeroCopy::CopyOnly,
            pages: Pages::Base,
            trunk: 1,
            uplink: 2,
            uplink_queues: UplinkQueues::Exactly(queues),
        }
    }

    #[test]
    fn every_fill_ring_gets_frames_and_some_are_left() {
        for (frames, workers, queues) in
            [(8192, 1, 1), (8192, 1, 4), (8192, 1, 63), (8192, 4, 16), (512, 2, 2)]
        {
            let fill = plan(frames, workers, queues).rings().unwrap().fill;
            let sockets = 1 + queues.div_ceil(workers as u32);
            assert!(fill >= LEAST_RING && fill.is_power_of_two(), "{frames} {workers} {queues}: {fill}");
            assert!(fill * sockets < frames, "{frames} {workers} {queues}: {fill}");
        }
    }

    #[test]
    fn too_few_frames_are_refused_with_the_number_that_would_do() {
        let error = plan(512, 1, 16).rings().unwrap_err();
        assert!(error.to_string().contains("engine.frames to at least 1152"), "{error}");
        assert!(plan(1152, 1, 16).rings().is_ok());
    }
}
