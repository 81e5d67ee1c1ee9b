//! Taking a socket down without losing chunks the kernel has let go, or touching those it has not.
//!
//! Closing the descriptor and unmapping the rings does not stop the kernel by itself: a duplicate of the
//! descriptor, if only one in a child about to exec, keeps the socket at work; with zero-copy the device writes
//! until a work item has run; buffers being sent may point at a chunk after that. But the kernel frees the queue
//! for another bind only once the pool has no more users, and every one of those is a user
//! (`net/xdp/xsk.c: xsk_release, xsk_destruct`, `net/xdp/xsk_buff_pool.c: xp_release_deferred`). So a bind to the
//! same queue that succeeds proves that every chunk of the closed socket is free. So does the removal of the
//! device (`xsk_notifier`).

use crate::bind::{Probe, probe};
use crate::device::{Door, Queue};
use crate::error::Error;
use crate::ledger::Ledger;
use crate::pool::FramePool;
use crate::socket::{Presence, Socket};

/// A closed socket, with the frames the kernel may still use. Dropping it loses their chunks.
pub struct Closing {
    ledger: Ledger,
    queue: Queue,
}

/// Whether a closed socket's frames are all back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Every frame is in the pool.
    All,
    /// The kernel still has some; ask again in some milliseconds.
    NotYet,
}

impl Socket {
    /// Closes the socket and moves to the pool every frame that the kernel provably has no more; the rest comes
    /// with [`Closing::settle`]. Take the socket out of the XSKMAP, or detach the XDP program, before.
    pub fn close(mut self, pool: &mut FramePool) -> Closing {
        self.complete(pool);
        while let Some(descriptor) = self.rings.rx.pop() {
            if let Some(frame) = self.ledger.received(descriptor) {
                pool.put(frame);
            }
        }
        let presence = self.presence();
        let Self { ledger, rings, door, queue, .. } = self;
        let mut closing = Closing { ledger, queue };
        while let Some(frame) = closing.ledger.spare.pop() {
            pool.put(frame);
        }
        let let_go = match &door {
            Door::Memory(wire) => {
                wire.close();
                true
            }
            Door::Device(_) => presence == Presence::Gone,
        };
        drop(rings);
        drop(door);
        if let_go {
            closing.recall(pool);
        }
        closing
    }
}

impl Closing {
    /// Frames not yet back.
    #[must_use]
    pub fn outstanding(&self) -> u32 {
        self.ledger.receiving + self.ledger.sending
    }

    /// Moves the outstanding frames to the pool if the kernel has let go of them: if the device is gone, if a
    /// later socket of the UMEM is bound to the same queue, or else if a bind made just for this succeeds (which
    /// leaves the queue busy for another moment).
    ///
    /// # Errors
    /// [`Error::OtherNamespace`] if the calling thread is not in the network namespace of the socket; otherwise as
    /// [`Socket::bind`].
    pub fn settle(&mut self, pool: &mut FramePool) -> Result<Settled, Error> {
        if self.outstanding() == 0 {
            return Ok(Settled::All);
        }
        let (queue, mark) = (self.queue, self.ledger.marks.fill);
        let succeeded =
            self.ledger.umem.bound().iter().any(|other| other.queue == queue && other.mark > mark);
        let free = match (succeeded && queue.netns.is_some()).then_some(Probe::Free) {
            Some(free) => free,
            None => probe(queue)?,
        };
        match free {
            Probe::Busy => Ok(Settled::NotYet),
            Probe::Free => {
                self.recall(pool);
                Ok(Settled::All)
            }
        }
    }

    fn recall(&mut self, pool: &mut FramePool) {
        for address in self.ledger.umem.addresses() {
            if let Some(frame) = self.ledger.recall(address) {
                pool.put(frame);
            }
        }
    }
}

impl std::fmt::Debug for Closing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Closing")
            .field("queue", &self.queue)
            .field("outstanding", &self.outstanding())
            .finish()
    }
}
