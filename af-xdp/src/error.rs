//! Errors: what is wrong, where, and what to do about it.

use std::io;

/// Why a call of this crate failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The UMEM wished for cannot exist.
    #[error("UMEM of {chunk_count} chunks of {chunk_size} bytes, headroom {headroom}: {reason}")]
    UmemShape {
        /// Bytes per chunk.
        chunk_size: usize,
        /// Chunks asked for.
        chunk_count: u32,
        /// Headroom asked for, bytes.
        headroom: u16,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// The UMEM has no more chunks to hand out.
    #[error("UMEM has {left} of its chunks left, {wanted} were asked for: raise the chunk count")]
    UmemExhausted {
        /// Chunks asked for.
        wanted: u32,
        /// Chunks not yet handed out.
        left: u32,
    },
    /// A ring size is not a power of two.
    #[error("{ring} ring of {size} entries: the size must be a power of two")]
    RingSize {
        /// Which ring: rx, tx, fill or completion.
        ring: &'static str,
        /// The size asked for.
        size: u32,
    },
    /// The kernel described a ring that does not fit its mapping.
    #[error(
        "the kernel's description of the {ring} ring does not fit its mapping; is the kernel older than 5.4?"
    )]
    RingLayout {
        /// Which ring: rx, tx, fill or completion.
        ring: &'static str,
    },
    /// A capability is missing.
    #[error("{call} was refused: this process lacks {capability}; run as root or grant the capability")]
    MissingCapability {
        /// The call that failed.
        call: &'static str,
        /// The capability's name.
        capability: &'static str,
    },
    /// The kernel was built without XDP sockets.
    #[error("this kernel has no AF_XDP sockets: it needs CONFIG_XDP_SOCKETS=y")]
    NoXdpSockets,
    /// `RLIMIT_MEMLOCK` is too low to pin the UMEM.
    #[error(
        "the UMEM of {bytes} bytes cannot be locked in memory (memlock limit {limit} bytes): \
         raise LimitMEMLOCK / ulimit -l, or grant CAP_IPC_LOCK"
    )]
    MemoryLock {
        /// Bytes to be pinned.
        bytes: usize,
        /// The soft limit in bytes; `u64::MAX` means unlimited.
        limit: u64,
    },
    /// Another XDP socket has the queue.
    #[error(
        "queue {queue} of device {ifindex} already has an XDP socket: close that socket first \
         (a queue just closed is free a moment later)"
    )]
    QueueBusy {
        /// Device index.
        ifindex: u32,
        /// Queue number.
        queue: u32,
    },
    /// There is no such device in this network namespace.
    #[error("no device with index {ifindex} in this network namespace")]
    NoDevice {
        /// Device index.
        ifindex: u32,
    },
    /// The kernel takes the device but not this binding.
    #[error(
        "device {ifindex} cannot bind queue {queue}: the queue does not exist (see ethtool -l), \
         or the kernel is older than 5.10 (shared UMEM, need_wakeup)"
    )]
    BindRefused {
        /// Device index.
        ifindex: u32,
        /// Queue number.
        queue: u32,
    },
    /// The device is administratively down.
    #[error("device {ifindex} (queue {queue}) is down: set it up")]
    LinkDown {
        /// Device index.
        ifindex: u32,
        /// Queue number.
        queue: u32,
    },
    /// The device no longer exists; the socket is of no more use.
    #[error("device {ifindex} (queue {queue}) is gone: close the socket")]
    Gone {
        /// Device index.
        ifindex: u32,
        /// Queue number.
        queue: u32,
    },
    /// The calling thread is in another network namespace than the socket was, or the kernel cannot tell.
    #[error(
        "queue {queue} of device {ifindex} must be asked for in the network namespace it was bound in \
         (and on Linux 5.14 or later)"
    )]
    OtherNamespace {
        /// Device index.
        ifindex: u32,
        /// Queue number.
        queue: u32,
    },
    /// More descriptors than the poll set was made for.
    #[error("poll set made for {capacity} descriptors was given more")]
    PollSetFull {
        /// Descriptors it was made for.
        capacity: usize,
    },
    /// The CPU does not exist or may not be used by this process.
    #[error("cannot run on CPU {cpu}: it does not exist or the process's cpuset leaves it out")]
    NoCpu {
        /// CPU number.
        cpu: usize,
    },
    /// More UMEMs or sockets were made than this process can number.
    #[error("this process has made {limit} {what}; restart it")]
    NumbersExhausted {
        /// What ran out.
        what: &'static str,
        /// How many there are.
        limit: u32,
    },
    /// Any other failure of a system call.
    #[error("{call} failed: {source}")]
    System {
        /// The call and, where it has one, the option.
        call: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn last(call: &'static str) -> Self {
        Self::System { call, source: io::Error::last_os_error() }
    }

    /// The number the kernel gave, where the error is a plain failure of a system call.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            Self::System { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}
