//! `vrctl worker`

use crate::failure::Failure;
use crate::query;
use crate::session::Session;
use crate::show;

/// Takes nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    /// Shows the workers.
    ///
    /// # Errors
    /// [`Failure`]
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        session.show(&query::page("/workers", &[]), show::worker::workers)
    }
}
