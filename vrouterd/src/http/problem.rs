//! Answers to requests that cannot be served.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::chrome::Chrome;
use super::html::ProblemPage;
use super::query::Format;

/// Why a request cannot be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
}

/// The JSON form (RFC 9457).
#[derive(serde::Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
}

impl Problem {
    /// 400: the request contradicts itself or names unknown things.
    pub(super) fn bad_request(detail: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, detail }
    }

    /// 404: nothing of that name.
    pub(super) fn not_found(detail: String) -> Self {
        Self { status: StatusCode::NOT_FOUND, detail }
    }

    /// 503: did not get ready in time.
    pub(super) fn busy() -> Self {
        let detail = "The node is busy and the page did not get ready in time; try again.".to_owned();
        Self { status: StatusCode::SERVICE_UNAVAILABLE, detail }
    }

    /// 500: a defect of the daemon, described in its log.
    pub(super) fn internal() -> Self {
        let detail = "The page could not be made; the daemon's log says why.".to_owned();
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, detail }
    }

    /// What is wrong, for people.
    pub(crate) fn detail(self) -> String {
        self.detail
    }

    /// The answer in the format that was asked for.
    pub(super) fn respond(self, format: Format) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        match format {
            Format::Html => {
                let page = ProblemPage { chrome: Chrome::bare(title), detail: &self.detail };
                (self.status, super::render::html(&page)).into_response()
            }
            Format::Json => {
                let (status, detail) = (self.status.as_u16(), self.detail.as_str());
                let document = Document { r#type: "about:blank", title, status, detail };
                let kind = [(header::CONTENT_TYPE, "application/problem+json")];
                (self.status, kind, super::render::json(&document)).into_response()
            }
        }
    }
}
