//! The diagnostics server: read-only pages for people, the same as JSON for programs, metrics and
//! probes.
//!
//! ```text
//! connection -> server: at most 64, header deadline, lifetime
//!            -> guard:  GET and HEAD only, no body, short URL, known Host; security headers
//!            -> token:  where one is configured, for all but the probes
//!            -> pages:  read a view off the HTTP thread, write it as HTML or JSON
//! ```
//!
//! Nothing here changes state, and no worker waits for it.

mod chart;
mod chrome;
mod filter;
mod find;
mod guard;
mod html;
mod metrics;
mod pages;
mod probes;
mod problem;
mod query;
mod render;
mod server;
mod text;
mod timed;
mod token;
mod trace;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::routing::get;

pub(crate) use filter::{FLOW_FILTERS, flow_filter};
pub use guard::Hosts;
pub(crate) use problem::Problem;
pub(crate) use query::Query;
pub use server::{Limits, serve};
pub(crate) use timed::timed;
pub use token::{Access, Token, TokenError};

use crate::view::ViewSource;
use render::Reader;

/// What an operator may choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether `/metrics` has series per vif.
    pub vif_series: VifSeries,
    /// Who sees more than the probes.
    pub access: Access,
    /// Which `Host` headers are answered.
    pub hosts: Hosts,
    /// Longest wait for a page, after which the answer is 503.
    pub page_deadline: Duration,
}

impl Options {
    /// For a server that listens on `address`: no token, no series per vif, pages within 10 seconds.
    pub fn for_listener(address: SocketAddr) -> Self {
        Self {
            vif_series: VifSeries::default(),
            access: Access::Open,
            hosts: Hosts::for_listener(address),
            page_deadline: Duration::from_secs(10),
        }
    }
}

/// Whether `/metrics` has series per vif: as many as there are pods, so off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VifSeries {
    /// Sums only.
    #[default]
    Hidden,
    /// Packets, bytes and drops of each vif.
    Shown,
}

/// Everything the daemon shows over HTTP, reading from `source`.
pub fn router(source: Arc<dyn ViewSource>, options: Options) -> Router {
    let timings = source.timings();
    let reader = Reader::new(Arc::clone(&source), options.page_deadline);
    Router::new()
        .merge(pages::routes().merge(find::routes()).with_state(reader.clone()))
        .merge(trace::routes().with_state(reader.clone()))
        .merge(metrics::routes(reader, options.vif_series))
        .route(
            "/style.css",
            get(|| file("text/css; charset=utf-8", include_str!("../../templates/style.css"))),
        )
        .route("/icon.svg", get(|| file("image/svg+xml", include_str!("../../templates/icon.svg"))))
        .fallback(pages::unknown)
        .layer(axum::middleware::from_fn_with_state(options.access, token::admit))
        .merge(probes::routes(source))
        .layer(axum::middleware::from_fn_with_state(options.hosts, guard::guard))
        .layer(axum::middleware::from_fn_with_state(timings, timed))
}

async fn file(
    content_type: &'static str,
    text: &'static str,
) -> ([(header::HeaderName, HeaderValue); 1], &'static str) {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))], text)
}
