//! A socket on one queue: the calls a worker makes per batch.

use std::os::fd::BorrowedFd;

use crate::bind;
use crate::config::{Mode, RingSizes, SocketConfig};
use crate::device::{Door, Queue};
use crate::error::Error;
use crate::frame::Frame;
use crate::ledger::Ledger;
use crate::pool::FramePool;
use crate::ring::{Consumer, Descriptor, Producer};
use crate::statistics::{Counters, FrameCounts, Statistics};
use crate::umem::Umem;

/// Packets the kernel sends per `sendto` in copy mode unless told otherwise (`TX_BATCH_SIZE`).
const KERNEL_BATCH: u32 = 32;

/// The user's ends of the four rings.
pub(crate) struct Rings {
    pub(crate) rx: Consumer<Descriptor>,
    pub(crate) tx: Producer<Descriptor>,
    pub(crate) fill: Producer<u64>,
    pub(crate) completion: Consumer<u64>,
}

/// When the driver must be told of new fill ring entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RxWakeup {
    /// When the kernel has set the fill ring's flag.
    WhenAsked,
    /// At every call: with busy polling the calls are what receives.
    Always,
}

/// An AF_XDP socket bound to one queue of one device, owned by one worker.
pub struct Socket {
    pub(crate) ledger: Ledger,
    pub(crate) rings: Rings,
    pub(crate) door: Door,
    pub(crate) queue: Queue,
    pub(crate) mode: Mode,
    pub(crate) rx_wakeup: RxWakeup,
    pub(crate) zero_copy_refusal: Option<Error>,
    pub(crate) presence: Presence,
}

/// Whether the device is there, as far as was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Present,
    Gone,
}

impl Socket {
    /// Binds to a queue of a device in the calling thread's network namespace.
    ///
    /// The first socket of a UMEM registers it with the kernel, later ones share that registration
    /// (`XDP_SHARED_UMEM`). The kernel fixes zero-copy or copy mode per registration, so the first socket of
    /// the other mode registers the same memory once more, and the memlock limit counts it twice.
    ///
    /// Packets arrive once the socket stands in the XSKMAP of the device's XDP program and
    /// [`refill`](Self::refill) has given chunks to the kernel.
    ///
    /// # Errors
    /// [`Error::MissingCapability`], [`Error::NoXdpSockets`], [`Error::MemoryLock`], [`Error::QueueBusy`],
    /// [`Error::NoDevice`], [`Error::BindRefused`], [`Error::LinkDown`], [`Error::RingSize`], or
    /// [`Error::System`] for anything else. A zero-copy refusal is no error: see
    /// [`zero_copy_refusal`](Self::zero_copy_refusal).
    pub fn bind(umem: &Umem, config: &SocketConfig) -> Result<Self, Error> {
        bind::bind(umem, config)
    }

    /// Moves received packets into `into`, at most `max` and never more than its spare capacity, so that it
    /// never grows. Returns how many.
    pub fn receive(&mut self, into: &mut Vec<Frame>, max: usize) -> usize {
        let room = max.min(into.capacity() - into.len());
        let before = into.len();
        let _still = self.door.hold_still();
        // Bounded by the ring's size, however many refused descriptors a faulty kernel adds meanwhile.
        for _ in 0..self.rings.rx.size() {
            if into.len() - before == room {
                break;
            }
            let Some(descriptor) = self.rings.rx.pop() else { break };
            if let Some(frame) = self.ledger.received(descriptor) {
                into.push(frame);
            }
        }
        self.rings.rx.release();
        into.len() - before
    }

    /// Fills the fill ring from the pool, as far as both allow. Returns how many frames went.
    pub fn refill(&mut self, pool: &mut FramePool) -> usize {
        let mut count = 0;
        while !self.rings.fill.is_full() {
            let Some(frame) = self.ledger.spare.pop().or_else(|| pool.take()) else { break };
            if !self.ledger.umem.owns(&frame) {
                // A pool of another UMEM: its frames are of no use here.
                pool.put(frame);
                break;
            }
            let address = self.ledger.lend_for_receive(frame);
            if self.rings.fill.push(address).is_err() {
                break;
            }
            count += 1;
        }
        if count > 0 {
            self.rings.fill.publish();
        }
        count
    }

    /// Puts a frame's packet into the tx ring; [`flush`](Self::flush) makes the kernel see it.
    ///
    /// # Errors
    /// Gives the frame back if the ring is full, the packet is empty (the kernel would keep the chunk without
    /// sending it) or the frame belongs to another UMEM.
    pub fn transmit(&mut self, frame: Frame) -> Result<(), Frame> {
        if frame.is_empty() || !self.ledger.umem.owns(&frame) {
            self.ledger.counters.tx_rejected += 1;
            return Err(frame);
        }
        if self.rings.tx.is_full() {
            self.ledger.counters.tx_ring_full += 1;
            return Err(frame);
        }
        let descriptor = self.ledger.lend_for_transmit(frame);
        // Never full here. Were it, the chunk would stay lent and be counted as being sent.
        let _ = self.rings.tx.push(descriptor);
        Ok(())
    }

    /// Moves sent frames from the completion ring to the pool. Returns how many.
    pub fn complete(&mut self, pool: &mut FramePool) -> usize {
        let _still = self.door.hold_still();
        let mut count = 0;
        for _ in 0..self.rings.completion.size() {
            if pool.room() == 0 {
                break;
            }
            let Some(address) = self.rings.completion.pop() else { break };
            if let Some(frame) = self.ledger.sent(address) {
                pool.put(frame);
                count += 1;
            }
        }
        self.rings.completion.release();
        count
    }

    /// Shows the tx ring to the kernel and, if it asks for it, calls `sendto` until the ring is empty or the
    /// kernel takes no more for now. What is left goes with the next call, after [`complete`](Self::complete).
    ///
    /// # Errors
    /// [`Error::LinkDown`] and [`Error::Gone`] when the device is; [`Error::System`] for anything else but
    /// EAGAIN, EBUSY, ENOBUFS and EINTR, which are normal. Frames not sent stay in the tx ring.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.rings.tx.publish();
        let mut pending = self.rings.tx.pending();
        if pending == 0 || !self.rings.tx.needs_wakeup() {
            return Ok(());
        }
        for _ in 0..self.rings.tx.size() / KERNEL_BATCH + 2 {
            self.ledger.counters.kicks += 1;
            let Err(source) = self.door.kick() else { return Ok(()) };
            match source.raw_os_error() {
                // EBUSY: the device dropped one packet, the ones behind it are still to be sent.
                // EAGAIN: a batch is done, or the completion ring or the device's queue is full.
                Some(libc::EBUSY | libc::EAGAIN | libc::ENOBUFS | libc::EINTR) => {}
                _ => return Err(self.failure("sendto on an AF_XDP socket", source)),
            }
            self.ledger.counters.kicks_again += 1;
            let left = self.rings.tx.pending();
            if left == 0 || left == pending {
                return Ok(());
            }
            pending = left;
        }
        Ok(())
    }

    /// Wakes the driver if it waits for fill ring entries. With busy polling: receives.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn wake_rx(&mut self) -> Result<(), Error> {
        match self.rx_wakeup {
            RxWakeup::WhenAsked if !self.rings.fill.needs_wakeup() => return Ok(()),
            RxWakeup::WhenAsked | RxWakeup::Always => {}
        }
        self.ledger.counters.rx_wakeups += 1;
        self.check()
    }

    /// Asks the kernel whether device and link are still there. Call it now and then (once a second): a poll
    /// says nothing of a device that is down or gone (`net/xdp/xsk.c: xsk_poll`).
    ///
    /// # Errors
    /// [`Error::LinkDown`], [`Error::Gone`], or [`Error::System`] for anything unexpected.
    pub fn check(&mut self) -> Result<(), Error> {
        let Err(source) = self.door.poke() else { return Ok(()) };
        match source.raw_os_error() {
            // EOPNOTSUPP: a kernel before 5.11, which receives without being asked.
            Some(libc::EAGAIN | libc::EBUSY | libc::ENOBUFS | libc::EINTR | libc::EOPNOTSUPP) => Ok(()),
            _ => Err(self.failure("recvfrom on an AF_XDP socket", source)),
        }
    }

    fn failure(&mut self, call: &'static str, source: std::io::Error) -> Error {
        let Queue { ifindex, queue, .. } = self.queue;
        if self.presence() == Presence::Gone {
            return Error::Gone { ifindex, queue };
        }
        match source.raw_os_error() {
            Some(libc::ENETDOWN) => Error::LinkDown { ifindex, queue },
            _ => Error::System { call, source },
        }
    }

    /// Whether the device still exists. ENXIO alone does not tell: some drivers answer it to a wakeup while
    /// they have no XDP program.
    pub(crate) fn presence(&mut self) -> Presence {
        // The removal of the device (xsk_notifier) leaves ENETDOWN as the socket's pending error, which nothing
        // else does, and ends under the mutex that the statistics call waits for.
        let removed = self.door.pending_error().is_ok_and(|error| error == libc::ENETDOWN);
        if removed && self.door.statistics().is_ok() {
            self.presence = Presence::Gone;
        }
        self.presence
    }

    /// The kernel's counters (a system call), our own, and where the frames are.
    ///
    /// # Errors
    /// [`Error::System`] if the kernel does not answer.
    pub fn statistics(&self) -> Result<Statistics, Error> {
        Ok(Statistics { kernel: self.door.statistics()?, counters: self.counters(), frames: self.frames() })
    }

    /// Our own counters, without a system call.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.ledger.counters
    }

    /// Where the socket's frames are, without a system call.
    #[must_use]
    pub fn frames(&self) -> FrameCounts {
        let (receiving, sending) = (self.ledger.receiving, self.ledger.sending);
        let rx_ring = self.rings.rx.available().min(receiving);
        let fill_ring = self.rings.fill.pending().min(receiving - rx_ring);
        let completion_ring = self.rings.completion.available().min(sending);
        let tx_ring = self.rings.tx.pending().min(sending - completion_ring);
        FrameCounts {
            fill_ring,
            receiving: receiving - rx_ring - fill_ring,
            rx_ring,
            tx_ring,
            sending: sending - completion_ring - tx_ring,
            completion_ring,
            spare: self.ledger.spare.len() as u32,
        }
    }

    /// The mode the kernel granted.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Why zero-copy was preferred and not granted, if so.
    #[must_use]
    pub fn zero_copy_refusal(&self) -> Option<&Error> {
        self.zero_copy_refusal.as_ref()
    }

    /// Index of the device; 0 for a socket of [`memory`](crate::memory).
    #[must_use]
    pub fn ifindex(&self) -> u32 {
        self.queue.ifindex
    }

    /// Queue of the device.
    #[must_use]
    pub fn queue(&self) -> u32 {
        self.queue.queue
    }

    /// Sizes of the four rings.
    #[must_use]
    pub fn ring_sizes(&self) -> RingSizes {
        RingSizes {
            rx: self.rings.rx.size(),
            tx: self.rings.tx.size(),
            fill: self.rings.fill.size(),
            completion: self.rings.completion.size(),
        }
    }

    /// The UMEM the socket works on.
    #[must_use]
    pub fn umem(&self) -> &Umem {
        &self.ledger.umem
    }

    /// The descriptor, for the XSKMAP and for [`PollSet`](crate::PollSet). None for a socket of
    /// [`memory`](crate::memory). Do not duplicate it: the queue stays taken until the last one is closed.
    #[must_use]
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.door.fd()
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket")
            .field("queue", &self.queue)
            .field("mode", &self.mode)
            .field("frames", &self.frames())
            .finish()
    }
}
