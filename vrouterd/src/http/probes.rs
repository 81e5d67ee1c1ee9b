//! `/healthz` and `/readyz`: 200 or 503 with the reason.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;

use crate::view::{State, ViewSource};

/// The probes. They do not wait for a turn, so busy pages cannot make a node look dead.
pub(super) fn routes(source: Arc<dyn ViewSource>) -> Router {
    let live = Arc::clone(&source);
    Router::new()
        .route("/healthz", get(move || async move { answer(live.health().live) }))
        .route("/readyz", get(move || async move { answer(source.health().ready) }))
}

fn answer(state: State) -> (StatusCode, String) {
    match state {
        State::Up => (StatusCode::OK, "ok\n".to_owned()),
        State::Down { reason } => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}
