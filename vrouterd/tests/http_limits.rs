//! The bounds of the diagnostics server, over real sockets on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../examples/diag_fixture/fixture.rs"]
mod fixture;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fixture::Fixture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use vrouterd::http::{Limits, Options, router, serve};

struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn start(limits: Limits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let router = router(Arc::new(Fixture::default()), Options::for_listener(address));
    let task = tokio::spawn(serve(listener, router, limits, async {
        let _ = stopped.await;
    }));
    Server { address, stop, task }
}

/// Sends a whole request and reads to the end of the connection.
async fn ask(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

/// Waits for the end of a connection, whether by close or by reset, and says what came before it.
async fn drain(stream: &mut TcpStream) -> Vec<u8> {
    let (mut all, mut part) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return all,
            Ok(length) => all.extend_from_slice(&part[..length]),
        }
    }
}

#[test]
fn the_defaults_are_the_promised_ones() {
    let limits = Limits::default();
    assert_eq!((limits.connections, limits.header), (64, Duration::from_secs(5)));
}

#[tokio::test]
async fn a_header_that_trickles_in_is_cut_off() {
    let server = start(Limits { header: Duration::from_millis(400), ..Limits::default() }).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let began = Instant::now();
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let trickle = tokio::spawn(async move {
        while write.write_all(b"X: y\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut rest = Vec::new();
    let _ =
        tokio::time::timeout(Duration::from_secs(5), read.read_to_end(&mut rest)).await.expect("still open");
    assert!(began.elapsed() >= Duration::from_millis(350), "{:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(!rest.starts_with(b"HTTP/1.1 200"));
    trickle.abort();
}

#[tokio::test]
async fn a_silent_connection_is_cut_off() {
    let server = start(Limits { header: Duration::from_millis(300), ..Limits::default() }).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(5), drain(&mut stream)).await;
    assert!(ended.expect("still open").is_empty());
}

#[tokio::test]
async fn a_connection_has_a_longest_life() {
    let limits = Limits { lifetime: Duration::from_millis(500), ..Limits::default() };
    let server = start(limits).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let text = tokio::time::timeout(Duration::from_secs(3), drain(&mut stream)).await.expect("still open");
    assert!(text.starts_with(b"HTTP/1.1 200"), "kept alive until its time was over");
}

#[tokio::test]
async fn the_connection_after_the_last_waits_for_a_place() {
    let server = start(Limits { header: Duration::from_secs(30), ..Limits::default() }).await;
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    let mut last = tokio::spawn(ask(server.address));
    let early = tokio::time::timeout(Duration::from_millis(500), &mut last).await;
    assert!(early.is_err(), "the 65th connection was served beside 64 others");
    silent.pop();
    let text = tokio::time::timeout(Duration::from_secs(3), last).await.expect("no place was freed").unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
}

#[tokio::test]
async fn a_thousand_clients_are_all_answered() {
    let server = start(Limits::default()).await;
    let clients: Vec<_> = (0..1000).map(|_| tokio::spawn(ask(server.address))).collect();
    for client in clients {
        let text = tokio::time::timeout(Duration::from_secs(20), client).await.expect("no answer").unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    }
}

#[tokio::test]
async fn a_header_of_ten_megabytes_is_refused() {
    let server = start(Limits::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ").await.unwrap();
    let chunk = [b'a'; 64 * 1024];
    let mut sent = 0;
    while sent < 10 << 20 && stream.write_all(&chunk).await.is_ok() {
        sent += chunk.len();
    }
    let text = tokio::time::timeout(Duration::from_secs(5), drain(&mut stream)).await.expect("still open");
    // The answer can be lost to the reset that our unread bytes cause.
    assert!(text.is_empty() || text.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&text));
    assert!(ask(server.address).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn shutdown_closes_idle_connections_and_returns() {
    let server = start(Limits::default()).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut first = [0; 15];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    server.stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(1), server.task).await.expect("still serving").unwrap();
    tokio::time::timeout(Duration::from_secs(1), drain(&mut idle)).await.expect("still open");
    assert!(TcpStream::connect(server.address).await.is_err());
}
