//! The socket: made for the right users, and connections of others refused.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io::ErrorKind};

use axum::serve::Listener;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream, unix::SocketAddr};
use tokio::sync::Semaphore;

use super::problem::{Code, Problem};
use crate::config;

/// Pause after an accept that failed, as it does when file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Time that a caller who is refused has for reading why.
const FAREWELL: Duration = Duration::from_secs(1);
/// Callers that are told at once; more find their connection closed.
const FAREWELLS: usize = 16;

/// The API's listener. Its file goes with the value.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    allowed: Vec<u32>,
    farewells: Arc<Semaphore>,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another daemon answers there.
    #[error("api.socket: a daemon answers on {} already: end it, or give this one another path", path.display())]
    Live {
        /// The socket.
        path: PathBuf,
    },
    /// Something else is there.
    #[error("api.socket: {} is there and no socket: remove it, or choose another path", path.display())]
    NoSocket {
        /// What is in the way.
        path: PathBuf,
    },
    /// The kernel says no.
    #[error("api.socket: cannot make {}: {source}: choose a path that the daemon may write", path.display())]
    Kernel {
        /// The socket.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl Socket {
    /// Makes the socket and its directory. What a dead daemon has left is replaced.
    ///
    /// # Errors
    /// [`SocketError`].
    pub fn bind(config: &config::Api) -> Result<Self, SocketError> {
        let path = &config.socket;
        let failed = |source| SocketError::Kernel { path: path.clone(), source };
        let shared = !config.allow_uids.is_empty();
        let (directory_mode, mode) = if shared { (0o755, 0o666) } else { (0o700, 0o600) };
        if let Some(directory) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(directory_mode).create(directory).map_err(failed)?;
        }
        remove_leftover(path)?;
        // Nobody connects before the mode is set: the umask takes all but the owner's bits away at first.
        let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
        let bound = UnixListener::bind(path);
        rustix::process::umask(before);
        let listener = bound.map_err(failed)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed)?;
        let own = rustix::process::geteuid().as_raw();
        let allowed = config.allow_uids.iter().copied().chain([0, own]).collect();
        Ok(Self { listener, path: path.clone(), allowed, farewells: Arc::new(Semaphore::new(FAREWELLS)) })
    }

    /// Whether the process at the other end may use the API (SO_PEERCRED of unix(7)).
    fn may(&self, stream: &UnixStream) -> bool {
        stream.peer_cred().is_ok_and(|peer| self.allowed.contains(&peer.uid()))
    }
}

impl Socket {
    /// Ends a connection, with a word if not too many others hear one: nobody may hold file descriptors of the
    /// daemon who may not use it.
    fn dismiss(&self, stream: UnixStream) {
        let Ok(place) = Arc::clone(&self.farewells).try_acquire_owned() else { return };
        tokio::spawn(async move {
            let _place = place;
            // Whether the caller has heard it or not.
            let _ = tokio::time::timeout(FAREWELL, refuse(stream)).await;
        });
    }
}

fn remove_leftover(path: &Path) -> Result<(), SocketError> {
    let failed = |source| SocketError::Kernel { path: path.to_owned(), source };
    let kind = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if !kind.is_socket() {
        return Err(SocketError::NoSocket { path: path.to_owned() });
    }
    // Nobody listens on a socket that refuses.
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(failed),
        Ok(_) | Err(_) => Err(SocketError::Live { path: path.to_owned() }),
    }
}

impl Listener for Socket {
    type Io = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (UnixStream, SocketAddr) {
        loop {
            match UnixListener::accept(&self.listener).await {
                Ok((stream, address)) if self.may(&stream) => return (stream, address),
                Ok((stream, _)) => self.dismiss(stream),
                Err(error) => {
                    tracing::debug!(%error, "accept on the API's socket failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Says why, once the caller has said something: clients take an end before that for a failed connection.
async fn refuse(mut stream: UnixStream) -> io::Result<()> {
    let mut unread = [0; 4096];
    if stream.read(&mut unread).await? == 0 {
        return Ok(());
    }
    let head = "HTTP/1.1 403 Forbidden\r\nContent-Type: application/problem+json\r\nConnection: close\r\n";
    let detail =
        "This user may not use the API: root, the daemon's own user and those of api.allow_uids may.";
    let body = serde_json::to_string(&Problem::new(Code::Forbidden, detail))?;
    let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "the API's socket was gone already");
        }
    }
}
