//! Why a command does not do what it is for.

use std::io;
use std::net::IpAddr;
use std::process::ExitCode;

use crate::client::ClientError;
use crate::value::Mismatch;

/// Exit code for what the operator can mend on the command line; clap uses the same.
const EXIT_MISTAKE: u8 = 2;

/// What a name on the command line is the name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noun {
    Vif,
    Vrf,
    Service,
}

impl Noun {
    fn word(self) -> &'static str {
        match self {
            Noun::Vif => "vif",
            Noun::Vrf => "VRF",
            Noun::Service => "service",
        }
    }

    /// The command that lists them.
    fn lister(self) -> &'static str {
        match self {
            Noun::Vif => "vrctl vif list",
            Noun::Vrf => "vrctl vrf list",
            Noun::Service => "vrctl service list",
        }
    }
}

/// Why a command does not do what it is for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The daemon gives no answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The name is not known there.
    #[error("there is no {} {name:?} on this node; `{}` names those there are", noun.word(), noun.lister())]
    NoSuch {
        /// What it would be.
        noun: Noun,
        /// As given on the command line.
        name: String,
    },
    /// No route leads there.
    #[error("VRF {vrf:?} has no route to {address}: packets to it are dropped as `no_route`")]
    NoRoute {
        /// Where it was looked up.
        vrf: String,
        /// What was looked up.
        address: IpAddr,
    },
    /// The answer is none we can show.
    #[error(
        "the answer of {page} is not as expected: {mismatch}; are vrctl and vrouterd of the same version? \
         `-o json` shows it as it is"
    )]
    Unexpected {
        /// The page.
        page: String,
        /// What is missing.
        mismatch: Mismatch,
    },
    /// A file of the operator cannot be read.
    #[error("{path}: {reason}")]
    BadFile {
        /// As given on the command line.
        path: String,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// What is given on the command line does not go together.
    #[error("{0}")]
    BadArgument(String),
    /// An event of the daemon is none.
    #[error("the daemon's events cannot be read: {0}; run the command again")]
    BadEvent(String),
    /// A view for a screen, and none is there.
    #[error("`vrctl top` needs a terminal: `vrctl top --once` prints one view and ends")]
    NoTerminal,
    /// The answer cannot be written.
    #[error("cannot write the answer: {0}")]
    Output(io::Error),
    /// Nobody reads the answer any more.
    #[error("nobody reads the answer")]
    ReaderGone,
}

impl Failure {
    /// 2 for a mistake on the command line, 1 for everything else.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Failure::NoSuch { .. }
            | Failure::NoRoute { .. }
            | Failure::BadFile { .. }
            | Failure::BadArgument(_)
            | Failure::NoTerminal => ExitCode::from(EXIT_MISTAKE),
            Failure::Client(error) if error.is_mistake() => ExitCode::from(EXIT_MISTAKE),
            Failure::Client(_)
            | Failure::Unexpected { .. }
            | Failure::BadEvent(_)
            | Failure::Output(_)
            | Failure::ReaderGone => ExitCode::FAILURE,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::ReaderGone,
            _ => Failure::Output(error),
        }
    }
}
