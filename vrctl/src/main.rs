//! `vrctl`: asks the vrouter daemon of this node what it is doing, and has it do something else.
//!
//! ```text
//! cli (command line) -> noun (one file each: what is asked, and how it is told)
//!     -> client (HTTP over the socket or TCP) -> show (tables for people) -> session (stdout)
//! ```

mod cli;
mod client;
mod failure;
mod file;
mod lookup;
mod noun;
mod query;
mod session;
mod show;
mod table;
mod value;

use std::process::ExitCode;

use clap::Parser as _;

use cli::Cli;
use failure::Failure;

fn main() -> ExitCode {
    match Cli::parse().run() {
        // The reader has seen enough, as `head` does.
        Ok(()) | Err(Failure::ReaderGone) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("vrctl: {failure}");
            failure.exit_code()
        }
    }
}
