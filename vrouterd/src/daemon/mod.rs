//! The daemon: start, the control loop, and an end that leaves nothing behind.
//!
//! The loop waits for one of: new facts from the kernel, a new underlay, a signal, a command of the API, a tick. Each
//! is folded into the desired state, which is compiled and published as a whole.

mod control;
mod declare;
mod error;
mod facts;
mod follow;
mod handover;
mod ports;
mod prepare;
mod quarantine;
mod reload;
mod sources;
mod start;
mod upkeep;

use std::path::Path;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::Receiver;

use crate::api::{self, Command};
use crate::config::{self, Config, Problems, check_against};
use crate::http;
use crate::kernel::Netlink;
use crate::preflight;
use control::Control;
use handover::{Doorbell, Successor, take_lock};
use prepare::prepare;
use sources::OperatorFile;

pub use error::DaemonError;
pub use facts::host_facts;
pub use handover::Beginning;

/// Time between two calls of the flow table's sweep.
const SWEEP: Duration = Duration::from_millis(100);
/// Time between two looks at counters, dropped packets and retired snapshots.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// Runs the daemon until it is told to stop.
///
/// # Errors
/// [`DaemonError`]; everything that was made by then has been taken back.
pub fn run(path: &Path, beginning: Beginning) -> Result<(), DaemonError> {
    let (file, config) = OperatorFile::read(path.to_owned())?;
    preflight::check_capabilities()?;
    runtime()?.block_on(serve(file, config, beginning))
}

/// Compares a configuration with this machine.
///
/// # Errors
/// [`DaemonError::Machine`] with every mistake, or what stood in the way of asking the kernel.
pub fn check_machine(config: &Config) -> Result<(), DaemonError> {
    page_options(&config.http)?;
    runtime()?.block_on(async { check_machine_by(&Netlink::connect()?, config).await })
}

async fn check_machine_by(netlink: &Netlink, config: &Config) -> Result<(), DaemonError> {
    let (facts, gateways) = (netlink.facts().await?, netlink.gateways().await?);
    match check_against(config, &host_facts(&facts, &gateways)) {
        problems if problems.is_empty() => Ok(()),
        problems => Err(Problems(problems).into()),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, DaemonError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(DaemonError::Runtime)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
}

impl Signals {
    fn listen() -> Result<Self, DaemonError> {
        let listen = |kind| signal(kind).map_err(DaemonError::Runtime);
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            reload: listen(SignalKind::hangup())?,
        })
    }
}

/// Where the daemon is asked.
struct Listeners {
    pages: TcpListener,
    api: api::Socket,
}

impl Listeners {
    async fn bind(config: &Config) -> Result<Self, DaemonError> {
        let address = config.http.listen;
        let pages = TcpListener::bind(address).await;
        let pages = pages.map_err(|source| DaemonError::Listen { address, source })?;
        Ok(Self { pages, api: api::Socket::bind(&config.api)? })
    }
}

async fn serve(file: OperatorFile, config: Config, beginning: Beginning) -> Result<(), DaemonError> {
    let options = page_options(&config.http)?;
    let signals = Signals::listen()?;
    // What the daemon that is replaced listens on is free when it has gone.
    let early = match beginning {
        Beginning::Alone => Some(Listeners::bind(&config).await?),
        Beginning::Replacing => None,
    };
    let prepared = prepare(&config, beginning).await?;
    let lock = take_lock(beginning).await?;
    let mut bell = Doorbell::hang(&lock)?;
    let Listeners { pages: listener, api: socket } = match early {
        Some(listeners) => listeners,
        None => Listeners::bind(&config).await?,
    };

    let (mut control, mut commands) = start::start(file, config, prepared, lock).await?;
    // Vifs whose interfaces are there are attached before anybody is told that we are ready.
    if let Err(error) = control.open().await {
        control.stop().await;
        return Err(error);
    }
    let pages = http::router(control.state(), options);
    let (stop_pages, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = stopped.shared();
    let until = || stopped.clone().map(drop);
    let server = tokio::spawn(http::serve(listener, pages, http::Limits::default(), until()));
    let api = api::router(control.exchange(), control.state());
    let api = tokio::spawn(http::serve(socket, api, api::limits(), until()));
    tracing::info!("ready");
    notify(&[sd_notify::NotifyState::Ready]);

    let outcome = work(&mut control, &mut commands, signals, &mut bell).await;
    notify(&[sd_notify::NotifyState::Stopping]);
    drop((stop_pages, commands));
    if let Ok(Some(successor)) = outcome {
        // Nobody is waited for: the node forwards nothing until the successor does.
        [&server, &api].into_iter().for_each(tokio::task::JoinHandle::abort);
        drop(tokio::join!(server, api, bell.take_down()));
        control.hand_over();
        successor.go_ahead().await;
        tracing::info!("handed over");
        return Ok(());
    }
    control.stop().await;
    drop(tokio::join!(server, api));
    tracing::info!("stopped");
    outcome.map(drop)
}

/// The control loop; ends when the daemon is to stop, or to give way to a successor.
async fn work(
    control: &mut Control,
    commands: &mut Receiver<Command>,
    mut signals: Signals,
    bell: &mut Doorbell,
) -> Result<Option<Successor>, DaemonError> {
    let mut sweep = tokio::time::interval(SWEEP);
    let mut housekeeping = tokio::time::interval(HOUSEKEEPING);
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return Ok(None),
            _ = signals.interrupt.recv() => return Ok(None),
            _ = signals.reload.recv() => control.reload().await,
            successor = bell.rung() => return Ok(Some(successor)),
            changed = control.kernel_changed() => {
                changed?;
                control.follow().await?;
            }
            Some(command) = commands.recv() => control.obey(command).await?,
            _ = sweep.tick() => control.sweep(),
            due = housekeeping.tick() => {
                control.state().timings.control_lag.note(due.elapsed());
                // The service manager ends a daemon whose loop no longer turns (WatchdogSec= of the unit).
                notify(&[sd_notify::NotifyState::Watchdog]);
                control.housekeeping().await?;
            },
        }
    }
}

fn page_options(config: &config::Http) -> Result<http::Options, http::TokenError> {
    let access = match &config.token_file {
        Some(path) => http::Access::Token(http::Token::read(path)?),
        None => http::Access::Open,
    };
    let listener = http::Options::for_listener(config.listen);
    Ok(http::Options { access, vif_series: config.vif_metrics, ..listener })
}

/// Tells the service manager, where there is one.
fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "service manager not told");
    }
}
