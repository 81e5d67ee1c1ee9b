//! One daemon per network namespace.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use super::error::{KernelError, errno};

/// Proof that no other daemon works in this network namespace.
///
/// It is an abstract Unix socket: such names are private to a network namespace, and the kernel
/// frees them when the process ends, however it ends.
#[derive(Debug)]
pub struct NamespaceLock {
    socket: UnixListener,
}

/// Name of the socket.
const NAME: &str = "vrouterd";

impl NamespaceLock {
    /// Takes the lock of the calling thread's network namespace.
    ///
    /// # Errors
    /// [`KernelError::AlreadyRunning`], or [`KernelError::Socket`].
    pub fn take() -> Result<Self, KernelError> {
        let socket = SocketAddr::from_abstract_name(NAME)
            .and_then(|address| UnixListener::bind_addr(&address))
            .map_err(not_bound)?;
        Ok(Self { socket })
    }

    /// The socket, for hearing from who wants to be the next to have the lock. The lock is held as long as
    /// either lives.
    ///
    /// # Errors
    /// [`KernelError::Socket`].
    pub fn listener(&self) -> Result<UnixListener, KernelError> {
        self.socket.try_clone().map_err(KernelError::Socket)
    }

    /// A connection to the daemon that holds the lock; none when nobody does. That daemon need not answer.
    ///
    /// # Errors
    /// [`KernelError::Socket`].
    pub fn holder() -> Result<Option<UnixStream>, KernelError> {
        let connected =
            SocketAddr::from_abstract_name(NAME).and_then(|address| UnixStream::connect_addr(&address));
        match connected {
            Ok(stream) => Ok(Some(stream)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(None),
            Err(error) => Err(KernelError::Socket(error)),
        }
    }
}

fn not_bound(error: io::Error) -> KernelError {
    match error.raw_os_error() {
        Some(errno::EADDRINUSE) => KernelError::AlreadyRunning,
        _ => KernelError::Socket(error),
    }
}
