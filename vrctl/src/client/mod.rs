//! HTTP requests to the daemon.
//!
//! ```text
//! Request -> Daemon -> ureq -> TCP, or the Unix socket (socket.rs) -> Answer, or ClientError
//! ```

mod error;
mod place;
mod socket;

pub(crate) use error::ClientError;
pub(crate) use place::Place;

use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use ureq::http::{self, Method, StatusCode, header};

/// The daemon gives up on a page after 10 seconds and on a change after 30; an answer may take longer to come
/// over.
const DEADLINE: Duration = Duration::from_secs(40);
/// More than the longest answer, 10,000 flows, several times over.
const MOST_BYTES: u64 = 64 << 20;

/// What is asked of the daemon.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: Method,
    query: String,
    body: Option<Value>,
    /// Revision of the document that a change was made from.
    if_match: Option<String>,
    patience: Duration,
}

impl Request {
    /// Reads the page at a path with its query.
    pub(crate) fn get(query: impl Into<String>) -> Self {
        Self::new(Method::GET, query.into())
    }

    /// Deletes what a path and its query name.
    pub(crate) fn delete(query: impl Into<String>) -> Self {
        Self::new(Method::DELETE, query.into())
    }

    /// Sends a document to replace another.
    pub(crate) fn put(query: impl Into<String>, body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Method::PUT, query.into()) }
    }

    /// Asks for an act.
    pub(crate) fn post(query: impl Into<String>, body: Option<Value>) -> Self {
        Self { body, ..Self::new(Method::POST, query.into()) }
    }

    /// Only if the document is still of this revision, when one is given.
    pub(crate) fn if_match(self, revision: Option<&str>) -> Self {
        Self { if_match: revision.map(|revision| format!("\"{revision}\"")), ..self }
    }

    /// Waits longer than usual.
    pub(crate) fn patient(self, more: Duration) -> Self {
        Self { patience: self.patience + more, ..self }
    }

    fn new(method: Method, query: String) -> Self {
        Self { method, query, body: None, if_match: None, patience: DEADLINE }
    }
}

/// What the daemon says.
#[derive(Debug)]
pub(crate) struct Answer {
    /// As it came; empty when there is nothing to say.
    pub(crate) text: String,
    /// The same, read; null when there is nothing to say.
    pub(crate) document: Value,
    /// Revision of the document, if it has one.
    pub(crate) revision: Option<String>,
}

/// A daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    place: Place,
    agent: ureq::Agent,
}

impl Daemon {
    /// The daemon at `place`; nothing is sent yet.
    pub(crate) fn at(place: Place) -> Self {
        let config = ureq::Agent::config_builder()
            // The daemon is on this machine: the proxy of the environment cannot reach it.
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .user_agent(concat!("vrctl/", env!("CARGO_PKG_VERSION")))
            .build();
        let agent = match &place {
            Place::Tcp(_) => config.into(),
            Place::Socket(path) => {
                let connector = socket::SocketConnector(Arc::new(path.clone()));
                ureq::Agent::with_parts(config, connector, socket::NoNames)
            }
        };
        Self { place, agent }
    }

    /// The page as an error names it.
    pub(crate) fn page(&self, query: &str) -> String {
        self.place.page(query)
    }

    /// Reads a page.
    ///
    /// # Errors
    /// [`ClientError`]
    pub(crate) fn get(&self, query: &str) -> Result<Answer, ClientError> {
        self.ask(&Request::get(query))
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// [`ClientError`]
    pub(crate) fn ask(&self, request: &Request) -> Result<Answer, ClientError> {
        let page = self.place.page(&request.query);
        let mut response = self.send(request, Some(request.patience))?;
        let status = response.status();
        let tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok());
        let revision = tag.map(|tag| tag.trim_matches('"').to_owned());
        let body = response.body_mut().with_config().limit(MOST_BYTES);
        let text = body.read_to_string().map_err(|error| self.silent(error))?;
        if !status.is_success() {
            return Err(ClientError::of_answer(page, status, &text));
        }
        if status == StatusCode::NO_CONTENT {
            return Ok(Answer { text, document: Value::Null, revision });
        }
        match serde_json::from_str(&text) {
            Ok(document) => Ok(Answer { text, document, revision }),
            Err(reason) => Err(ClientError::NotJson { page, reason }),
        }
    }

    /// Reads a page that comes a line at a time, for as long as the daemon likes.
    ///
    /// # Errors
    /// [`ClientError`]
    pub(crate) fn stream(&self, query: &str) -> Result<impl BufRead + use<>, ClientError> {
        let mut response = self.send(&Request::get(query), None)?;
        let status = response.status();
        if !status.is_success() {
            let body = response.body_mut().with_config().limit(MOST_BYTES);
            let text = body.read_to_string().map_err(|error| self.silent(error))?;
            return Err(ClientError::of_answer(self.place.page(query), status, &text));
        }
        Ok(BufReader::new(response.into_body().into_reader()))
    }

    fn send(
        &self,
        request: &Request,
        patience: Option<Duration>,
    ) -> Result<http::Response<ureq::Body>, ClientError> {
        let base = match &self.place {
            Place::Tcp(base) if request.query.starts_with("/v1/") => {
                return Err(ClientError::NeedsSocket { base: base.clone() });
            }
            Place::Tcp(base) => base,
            // Who is asked is the socket: the name says nothing.
            Place::Socket(_) => "http://localhost",
        };
        let mut head =
            http::Request::builder().method(&request.method).uri(format!("{base}{}", request.query));
        if let Some(revision) = &request.if_match {
            head = head.header(header::IF_MATCH, revision);
        }
        let sent = match &request.body {
            Some(body) => {
                let head = head.header(header::CONTENT_TYPE, "application/json");
                head.body(body.to_string()).map_err(ureq::Error::from).and_then(|r| self.run(r, patience))
            }
            None => head.body(()).map_err(ureq::Error::from).and_then(|r| self.run(r, patience)),
        };
        sent.map_err(|error| self.silent(error))
    }

    fn run<B: ureq::AsSendBody>(
        &self,
        request: http::Request<B>,
        patience: Option<Duration>,
    ) -> Result<http::Response<ureq::Body>, ureq::Error> {
        let config = self.agent.configure_request(request).timeout_global(patience);
        self.agent.run(config.timeout_recv_response(Some(DEADLINE.max(patience.unwrap_or_default()))).build())
    }

    fn silent(&self, error: ureq::Error) -> ClientError {
        match (&self.place, error) {
            (Place::Socket(path), ureq::Error::Io(error)) => ClientError::no_socket(path, &error),
            (place, error) => ClientError::Silent {
                base: match place {
                    Place::Socket(path) => path.display().to_string(),
                    Place::Tcp(base) => base.clone(),
                },
                reason: words(&error),
                remedy: "start it with `vrouterd run --config FILE`, or name its `http.listen` with --url",
            },
        }
    }
}

fn words(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        ureq::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}
