//! Why the daemon gave no answer, in words for the operator.

use serde_json::Value;
use ureq::http::StatusCode;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The URL is none of a daemon.
    #[error("--url {url:?} cannot be a daemon's: write it like http://127.0.0.1:8085 or http://[::1]:8085")]
    BadUrl {
        /// As given on the command line.
        url: String,
    },
    /// Over TCP the daemon only shows what it does.
    #[error(
        "{base} only shows what the daemon does: what is asked for is read and changed over its socket; leave \
         --url away, or name the daemon's `api.socket` with --socket"
    )]
    NeedsSocket {
        /// Who would be asked.
        base: String,
    },
    /// Nobody answers.
    #[error("no vrouter daemon answers at {base}: {reason}; {remedy}")]
    Silent {
        /// Who was asked.
        base: String,
        /// What the kernel or the connection says.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// There is no such page, and no daemon that says so.
    #[error("there is nothing at {page}; is it a vrouter daemon, and of the same version as vrctl?")]
    NotFound {
        /// What was asked.
        page: String,
    },
    /// The daemon does not do what it is asked for.
    #[error("the daemon refuses the request: {0}")]
    Refused(Problem),
    /// The daemon cannot answer.
    #[error("{page} answers {status}: {problem}")]
    Failed {
        /// What was asked.
        page: String,
        /// HTTP status.
        status: StatusCode,
        /// Its words, or ours.
        problem: Problem,
    },
    /// The answer is something else.
    #[error("the answer of {page} is no JSON ({reason}); is it a vrouter daemon?")]
    NotJson {
        /// What was asked.
        page: String,
        /// Why it cannot be read.
        reason: serde_json::Error,
    },
}

/// A problem document (RFC 9457) as the daemon writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    detail: String,
    faults: Vec<Fault>,
}

/// One mistake of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    field: String,
    detail: String,
    remedy: String,
}

impl ClientError {
    /// Whether the operator can mend it on the command line.
    pub(crate) fn is_mistake(&self) -> bool {
        match self {
            ClientError::BadUrl { .. } | ClientError::NeedsSocket { .. } | ClientError::Refused(_) => true,
            ClientError::Silent { .. }
            | ClientError::NotFound { .. }
            | ClientError::Failed { .. }
            | ClientError::NotJson { .. } => false,
        }
    }

    /// Nobody at a Unix socket.
    pub(super) fn no_socket(path: &std::path::Path, reason: &std::io::Error) -> Self {
        let remedy = match reason.kind() {
            std::io::ErrorKind::PermissionDenied => {
                "run vrctl as root, as the daemon's own user, or as one of `api.allow_uids`"
            }
            _ => {
                "start it with `vrouterd run --config FILE`, or name its `api.socket` with --socket, or its \
                 `http.listen` with --url"
            }
        };
        Self::Silent { base: path.display().to_string(), reason: reason.to_string(), remedy }
    }

    /// Reads an answer that is no success.
    pub(super) fn of_answer(page: String, status: StatusCode, text: &str) -> Self {
        match (status, Problem::read(text)) {
            (StatusCode::NOT_FOUND, None) => ClientError::NotFound { page },
            (
                StatusCode::BAD_REQUEST
                | StatusCode::CONFLICT
                | StatusCode::PRECONDITION_FAILED
                | StatusCode::PAYLOAD_TOO_LARGE
                | StatusCode::UNPROCESSABLE_ENTITY,
                Some(problem),
            ) => ClientError::Refused(problem),
            (_, Some(problem)) => ClientError::Failed { page, status, problem },
            (_, None) => {
                let detail = "is it a vrouter daemon? --socket and --url name another one".to_owned();
                ClientError::Failed { page, status, problem: Problem { detail, faults: vec![] } }
            }
        }
    }
}

impl Problem {
    fn read(text: &str) -> Option<Self> {
        let document: Value = serde_json::from_str(text).ok()?;
        let word = |of: &Value, key: &str| of.get(key).and_then(Value::as_str).map(str::to_owned);
        let fault = |fault: &Value| {
            Some(Fault {
                field: word(fault, "field")?,
                detail: word(fault, "detail")?,
                remedy: word(fault, "remedy")?,
            })
        };
        let faults = document.get("errors").and_then(Value::as_array);
        let faults = faults.into_iter().flatten().filter_map(fault).collect();
        Some(Self { detail: word(&document, "detail")?, faults })
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)?;
        for Fault { field, detail, remedy } in &self.faults {
            write!(f, "\n  {field}: {detail}\n    {remedy}")?;
        }
        Ok(())
    }
}
