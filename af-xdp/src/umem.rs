//! The packet memory: chunks on a memfd, and who owns each of them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::{KERNEL_HEADROOM, Pages, UmemConfig};
use crate::device::Bound;
use crate::error::Error;
use crate::frame::Frame;
use crate::mapping::Mapping;
use crate::pool::FramePool;

/// The owner word of a chunk that user space has: as a [`Frame`], or not yet handed out.
const WITH_USER: u32 = 0;
const SOCKETS: u32 = (u32::MAX - 2) / 2;

/// The owner words of the chunks a socket has given to the kernel. Numbers are never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) fill: Mark,
    pub(crate) transmit: Mark,
}

/// One owner word; never that of user space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark(u32);

struct Shared {
    id: u16,
    mapping: Mapping,
    config: UmemConfig,
    owners: Box<[AtomicU32]>,
    handed_out: AtomicU32,
    sockets: AtomicU32,
    bound: Mutex<Vec<Bound>>,
}

/// Packet memory of all workers: equal chunks in one shared mapping. Clones are handles to the same memory.
#[derive(Clone)]
pub struct Umem {
    shared: Arc<Shared>,
}

impl Umem {
    /// Maps the memory, every page present and zeroed.
    ///
    /// # Errors
    /// [`Error::UmemShape`] for an impossible configuration, [`Error::System`] if the memory is not to be had.
    pub fn new(config: UmemConfig) -> Result<Self, Error> {
        let len = checked_len(&config)?;
        let id = next_umem_id()?;
        let (mapping, pages) = Mapping::memory_file(len, config.pages)?;
        let owners = (0..config.chunk_count).map(|_| AtomicU32::new(WITH_USER)).collect();
        let config = UmemConfig { pages, ..config };
        let shared = Shared {
            id,
            mapping,
            config,
            owners,
            handed_out: AtomicU32::new(0),
            sockets: AtomicU32::new(0),
            bound: Mutex::new(Vec::new()),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Hands out `chunks` chunks that nobody else has. They stay with the pool's user for good.
    ///
    /// # Errors
    /// [`Error::UmemExhausted`] if fewer are left.
    pub fn take_pool(&self, chunks: u32) -> Result<FramePool, Error> {
        let count = self.chunk_count();
        let grow = |taken: u32| taken.checked_add(chunks).filter(|end| *end <= count);
        let first = self
            .shared
            .handed_out
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, grow)
            .map_err(|taken| Error::UmemExhausted { wanted: chunks, left: count - taken })?;
        let frames = (first..first + chunks).rev().map(|chunk| self.frame(chunk)).collect();
        Ok(FramePool::new(self.clone(), frames))
    }

    /// Bytes per chunk.
    #[must_use]
    pub fn chunk_size(&self) -> usize {
        self.shared.config.chunk_size.bytes()
    }

    /// Number of chunks.
    #[must_use]
    pub fn chunk_count(&self) -> u32 {
        self.shared.config.chunk_count
    }

    /// Bytes free in front of every received packet, and the offset of the (empty) packet of a pool's frame.
    #[must_use]
    pub fn headroom(&self) -> usize {
        usize::from(self.shared.config.headroom)
    }

    /// The pages behind the memory.
    #[must_use]
    pub fn pages(&self) -> Pages {
        self.shared.config.pages
    }

    /// The whole chunk of a frame, so that headers can be put in front of the packet.
    /// Empty if the frame belongs to another UMEM.
    #[must_use]
    pub fn chunk_mut<'a>(&'a self, frame: &'a mut Frame) -> &'a mut [u8] {
        let (start, len) = self.chunk_range(frame);
        // SAFETY: chunk_range gives a range inside the mapping, which self keeps alive. The frame is the only
        // one for this chunk, it is borrowed mutably for as long as the slice lives, and the kernel does not
        // have the chunk while there is a frame for it.
        unsafe { std::slice::from_raw_parts_mut(start, len) }
    }

    /// The whole chunk of a frame, to read. Empty if the frame belongs to another UMEM.
    #[must_use]
    pub fn chunk<'a>(&'a self, frame: &'a Frame) -> &'a [u8] {
        let (start, len) = self.chunk_range(frame);
        // SAFETY: as in chunk_mut; the shared borrow of the only frame keeps writers away.
        unsafe { std::slice::from_raw_parts(start, len) }
    }

    /// The packet of a frame. Empty if the frame belongs to another UMEM.
    #[must_use]
    pub fn packet<'a>(&'a self, frame: &'a Frame) -> &'a [u8] {
        self.chunk(frame).get(frame.offset()..frame.offset() + frame.len()).unwrap_or_default()
    }

    /// The packet of a frame, to change. Empty if the frame belongs to another UMEM.
    #[must_use]
    pub fn packet_mut<'a>(&'a self, frame: &'a mut Frame) -> &'a mut [u8] {
        let range = frame.offset()..frame.offset() + frame.len();
        self.chunk_mut(frame).get_mut(range).unwrap_or_default()
    }

    /// Whether the frame is one of this UMEM's.
    #[must_use]
    pub fn owns(&self, frame: &Frame) -> bool {
        frame.umem == self.shared.id
    }

    fn chunk_range(&self, frame: &Frame) -> (*mut u8, usize) {
        let start = self.shared.mapping.start().as_ptr();
        if !self.owns(frame) {
            return (start, 0);
        }
        // SAFETY: a frame of this UMEM has a chunk below chunk_count, so the offset is inside the mapping.
        (unsafe { start.add(frame.chunk as usize * self.chunk_size()) }, self.chunk_size())
    }

    fn frame(&self, chunk: u32) -> Frame {
        Frame::new(self.shared.id, chunk, self.shared.config.chunk_size, self.shared.config.headroom)
    }

    /// Gives a frame of this UMEM to the kernel under `mark`; returns the address of its chunk.
    pub(crate) fn lend(&self, frame: Frame, mark: Mark) -> u64 {
        if let Some(owner) = self.shared.owners.get(frame.chunk as usize) {
            // Relaxed: only the socket that holds `mark` ever acts on this value, and it is the one storing it.
            owner.store(mark.0, Ordering::Relaxed);
        }
        u64::from(frame.chunk) << self.shared.config.chunk_size.shift()
    }

    /// Bytes from the start of the chunk that `address` lies in.
    pub(crate) fn offset_in_chunk(&self, address: u64) -> usize {
        address as usize & (self.chunk_size() - 1)
    }

    /// Takes the chunk at `address` back from the kernel, if it is lent under `mark`.
    pub(crate) fn regain(&self, address: u64, mark: Mark) -> Option<Frame> {
        let chunk = u32::try_from(address >> self.shared.config.chunk_size.shift()).ok()?;
        let owner = self.shared.owners.get(chunk as usize)?;
        // The one place that makes a frame of a returned chunk. A chunk the kernel names twice, or that was
        // never lent under this mark, is with the user or under another mark by now.
        if owner.load(Ordering::Relaxed) != mark.0 {
            return None;
        }
        owner.store(WITH_USER, Ordering::Relaxed);
        Some(self.frame(chunk))
    }

    /// Addresses of all chunks.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = u64> + use<> {
        (0..u64::from(self.chunk_count())).map({
            let size = self.chunk_size() as u64;
            move |chunk| chunk * size
        })
    }

    pub(crate) fn new_marks(&self) -> Result<Marks, Error> {
        let grow = |made: u32| made.checked_add(1).filter(|made| *made < SOCKETS);
        let number = self
            .shared
            .sockets
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, grow)
            .map_err(|_| Error::NumbersExhausted { what: "sockets on one UMEM", limit: SOCKETS })?;
        Ok(Marks { fill: Mark(2 * number + 1), transmit: Mark(2 * number + 2) })
    }

    /// The sockets bound on this memory; locked while one binds or closes, never per packet.
    pub(crate) fn bound(&self) -> MutexGuard<'_, Vec<Bound>> {
        self.shared.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn registration(&self) -> libc::xdp_umem_reg {
        libc::xdp_umem_reg {
            addr: self.shared.mapping.start().as_ptr() as u64,
            len: u64::from(self.chunk_count()) * self.chunk_size() as u64,
            chunk_size: u32::from(self.shared.config.chunk_size.bytes_u16()),
            headroom: u32::from(self.shared.config.headroom - KERNEL_HEADROOM),
            flags: 0,
            tx_metadata_len: 0,
        }
    }

    /// Start of the `len` bytes at `address`, if the chunk there is lent under `mark` and they lie inside it.
    pub(crate) fn lent_bytes(&self, address: u64, len: usize, mark: Mark) -> Option<*mut u8> {
        let chunk = usize::try_from(address >> self.shared.config.chunk_size.shift()).ok()?;
        let within = self.offset_in_chunk(address);
        let owner = self.shared.owners.get(chunk)?.load(Ordering::Relaxed);
        if owner != mark.0 || within.checked_add(len)? > self.chunk_size() {
            return None;
        }
        // SAFETY: owners has an entry for the chunk, so it and the bytes inside it are inside the mapping.
        Some(unsafe { self.shared.mapping.start().as_ptr().add(chunk * self.chunk_size() + within) })
    }
}

fn checked_len(config: &UmemConfig) -> Result<usize, Error> {
    let chunk_size = config.chunk_size.bytes();
    let shape = |reason| Error::UmemShape {
        chunk_size,
        chunk_count: config.chunk_count,
        headroom: config.headroom,
        reason,
    };
    if config.chunk_count == 0 {
        return Err(shape("there must be at least one chunk"));
    }
    if config.headroom < KERNEL_HEADROOM {
        return Err(shape("the kernel leaves at least 256 bytes of headroom"));
    }
    if config.headroom >= config.chunk_size.bytes_u16() {
        return Err(shape("the headroom must be smaller than a chunk"));
    }
    chunk_size.checked_mul(config.chunk_count as usize).ok_or_else(|| shape("larger than the address space"))
}

/// UMEM numbers start at 1 and are never used twice, so a frame can never be taken for another UMEM's.
fn next_umem_id() -> Result<u16, Error> {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let exhausted = || Error::NumbersExhausted { what: "UMEMs", limit: u32::from(u16::MAX) };
    let grow = |last: u32| last.checked_add(1).filter(|id| *id <= u32::from(u16::MAX));
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grow).map_err(|_| exhausted())?;
    u16::try_from(last + 1).map_err(|_| exhausted())
}

impl std::fmt::Debug for Umem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Umem").field("id", &self.shared.id).field("config", &self.shared.config).finish()
    }
}

#[cfg(test)]
mod tests;
