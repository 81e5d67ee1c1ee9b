//! `vrctl completion`

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::failure::Failure;
use crate::session::Session;

/// For which shell.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell; the script goes where it looks, as /etc/bash_completion.d/vrctl.
    shell: Shell,
}

impl Args {
    /// Writes the script.
    ///
    /// # Errors
    /// [`Failure::Output`]
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "vrctl", &mut script);
        session.say(&String::from_utf8_lossy(&script))
    }
}
