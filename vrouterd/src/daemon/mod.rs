//! The daemon: start, the control loop, and an end that leaves nothing behind.
//!
//! The loop waits for one of: new facts from the kernel, a new underlay, a signal, a command of the API, a tick. Each
//! is folded into the desired state, which is compiled and published as a whole.

mod control;
mod declare;
mod error;
mod facts;
mod ports;
mod quarantine;
mod sources;
mod start;

use std::path::Path;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::api;
use crate::config::{self, Config, Problems, check_against};
use crate::http;
use crate::kernel::Netlink;
use crate::preflight;
use sources::OperatorFile;

pub use error::DaemonError;
pub use facts::host_facts;

/// Time between two calls of the flow table's sweep.
const SWEEP: Duration = Duration::from_millis(100);
/// Time between two looks at counters, dropped packets and retired snapshots.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// Runs the daemon until it is told to stop.
///
/// # Errors
/// [`DaemonError`]; everything that was made by then has been taken back.
pub fn run(path: &Path) -> Result<(), DaemonError> {
    let (file, config) = OperatorFile::read(path.to_owned())?;
    preflight::check_capabilities()?;
    runtime()?.block_on(serve(file, config))
}

/// Compares a configuration with this machine.
///
/// # Errors
/// [`DaemonError::Machine`] with every mistake, or what stood in the way of asking the kernel.
pub fn check_machine(config: &Config) -> Result<(), DaemonError> {
    page_options(&config.http)?;
    let ask = async {
        let netlink = Netlink::connect()?;
        let (facts, gateways) = (netlink.facts().await?, netlink.gateways().await?);
        match check_against(config, &host_facts(&facts, &gateways)) {
            problems if problems.is_empty() => Ok(()),
            problems => Err(Problems(problems).into()),
        }
    };
    runtime()?.block_on(ask)
}

fn runtime() -> Result<tokio::runtime::Runtime, DaemonError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(DaemonError::Runtime)
}

async fn serve(file: OperatorFile, config: Config) -> Result<(), DaemonError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(DaemonError::Runtime)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(DaemonError::Runtime)?;
    let mut reload = signal(SignalKind::hangup()).map_err(DaemonError::Runtime)?;
    let (address, options) = (config.http.listen, page_options(&config.http)?);
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .map_err(|source| DaemonError::Listen { address, source })?;

    let socket = api::Socket::bind(&config.api)?;

    let (mut control, mut commands) = start::start(file, config).await?;
    // Vifs whose interfaces are there are attached before anybody is told that we are ready.
    if let Err(error) = control.follow().await {
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

    let mut sweep = tokio::time::interval(SWEEP);
    let mut housekeeping = tokio::time::interval(HOUSEKEEPING);
    let outcome = loop {
        tokio::select! {
            _ = terminate.recv() => break Ok(()),
            _ = interrupt.recv() => break Ok(()),
            _ = reload.recv() => control.reload().await,
            changed = control.kernel_changed() => match changed {
                Ok(()) => if let Err(error) = control.follow().await { break Err(error) },
                Err(error) => break Err(error),
            },
            Some(command) = commands.recv() => if let Err(error) = control.obey(command).await { break Err(error) },
            _ = sweep.tick() => control.sweep(),
            due = housekeeping.tick() => {
                control.state().timings.control_lag.note(due.elapsed());
                // The service manager ends a daemon whose loop no longer turns (WatchdogSec= of the unit).
                notify(&[sd_notify::NotifyState::Watchdog]);
                if let Err(error) = control.housekeeping().await { break Err(error) }
            },
        }
    };
    notify(&[sd_notify::NotifyState::Stopping]);
    drop((stop_pages, commands));
    control.stop().await;
    drop(tokio::join!(server, api));
    tracing::info!("stopped");
    outcome
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
