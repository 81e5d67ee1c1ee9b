//! The kernel's side of a socket: a bound descriptor, or memory in a test.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Arc, MutexGuard};

use crate::config::Mode;
use crate::error::Error;
use crate::memory::{Wire, WireState};
use crate::statistics::KernelStatistics;
use crate::sys;
use crate::umem::{Mark, Umem};

/// A queue of a device, told apart over all network namespaces and across the reuse of device indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Queue {
    /// None on kernels before 5.14, which cannot tell.
    pub(crate) netns: Option<u64>,
    pub(crate) ifindex: u32,
    pub(crate) queue: u32,
}

/// A bound socket of a UMEM, as the next one to be bound needs to know it.
pub(crate) struct Bound {
    pub(crate) fd: RawFd,
    pub(crate) queue: Queue,
    pub(crate) mode: Mode,
    /// Rises from each bound socket of the UMEM to the next.
    pub(crate) mark: Mark,
}

/// A bound descriptor. While it lives it stands in its UMEM's list of bound sockets.
pub(crate) struct Device {
    pub(crate) fd: OwnedFd,
    pub(crate) umem: Umem,
}

impl Drop for Device {
    fn drop(&mut self) {
        // Off the list first: the descriptor's number may be reused as soon as it is closed.
        let fd = self.fd.as_raw_fd();
        self.umem.bound().retain(|bound| bound.fd != fd);
    }
}

pub(crate) enum Door {
    Device(Device),
    Memory(Arc<Wire>),
}

impl Door {
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Device(device) => Some(device.fd.as_fd()),
            Self::Memory(_) => None,
        }
    }

    pub(crate) fn kick(&self) -> io::Result<()> {
        match self {
            Self::Device(device) => sys::kick(device.fd.as_fd()),
            Self::Memory(wire) => wire.kick(),
        }
    }

    pub(crate) fn poke(&self) -> io::Result<()> {
        match self {
            Self::Device(device) => sys::poke(device.fd.as_fd()),
            Self::Memory(wire) => wire.poke(),
        }
    }

    /// The socket's pending error, 0 for none; asking clears it.
    pub(crate) fn pending_error(&self) -> Result<i32, Error> {
        match self {
            Self::Device(device) => sys::pending_error(device.fd.as_fd()),
            Self::Memory(wire) => Ok(wire.pending_error()),
        }
    }

    pub(crate) fn statistics(&self) -> Result<KernelStatistics, Error> {
        match self {
            Self::Device(device) => sys::statistics(device.fd.as_fd()),
            Self::Memory(wire) => Ok(wire.statistics()),
        }
    }

    /// Keeps the in-memory kernel away from chunks that are about to come back. The real kernel needs no lock:
    /// it does not touch a chunk after it has returned it.
    pub(crate) fn hold_still(&self) -> Option<MutexGuard<'_, WireState>> {
        match self {
            Self::Device(_) => None,
            Self::Memory(wire) => Some(wire.state()),
        }
    }
}
