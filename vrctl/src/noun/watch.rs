//! `vrctl watch`: what changes, as it changes.

use std::io::BufRead;

use serde_json::{Value, json};

use crate::failure::Failure;
use crate::session::{Form, Session};
use crate::show;
use crate::value::{Mismatch, at, cell, list, state};

/// How long.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Ends after so many generations.
    #[arg(long, value_name = "N")]
    count: Option<u32>,
}

const PATH: &str = "/v1/watch";

/// A server-sent event.
#[derive(Debug, PartialEq, Eq)]
struct Event {
    name: String,
    data: Value,
}

impl Args {
    /// Tells of every event. The daemon ends a stream after ten minutes: then it is asked again.
    ///
    /// # Errors
    /// [`Failure`]
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let mut left = self.count;
        loop {
            let mut lines = session.daemon.stream(PATH)?;
            while let Some(event) = next(&mut lines)? {
                if left == Some(0) {
                    return Ok(());
                }
                tell(session, &event)?;
                if event.name == "change" {
                    left = left.map(|left| left.saturating_sub(1));
                }
                if left == Some(0) {
                    return Ok(());
                }
            }
        }
    }
}

fn tell(session: &Session, event: &Event) -> Result<(), Failure> {
    match session.form {
        Form::Json => session.say(&format!("{}\n", json!({ "event": event.name, "data": event.data }))),
        Form::Yaml => {
            session.say("---\n")?;
            session
                .answer_with(PATH, json!({ "event": event.name, "data": event.data }), |_| Ok(String::new()))
        }
        Form::Table => session.say(&session.expect(PATH, lines_of(event))?),
    }
}

/// A line for everything that an event tells of.
fn lines_of(event: &Event) -> Result<String, Mismatch> {
    let data = &event.data;
    match event.name.as_str() {
        "hello" => Ok(format!("generation {} is in force\n", cell(data, "/generation")?)),
        "lagged" => {
            let missed = cell(data, "/missed")?;
            Ok(format!("{missed} events are missed: look at what is there now\n"))
        }
        "change" => {
            let generation = cell(data, "/generation")?;
            let mut lines = Vec::new();
            for changed in list(data, "/changed")? {
                lines.push(show::change::change(changed)?);
            }
            for link in list(data, "/links")? {
                lines.push(format!("vif {} is {}", cell(link, "/vif")?, state(link)?));
            }
            if at(data, "/truncated")? == &Value::Bool(true) {
                lines.push("and more".to_owned());
            }
            if lines.is_empty() {
                lines.push("other changes".to_owned());
            }
            Ok(lines.iter().map(|line| format!("generation {generation}  {line}\n")).collect())
        }
        other => Ok(format!("{other} {data}\n")),
    }
}

/// The next event, `None` when the stream has ended (server-sent events, HTML Living Standard section 9.2.6).
fn next(lines: &mut impl BufRead) -> Result<Option<Event>, Failure> {
    let bad = |reason: String| Failure::BadEvent(reason);
    let (mut name, mut data) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).map_err(|error| bad(error.to_string()))? == 0 {
            return Ok(None);
        }
        let line = line.trim_end_matches(['\r', '\n']);
        let value = |key: &str| line.strip_prefix(key).map(|rest| rest.strip_prefix(' ').unwrap_or(rest));
        if let Some(value) = value("event:") {
            value.clone_into(&mut name);
        } else if let Some(value) = value("data:") {
            data.push_str(value);
        } else if line.is_empty() && !data.is_empty() {
            let data = serde_json::from_str(&data).map_err(|error| bad(format!("{error} in {data:?}")))?;
            return Ok(Some(Event { name, data }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_between_comments_until_the_stream_ends() {
        let mut stream = b": keep\n\nevent: hello\r\ndata: {\"generation\":7}\r\n\r\n:\n\nevent:change\ndata:{}\n\nevent: cut\ndata: {}".as_slice();
        let hello = Event { name: "hello".to_owned(), data: json!({ "generation": 7 }) };
        assert_eq!(next(&mut stream).unwrap(), Some(hello));
        assert_eq!(next(&mut stream).unwrap(), Some(Event { name: "change".to_owned(), data: json!({}) }));
        assert_eq!(next(&mut stream).unwrap(), None);
        assert!(next(&mut b"data: {\n\n".as_slice()).is_err());
    }

    #[test]
    fn every_change_is_a_line() {
        let change = |changed: Value, links: Value| Event {
            name: "change".to_owned(),
            data: json!({ "generation": 9, "changed": changed, "links": links, "truncated": false }),
        };
        let changed = json!([{ "kind": "vrf", "name": "green", "change": "added" }]);
        let links = json!([{ "vif": "a", "state": "down", "reason": "gone" }, { "vif": "b", "state": "up" }]);
        let expected =
            "generation 9  + vrf green\ngeneration 9  vif a is down: gone\ngeneration 9  vif b is up\n";
        assert_eq!(lines_of(&change(changed, links)).unwrap(), expected);
        assert_eq!(lines_of(&change(json!([]), json!([]))).unwrap(), "generation 9  other changes\n");
        let lagged = Event { name: "lagged".to_owned(), data: json!({ "missed": 3 }) };
        assert_eq!(lines_of(&lagged).unwrap(), "3 events are missed: look at what is there now\n");
    }
}
