//! `vrctl man`: the manual pages, made by the build.

use std::path::PathBuf;

use clap::CommandFactory as _;

use crate::cli::Cli;
use crate::failure::Failure;

/// Where to.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The directory; it is made when it is not there.
    directory: PathBuf,
}

impl Args {
    /// Writes one page per command.
    ///
    /// # Errors
    /// [`Failure::BadFile`]
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let made = std::fs::create_dir_all(&self.directory)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), &self.directory));
        made.map_err(|error| Failure::BadFile {
            path: self.directory.display().to_string(),
            reason: format!("manual pages cannot be written here: {error}"),
        })
    }
}
