//! Memory shared with the kernel: mapped once, unmapped on drop.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};

use crate::config::Pages;
use crate::error::Error;

const HUGE_PAGE: usize = 2 << 20;

/// A readable and writable shared mapping.
pub(crate) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is memory of the process, bound to no thread.
unsafe impl Send for Mapping {}
// SAFETY: a shared reference gives out nothing but the address and the length.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes of `fd` from `offset` on, every page present.
    pub(crate) fn of_descriptor(fd: BorrowedFd<'_>, offset: i64, len: usize) -> Result<Self, Error> {
        Self::map(Some(fd), offset, len, "mmap of an AF_XDP ring")
    }

    /// Maps `len` zeroed bytes that belong to no file.
    pub(crate) fn anonymous(len: usize) -> Result<Self, Error> {
        Self::map(None, 0, len, "mmap")
    }

    /// Maps a memfd of at least `len` bytes. With huge pages wished for and not to be had, base pages are taken.
    ///
    /// A memfd is a shared mapping, so a fork can never leave the kernel's pinned pages behind in the parent
    /// as copies; it also shows under its name in `/proc/self/maps`.
    pub(crate) fn memory_file(len: usize, wish: Pages) -> Result<(Self, Pages), Error> {
        let huge_len = len.checked_next_multiple_of(HUGE_PAGE).filter(|_| wish == Pages::Huge);
        if let Some(mapping) = huge_len.and_then(|len| Self::sized_file(len, libc::MFD_HUGETLB).ok()) {
            return Ok((mapping, Pages::Huge));
        }
        Self::sized_file(len, 0).map(|mapping| (mapping, Pages::Base))
    }

    fn sized_file(len: usize, flags: libc::c_uint) -> Result<Self, Error> {
        const NAME: &CStr = c"af-xdp-umem";
        // SAFETY: NAME is a terminated string that lives for the whole program.
        let raw = unsafe { libc::memfd_create(NAME.as_ptr(), flags | libc::MFD_CLOEXEC) };
        if raw < 0 {
            return Err(Error::last("memfd_create"));
        }
        // SAFETY: the descriptor was just made and nobody else has it.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        let size = i64::try_from(len).unwrap_or(i64::MAX);
        // SAFETY: plain system call on a descriptor we own.
        if unsafe { libc::ftruncate(fd.as_raw_fd(), size) } < 0 {
            return Err(Error::last("ftruncate of the UMEM"));
        }
        Self::map(Some(fd.as_fd()), 0, len, "mmap of the UMEM")
    }

    fn map(fd: Option<BorrowedFd<'_>>, offset: i64, len: usize, call: &'static str) -> Result<Self, Error> {
        let source = if fd.is_some() { 0 } else { libc::MAP_ANONYMOUS };
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE | source;
        let raw_fd = fd.map_or(-1, |fd| fd.as_raw_fd());
        // SAFETY: the kernel picks an unused address, so no memory in use is replaced.
        let start = unsafe {
            libc::mmap(ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, raw_fd, offset)
        };
        match NonNull::new(start.cast::<u8>()) {
            Some(start) if start.as_ptr().cast() != libc::MAP_FAILED => Ok(Self { start, len }),
            _ => Err(Error::last(call)),
        }
    }

    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: start and len are what mmap gave; every user of the memory holds the Mapping alive.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
