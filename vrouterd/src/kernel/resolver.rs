//! Follows the way to the tunnel endpoints.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dataplane::desired::Underlay;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::client::Netlink;
use super::error::KernelError;
use super::facts::KernelFacts;
use super::solicit::Solicitor;
use super::underlay::{Routes, UnderlayQuery, next_hops, underlay};

/// Shortest time between two passes, however fast facts change.
const PASS_GAP: Duration = Duration::from_millis(50);
/// A pass that took long is followed by this many times its length of rest.
const REST: u32 = 4;

/// Wait before a route request that went wrong is made again.
const RETRY_GAP: Duration = Duration::from_secs(1);

/// What a [`Resolver`] has done, counted since its start.
#[derive(Debug, Default)]
pub struct ResolverCounters {
    /// Routes asked for.
    pub route_requests: AtomicU64,
    /// Neighbours that the kernel was asked to resolve or confirm.
    pub solicitations: AtomicU64,
    /// Requests of either kind that went wrong.
    pub errors: AtomicU64,
}

/// A running resolver; dropping it stops it.
#[derive(Debug)]
pub struct Resolver {
    underlay: watch::Receiver<Underlay>,
    counters: Arc<ResolverCounters>,
    task: JoinHandle<()>,
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Resolver {
    /// Starts to follow. A new value in `query` replaces what is asked for.
    pub fn start(
        netlink: Netlink,
        facts: watch::Receiver<Arc<KernelFacts>>,
        query: watch::Receiver<UnderlayQuery>,
    ) -> Self {
        let (publish, underlay) = watch::channel(Underlay::default());
        let counters = Arc::new(ResolverCounters::default());
        let worker = Worker {
            netlink,
            facts,
            query,
            publish,
            counters: Arc::clone(&counters),
            solicitor: Solicitor::default(),
            routes: Routes::new(),
            asked: None,
        };
        Self { underlay, counters, task: tokio::spawn(worker.run()) }
    }

    /// The newest underlay, and notice of a newer one. Empty until the first pass is done. The
    /// channel closes when the watch, the query's sender or the netlink connection is gone.
    pub fn underlay(&self) -> watch::Receiver<Underlay> {
        self.underlay.clone()
    }

    /// What has been done.
    pub fn counters(&self) -> Arc<ResolverCounters> {
        Arc::clone(&self.counters)
    }
}

struct Worker {
    netlink: Netlink,
    facts: watch::Receiver<Arc<KernelFacts>>,
    query: watch::Receiver<UnderlayQuery>,
    publish: watch::Sender<Underlay>,
    counters: Arc<ResolverCounters>,
    solicitor: Solicitor,
    routes: Routes,
    /// What the routes have been asked for: our address and the routing epoch.
    asked: Option<(IpAddr, u64)>,
}

impl Worker {
    async fn run(mut self) {
        loop {
            let started = Instant::now();
            let Ok(next) = self.pass(started).await else { return };
            tokio::time::sleep(PASS_GAP.max(started.elapsed() * REST)).await;
            tokio::select! {
                changed = self.facts.changed() => if changed.is_err() { return },
                changed = self.query.changed() => if changed.is_err() { return },
                () = wait_until(next) => {}
            }
        }
    }

    /// One pass; gives the time of the next one that is due without new facts.
    async fn pass(&mut self, now: Instant) -> Result<Option<Instant>, KernelError> {
        let facts = Arc::clone(&self.facts.borrow_and_update());
        let query = self.query.borrow_and_update().clone();
        self.ask_routes(&facts, &query).await?;
        let plan = self.solicitor.plan(&facts, &next_hops(&facts, &query, &self.routes), now);
        let new = underlay(&facts, &query, &self.routes, &self.solicitor.failed());
        self.publish.send_if_modified(|old| {
            let changed = *old != new;
            *old = new;
            changed
        });
        for (device, address) in plan.ask {
            self.counters.solicitations.fetch_add(1, Ordering::Relaxed);
            let asked = self.netlink.use_neighbour(device, address).await;
            self.tolerate(asked)?;
        }
        let unanswered = self.routes.len() < query.endpoints.len();
        Ok(plan.next.into_iter().chain(unanswered.then(|| now + RETRY_GAP)).min())
    }

    /// Asks for all routes after a change that may concern them, else for new endpoints only.
    async fn ask_routes(&mut self, facts: &KernelFacts, query: &UnderlayQuery) -> Result<(), KernelError> {
        let asked = Some((query.tunnel_address, facts.routing_epoch));
        if self.asked != asked {
            self.routes.clear();
            self.asked = asked;
        }
        self.routes.retain(|endpoint, _| query.endpoints.contains(endpoint));
        for endpoint in &query.endpoints {
            if self.routes.contains_key(endpoint) {
                continue;
            }
            self.counters.route_requests.fetch_add(1, Ordering::Relaxed);
            let answer = self.netlink.route(query.tunnel_address, *endpoint).await;
            if let Some(answer) = self.tolerate(answer)? {
                self.routes.insert(*endpoint, answer);
            }
        }
        Ok(())
    }

    /// Only the loss of the connection ends the resolver; other errors are counted and the
    /// request is made again in a later pass.
    fn tolerate<T>(&self, answer: Result<T, KernelError>) -> Result<Option<T>, KernelError> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(error @ KernelError::Closed) => Err(error),
            Err(error) => {
                self.counters.errors.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%error, "underlay");
                Ok(None)
            }
        }
    }
}

async fn wait_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
