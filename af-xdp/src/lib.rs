//! AF_XDP sockets on one shared UMEM, spoken to the kernel directly (no libbpf, no libxdp).
//!
//! One [`Umem`] holds the chunks of every worker. A worker takes its own [`FramePool`] from it and owns any
//! number of [`Socket`]s, one per (device, queue), each with its own four rings. A [`Frame`] is the right to
//! touch one chunk: it is neither `Copy` nor `Clone`, it goes into a ring and it comes back out of one.
//!
//! ```text
//!              refill                       receive
//! FramePool ------------> fill ring ~kernel~> rx ring ------------> Vec<Frame> (held by the caller)
//!     ^                                                               |
//!     |  complete                            transmit, flush          |
//!     +----------- completion ring <~kernel~ tx ring <----------------+
//! ```
//!
//! Nothing allocates after construction in `receive`, `refill`, `transmit`, `complete`, `flush` and
//! [`PollSet::wait`]. For every worker, at every moment,
//! `pool.len() + sum of socket.frames().total() + frames held by the caller = chunks taken`.
//!
//! # Taking a socket down
//!
//! 1. Take the queue's socket out of the XSKMAP, or detach the XDP program, so that the kernel stops delivering.
//! 2. `flush` and `complete` until `frames().transmit()` is zero or patience ends.
//! 3. [`Socket::close`] unmaps the rings, closes the descriptor and brings back the frames that are provably free.
//! 4. [`Closing::settle`], until it says all: a few milliseconds later the kernel has let go of the rest.
//!
//! Dropping a [`Socket`] without `close` is safe too: its chunks are then never used again.
//!
//! This is the only crate of the workspace with `unsafe`. Sources: `include/uapi/linux/if_xdp.h`,
//! `net/xdp/xsk.c`, `net/xdp/xsk_queue.h`, `net/xdp/xsk_buff_pool.c`, `net/xdp/xdp_umem.c`.

mod affinity;
mod bind;
mod close;
mod config;
mod device;
mod error;
pub mod ethtool;
mod frame;
mod huge_pages;
mod ledger;
mod mapping;
pub mod memory;
mod poll;
mod pool;
mod ring;
mod socket;
mod statistics;
mod sys;
mod umem;

pub use affinity::pin_current_thread;
pub use bind::preflight;
pub use close::{Closing, Settled};
pub use config::{BusyPoll, ChunkSize, Mode, Pages, RingSizes, SocketConfig, UmemConfig, ZeroCopy};
pub use error::Error;
pub use frame::{ExtentError, Frame};
pub use huge_pages::move_to_huge_pages;
pub use poll::{PollSet, Readiness};
pub use pool::FramePool;
pub use socket::Socket;
pub use statistics::{Counters, FrameCounts, KernelStatistics, Statistics};
pub use umem::Umem;
