//! From a view to a response: read off the HTTP thread, a few at a time, with a deadline.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use tokio::sync::Semaphore;

use super::chrome::{Chrome, Tab};
use super::problem::Problem;
use super::query::{Format, Query};
use crate::view::ViewSource;

/// Pages made at the same time; the others wait. Bounds threads and memory.
const AT_ONCE: usize = 4;

/// Reads views for the pages.
#[derive(Clone)]
pub(super) struct Reader {
    source: Arc<dyn ViewSource>,
    turns: Arc<Semaphore>,
    deadline: Duration,
}

impl Reader {
    pub(super) fn new(source: Arc<dyn ViewSource>, deadline: Duration) -> Self {
        Self { source, turns: Arc::new(Semaphore::new(AT_ONCE)), deadline }
    }

    /// Runs `read` on a thread that may block, waiting until the deadline for a turn and for the
    /// result. A turn is held until it ends, even when nobody waits
    /// for it any more.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn ViewSource) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let (source, turns) = (Arc::clone(&self.source), Arc::clone(&self.turns));
        let work = async move {
            let turn = turns.acquire_owned().await.map_err(|_| Problem::internal())?;
            let task = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                read(source.as_ref())
            });
            task.await.map_err(|error| {
                tracing::error!(%error, "a diagnostics page panicked");
                Problem::internal()
            })
        };
        tokio::time::timeout(self.deadline, work).await.unwrap_or_else(|_| Err(Problem::busy()))
    }

    /// Answers with what `read` finds, as JSON or in the page that `page` makes of it.
    pub(super) async fn answer<V, P>(
        &self,
        query: Result<Query, Problem>,
        tab: Tab,
        read: impl FnOnce(&dyn ViewSource, &Query) -> Result<V, Problem> + Send + 'static,
        page: impl FnOnce(Chrome, &Query, V) -> P + Send + 'static,
    ) -> Response
    where
        V: serde::Serialize,
        P: Template,
    {
        let (query, format) = match query.and_then(|query| query.format().map(|format| (query, format))) {
            Ok(known) => known,
            Err(problem) => return problem.respond(Format::Html),
        };
        let made = self.read(move |source| {
            let chrome = Chrome::new(source, &query, tab)?;
            let view = read(source, &query)?;
            Ok(match format {
                Format::Html => html(&page(chrome, &query, view)),
                Format::Json => json(&view),
            })
        });
        match made.await {
            Ok(Ok(response)) => response,
            Ok(Err(problem)) | Err(problem) => problem.respond(format),
        }
    }
}

/// A page.
pub(super) fn html(page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!(%error, "a diagnostics page could not be written");
            axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A view for programs, indented so that a person can read it too.
pub(super) fn json(view: &impl serde::Serialize) -> Response {
    match serde_json::to_vec_pretty(view) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "a view could not be written as JSON");
            axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
