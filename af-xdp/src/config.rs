//! What a UMEM and a socket are made from.

/// Bytes the kernel always leaves free in front of a received packet (`XDP_PACKET_HEADROOM`, `linux/bpf.h`).
pub(crate) const KERNEL_HEADROOM: u16 = 256;

/// Size of one UMEM chunk. The kernel takes powers of two from 2048 up to the page size (`xdp_umem_reg`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkSize {
    /// 2048 bytes: packets up to 1792 bytes at the default headroom.
    Bytes2048,
    /// 4096 bytes: packets up to 3840 bytes at the default headroom.
    Bytes4096,
}

impl ChunkSize {
    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.bytes_u16() as usize
    }

    /// An address shifted right by this is the number of its chunk.
    pub(crate) const fn shift(self) -> u32 {
        self.bytes_u16().trailing_zeros()
    }

    pub(crate) const fn bytes_u16(self) -> u16 {
        match self {
            Self::Bytes2048 => 2048,
            Self::Bytes4096 => 4096,
        }
    }
}

/// Pages behind the UMEM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    /// Pages of the system's base size.
    Base,
    /// Huge pages. As a wish: taken if the system has enough of them free, else base pages.
    Huge,
}

/// Size, headroom and pages of a [`Umem`](crate::Umem).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UmemConfig {
    /// Size of each chunk.
    pub chunk_size: ChunkSize,
    /// Number of chunks, for all workers together; at least 1.
    pub chunk_count: u32,
    /// Bytes free in front of every received packet: at least 256 (the kernel's own), less than the chunk.
    pub headroom: u16,
    /// The pages wished for; [`Umem::pages`](crate::Umem::pages) tells which were got.
    pub pages: Pages,
}

impl Default for UmemConfig {
    fn default() -> Self {
        Self {
            chunk_size: ChunkSize::Bytes4096,
            chunk_count: 8192,
            headroom: KERNEL_HEADROOM,
            pages: Pages::Base,
        }
    }
}

/// Entries of the four rings of a socket, each a power of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingSizes {
    /// Received packets waiting for the worker.
    pub rx: u32,
    /// Packets waiting for the kernel to send them.
    pub tx: u32,
    /// Empty chunks waiting for the kernel to fill them.
    pub fill: u32,
    /// Sent chunks waiting for the worker; at least `tx`, or the kernel stops sending early.
    pub completion: u32,
}

impl Default for RingSizes {
    fn default() -> Self {
        Self { rx: 2048, tx: 2048, fill: 2048, completion: 2048 }
    }
}

/// Whether zero-copy is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZeroCopy {
    /// Zero-copy where the driver does it, else copy mode.
    Prefer,
    /// Copy mode always.
    CopyOnly,
}

/// The mode a socket got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The device reads and writes the UMEM itself.
    ZeroCopy,
    /// The kernel copies each packet between its own buffers and the UMEM.
    Copy,
}

/// Preferred busy polling (`SO_PREFER_BUSY_POLL`, Linux 5.11): the worker's own calls drive the driver's NAPI.
///
/// It takes effect only if the device also has `napi_defer_hard_irqs` and `gro_flush_timeout` set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusyPoll {
    /// `SO_BUSY_POLL`: microseconds the kernel may spin when there is nothing to receive.
    pub microseconds: u32,
    /// `SO_BUSY_POLL_BUDGET`: packets per call.
    pub budget: u32,
}

/// What a [`Socket`](crate::Socket) binds to, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketConfig {
    /// The device, by its index in the calling thread's network namespace.
    pub ifindex: u32,
    /// The queue of the device, from 0.
    pub queue: u32,
    /// Sizes of the four rings.
    pub rings: RingSizes,
    /// Whether zero-copy is wanted.
    pub zero_copy: ZeroCopy,
    /// Busy polling, if wanted.
    pub busy_poll: Option<BusyPoll>,
}

impl SocketConfig {
    /// The queue of a device with default rings, zero-copy preferred and no busy polling.
    #[must_use]
    pub fn new(ifindex: u32, queue: u32) -> Self {
        Self { ifindex, queue, rings: RingSizes::default(), zero_copy: ZeroCopy::Prefer, busy_poll: None }
    }
}
