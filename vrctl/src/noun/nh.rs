//! `vrctl nh`

use crate::failure::Failure;
use crate::query;
use crate::session::Session;
use crate::show;

/// Takes nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    /// Lists the next hops.
    ///
    /// # Errors
    /// [`Failure`]
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        session.show(&query::page("/nexthops", &[]), show::route::next_hops)
    }
}
