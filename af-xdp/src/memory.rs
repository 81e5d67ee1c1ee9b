//! A socket without a device: the same rings, frames and ledger, with the kernel's side in memory.
//!
//! [`pair`] gives a [`Socket`] and the [`FakeKernel`] behind it. The kernel delivers and collects packets, and
//! on request lies: wrong addresses, lengths, indices, chunks named twice, completions withheld.
//!
//! The kernel touches a chunk's bytes only under the lock the two share, while the socket is open and while the
//! chunk's owner word says that it is lent to this socket. The socket takes chunks back under the same lock,
//! so whatever is forged, no chunk is touched from both sides at once.

mod kernel;

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::kernel::FakeKernel;
use self::kernel::Handles;
use crate::config::{Mode, RingSizes};
use crate::device::{Door, Queue};
use crate::error::Error;
use crate::ledger::Ledger;
use crate::mapping::Mapping;
use crate::ring::{Consumer, Descriptor, Entry, Layout, Memory, Producer};
use crate::socket::{Presence, Rings, RxWakeup, Socket};
use crate::statistics::KernelStatistics;
use crate::umem::Umem;

/// Indices on cache lines of their own, as in `struct xdp_ring`.
const LAYOUT: Layout = Layout { producer: 0, consumer: 128, flags: 64, entries: 192 };

/// State of the device behind the fake kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Works.
    Up,
    /// Administratively down: calls answer ENETDOWN.
    Down,
    /// Removed: calls answer ENXIO.
    Gone,
}

/// What a ring's flag asks of the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wakeup {
    /// Call to make the kernel go on.
    Needed,
    /// The kernel goes on by itself.
    NotNeeded,
}

/// An index the kernel owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelIndex {
    /// Producer of the rx ring.
    RxProducer,
    /// Consumer of the tx ring.
    TxConsumer,
    /// Consumer of the fill ring.
    FillConsumer,
    /// Producer of the completion ring.
    CompletionProducer,
}

/// Why the fake kernel did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The user has given no chunk to receive into.
    #[error("the fill ring is empty")]
    FillEmpty,
    /// The user has not taken earlier packets.
    #[error("the rx ring is full")]
    RxFull,
    /// The user has not taken earlier completions.
    #[error("the completion ring is full")]
    CompletionFull,
    /// The packet does not fit behind the headroom of a chunk.
    #[error("the packet does not fit a chunk")]
    TooLong,
    /// The chunk named is not lent to the kernel by this socket.
    #[error("the chunk is not the kernel's")]
    NotLent,
    /// The socket was closed.
    #[error("the socket is closed")]
    Closed,
}

pub(crate) struct WireState {
    open: bool,
    link: Link,
    kick_error: Option<i32>,
    kicks: u64,
    pokes: u64,
    statistics: KernelStatistics,
}

/// What both sides of a pair share besides the rings.
pub(crate) struct Wire {
    state: Mutex<WireState>,
}

impl Wire {
    pub(crate) fn state(&self) -> MutexGuard<'_, WireState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn kick(&self) -> io::Result<()> {
        let mut state = self.state();
        state.kicks += 1;
        state.link_answer()?;
        state.kick_error.map_or(Ok(()), |number| Err(io::Error::from_raw_os_error(number)))
    }

    pub(crate) fn poke(&self) -> io::Result<()> {
        let mut state = self.state();
        state.pokes += 1;
        state.link_answer()
    }

    pub(crate) fn pending_error(&self) -> i32 {
        match self.state().link {
            Link::Up | Link::Down => 0,
            Link::Gone => libc::ENETDOWN,
        }
    }

    pub(crate) fn statistics(&self) -> KernelStatistics {
        self.state().statistics
    }

    pub(crate) fn close(&self) {
        self.state().open = false;
    }
}

impl WireState {
    fn link_answer(&self) -> io::Result<()> {
        match self.link {
            Link::Up => Ok(()),
            Link::Down => Err(io::Error::from_raw_os_error(libc::ENETDOWN)),
            Link::Gone => Err(io::Error::from_raw_os_error(libc::ENXIO)),
        }
    }
}

/// A socket in copy mode on queue 0 of device 0 (which no real device is), and the kernel behind it.
///
/// # Errors
/// [`Error::RingSize`] for a size that is no power of two, [`Error::System`] if memory is not to be had.
pub fn pair(umem: &Umem, sizes: RingSizes) -> Result<(Socket, FakeKernel), Error> {
    pair_from_index(umem, sizes, 0)
}

/// As [`pair`], with all ring indices starting at `first` (to see them wrap).
///
/// # Errors
/// As [`pair`].
pub fn pair_from_index(umem: &Umem, sizes: RingSizes, first: u32) -> Result<(Socket, FakeKernel), Error> {
    let rx = ring::<Descriptor>(sizes.rx, first, "rx")?;
    let tx = ring::<Descriptor>(sizes.tx, first, "tx")?;
    let fill = ring::<u64>(sizes.fill, first, "fill")?;
    let completion = ring::<u64>(sizes.completion, first, "completion")?;
    let state = WireState {
        open: true,
        link: Link::Up,
        kick_error: None,
        kicks: 0,
        pokes: 0,
        statistics: KernelStatistics::default(),
    };
    let wire = Arc::new(Wire { state: Mutex::new(state) });
    let marks = umem.new_marks()?;
    let mut kernel = FakeKernel {
        wire: Arc::clone(&wire),
        umem: umem.clone(),
        marks,
        rx: Producer::new(rx.other_end()),
        tx: Consumer::new(tx.other_end()),
        fill: Consumer::new(fill.other_end()),
        completion: Producer::new(completion.other_end()),
        rings: Handles {
            rx: rx.other_end(),
            tx: tx.other_end(),
            fill: fill.other_end(),
            completion: completion.other_end(),
        },
        withheld: VecDeque::new(),
    };
    // As in xsk_setsockopt: "Tx needs to be explicitly woken up the first time".
    kernel.ask_for_tx_wakeup(Wakeup::Needed);
    let socket = Socket {
        ledger: Ledger::new(umem.clone(), marks),
        rings: Rings {
            rx: Consumer::new(rx),
            tx: Producer::new(tx),
            fill: Producer::new(fill),
            completion: Consumer::new(completion),
        },
        door: Door::Memory(wire),
        queue: Queue { netns: None, ifindex: 0, queue: 0 },
        mode: Mode::Copy,
        rx_wakeup: RxWakeup::WhenAsked,
        zero_copy_refusal: None,
        presence: Presence::Present,
    };
    Ok((socket, kernel))
}

fn ring<T: Entry>(size: u32, first: u32, name: &'static str) -> Result<Memory<T>, Error> {
    let mapping = Arc::new(Mapping::anonymous(LAYOUT.len::<T>(size))?);
    let memory = Memory::new(mapping, LAYOUT, size, name)?;
    memory.producer().store(first, Ordering::Relaxed);
    memory.consumer().store(first, Ordering::Relaxed);
    Ok(memory)
}

#[cfg(test)]
mod tests;
