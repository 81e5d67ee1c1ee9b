//! How long each answer takes, by class of request.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::Uri;
use axum::middleware::Next;
use axum::response::Response;

use crate::timing::{RequestClass, Timings};

/// Notes how long the answer took, refusals included.
pub(super) async fn timed(State(timings): State<Arc<Timings>>, request: Request, next: Next) -> Response {
    let (class, started) = (class(request.uri()), Instant::now());
    let response = next.run(request).await;
    timings.requests(class).note(started.elapsed());
    response
}

fn class(uri: &Uri) -> RequestClass {
    let json = || uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "format=json"));
    match uri.path() {
        "/metrics" => RequestClass::Metrics,
        "/healthz" | "/readyz" => RequestClass::Probe,
        "/style.css" | "/icon.svg" => RequestClass::File,
        _ if json() => RequestClass::Json,
        _ => RequestClass::Page,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_classed_by_path_and_format() {
        let table = [
            ("/", RequestClass::Page),
            ("/flows?vif=format=json", RequestClass::Page),
            ("/flows?limit=1&format=json", RequestClass::Json),
            ("/metrics", RequestClass::Metrics),
            ("/readyz", RequestClass::Probe),
            ("/icon.svg", RequestClass::File),
        ];
        for (uri, expected) in table {
            assert_eq!(class(&uri.parse().unwrap()), expected, "{uri}");
        }
    }
}
