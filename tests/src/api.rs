//! Asking the daemon's API over its Unix socket, as `curl --unix-socket` would.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::Answer;

/// The longest call, an attach, may take a minute.
const PATIENCE: Duration = Duration::from_secs(70);

/// The API of one daemon.
#[derive(Clone, Debug)]
pub struct Api {
    socket: PathBuf,
}

impl Api {
    /// The API whose socket is there.
    pub fn at(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// Where it is.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// A connection, to be used as a test likes.
    ///
    /// # Errors
    /// What `connect` meets.
    pub fn connect(&self) -> io::Result<UnixStream> {
        let stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// Sends a request with some header lines and a body, and gives the answer.
    ///
    /// # Errors
    /// What the connection meets.
    pub fn send(&self, request: &str, headers: &str, body: &[u8]) -> io::Result<Answer> {
        let mut stream = self.connect()?;
        let length = body.len();
        let head =
            format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n");
        stream.write_all(format!("{head}{headers}\r\n").as_bytes())?;
        // A body that is refused is not read to its end.
        let sent = stream.write_all(body);
        let mut text = String::new();
        let read = stream.read_to_string(&mut text);
        match Answer::parse(&text) {
            Some(answer) => Ok(answer),
            None => Err(sent.and(read.map(drop)).err().unwrap_or_else(|| io::Error::other(text))),
        }
    }

    /// Sends `GET /path` or the like, with a JSON body if there is one.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn ask(&self, request: &str, body: Option<&Value>) -> Answer {
        let body = body.map_or_else(String::new, Value::to_string);
        self.send(request, "", body.as_bytes()).unwrap_or_else(|error| panic!("{request}: {error}"))
    }

    /// The same, for a request that must succeed; gives its answer's document, null when that has none.
    ///
    /// # Panics
    /// When it does not.
    pub fn ok(&self, request: &str, body: Option<&Value>) -> Value {
        let answer = self.ask(request, body);
        assert!((200..300).contains(&answer.status), "{request}: {} {}", answer.status, answer.body);
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }

    /// Begins to watch.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn watch(&self) -> Events {
        let mut stream = self.connect().expect("the API answers");
        stream.write_all(b"GET /v1/watch HTTP/1.1\r\nHost: x\r\n\r\n").expect("the API reads");
        let mut events = Events(BufReader::new(stream));
        let (name, _) = events.next();
        assert_eq!(name, "hello");
        events
    }
}

/// Server-sent events.
#[derive(Debug)]
pub struct Events(BufReader<UnixStream>);

impl Events {
    /// The name and the data of the next event.
    ///
    /// # Panics
    /// When the stream ends or nothing comes for over a minute.
    #[expect(clippy::should_implement_trait, reason = "there is no last event")]
    pub fn next(&mut self) -> (String, Value) {
        let mut name = String::new();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).expect("an event comes") > 0, "the stream has ended");
            if let Some(found) = line.strip_prefix("event: ") {
                name = found.trim_end().to_owned();
            }
            // Lines between are those of the header, and the lengths of chunks.
            if let Some(data) = line.strip_prefix("data: ") {
                return (name, serde_json::from_str(data).expect("events hold JSON"));
            }
        }
    }
}
