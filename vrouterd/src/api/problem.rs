//! Answers to requests that are not served (RFC 9457).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa::ToSchema;

use super::exchange::{Mistake, Refusal};
use crate::declared::{ChangeError, Refused};

/// A problem document (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, ToSchema)]
pub(super) struct Problem {
    /// Always `about:blank`: the status says what kind of problem it is.
    pub(super) r#type: &'static str,
    /// The status in words.
    pub(super) title: String,
    /// HTTP status.
    pub(super) status: u16,
    /// One word for programs.
    pub(super) code: Code,
    /// What is wrong, for people.
    pub(super) detail: String,
    /// Every mistake with its place and remedy.
    pub(super) errors: Vec<Fault>,
}

/// What kind of problem it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Code {
    /// The request cannot be read: a query key, JSON, the path.
    BadRequest,
    /// The caller's user may not use the API.
    Forbidden,
    /// There is nothing of that name or path.
    NotFound,
    /// The path does not take this method.
    MethodNotAllowed,
    /// The body did not arrive in time.
    TooSlow,
    /// The body is too large.
    TooLarge,
    /// The resource is in the operator's file, and changed there.
    InFile,
    /// The resource is declared already, and differently.
    Different,
    /// Something else refers to the resource.
    InUse,
    /// The revision is not the one that was asked for.
    Stale,
    /// What is declared has mistakes.
    Mistakes,
    /// The deadline passed before the vif was up.
    Deadline,
    /// Somebody else has taken the vif away.
    Withdrawn,
    /// The change cannot be kept on disk.
    Disk,
    /// The daemon is busy or ending.
    Busy,
    /// A defect of the daemon, described in its log.
    Internal,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, ToSchema)]
pub(super) struct Fault {
    /// Where: a path of the API such as `vifs/client/label`, of the body, or of the file.
    pub(super) field: String,
    /// What is wrong.
    pub(super) detail: String,
    /// What to do.
    pub(super) remedy: String,
}

impl Problem {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        let status = code.status();
        Self {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            errors: Vec::new(),
        }
    }

    fn with(mut self, errors: Vec<Fault>) -> Self {
        self.errors = errors;
        self
    }

    /// A body that is no resource.
    pub(super) fn refused(refused: Vec<Refused>) -> Self {
        let fault = |Refused { field, detail, remedy }| Fault { field, detail, remedy };
        let problem = Self::new(Code::Mistakes, "The body is not what this path takes.");
        problem.with(refused.into_iter().map(fault).collect())
    }

    /// A change that takes something away, which others still refer to.
    pub(super) fn of_removal(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Mistakes(mistakes) => {
                let detail = "Others refer to it: change those first, or all at once with PUT /v1/config.";
                Self::new(Code::InUse, detail).with(faults(mistakes))
            }
            other => Self::from(other),
        }
    }
}

impl Code {
    fn status(self) -> StatusCode {
        match self {
            Code::BadRequest => StatusCode::BAD_REQUEST,
            Code::Forbidden => StatusCode::FORBIDDEN,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Code::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Code::InFile | Code::Different | Code::InUse | Code::Withdrawn => StatusCode::CONFLICT,
            Code::Stale => StatusCode::PRECONDITION_FAILED,
            Code::Mistakes => StatusCode::UNPROCESSABLE_ENTITY,
            Code::Deadline => StatusCode::GATEWAY_TIMEOUT,
            Code::Disk => StatusCode::INSUFFICIENT_STORAGE,
            Code::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

fn faults(mistakes: Vec<Mistake>) -> Vec<Fault> {
    let fault = |Mistake { field, detail, remedy }| Fault { field, detail, remedy };
    mistakes.into_iter().map(fault).collect()
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Change(error @ ChangeError::Absent(_)) => Self::new(Code::NotFound, format!("{error}.")),
            Refusal::Change(error @ ChangeError::Different(_)) => {
                Self::new(Code::Different, format!("{error}: take it away first, or replace it with PUT."))
            }
            Refusal::Change(error @ ChangeError::Stale { .. }) => Self::new(
                Code::Stale,
                format!("{error}: read it again, and make the change to what it is now."),
            ),
            Refusal::InFile(resources) => {
                let detail = "The operator's file has it: what is in the file is changed there, by reloading it (SIGHUP).";
                let fault = |(key, place): (crate::declared::Key, String)| Fault {
                    field: key.to_string(),
                    detail: format!("{key} is in {place}"),
                    remedy: "change it there".to_owned(),
                };
                Self::new(Code::InFile, detail).with(resources.into_iter().map(fault).collect())
            }
            Refusal::Mistakes(mistakes) => {
                let detail = "What would be declared has mistakes; nothing has changed.";
                Self::new(Code::Mistakes, detail).with(faults(mistakes))
            }
            Refusal::Disk(detail) => Self::new(Code::Disk, format!("{detail}; nothing has changed.")),
            Refusal::Busy => Self::new(
                Code::Busy,
                "The control loop has not answered in time; ask again: the change may have been made.",
            ),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // What is left of a body that nobody reads would be taken for the next request.
        let ends = matches!(self.code, Code::TooLarge | Code::TooSlow);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if ends {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
