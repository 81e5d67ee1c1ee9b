//! How long each answer takes, by class of request.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{Method, Uri};
use axum::middleware::Next;
use axum::response::Response;

use crate::timing::{RequestClass, Timings};

/// Notes how long the answer took, refusals included.
pub(crate) async fn timed(State(timings): State<Arc<Timings>>, request: Request, next: Next) -> Response {
    let (class, started) = (class(request.method(), request.uri()), Instant::now());
    let response = next.run(request).await;
    timings.requests(class).note(started.elapsed());
    response
}

fn class(method: &Method, uri: &Uri) -> RequestClass {
    let json = || uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "format=json"));
    match uri.path() {
        path if path.starts_with("/v1/") => of_api(method, path),
        "/metrics" => RequestClass::Metrics,
        "/healthz" | "/readyz" => RequestClass::Probe,
        "/style.css" | "/icon.svg" => RequestClass::File,
        _ if json() => RequestClass::Json,
        _ => RequestClass::Page,
    }
}

fn of_api(method: &Method, path: &str) -> RequestClass {
    match *method {
        Method::GET | Method::HEAD => RequestClass::ApiRead,
        _ if path.ends_with("/attach") => RequestClass::ApiAttach,
        _ => RequestClass::ApiChange,
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
            ("/v1/vrfs", RequestClass::ApiRead),
        ];
        for (uri, expected) in table {
            assert_eq!(class(&Method::GET, &uri.parse().unwrap()), expected, "{uri}");
        }
        let of = |method, path: &'static str| class(&method, &path.parse().unwrap());
        assert_eq!(of(Method::PUT, "/v1/vrfs/blue"), RequestClass::ApiChange);
        assert_eq!(of(Method::POST, "/v1/vifs/web/attach"), RequestClass::ApiAttach);
    }
}
