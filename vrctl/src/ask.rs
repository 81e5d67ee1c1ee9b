//! From a command line to the text on the screen.

use std::process::ExitCode;

use serde_json::Value;
use ureq::http::StatusCode;

use crate::cli::{Cli, Command, Output, VifCommand};
use crate::client::{ClientError, Daemon};
use crate::query::Noun;
use crate::show;
use crate::value::{self, Mismatch};

/// Exit code for what the operator can mend on the command line; clap uses the same.
const EXIT_MISTAKE: u8 = 2;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// The daemon gave none.
    #[error(transparent)]
    Client(ClientError),
    /// The name is not known there.
    #[error("there is no {} {name:?} on this node; `{}` names those there are", noun.word(), noun.lister())]
    NoSuch {
        /// What it would be.
        noun: Noun,
        /// As given on the command line.
        name: String,
    },
    /// The answer is none we can show.
    #[error(
        "the answer of {url} is not as expected: {mismatch}; are vrctl and vrouterd of the same version? \
         `-o json` shows it as it is"
    )]
    Unexpected {
        /// The page.
        url: String,
        /// What is missing.
        mismatch: Mismatch,
    },
}

impl AskError {
    /// 2 for a mistake on the command line, 1 for everything else.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            AskError::NoSuch { .. } => ExitCode::from(EXIT_MISTAKE),
            AskError::Client(error) if error.is_mistake() => ExitCode::from(EXIT_MISTAKE),
            AskError::Client(_) | AskError::Unexpected { .. } => ExitCode::FAILURE,
        }
    }
}

/// The answer, ready to print.
///
/// # Errors
/// [`AskError`], in words for the operator.
pub(crate) fn ask(cli: &Cli) -> Result<String, AskError> {
    let daemon = Daemon::at(&cli.url).map_err(AskError::Client)?;
    let query = cli.command.query();
    let answer = daemon.get(&query).map_err(|error| match (error, &cli.command) {
        (
            ClientError::Failed { status: StatusCode::NOT_FOUND, .. },
            Command::Vif(VifCommand::Show { name }),
        ) => AskError::NoSuch { noun: Noun::Vif, name: name.clone() },
        (error, _) => AskError::Client(error),
    })?;
    if is_empty(&answer.document) {
        cli.command.filters().into_iter().try_for_each(|(noun, name)| must_exist(&daemon, noun, name))?;
    }
    match cli.output {
        Output::Json => Ok(format!("{}\n", answer.text.trim_end())),
        Output::Table => show::show(&cli.command, &answer.document)
            .map_err(|mismatch| AskError::Unexpected { url: daemon.url(&query), mismatch }),
    }
}

/// Whether the document lists nothing: routes are a list, flows have one inside.
fn is_empty(document: &Value) -> bool {
    let list = document.get("flows").unwrap_or(document);
    list.as_array().is_some_and(Vec::is_empty)
}

/// To the daemon a filter by an unknown name is one that nothing matches; for the operator it is
/// a slip.
fn must_exist(daemon: &Daemon, noun: Noun, name: &str) -> Result<(), AskError> {
    let answer = daemon.get(noun.query()).map_err(AskError::Client)?;
    let unexpected = |mismatch| AskError::Unexpected { url: daemon.url(noun.query()), mismatch };
    for known in value::list(&answer.document, "").map_err(unexpected)? {
        if value::cell(known, "/name").map_err(unexpected)? == name {
            return Ok(());
        }
    }
    Err(AskError::NoSuch { noun, name: name.to_owned() })
}
