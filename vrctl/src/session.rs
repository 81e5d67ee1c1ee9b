//! One run of the command: whom it asks, and in which form it answers.

use std::io::Write as _;

use clap::ValueEnum;
use serde_json::Value;
use ureq::http::StatusCode;

use crate::client::{Answer, ClientError, Daemon, Request};
use crate::failure::{Failure, Noun};
use crate::query;
use crate::value::{self, Mismatch};

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// Aligned columns, for people.
    Table,
    /// The daemon's document, for programs.
    Json,
    /// The same document as YAML.
    Yaml,
}

/// Whom a command asks, and how it answers.
#[derive(Debug)]
pub(crate) struct Session {
    /// The daemon of `--socket` or `--url`.
    pub(crate) daemon: Daemon,
    /// `--output`.
    pub(crate) form: Form,
}

impl Session {
    /// Reads a page and answers with it; `table` shows its document to people.
    ///
    /// # Errors
    /// [`Failure`]
    pub(crate) fn show(
        &self,
        query: &str,
        table: impl FnOnce(&Value) -> Result<String, Mismatch>,
    ) -> Result<(), Failure> {
        self.answer(query, &self.daemon.get(query)?, table)
    }

    /// Sends a request and answers with what it did.
    ///
    /// # Errors
    /// [`Failure`]
    pub(crate) fn act(
        &self,
        page: &str,
        request: &Request,
        table: impl FnOnce(&Value) -> Result<String, Mismatch>,
    ) -> Result<(), Failure> {
        self.answer(page, &self.daemon.ask(request)?, table)
    }

    /// Answers with what the daemon has answered.
    ///
    /// # Errors
    /// [`Failure`]
    pub(crate) fn answer(
        &self,
        page: &str,
        answer: &Answer,
        table: impl FnOnce(&Value) -> Result<String, Mismatch>,
    ) -> Result<(), Failure> {
        match self.form {
            Form::Json => self.say(&format!("{}\n", answer.text.trim_end())),
            Form::Yaml => self.say(&yaml(&answer.text)?),
            Form::Table => self.say(&table(&answer.document).map_err(|error| self.unexpected(page, error))?),
        }
    }

    /// Answers with a document of our own, made from several of the daemon's.
    ///
    /// # Errors
    /// [`Failure`]
    pub(crate) fn answer_with(
        &self,
        page: &str,
        document: Value,
        table: impl FnOnce(&Value) -> Result<String, Mismatch>,
    ) -> Result<(), Failure> {
        self.answer(page, &Answer { text: format!("{document:#}"), document, revision: None }, table)
    }

    /// Writes text as it is, without its colours where they are not wanted.
    ///
    /// # Errors
    /// [`Failure::Output`], [`Failure::ReaderGone`]
    pub(crate) fn say(&self, text: &str) -> Result<(), Failure> {
        let mut out = anstream::stdout().lock();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }

    /// The document of a page.
    ///
    /// # Errors
    /// [`Failure::Client`]
    pub(crate) fn read(&self, query: &str) -> Result<Value, Failure> {
        Ok(self.daemon.get(query)?.document)
    }

    /// What `read` of the document at a page gives.
    ///
    /// # Errors
    /// [`Failure::Unexpected`]
    pub(crate) fn expect<T>(&self, query: &str, read: Result<T, Mismatch>) -> Result<T, Failure> {
        read.map_err(|error| self.unexpected(query, error))
    }

    fn unexpected(&self, query: &str, mismatch: Mismatch) -> Failure {
        Failure::Unexpected { page: self.daemon.page(query), mismatch }
    }

    /// To the daemon a filter by an unknown name is one that nothing matches; for the operator it is
    /// a slip.
    ///
    /// # Errors
    /// [`Failure::NoSuch`], or there is no answer.
    pub(crate) fn must_exist(&self, noun: Noun, name: Option<&str>) -> Result<(), Failure> {
        let Some(name) = name else { return Ok(()) };
        let query = match noun {
            Noun::Vif => query::page("/vifs", &[]),
            Noun::Vrf => query::page("/vrfs", &[]),
            Noun::Service => query::page("/services", &[]),
        };
        let document = self.read(&query)?;
        for known in self.expect(&query, value::list(&document, ""))? {
            if self.expect(&query, value::cell(known, "/name"))? == name {
                return Ok(());
            }
        }
        Err(Failure::NoSuch { noun, name: name.to_owned() })
    }
}

/// A page about one thing that is not there.
pub(crate) fn absent(failure: ClientError, noun: Noun, name: &str) -> Failure {
    match failure {
        ClientError::Failed { status: StatusCode::NOT_FOUND, .. } => {
            Failure::NoSuch { noun, name: name.to_owned() }
        }
        other => Failure::Client(other),
    }
}

/// JSON text as YAML, its keys in the same order.
fn yaml(json: &str) -> Result<String, Failure> {
    let mut text = String::new();
    if !json.trim().is_empty() {
        let mut from = serde_json::Deserializer::from_str(json);
        let mut to = serde_saphyr::Serializer::new(&mut text);
        serde_transcode::transcode(&mut from, &mut to)
            .map_err(|error| Failure::Output(std::io::Error::other(error.to_string())))?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_keeps_the_order_and_quotes_what_would_be_read_as_something_else() {
        let json = r#"[{"name":"b","addresses":["10.0.1.2","fd00::2"],"a":null,"on":"no","n":1.5,"none":[]},
            {"mac":"12:34:56:00:00:01","text":"two\nlines: yes","deep":{"x":[{"y":1}]}}]"#;
        let expected = "\
- name: b
  addresses:
  - \"10.0.1.2\"
  - fd00::2
  a: null
  \"on\": \"no\"
  \"n\": 1.5
  none: []
- mac: \"12:34:56:00:00:01\"
  text: |-
    two
    lines: yes
  deep:
    x:
    - \"y\": 1
";
        assert_eq!(yaml(json).unwrap(), expected);
        assert_eq!(yaml("").unwrap(), "");
    }
}
