//! What a socket counts, and where its frames are.

/// The kernel's counters of a socket (`struct xdp_statistics`), since it was bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KernelStatistics {
    /// Packets dropped for other reasons, such as too long for a chunk.
    pub rx_dropped: u64,
    /// Fill ring entries with an impossible address.
    pub rx_invalid_descriptors: u64,
    /// Transmit ring entries with an impossible extent.
    pub tx_invalid_descriptors: u64,
    /// Packets dropped because the rx ring was full.
    pub rx_ring_full: u64,
    /// Times the kernel found the fill ring empty.
    pub rx_fill_ring_empty: u64,
    /// Times the kernel found the tx ring empty.
    pub tx_ring_empty: u64,
}

/// This crate's counters of a socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames that became packets of the caller.
    pub received: u64,
    /// Frames put into the tx ring.
    pub transmitted: u64,
    /// Frames that came back sent.
    pub completed: u64,
    /// Frames put into the fill ring.
    pub refilled: u64,
    /// Rx descriptors refused: outside the UMEM, leaving its chunk, part of a multi-buffer packet, or of a
    /// chunk the kernel does not have.
    pub bad_descriptors: u64,
    /// Completion entries refused: outside the UMEM or of a chunk that is not being sent.
    pub bad_completions: u64,
    /// Frames given back by `transmit` because the tx ring was full.
    pub tx_ring_full: u64,
    /// Frames given back by `transmit` because they were empty or of another UMEM.
    pub tx_rejected: u64,
    /// `sendto` calls made to start sending.
    pub kicks: u64,
    /// `sendto` calls the kernel asked to repeat (EAGAIN, EBUSY, ENOBUFS).
    pub kicks_again: u64,
    /// `recvfrom` calls made to wake the driver for the fill ring.
    pub rx_wakeups: u64,
}

/// Where the frames are that a socket has. The parts are a snapshot of rings in motion; the total is exact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FrameCounts {
    /// Waiting in the fill ring.
    pub fill_ring: u32,
    /// Taken from the fill ring by the kernel or the device, and not yet back.
    pub receiving: u32,
    /// Waiting in the rx ring.
    pub rx_ring: u32,
    /// Waiting in the tx ring.
    pub tx_ring: u32,
    /// Taken from the tx ring by the kernel or the device, and not yet back.
    pub sending: u32,
    /// Waiting in the completion ring.
    pub completion_ring: u32,
    /// Back under a refused descriptor; the next `refill` uses them first.
    pub spare: u32,
}

impl FrameCounts {
    /// Frames on the receive side.
    #[must_use]
    pub fn receive(&self) -> u32 {
        self.fill_ring + self.receiving + self.rx_ring
    }

    /// Frames on the transmit side.
    #[must_use]
    pub fn transmit(&self) -> u32 {
        self.tx_ring + self.sending + self.completion_ring
    }

    /// All frames the socket has.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.receive() + self.transmit() + self.spare
    }
}

/// Everything a socket can tell about itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// The kernel's counters.
    pub kernel: KernelStatistics,
    /// This crate's counters.
    pub counters: Counters,
    /// Where the frames are.
    pub frames: FrameCounts,
}
