//! Worker threads, their frames and rings.

/// A worker thread.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct WorkerView {
    /// Number, from 0.
    pub worker: u32,
    /// CPU it is pinned to; `None` when it may run anywhere.
    pub cpu: Option<u32>,
    /// Batches processed.
    pub batches: u64,
    /// Times it went to sleep.
    pub sleeps: u64,
    /// Seconds spent on batches that held packets.
    pub busy_seconds: f64,
    /// Share of the last measuring interval spent on packets, 0 to 1.
    pub busy_share: f64,
    /// Flow lookups that found a pair.
    pub flow_hits: u64,
    /// Flow lookups that went through the slow path.
    pub flow_misses: u64,
    /// Flows derived again after a change.
    pub flow_revalidations: u64,
    /// Where its frames are.
    pub umem: UmemView,
    /// Its sockets.
    pub rings: Vec<RingView>,
}

/// Where the frames of a worker's share of the UMEM are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct UmemView {
    /// Frames in all.
    pub total: u64,
    /// With the worker, unused.
    pub free: u64,
    /// In fill rings: the kernel may receive into them.
    pub fill: u64,
    /// Received, being worked on.
    pub rx: u64,
    /// In transmit rings or being sent.
    pub tx: u64,
    /// Sent, in completion rings, not yet collected.
    pub completion: u64,
}

impl UmemView {
    /// The counts by name, in the order of a frame's life.
    pub fn states(&self) -> [(&'static str, u64); 5] {
        [
            ("free", self.free),
            ("fill", self.fill),
            ("rx", self.rx),
            ("tx", self.tx),
            ("completion", self.completion),
        ]
    }

    /// Frames that are nowhere (positive) or counted twice (negative); 0 on an idle worker.
    pub fn missing(&self) -> i128 {
        let counted: i128 = self.states().iter().map(|(_, count)| i128::from(*count)).sum();
        i128::from(self.total) - counted
    }
}

/// Statistics of one AF_XDP socket (`struct xdp_statistics`, linux/if_xdp.h).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RingView {
    /// Interface the socket is bound to.
    pub interface: String,
    /// Queue the socket is bound to.
    pub queue: u32,
    /// Frames in its rings now.
    pub frames: RingFrames,
    /// Dropped by the kernel for other reasons than a full ring.
    pub rx_dropped: u64,
    /// Dropped by the kernel because the receive ring was full: the worker is too slow.
    pub rx_ring_full: u64,
    /// Times the fill ring was empty: too few frames.
    pub fill_ring_empty: u64,
    /// Times the transmit ring was empty; harmless.
    pub tx_ring_empty: u64,
    /// Descriptors of the fill ring that the kernel refused: a defect of the daemon.
    pub rx_invalid_descriptors: u64,
    /// Descriptors of the transmit ring that the kernel refused: a defect of the daemon.
    pub tx_invalid_descriptors: u64,
}

/// Frames in the rings of a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct RingFrames {
    /// In the fill ring: room for the kernel to receive into.
    pub fill: u64,
    /// In the receive ring: not yet taken by the worker.
    pub rx: u64,
    /// In the transmit ring: not yet taken by the kernel.
    pub tx: u64,
    /// In the completion ring: sent, not yet collected.
    pub completion: u64,
}

impl RingFrames {
    /// The counts by name of the ring.
    pub fn rings(&self) -> [(&'static str, u64); 4] {
        [("fill", self.fill), ("rx", self.rx), ("tx", self.tx), ("completion", self.completion)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_frames_are_seen() {
        let whole = UmemView { total: 15, free: 1, fill: 2, rx: 3, tx: 4, completion: 5 };
        assert_eq!(whole.missing(), 0);
        assert_eq!(UmemView { free: 0, ..whole }.missing(), 1);
        assert_eq!(UmemView { free: 3, ..whole }.missing(), -2);
    }
}
