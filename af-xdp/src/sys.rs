//! The system calls of an AF_XDP socket, one function each.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::{io, ptr};

use crate::config::BusyPoll;
use crate::error::Error;
use crate::statistics::KernelStatistics;

// asm-generic/socket.h and if_xdp.h; not in the libc crate. The same numbers on x86, arm and riscv.
const SO_BUSY_POLL: libc::c_int = 46;
const SO_PREFER_BUSY_POLL: libc::c_int = 69;
const SO_BUSY_POLL_BUDGET: libc::c_int = 70;
const SO_NETNS_COOKIE: libc::c_int = 71;
const XDP_MAX_TX_SKB_BUDGET: libc::c_int = 9;

/// Makes a socket. `net/xdp/xsk.c: xsk_create`.
pub(crate) fn socket() -> Result<OwnedFd, Error> {
    // SAFETY: plain system call.
    let raw = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if raw < 0 {
        let call = "socket(AF_XDP)";
        return Err(match io::Error::last_os_error().raw_os_error() {
            Some(libc::EPERM) => Error::MissingCapability { call, capability: "CAP_NET_RAW" },
            Some(libc::EAFNOSUPPORT) => Error::NoXdpSockets,
            _ => Error::last(call),
        });
    }
    // SAFETY: the descriptor was just made and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

fn set<T: Copy>(
    fd: BorrowedFd<'_>,
    (level, option): (libc::c_int, libc::c_int),
    value: &T,
    call: &'static str,
) -> Result<(), Error> {
    // SAFETY: value is a live T and its size is given with it; the kernel only reads it.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            option,
            ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if result < 0 { Err(Error::last(call)) } else { Ok(()) }
}

/// # Safety
/// Zero bytes and whatever the kernel writes for the option must be values of `T`.
unsafe fn get<T: Copy>(
    fd: BorrowedFd<'_>,
    (level, option): (libc::c_int, libc::c_int),
    call: &'static str,
) -> Result<T, Error> {
    let mut value = MaybeUninit::<T>::zeroed();
    let mut len = size_of::<T>() as libc::socklen_t;
    // SAFETY: value has room for the len bytes the kernel may write.
    let result =
        unsafe { libc::getsockopt(fd.as_raw_fd(), level, option, value.as_mut_ptr().cast(), &raw mut len) };
    if result < 0 {
        return Err(Error::last(call));
    }
    if len as usize != size_of::<T>() {
        return Err(Error::System { call, source: io::Error::from_raw_os_error(libc::EOPNOTSUPP) });
    }
    // SAFETY: zeroed or written by the kernel; the caller vouches for T.
    Ok(unsafe { value.assume_init() })
}

/// Sets the size of one ring (`XDP_RX_RING` and its siblings).
pub(crate) fn set_ring_size(fd: BorrowedFd<'_>, option: libc::c_int, size: u32) -> Result<(), Error> {
    set(fd, (libc::SOL_XDP, option), &size, "setsockopt(ring size)")
}

/// Registers the UMEM, which pins its pages. `net/xdp/xdp_umem.c: xdp_umem_reg`.
pub(crate) fn register_umem(fd: BorrowedFd<'_>, umem: &libc::xdp_umem_reg) -> Result<(), Error> {
    set(fd, (libc::SOL_XDP, libc::XDP_UMEM_REG), umem, "setsockopt(XDP_UMEM_REG)").map_err(|error| {
        match error.raw_os_error() {
            // xdp_umem_account_pages answers ENOBUFS past RLIMIT_MEMLOCK unless CAP_IPC_LOCK is held.
            Some(libc::ENOBUFS) => Error::MemoryLock { bytes: umem.len as usize, limit: memlock_limit() },
            _ => error,
        }
    })
}

fn memlock_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: limit has room for what the kernel writes.
    unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) };
    limit.rlim_cur
}

/// Where the indices, flags and entries of the four rings lie.
pub(crate) fn ring_offsets(fd: BorrowedFd<'_>) -> Result<libc::xdp_mmap_offsets, Error> {
    let option = (libc::SOL_XDP, libc::XDP_MMAP_OFFSETS);
    // SAFETY: the structure is made of integers.
    unsafe { get(fd, option, "getsockopt(XDP_MMAP_OFFSETS)") }
}

/// Whether a bound socket works with zero-copy.
pub(crate) fn is_zero_copy(fd: BorrowedFd<'_>) -> Result<bool, Error> {
    let option = (libc::SOL_XDP, libc::XDP_OPTIONS);
    // SAFETY: the structure is made of integers.
    let options: libc::xdp_options = unsafe { get(fd, option, "getsockopt(XDP_OPTIONS)") }?;
    Ok(options.flags & libc::XDP_OPTIONS_ZEROCOPY != 0)
}

/// The kernel's counters. Waits for the socket's mutex, so it also waits for a device's removal to end.
pub(crate) fn statistics(fd: BorrowedFd<'_>) -> Result<KernelStatistics, Error> {
    let option = (libc::SOL_XDP, libc::XDP_STATISTICS);
    // SAFETY: the structure is made of integers.
    let found: libc::xdp_statistics = unsafe { get(fd, option, "getsockopt(XDP_STATISTICS)") }?;
    Ok(KernelStatistics {
        rx_dropped: found.rx_dropped,
        rx_invalid_descriptors: found.rx_invalid_descs,
        tx_invalid_descriptors: found.tx_invalid_descs,
        rx_ring_full: found.rx_ring_full,
        rx_fill_ring_empty: found.rx_fill_ring_empty_descs,
        tx_ring_empty: found.tx_ring_empty_descs,
    })
}

/// The cookie of the socket's network namespace, unique on this machine since boot (Linux 5.14).
pub(crate) fn netns_cookie(fd: BorrowedFd<'_>) -> Result<u64, Error> {
    // SAFETY: an integer.
    unsafe { get(fd, (libc::SOL_SOCKET, SO_NETNS_COOKIE), "getsockopt(SO_NETNS_COOKIE)") }
}

/// The socket's pending error (`SO_ERROR`), 0 for none; asking clears it.
pub(crate) fn pending_error(fd: BorrowedFd<'_>) -> Result<i32, Error> {
    // SAFETY: an integer.
    unsafe { get(fd, (libc::SOL_SOCKET, libc::SO_ERROR), "getsockopt(SO_ERROR)") }
}

/// Turns preferred busy polling on.
pub(crate) fn set_busy_poll(fd: BorrowedFd<'_>, wish: BusyPoll) -> Result<(), Error> {
    let options = [
        (SO_PREFER_BUSY_POLL, 1, "setsockopt(SO_PREFER_BUSY_POLL)"),
        (SO_BUSY_POLL, wish.microseconds, "setsockopt(SO_BUSY_POLL)"),
        (SO_BUSY_POLL_BUDGET, wish.budget, "setsockopt(SO_BUSY_POLL_BUDGET)"),
    ];
    for (option, value, call) in options {
        set(fd, (libc::SOL_SOCKET, option), &value, call).map_err(|error| match error.raw_os_error() {
            Some(libc::EPERM) => Error::MissingCapability { call, capability: "CAP_NET_ADMIN" },
            _ => error,
        })?;
    }
    Ok(())
}

/// Lets one `sendto` in copy mode send the whole tx ring instead of 32 packets; older kernels answer
/// ENOPROTOOPT, and then more calls are made.
pub(crate) fn set_transmit_budget(fd: BorrowedFd<'_>, packets: u32) -> Result<(), Error> {
    match set(fd, (libc::SOL_XDP, XDP_MAX_TX_SKB_BUDGET), &packets, "setsockopt(XDP_MAX_TX_SKB_BUDGET)") {
        // EACCES: the ring is smaller than the kernel's batch of 32, which is then enough anyway.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOPROTOOPT | libc::EACCES)) => Ok(()),
        result => result,
    }
}

/// Binds to a queue; the error is the kernel's number. `net/xdp/xsk.c: xsk_bind`.
pub(crate) fn bind(
    fd: BorrowedFd<'_>,
    (ifindex, queue): (u32, u32),
    flags: u16,
    shared: Option<RawFd>,
) -> io::Result<()> {
    let address = libc::sockaddr_xdp {
        sxdp_family: libc::AF_XDP as u16,
        sxdp_flags: flags,
        sxdp_ifindex: ifindex,
        sxdp_queue_id: queue,
        sxdp_shared_umem_fd: shared.map_or(0, |fd| fd as u32),
    };
    // SAFETY: address is a live sockaddr_xdp and its size is given with it.
    let result = unsafe {
        libc::bind(
            fd.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_xdp>() as libc::socklen_t,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Starts sending what lies in the tx ring. `net/xdp/xsk.c: __xsk_sendmsg`.
pub(crate) fn kick(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: no buffer and no address are passed.
    let result = unsafe { libc::sendto(fd.as_raw_fd(), ptr::null(), 0, libc::MSG_DONTWAIT, ptr::null(), 0) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Makes the driver look at the fill ring, and asks whether device and link are there.
/// `net/xdp/xsk.c: __xsk_recvmsg`.
pub(crate) fn poke(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: no buffer and no address are passed.
    let result = unsafe {
        libc::recvfrom(
            fd.as_raw_fd(),
            ptr::null_mut(),
            0,
            libc::MSG_DONTWAIT,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
