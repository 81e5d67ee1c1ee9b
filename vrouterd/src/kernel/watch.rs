//! Keeps [`KernelFacts`] fresh.
//!
//! One socket is subscribed to the kernel's changes first, and then everything is listed, so
//! that no change falls between the two. When the kernel had to throw events away (`ENOBUFS`) or
//! a message cannot be read, everything is listed again. Listeners get the newest facts, not
//! every event: however fast events come, nothing queues up.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rtnetlink::MulticastGroup;
use rtnetlink::sys::{AsyncSocket, SocketAddr, TokioSocket, protocols::NETLINK_ROUTE};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::client::Netlink;
use super::decode::events_of;
use super::error::{KernelError, errno};
use super::facts::{Effect, KernelFacts};

const GROUPS: [MulticastGroup; 9] = [
    MulticastGroup::Link,
    MulticastGroup::Neigh,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
    MulticastGroup::Ipv4Rule,
    MulticastGroup::Ipv6Rule,
    MulticastGroup::Nexthop,
];

/// The kernel's largest netlink datagram is 32 KiB (net/netlink/af_netlink.c).
const DATAGRAM: usize = 64 * 1024;
/// Shortest time between two publications while events keep coming.
const PUBLISH_GAP: Duration = Duration::from_millis(20);
/// Shortest time between two full listings.
const RESYNC_GAP: Duration = Duration::from_millis(100);
/// Wait before a broken socket is opened again.
const REOPEN_GAP: Duration = Duration::from_secs(1);

/// Settings of a [`Watch`].
#[derive(Clone, Copy, Debug)]
pub struct WatchOptions {
    /// Receive buffer of the socket in bytes of kernel memory. A link event takes about 4 KiB.
    /// Without CAP_NET_ADMIN `net.core.rmem_max` limits it.
    pub receive_buffer: usize,
}

impl Default for WatchOptions {
    /// 4 MiB: about a thousand link events.
    fn default() -> Self {
        Self { receive_buffer: 4 << 20 }
    }
}

/// What a [`Watch`] has met, counted since its start.
#[derive(Debug, Default)]
pub struct WatchCounters {
    /// Datagrams received.
    pub datagrams: AtomicU64,
    /// Full listings after a gap; the first one is not counted.
    pub resyncs: AtomicU64,
    /// Times the kernel threw events away.
    pub overruns: AtomicU64,
    /// Datagrams that could not be read.
    pub unreadable: AtomicU64,
}

/// A running watch; dropping it stops it.
#[derive(Debug)]
pub struct Watch {
    facts: watch::Receiver<Arc<KernelFacts>>,
    counters: Arc<WatchCounters>,
    task: JoinHandle<()>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watch {
    /// Subscribes, lists everything once and starts to follow.
    ///
    /// # Errors
    /// [`KernelError::Socket`], or what the first listing meets.
    pub async fn start(netlink: Netlink, options: WatchOptions) -> Result<Self, KernelError> {
        let socket = subscribe(options).map_err(KernelError::Socket)?;
        let facts = list(&netlink).await?;
        let (publish, receiver) = watch::channel(Arc::new(facts.clone()));
        let counters = Arc::new(WatchCounters::default());
        let follower = Follower {
            netlink,
            options,
            socket,
            facts,
            publish,
            counters: Arc::clone(&counters),
            due: None,
            published: Instant::now(),
            listed: Instant::now(),
        };
        Ok(Self { facts: receiver, counters, task: tokio::spawn(follower.follow()) })
    }

    /// The newest facts, and notice of newer ones. The channel closes only when the watch ends.
    pub fn facts(&self) -> watch::Receiver<Arc<KernelFacts>> {
        self.facts.clone()
    }

    /// What has been met.
    pub fn counters(&self) -> Arc<WatchCounters> {
        Arc::clone(&self.counters)
    }
}

fn subscribe(options: WatchOptions) -> io::Result<TokioSocket> {
    let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
    if rustix::net::sockopt::set_socket_recv_buffer_size_force(socket.socket_ref(), options.receive_buffer)
        .is_err()
    {
        socket.socket_ref().set_rx_buf_sz(i32::try_from(options.receive_buffer).unwrap_or(i32::MAX))?;
    }
    socket.socket_mut().bind(&SocketAddr::new(0, 0))?;
    for group in GROUPS {
        socket.socket_mut().add_membership(group as u32)?;
    }
    Ok(socket)
}

/// Lists everything, again while the kernel's tables change under the listing.
async fn list(netlink: &Netlink) -> Result<KernelFacts, KernelError> {
    loop {
        match netlink.facts().await {
            Err(KernelError::Interrupted { .. }) => tokio::time::sleep(RESYNC_GAP).await,
            answer => return answer,
        }
    }
}

/// What reading the socket gave.
enum Received {
    Datagram,
    Overrun,
}

struct Follower {
    netlink: Netlink,
    options: WatchOptions,
    socket: TokioSocket,
    facts: KernelFacts,
    publish: watch::Sender<Arc<KernelFacts>>,
    counters: Arc<WatchCounters>,
    /// When changed facts are to be published; absent when there is nothing new.
    due: Option<Instant>,
    published: Instant,
    listed: Instant,
}

impl Follower {
    async fn follow(mut self) {
        let mut buffer = Vec::with_capacity(DATAGRAM);
        loop {
            let due = self.due;
            let received = tokio::select! {
                received = receive(&self.socket, &mut buffer) => received,
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.publish_now();
                    continue;
                }
            };
            let followed = match received {
                Ok(Received::Datagram) => self.fold(&buffer),
                Ok(Received::Overrun) => {
                    self.counters.overruns.fetch_add(1, Ordering::Relaxed);
                    Follow::Lost
                }
                Err(error) => {
                    tracing::warn!(%error, "netlink socket broke; opening another one");
                    self.reopen().await;
                    Follow::Lost
                }
            };
            if matches!(followed, Follow::Lost) && self.resync(&mut buffer).await.is_err() {
                return;
            }
        }
    }

    fn fold(&mut self, datagram: &[u8]) -> Follow {
        self.counters.datagrams.fetch_add(1, Ordering::Relaxed);
        let facts = &mut self.facts;
        let mut effect = Effect::Unchanged;
        let read = events_of(datagram, |event| {
            if facts.apply(event) == Effect::Changed {
                effect = Effect::Changed;
            }
        });
        if effect == Effect::Changed {
            self.due.get_or_insert(self.published + PUBLISH_GAP);
        }
        match read {
            Ok(()) => Follow::On,
            Err(error) => {
                tracing::warn!(%error, "listing everything again");
                self.counters.unreadable.fetch_add(1, Ordering::Relaxed);
                Follow::Lost
            }
        }
    }

    fn publish_now(&mut self) {
        self.due = None;
        self.published = Instant::now();
        self.publish.send_replace(Arc::new(self.facts.clone()));
    }

    async fn reopen(&mut self) {
        loop {
            tokio::time::sleep(REOPEN_GAP).await;
            match subscribe(self.options) {
                Ok(socket) => {
                    self.socket = socket;
                    return;
                }
                Err(error) => tracing::warn!(%error, "cannot open a netlink socket; trying again"),
            }
        }
    }

    /// Lists everything again. Fails only when the connection for requests is gone for good.
    async fn resync(&mut self, buffer: &mut Vec<u8>) -> Result<(), KernelError> {
        self.counters.resyncs.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep_until(self.listed + RESYNC_GAP).await;
        // Events from before the gap must not be applied over the newer listing; and the kernel
        // goes on throwing events away until the queue has been emptied (NETLINK_S_CONGESTED).
        drain(&self.socket, buffer);
        let facts = loop {
            match list(&self.netlink).await {
                Ok(facts) => break facts,
                Err(error @ KernelError::Closed) => return Err(error),
                Err(error) => tracing::warn!(%error, "listing again"),
            }
            tokio::time::sleep(REOPEN_GAP).await;
        };
        self.listed = Instant::now();
        let routing_epoch = self.facts.routing_epoch + 1;
        self.facts = KernelFacts { routing_epoch, ..facts };
        self.publish_now();
        Ok(())
    }
}

/// Whether the facts still follow the kernel.
enum Follow {
    On,
    Lost,
}

async fn receive(socket: &TokioSocket, buffer: &mut Vec<u8>) -> io::Result<Received> {
    buffer.clear();
    match std::future::poll_fn(|context| socket.poll_recv_from(context, buffer)).await {
        Ok(_) => Ok(Received::Datagram),
        Err(error) if error.raw_os_error() == Some(errno::ENOBUFS) => Ok(Received::Overrun),
        Err(error) => Err(error),
    }
}

/// Throws away what is queued. Bounded, in case events come faster than they are read.
fn drain(socket: &TokioSocket, buffer: &mut Vec<u8>) {
    const AT_MOST: usize = 1 << 16;
    for _ in 0..AT_MOST {
        buffer.clear();
        match socket.socket_ref().recv(buffer, 0) {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(errno::ENOBUFS) => {}
            Err(_) => return,
        }
    }
}
