//! `vrctl config`: all that programs have asked for, as one document.

use clap::Subcommand;
use serde_json::Value;

use crate::client::Request;
use crate::failure::Failure;
use crate::file;
use crate::query;
use crate::session::{Form, Session};
use crate::show;
use crate::value::Mismatch;

/// What to do with the document.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows it, as `apply` takes it: TOML, or JSON or YAML with --output.
    Get,
    /// Judges another one: names every mistake, and changes nothing.
    Check {
        /// TOML or JSON; `-` is standard input.
        file: String,
    },
    /// Shows what another one would change, and changes nothing.
    Diff {
        /// TOML or JSON; `-` is standard input.
        file: String,
    },
    /// Puts another one in its place, all of it or nothing, and shows what has changed.
    Apply {
        /// TOML or JSON; `-` is standard input.
        file: String,
        /// Only if it is still of this revision, as `get` tells it.
        #[arg(long)]
        revision: Option<String>,
    },
}

const PATH: &str = "/v1/config";

impl Args {
    /// Does what is asked for.
    ///
    /// # Errors
    /// [`Failure`]
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let trial = query::of_v1(PATH, &[("dry_run", Some("true".to_owned()))]);
        match &self.command {
            Command::Get => get(session),
            Command::Check { file } => {
                let request = Request::put(trial, file::read(file)?);
                session.act(PATH, &request, |document| show::change::judged(file, document))
            }
            Command::Diff { file } => {
                session.act(PATH, &Request::put(trial, file::read(file)?), show::change::changes)
            }
            Command::Apply { file, revision } => {
                let request = Request::put(PATH, file::read(file)?).if_match(revision.as_deref());
                session.act(PATH, &request, show::change::changes)
            }
        }
    }
}

fn get(session: &Session) -> Result<(), Failure> {
    let answer = session.daemon.get(PATH)?;
    if session.form == Form::Table
        && let Some(revision) = &answer.revision
    {
        session.say(&format!("# revision {revision}\n"))?;
    }
    session.answer(PATH, &answer, toml)
}

fn toml(document: &Value) -> Result<String, Mismatch> {
    let document = document.as_object().ok_or_else(|| Mismatch::Kind("document".to_owned(), "object"))?;
    let mut full = document.clone();
    full.retain(|_, list| list.as_array().is_none_or(|list| !list.is_empty()));
    ::toml::to_string(&full).map_err(|_| Mismatch::Kind("document".to_owned(), "TOML"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_document_is_toml_without_what_there_is_none_of() {
        let via = json!([{ "tunnel": "172.30.0.2", "label": 33 }]);
        let route = json!({ "vrf": "blue", "prefix": "10.0.2.0/24", "via": via });
        let document = json!({ "vrf": [{ "name": "blue" }], "policy": [], "route": [route] });
        let text = toml(&document).unwrap();
        assert!(text.contains("[[vrf]]\nname = \"blue\"\n") && !text.contains("policy"), "{text}");
        let read: Value = ::toml::from_str(&text).unwrap();
        assert_eq!(read, json!({ "vrf": [{ "name": "blue" }], "route": [route] }));
        assert_eq!(toml(&json!({ "vrf": [] })).unwrap(), "");
    }
}
