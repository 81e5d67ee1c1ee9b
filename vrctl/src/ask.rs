//! From a command line to the text on the screen.

use std::process::ExitCode;

use crate::cli::{Cli, Command, Output, VifCommand};
use crate::client::{ClientError, Daemon};
use crate::show;
use crate::value::Mismatch;

/// Exit code for what the operator can mend on the command line; clap uses the same.
const EXIT_MISTAKE: u8 = 2;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// The daemon gave none.
    #[error(transparent)]
    Client(ClientError),
    /// The name is not known there.
    #[error("there is no vif {name:?} on this node; `vrctl vif list` names those there are")]
    NoSuchVif {
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
            AskError::NoSuchVif { .. } => ExitCode::from(EXIT_MISTAKE),
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
        (ClientError::NotFound { .. }, Command::Vif(VifCommand::Show { name })) => {
            AskError::NoSuchVif { name: name.clone() }
        }
        (error, _) => AskError::Client(error),
    })?;
    match cli.output {
        Output::Json => Ok(format!("{}\n", answer.text.trim_end())),
        Output::Table => show::show(&cli.command, &answer.document)
            .map_err(|mismatch| AskError::Unexpected { url: daemon.url(&query), mismatch }),
    }
}
