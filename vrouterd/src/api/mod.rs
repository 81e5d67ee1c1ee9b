//! The API: state is declared and watched, over a Unix socket.
//!
//! ```text
//! connection -> socket: credentials; server: at most 256, header deadline, lifetime
//!            -> /v1/...: body limit and deadline -> command -> control loop -> answer
//!            -> everything else: the pages of the diagnostics server
//! ```
//!
//! The control loop takes one command at a time and waits for no caller; no worker waits for anything here.

mod attach;
mod body;
mod capture;
mod document;
mod event;
mod exchange;
mod flows;
mod openapi;
mod path;
mod problem;
mod query;
mod resources;
mod routes;
mod shape;
mod socket;
mod traces;
mod watch;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Method, Uri};
use tokio::sync::Semaphore;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use event::{Changed, Event, How, LinkChange, of_documents};
pub use exchange::{Command, Documents, Done, Exchange, Mistake, Mode, Refusal};
pub use socket::{Socket, SocketError};

use crate::http::{self, Access, Hosts, Limits, Options, VifSeries};
use crate::state::NodeState;
use problem::{Code, Problem};

/// Vifs that are waited for at once.
const ATTACHES: usize = 512;
/// Watchers at once.
const WATCHERS: usize = 32;
/// Flushes at once.
const FLUSHES: usize = 1;
/// Whole documents in memory at once; the next one waits for its turn.
const DOCUMENTS: usize = 1;

/// What the handlers work with.
#[derive(Clone)]
struct Api {
    exchange: Arc<Exchange>,
    state: Arc<NodeState>,
    turns: Arc<Semaphore>,
    watchers: Arc<Semaphore>,
    flushes: Arc<Semaphore>,
    documents: Arc<Semaphore>,
}

/// Bounds of the API's server: as those of the pages, but for more programs, and for calls that last.
pub fn limits() -> Limits {
    Limits { connections: 256, lifetime: Duration::from_secs(600), ..Limits::default() }
}

/// Everything that is served on the socket.
pub fn router(exchange: Arc<Exchange>, state: Arc<NodeState>) -> Router {
    let pages = Options {
        // Who may open the socket may read.
        access: Access::Open,
        vif_series: VifSeries::default(),
        // No browser gets here: names say nothing on a Unix socket.
        hosts: Hosts::Any,
        page_deadline: Duration::from_secs(10),
    };
    let pages = http::router(state.clone(), pages);
    let timings = Arc::clone(&state.timings);
    let semaphore = |places| Arc::new(Semaphore::new(places));
    let api = Api {
        exchange,
        state,
        turns: semaphore(ATTACHES),
        watchers: semaphore(WATCHERS),
        flushes: semaphore(FLUSHES),
        documents: semaphore(DOCUMENTS),
    };
    let (v1, document) = v1().with_state(api).split_for_parts();
    openapi::serve(v1, document)
        .route("/v1/{*rest}", axum::routing::any(unknown))
        .method_not_allowed_fallback(not_allowed)
        .layer(axum::middleware::from_fn_with_state(timings, http::timed))
        .fallback_service(pages)
}

/// Every path of the API with its description.
fn v1() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(openapi::head())
        .routes(routes!(document::get, document::put))
        .routes(routes!(resources::vrfs::list))
        .routes(routes!(resources::vrfs::get, resources::vrfs::put, resources::vrfs::delete))
        .routes(routes!(resources::policies::list))
        .routes(routes!(resources::policies::get, resources::policies::put, resources::policies::delete))
        .routes(routes!(resources::vifs::list))
        .routes(routes!(resources::vifs::get, resources::vifs::put, resources::vifs::delete))
        .routes(routes!(attach::attach))
        .routes(routes!(attach::detach))
        .routes(routes!(resources::services::list))
        .routes(routes!(resources::services::get, resources::services::put, resources::services::delete))
        .routes(routes!(resources::broadcasts::list))
        .routes(routes!(
            resources::broadcasts::get,
            resources::broadcasts::put,
            resources::broadcasts::delete
        ))
        .routes(routes!(routes::list))
        .routes(routes!(routes::get, routes::put, routes::delete))
        .routes(routes!(flows::flush))
        .routes(routes!(traces::arm))
        .routes(routes!(traces::read, traces::end))
        .routes(routes!(capture::capture))
        .routes(routes!(watch::watch))
}

async fn unknown(uri: Uri) -> Problem {
    Problem::new(Code::NotFound, format!("There is no {}; /v1/openapi.json lists what there is.", uri.path()))
}

async fn not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not take {method}; /v1/openapi.json lists what it takes.", uri.path());
    Problem::new(Code::MethodNotAllowed, detail)
}
