//! Routers of the underlay that say a tunnel packet was too big (RFC 1191, RFC 8201).
//!
//! No socket of the kernel has sent the engine's packets, so the kernel keeps no path MTU for them. A raw socket
//! gets a copy of every ICMP message; [`report`] judges them.

pub mod report;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, socket_with};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::underlay::UnderlayQuery;
use report::Report;

/// How long a report counts; then a larger packet is tried again (RFC 1191 section 6.3, RFC 8201 section 4).
const LIFETIME: Duration = Duration::from_secs(600);
/// Time between two looks for reports that are too old.
const AGEING: Duration = Duration::from_secs(30);
/// Wait after a socket that went wrong.
const RETRY: Duration = Duration::from_secs(1);
/// More than any message that quotes enough.
const MESSAGE: usize = 2048;

/// Largest outer packets by endpoint, in bytes.
pub type PathMtus = BTreeMap<IpAddr, u16>;

/// Listens for reports; dropping it stops it.
#[derive(Debug)]
pub struct PathMtuWatch {
    mtus: watch::Receiver<PathMtus>,
    task: JoinHandle<()>,
}

impl Drop for PathMtuWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl PathMtuWatch {
    /// Starts to listen for what concerns tunnels of `query` on UDP port `port`.
    ///
    /// # Errors
    /// The kernel gives no raw socket.
    pub fn start(query: watch::Receiver<UnderlayQuery>, port: u16) -> io::Result<Self> {
        let (family, protocol) = match query.borrow().tunnel_address {
            IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP),
            IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6),
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        // To the standard library any socket of datagrams is one of UDP.
        let socket = std::net::UdpSocket::from(socket_with(family, SocketType::RAW, flags, Some(protocol))?);
        let socket = UdpSocket::from_std(socket)?;
        let (publish, mtus) = watch::channel(PathMtus::new());
        let listener = Listener { socket, query, port, publish, known: BTreeMap::new() };
        Ok(Self { mtus, task: tokio::spawn(listener.run()) })
    }

    /// What is known now, and notice of news.
    pub fn mtus(&self) -> watch::Receiver<PathMtus> {
        self.mtus.clone()
    }
}

struct Listener {
    socket: UdpSocket,
    query: watch::Receiver<UnderlayQuery>,
    port: u16,
    publish: watch::Sender<PathMtus>,
    known: BTreeMap<IpAddr, (u16, Instant)>,
}

impl Listener {
    async fn run(mut self) {
        let mut ageing = tokio::time::interval(AGEING);
        let mut message = [0; MESSAGE];
        loop {
            tokio::select! {
                received = self.socket.recv(&mut message) => match received {
                    Ok(length) => self.note(message.get(..length).unwrap_or_default()),
                    Err(error) => {
                        tracing::warn!(%error, "a report of the underlay's MTU could not be read");
                        tokio::time::sleep(RETRY).await;
                    }
                },
                _ = ageing.tick() => self.known.retain(|_, (_, at)| at.elapsed() < LIFETIME),
            }
            let mtus = self.known.iter().map(|(endpoint, (mtu, _))| (*endpoint, *mtu)).collect();
            self.publish.send_if_modified(|old| {
                *old != mtus && {
                    *old = mtus;
                    true
                }
            });
        }
    }

    /// Only a smaller value is news, so that a forger with the right addresses makes few of them.
    fn note(&mut self, message: &[u8]) {
        let query = self.query.borrow();
        let Some(Report { endpoint, mtu }) = report::read(message, query.tunnel_address, self.port) else {
            return;
        };
        let lowest = self.known.get(&endpoint).map_or(mtu, |(known, _)| mtu.min(*known));
        if query.endpoints.contains(&endpoint) {
            self.known.insert(endpoint, (lowest, Instant::now()));
        }
    }
}
