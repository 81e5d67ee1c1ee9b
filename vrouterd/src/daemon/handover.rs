//! One daemon after the other: the new one loads and judges everything while the old one still forwards, and asks
//! it to go only then.
//!
//! They meet at the socket that is the lock of the network namespace. The new one says [`REQUEST`]; the old one
//! stops its workers, writes the journal of flows, leaves devices where they are, frees the lock and says
//! [`DONE`]. Until it is asked nothing of it has changed, and a new one that fails earlier has not hurt it.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::error::DaemonError;
use crate::kernel::KernelError;
use crate::kernel::lock::NamespaceLock;

/// What the new one says. The number is the version of this conversation.
const REQUEST: &[u8] = b"replace 1\n";
/// What the old one says when it has let go of everything.
const DONE: &[u8] = b"done\n";
/// How long the old one may take to stop and to write its journal.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long somebody who is let in may take to say what he wants.
const HEARING: Duration = Duration::from_secs(1);
/// How long the lock may take to be free after the old one has said so.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// How a daemon begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// Only when there is no other.
    Alone,
    /// In the place of the one that runs, if there is one.
    Replacing,
}

/// The old one's end.
#[derive(Debug)]
pub(super) struct Doorbell {
    task: JoinHandle<()>,
    rings: mpsc::Receiver<Successor>,
}

/// A daemon that waits for this one to go.
#[derive(Debug)]
pub(super) struct Successor(UnixStream);

impl Doorbell {
    /// Listens for a successor.
    ///
    /// # Errors
    /// [`DaemonError::Kernel`], [`DaemonError::Runtime`].
    pub(super) fn hang(lock: &NamespaceLock) -> Result<Self, DaemonError> {
        let listener = lock.listener()?;
        listener.set_nonblocking(true).map_err(DaemonError::Runtime)?;
        let listener = UnixListener::from_std(listener).map_err(DaemonError::Runtime)?;
        let (ring, rings) = mpsc::channel(1);
        Ok(Self { task: tokio::spawn(listen(listener, ring)), rings })
    }

    /// Waits for a successor.
    pub(super) async fn rung(&mut self) -> Successor {
        match self.rings.recv().await {
            Some(successor) => successor,
            None => std::future::pending().await,
        }
    }

    /// Listens no more; the lock is free once its own end has gone as well.
    pub(super) async fn take_down(self) {
        self.task.abort();
        drop(self.task.await);
    }
}

impl Successor {
    /// Tells it that everything is free.
    pub(super) async fn go_ahead(mut self) {
        if let Err(error) = self.0.write_all(DONE).await {
            tracing::warn!(%error, "the daemon that was to follow is gone");
        }
    }
}

async fn listen(listener: UnixListener, ring: mpsc::Sender<Successor>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files: they may become fewer.
            tokio::time::sleep(HEARING).await;
            continue;
        };
        if let Some(successor) = hear(stream).await
            && ring.send(successor).await.is_err()
        {
            return;
        }
    }
}

/// Abstract sockets have no permissions: whoever may not end this daemon is not heard.
async fn hear(mut stream: UnixStream) -> Option<Successor> {
    let caller = stream.peer_cred().ok()?.uid();
    if caller != 0 && caller != rustix::process::geteuid().as_raw() {
        tracing::debug!(caller, "not heard: another user");
        return None;
    }
    let mut request = [0; REQUEST.len()];
    let read = tokio::time::timeout(HEARING, stream.read_exact(&mut request)).await;
    (matches!(read, Ok(Ok(_))) && request == REQUEST).then_some(Successor(stream))
}

/// Takes the lock, from the daemon that holds it if that is wanted. Everything that can be done before should
/// have been: the node forwards nothing from here on.
///
/// # Errors
/// [`DaemonError::NotHandedOver`], [`DaemonError::Kernel`].
pub(super) async fn take_lock(beginning: Beginning) -> Result<NamespaceLock, DaemonError> {
    if beginning == Beginning::Alone {
        return Ok(NamespaceLock::take()?);
    }
    let asked = tokio::task::spawn_blocking(ask).await;
    asked.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
    let patience = Instant::now() + LOCK_PATIENCE;
    loop {
        match NamespaceLock::take() {
            Err(KernelError::AlreadyRunning) if Instant::now() < patience => {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            taken => return Ok(taken?),
        }
    }
}

fn ask() -> Result<(), DaemonError> {
    let Some(stream) = NamespaceLock::holder()? else {
        tracing::info!("nobody to replace");
        return Ok(());
    };
    let talk = || -> std::io::Result<Vec<u8>> {
        stream.set_read_timeout(Some(PATIENCE))?;
        (&stream).write_all(REQUEST)?;
        let mut answer = Vec::new();
        std::io::Read::take(&stream, DONE.len() as u64).read_to_end(&mut answer)?;
        Ok(answer)
    };
    match talk() {
        Ok(answer) if answer == DONE => Ok(()),
        Ok(_) => Err(DaemonError::NotHandedOver("it has hung up".to_owned())),
        Err(error) => Err(DaemonError::NotHandedOver(error.to_string())),
    }
}
