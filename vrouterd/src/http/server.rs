//! Connections: how many, for how long, and how slowly they may speak.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};

/// Bounds of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; more wait in the listener's backlog.
    pub connections: usize,
    /// From the start of a connection, or the end of the last answer, to the end of the next
    /// request's header.
    pub header: Duration,
    /// Life of a connection; a reader that is too slow for its answer ends here.
    pub lifetime: Duration,
    /// Bytes of a request's header.
    pub header_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            header: Duration::from_secs(5),
            lifetime: Duration::from_secs(60),
            header_bytes: 16 * 1024,
        }
    }
}

/// Longest wait for running requests after shutdown began.
const DRAIN: Duration = Duration::from_secs(2);

/// Serves `router` on `listener` until `shutdown` is ready; then closes idle connections, gives
/// running requests two seconds, and returns.
pub async fn serve<L: Listener>(
    mut listener: L,
    router: Router,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let (stop, stopped) = watch::channel(());
    tokio::pin!(shutdown);
    loop {
        let accepted = async {
            // The place comes first: who finds none stays in the backlog.
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, (stream, _)) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut shutdown => break,
        };
        let (router, stopped) = (router.clone(), stopped.clone());
        tokio::spawn(async move {
            let _place = place;
            serve_connection(stream, router, limits, stopped).await;
        });
    }
    drop(listener);
    drop(stopped);
    // Each connection holds a receiver, so this ends with the last of them.
    let _ = stop.send(());
    let _ = tokio::time::timeout(DRAIN, stop.closed()).await;
}

async fn serve_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    router: Router,
    limits: Limits,
    mut stopped: watch::Receiver<()>,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_buf_size(limits.header_bytes)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let whole = async {
        tokio::select! {
            ended = connection.as_mut() => return ended,
            _ = stopped.changed() => connection.as_mut().graceful_shutdown(),
        }
        connection.await
    };
    match tokio::time::timeout(limits.lifetime, whole).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection ended early"),
        Err(_) => tracing::debug!("a connection outlived its time"),
    }
}
