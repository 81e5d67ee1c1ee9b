//! Taking a socket down without losing chunks the kernel has let go, or touching those it has not.
//!
//! The kernel lets go of a socket (`net/xdp/xsk.c: xsk_release`) when its descriptor is closed *and* its rings are
//! unmapped, since each mapping holds the file. What it may still do to a chunk afterwards:
//!
//! | side | copy mode | zero-copy | device gone |
//! |---|---|---|---|
//! | receive | nothing: `xsk_unbind_dev` waited for every receiver | written until the pool is released | nothing |
//! | in the tx ring | nothing: only our own calls send | read until then | nothing |
//! | being sent | read: buffers may still point at the chunk | as above | nothing |
//!
//! The pool is released later, once every buffer of the socket is freed, and only then can the queue be bound
//! again. So a successor on the same queue proves that all chunks of the old socket are free.

use crate::config::Mode;
use crate::device::{Door, Queue};
use crate::ledger::Ledger;
use crate::pool::FramePool;
use crate::socket::{Presence, Socket};

/// A closed socket, with the frames the kernel may still use. Dropping it loses their chunks.
pub struct Closing {
    ledger: Ledger,
    queue: Queue,
    device: Presence,
}

/// The socket offered does not prove that the closed one is out of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the socket is not bound to the closed socket's queue and UMEM since the close")]
pub struct NotASuccessor;

impl Socket {
    /// Closes the descriptor, which frees the queue (a moment later), and moves every frame to the pool that
    /// the kernel can no longer touch; [`Closing`] keeps the rest. Detach the XDP program, or take the socket
    /// out of the XSKMAP, before.
    pub fn close(mut self, pool: &mut FramePool) -> Closing {
        self.complete(pool);
        let device = self.presence();
        let Self { ledger, rings, door, queue, mode, .. } = self;
        let unsent: Vec<u64> = rings.tx.untaken().map(|descriptor| descriptor.address).collect();
        if let Door::Memory(wire) = &door {
            wire.close();
        }
        // Only from here on has the kernel let go.
        drop(rings);
        drop(door);
        let mut closing = Closing { ledger, queue, device };
        while let Some(frame) = closing.ledger.spare.pop() {
            pool.put(frame);
        }
        match (device, mode) {
            (Presence::Gone, _) => closing.recall_all(pool),
            (Presence::Present, Mode::Copy) => {
                closing.recall_receive(pool);
                closing.recall_transmit(unsent.into_iter(), pool);
            }
            (Presence::Present, Mode::ZeroCopy) => {}
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

    /// Moves all outstanding frames to the pool, given the socket that was bound to the same queue since, on
    /// the same UMEM. Returns how many.
    ///
    /// # Errors
    /// [`NotASuccessor`], with nothing moved, if `successor` proves nothing: another queue or UMEM, a socket
    /// older than the closed one, or a kernel before 5.14, where namespaces cannot be told apart.
    pub fn release(&mut self, successor: &Socket, pool: &mut FramePool) -> Result<usize, NotASuccessor> {
        let same_queue = successor.queue == self.queue && self.queue.netns.is_some();
        let younger = self.ledger.is_older_than(&successor.ledger);
        if !same_queue || !younger {
            return Err(NotASuccessor);
        }
        let before = self.outstanding();
        self.recall_all(pool);
        Ok((before - self.outstanding()) as usize)
    }

    /// Whether the device was gone when the socket was closed.
    #[must_use]
    pub fn device_gone(&self) -> bool {
        self.device == Presence::Gone
    }

    fn recall_all(&mut self, pool: &mut FramePool) {
        self.recall_receive(pool);
        self.recall_transmit(self.ledger.umem.addresses(), pool);
    }

    fn recall_receive(&mut self, pool: &mut FramePool) {
        for address in self.ledger.umem.addresses() {
            if let Some(frame) = self.ledger.recall_receive(address) {
                pool.put(frame);
            }
        }
    }

    fn recall_transmit(&mut self, addresses: impl Iterator<Item = u64>, pool: &mut FramePool) {
        for address in addresses {
            if let Some(frame) = self.ledger.recall_transmit(address) {
                pool.put(frame);
            }
        }
    }
}

impl std::fmt::Debug for Closing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Closing")
            .field("queue", &self.queue)
            .field("device", &self.device)
            .field("outstanding", &self.outstanding())
            .finish()
    }
}
