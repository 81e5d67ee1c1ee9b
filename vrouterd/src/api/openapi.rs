//! The OpenAPI document: made from the same handlers that are served.

use axum::http::header;
use axum::routing::get;
use axum::{Json, Router};
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;

/// What stands above the paths.
#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "vrouterd",
    description = "State that programs declare for one node's vrouter. Everything that the pages show is served on the \
        same socket, as JSON with `?format=json`."
))]
struct Head;

/// A document without paths.
pub(super) fn head() -> OpenApi {
    Head::openapi()
}

/// Serves the document beside what it describes.
pub(super) fn serve(v1: Router, document: OpenApi) -> Router {
    v1.route(
        "/v1/openapi.json",
        get(|| async move { ([(header::CACHE_CONTROL, "no-store")], Json(document)) }),
    )
}
