//! One HTTP request to the daemon.

use std::time::Duration;

use serde_json::Value;
use ureq::http::StatusCode;

/// The daemon gives up on a page after 10 seconds; an answer may take longer to come over.
const DEADLINE: Duration = Duration::from_secs(30);
/// More than the longest answer, 10,000 flows, several times over.
const MOST_BYTES: u64 = 64 << 20;

/// Why the daemon gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The URL is none of a daemon.
    #[error("--url {url:?} cannot be a daemon's: write it like http://127.0.0.1:8085 or http://[::1]:8085")]
    BadUrl {
        /// As given on the command line.
        url: String,
    },
    /// Nobody answers.
    #[error(
        "no vrouter daemon answers at {base}: {reason}; start it with `vrouterd run --config FILE`, or name \
         its `http.listen` with --url"
    )]
    Silent {
        /// Who was asked.
        base: String,
        /// What the kernel or the connection says.
        reason: String,
    },
    /// There is no such page, and no daemon that says so.
    #[error("there is nothing at {url}; is it a vrouter daemon, and of the same version as vrctl?")]
    NotFound {
        /// What was asked.
        url: String,
    },
    /// The daemon does not take the filters.
    #[error("the daemon refuses the request: {detail}")]
    Refused {
        /// Its words.
        detail: String,
    },
    /// The daemon cannot answer.
    #[error("{url} answers {status}: {detail}")]
    Failed {
        /// What was asked.
        url: String,
        /// HTTP status.
        status: StatusCode,
        /// Its words, or ours.
        detail: String,
    },
    /// The answer is something else.
    #[error("the answer of {url} is no JSON ({reason}); is it a vrouter daemon?")]
    NotJson {
        /// What was asked.
        url: String,
        /// Why it cannot be read.
        reason: serde_json::Error,
    },
}

impl ClientError {
    /// Whether the operator can mend it on the command line.
    pub(crate) fn is_mistake(&self) -> bool {
        match self {
            ClientError::BadUrl { .. } | ClientError::Refused { .. } => true,
            ClientError::Silent { .. }
            | ClientError::NotFound { .. }
            | ClientError::Failed { .. }
            | ClientError::NotJson { .. } => false,
        }
    }
}

/// What the daemon says.
#[derive(Debug)]
pub(crate) struct Answer {
    /// As it came.
    pub(crate) text: String,
    /// The same, read.
    pub(crate) document: Value,
}

/// The daemon at `http://host[:port]`.
#[derive(Debug)]
pub(crate) struct Daemon {
    base: String,
}

impl Daemon {
    /// The daemon that `url` of the command line means.
    ///
    /// # Errors
    /// [`ClientError::BadUrl`]
    pub(crate) fn at(url: &str) -> Result<Self, ClientError> {
        let bad = || ClientError::BadUrl { url: url.to_owned() };
        let authority = url.strip_prefix("http://").ok_or_else(bad)?;
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let parsed: ureq::http::uri::Authority = authority.parse().map_err(|_| bad())?;
        if parsed.host().is_empty() || authority.contains('@') {
            return Err(bad());
        }
        Ok(Self { base: format!("http://{authority}") })
    }

    /// The URL of a page.
    pub(crate) fn url(&self, query: &str) -> String {
        format!("{}{query}", self.base)
    }

    /// Asks for a page.
    ///
    /// # Errors
    /// [`ClientError`], but not [`ClientError::BadUrl`].
    pub(crate) fn get(&self, query: &str) -> Result<Answer, ClientError> {
        let silent =
            |error: ureq::Error| ClientError::Silent { base: self.base.clone(), reason: words(&error) };
        let url = self.url(query);
        let mut response = agent().get(&url).call().map_err(silent)?;
        let status = response.status();
        let body = response.body_mut().with_config().limit(MOST_BYTES);
        let text = body.read_to_string().map_err(silent)?;
        if !status.is_success() {
            return Err(failure(url, status, &text));
        }
        match serde_json::from_str(&text) {
            Ok(document) => Ok(Answer { text, document }),
            Err(reason) => Err(ClientError::NotJson { url, reason }),
        }
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        // The daemon is on this machine: the proxy of the environment cannot reach it.
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(DEADLINE))
        .user_agent(concat!("vrctl/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

fn words(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "no answer within 30 seconds".to_owned(),
        ureq::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// Reads a problem document (RFC 9457); other servers answer something else.
fn failure(url: String, status: StatusCode, text: &str) -> ClientError {
    let document: Option<Value> = serde_json::from_str(text).ok();
    let detail = document.as_ref().and_then(|document| document.get("detail")).and_then(Value::as_str);
    match (status, detail) {
        (StatusCode::NOT_FOUND, None) => ClientError::NotFound { url },
        (StatusCode::BAD_REQUEST, Some(detail)) => ClientError::Refused { detail: detail.to_owned() },
        (_, Some(detail)) => ClientError::Failed { url, status, detail: detail.to_owned() },
        (_, None) => {
            let detail = "is it a vrouter daemon? --url names another one".to_owned();
            ClientError::Failed { url, status, detail }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_a_host_and_a_page() {
        let table = [
            ("http://127.0.0.1:8085", "http://127.0.0.1:8085/vifs"),
            ("http://[::1]:9000/", "http://[::1]:9000/vifs"),
            ("http://localhost", "http://localhost/vifs"),
        ];
        for (url, expected) in table {
            assert_eq!(Daemon::at(url).unwrap().url("/vifs"), expected);
        }
        for bad in
            ["", "127.0.0.1:8085", "https://localhost", "http://", "http://a/b", "http://a b", "http://u@h"]
        {
            assert!(matches!(Daemon::at(bad), Err(ClientError::BadUrl { .. })), "{bad}");
        }
    }
}
