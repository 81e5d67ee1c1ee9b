//! The engine's packet I/O: AF_XDP sockets on the trunk and the uplink over one UMEM.

use std::io::{PipeReader, Read};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use af_xdp::{Frame, FramePool, PollSet, Readiness, Socket, Umem};
use dataplane::io::{Extent, PacketIo, Side};

use super::gauges::{GaugeBoard, IoGauge, SocketGauge};

/// Longest sleep while the kernel has not taken everything yet.
const RETRY: Duration = Duration::from_millis(5);

/// Sockets of one worker: its queue of the trunk and its queues of the uplink.
#[derive(Debug)]
pub struct XskIo {
    umem: Umem,
    pool: FramePool,
    trunk: Socket,
    uplinks: Vec<Socket>,
    wake: PipeReader,
    poll: PollSet,
    /// The uplink socket that was asked first the last time.
    first: usize,
    gauges: Arc<GaugeBoard>,
}

impl XskIo {
    /// Takes the sockets over and fills their fill rings. There must be at least one on the uplink.
    pub fn new(
        umem: Umem,
        pool: FramePool,
        trunk: Socket,
        uplinks: Vec<Socket>,
        wake: PipeReader,
        gauges: Arc<GaugeBoard>,
    ) -> Self {
        let poll = PollSet::new(uplinks.len() + 2);
        let mut io = Self { umem, pool, trunk, uplinks, wake, poll, first: 0, gauges };
        io.collect_and_refill();
        io.tick();
        io
    }

    fn collect_and_refill(&mut self) {
        for socket in std::iter::once(&mut self.trunk).chain(&mut self.uplinks) {
            socket.complete(&mut self.pool);
            socket.refill(&mut self.pool);
            // A driver that has met an empty fill ring waits to be told. Failures show in the link's state.
            drop(socket.wake_rx());
        }
    }
}

impl PacketIo for XskIo {
    type Frame = Frame;

    fn receive(&mut self, side: Side, into: &mut Vec<Frame>, max: usize) -> usize {
        match side {
            Side::Trunk => self.trunk.receive(into, max),
            Side::Uplink => {
                // Another socket begins each time, so that a full queue does not starve the others.
                self.first = (self.first + 1) % self.uplinks.len().max(1);
                let (later, sooner) = self.uplinks.split_at_mut(self.first);
                sooner
                    .iter_mut()
                    .chain(later)
                    .fold(0, |count, socket| count + socket.receive(into, max - count))
            }
        }
    }

    fn open<'a>(&'a self, frame: &'a mut Frame) -> (&'a mut [u8], Extent) {
        let extent = Extent { start: frame.offset(), len: frame.len() };
        (self.umem.chunk_mut(frame), extent)
    }

    fn set_extent(&self, frame: &mut Frame, extent: Extent) {
        if frame.set_extent(extent.start, extent.len).is_err() {
            // An extent outside the chunk would be a defect of the pipeline; an empty frame is
            // refused by the kernel and counted there.
            let _ = frame.set_extent(self.umem.headroom(), 0);
        }
    }

    fn allocate(&mut self) -> Option<Frame> {
        self.pool.take()
    }

    fn send(&mut self, side: Side, frame: Frame) -> Result<(), Frame> {
        match side {
            Side::Trunk => self.trunk.transmit(frame),
            Side::Uplink => match self.uplinks.first_mut() {
                Some(socket) => socket.transmit(frame),
                None => Err(frame),
            },
        }
    }

    fn recycle(&mut self, frame: Frame) {
        self.pool.put(frame);
    }

    fn flush(&mut self) {
        for socket in std::iter::once(&mut self.trunk).chain(&mut self.uplinks) {
            // A device that is down keeps its frames; the link's state is followed by netlink
            // and shown there, and a full ring is a counted drop.
            drop(socket.flush());
        }
        self.collect_and_refill();
    }

    fn wait(&mut self, timeout: Duration) {
        let mut sending = std::iter::once(&self.trunk).chain(&self.uplinks);
        let timeout = match sending.any(|socket| socket.frames().tx_ring > 0) {
            true => timeout.min(RETRY),
            false => timeout,
        };
        let sockets = std::iter::once(&self.trunk).chain(&self.uplinks).filter_map(Socket::fd);
        let ready = self.poll.wait(std::iter::once(self.wake.as_fd()).chain(sockets), timeout);
        let failed =
            (1..=self.uplinks.len() + 1).any(|place| self.poll.readiness(place) == Readiness::Failed);
        if failed || ready.is_err() {
            // A failed descriptor is ready at once and for ever; do not spin on it.
            std::thread::sleep(Duration::from_millis(10));
        }
        if self.poll.readiness(0) == Readiness::Readable {
            let mut byte = [0];
            drop(self.wake.read(&mut byte));
        }
        self.collect_and_refill();
    }

    fn tick(&mut self) {
        let (frames, free) = (self.pool.taken() as u64, self.pool.len() as u64);
        let uplinks = self.uplinks.iter().map(|socket| (Side::Uplink, socket));
        let sockets = std::iter::once((Side::Trunk, &self.trunk)).chain(uplinks);
        self.gauges.try_write(|gauge: &mut IoGauge| {
            gauge.frames = frames;
            gauge.free = free;
            gauge.sockets.clear();
            gauge.sockets.extend(sockets.map(|(side, socket)| SocketGauge {
                side,
                ifindex: socket.ifindex(),
                queue: socket.queue(),
                mode: socket.mode(),
                statistics: socket.statistics().ok(),
            }));
        });
    }
}
