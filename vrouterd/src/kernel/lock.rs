//! One daemon per network namespace.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use super::error::{KernelError, errno};

/// Proof that no other daemon works in this network namespace.
///
/// It is an abstract Unix socket: such names are private to a network namespace, and the kernel
/// frees them when the process ends, however it ends.
#[derive(Debug)]
pub struct NamespaceLock {
    _socket: UnixListener,
}

impl NamespaceLock {
    /// Takes the lock of the calling thread's network namespace.
    ///
    /// # Errors
    /// [`KernelError::AlreadyRunning`], or [`KernelError::Socket`].
    pub fn take() -> Result<Self, KernelError> {
        let socket = SocketAddr::from_abstract_name("vrouterd")
            .and_then(|address| UnixListener::bind_addr(&address))
            .map_err(not_bound)?;
        Ok(Self { _socket: socket })
    }
}

fn not_bound(error: io::Error) -> KernelError {
    match error.raw_os_error() {
        Some(errno::EADDRINUSE) => KernelError::AlreadyRunning,
        _ => KernelError::Socket(error),
    }
}
