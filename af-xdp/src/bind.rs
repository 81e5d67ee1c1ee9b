//! Binding: which registration to share, which mode to try, and what a refusal means.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use crate::config::{Mode, SocketConfig, ZeroCopy};
use crate::device::{Bound, Device, Door, Queue};
use crate::error::Error;
use crate::ledger::Ledger;
use crate::mapping::Mapping;
use crate::ring::{Consumer, Entry, Layout, Memory, Producer};
use crate::socket::{Presence, Rings, RxWakeup, Socket};
use crate::sys;
use crate::umem::Umem;

const PROBE_UMEM: usize = 4096;

/// Checks that this process may make AF_XDP sockets on this kernel, touching no device.
///
/// # Errors
/// [`Error::MissingCapability`] without `CAP_NET_RAW`, [`Error::NoXdpSockets`] on a kernel without
/// `CONFIG_XDP_SOCKETS`.
pub fn preflight() -> Result<(), Error> {
    sys::socket().map(drop)
}

/// Whether a queue has no XDP socket, nor anything left of one.
pub(crate) enum Probe {
    Free,
    Busy,
}

/// Binds to the queue, in copy mode and with a UMEM of one page, to see whether it is free.
pub(crate) fn probe(queue: Queue) -> Result<Probe, Error> {
    let Queue { netns: home, ifindex, queue } = queue;
    if home.is_none() || netns()? != home {
        return Err(Error::OtherNamespace { ifindex, queue });
    }
    let page = Mapping::anonymous(PROBE_UMEM)?;
    let registration = libc::xdp_umem_reg {
        addr: page.start().as_ptr() as u64,
        len: PROBE_UMEM as u64,
        chunk_size: PROBE_UMEM as u32,
        headroom: 0,
        flags: 0,
        tx_metadata_len: 0,
    };
    let socket = sys::socket()?;
    let fd = socket.as_fd();
    sys::register_umem(fd, &registration)?;
    for option in [libc::XDP_UMEM_FILL_RING, libc::XDP_UMEM_COMPLETION_RING, libc::XDP_RX_RING] {
        sys::set_ring_size(fd, option, 1)?;
    }
    match sys::bind(fd, (ifindex, queue), libc::XDP_COPY, None).map_err(|e| refusal(ifindex, queue, e)) {
        // No such device: the bind waited for its removal to end, and that unbinds its sockets.
        Ok(()) | Err(Error::NoDevice { .. }) => Ok(Probe::Free),
        Err(Error::QueueBusy { .. }) => Ok(Probe::Busy),
        Err(error) => Err(error),
    }
}

struct Opened {
    fd: OwnedFd,
    rings: Rings,
    mode: Mode,
}

pub(crate) fn bind(umem: &Umem, config: &SocketConfig) -> Result<Socket, Error> {
    check_sizes(config)?;
    let queue = Queue { netns: netns()?, ifindex: config.ifindex, queue: config.queue };
    // Held to the end, so that no socket shared with is closed meanwhile, and so that the marks of sockets
    // rise in the order they were bound.
    let mut bound = umem.bound();
    let marks = umem.new_marks()?;
    if bound.iter().any(|other| other.queue == queue) {
        // The kernel would say EINVAL to a socket that shares the registration of its own queue.
        return Err(Error::QueueBusy { ifindex: config.ifindex, queue: config.queue });
    }
    let (opened, zero_copy_refusal) = match config.zero_copy {
        ZeroCopy::CopyOnly => (open(umem, config, Mode::Copy, &bound)?, None),
        ZeroCopy::Prefer => match open(umem, config, Mode::ZeroCopy, &bound) {
            Ok(opened) => (opened, None),
            Err(error @ (Error::BindRefused { .. } | Error::System { .. })) => {
                (open(umem, config, Mode::Copy, &bound)?, Some(error))
            }
            Err(error) => return Err(error),
        },
    };
    let Opened { fd, rings, mode } = opened;
    bound.push(Bound { fd: fd.as_raw_fd(), queue, mode, mark: marks.fill });
    drop(bound);
    let rx_wakeup = match config.busy_poll {
        Some(_) => RxWakeup::Always,
        None => RxWakeup::WhenAsked,
    };
    let ledger = Ledger::new(umem.clone(), marks);
    let door = Door::Device(Device { fd, umem: umem.clone() });
    Ok(Socket { ledger, rings, door, queue, mode, rx_wakeup, zero_copy_refusal, presence: Presence::Present })
}

fn check_sizes(config: &SocketConfig) -> Result<(), Error> {
    let rings = config.rings;
    let all = [("rx", rings.rx), ("tx", rings.tx), ("fill", rings.fill), ("completion", rings.completion)];
    match all.into_iter().find(|(_, size)| !size.is_power_of_two()) {
        Some((ring, size)) => Err(Error::RingSize { ring, size }),
        None => Ok(()),
    }
}

/// Network namespace of the calling thread. Kernels before 5.14 cannot tell.
fn netns() -> Result<Option<u64>, Error> {
    let fd = sys::socket()?;
    match sys::netns_cookie(fd.as_fd()) {
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => Ok(None),
        cookie => cookie.map(Some),
    }
}

/// Opens a socket in the mode: on a registration of that mode if a live socket has one, else on a new one.
fn open(umem: &Umem, config: &SocketConfig, mode: Mode, bound: &[Bound]) -> Result<Opened, Error> {
    for sharer in bound.iter().filter(|other| other.mode == mode) {
        match attempt(umem, config, mode, Some(sharer.fd)) {
            // EBADF: that socket's device is gone, so the kernel shares nothing of it; try the next.
            Err(error) if error.raw_os_error() == Some(libc::EBADF) => {}
            result => return result,
        }
    }
    attempt(umem, config, mode, None)
}

fn attempt(umem: &Umem, config: &SocketConfig, mode: Mode, share: Option<RawFd>) -> Result<Opened, Error> {
    let socket = sys::socket()?;
    let fd = socket.as_fd();
    if let Some(wish) = config.busy_poll {
        sys::set_busy_poll(fd, wish)?;
    }
    if share.is_none() {
        sys::register_umem(fd, &umem.registration())?;
    }
    let rings = make_rings(fd, config)?;
    sys::set_transmit_budget(fd, config.rings.tx)?;
    // A sharing socket takes mode and need_wakeup from the registration and may not name them (xsk_bind).
    let flags = match (share, mode) {
        (Some(_), _) => libc::XDP_SHARED_UMEM,
        (None, Mode::ZeroCopy) => libc::XDP_ZEROCOPY | libc::XDP_USE_NEED_WAKEUP,
        (None, Mode::Copy) => libc::XDP_COPY | libc::XDP_USE_NEED_WAKEUP,
    };
    sys::bind(fd, (config.ifindex, config.queue), flags, share)
        .map_err(|source| refusal(config.ifindex, config.queue, source))?;
    let mode = if sys::is_zero_copy(fd)? { Mode::ZeroCopy } else { Mode::Copy };
    Ok(Opened { fd: socket, rings, mode })
}

fn refusal(ifindex: u32, queue: u32, source: std::io::Error) -> Error {
    match source.raw_os_error() {
        Some(libc::EBUSY) => Error::QueueBusy { ifindex, queue },
        Some(libc::ENODEV) => Error::NoDevice { ifindex },
        Some(libc::EINVAL) => Error::BindRefused { ifindex, queue },
        Some(libc::ENETDOWN) => Error::LinkDown { ifindex, queue },
        _ => Error::System { call: "bind of an AF_XDP socket", source },
    }
}

/// Sizes and maps all four rings; before the bind, so that a failure here leaves no queue taken.
fn make_rings(fd: BorrowedFd<'_>, config: &SocketConfig) -> Result<Rings, Error> {
    let sizes = config.rings;
    sys::set_ring_size(fd, libc::XDP_UMEM_FILL_RING, sizes.fill)?;
    sys::set_ring_size(fd, libc::XDP_UMEM_COMPLETION_RING, sizes.completion)?;
    sys::set_ring_size(fd, libc::XDP_RX_RING, sizes.rx)?;
    sys::set_ring_size(fd, libc::XDP_TX_RING, sizes.tx)?;
    let at = sys::ring_offsets(fd)?;
    Ok(Rings {
        rx: Consumer::new(map(fd, at.rx, libc::XDP_PGOFF_RX_RING, (sizes.rx, "rx"))?),
        tx: Producer::new(map(fd, at.tx, libc::XDP_PGOFF_TX_RING, (sizes.tx, "tx"))?),
        fill: Producer::new(map(fd, at.fr, libc::XDP_UMEM_PGOFF_FILL_RING as i64, (sizes.fill, "fill"))?),
        completion: Consumer::new(map(
            fd,
            at.cr,
            libc::XDP_UMEM_PGOFF_COMPLETION_RING as i64,
            (sizes.completion, "completion"),
        )?),
    })
}

fn map<T: Entry>(
    fd: BorrowedFd<'_>,
    at: libc::xdp_ring_offset,
    page_offset: i64,
    (size, ring): (u32, &'static str),
) -> Result<Memory<T>, Error> {
    let layout = Layout {
        producer: at.producer as usize,
        consumer: at.consumer as usize,
        flags: at.flags as usize,
        entries: at.desc as usize,
    };
    let mapping = Mapping::of_descriptor(fd, page_offset, layout.len::<T>(size))?;
    Memory::new(Arc::new(mapping), layout, size, ring)
}
