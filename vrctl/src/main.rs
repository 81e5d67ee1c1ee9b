//! `vrctl`: asks the vrouter daemon of this node what it is doing.
//!
//! ```text
//! cli (command line) -> query (which page) -> client (HTTP) -> show (tables for people) -> stdout
//! ```

mod ask;
mod cli;
mod client;
mod query;
mod show;
mod table;
mod value;

use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

use cli::Cli;

fn main() -> ExitCode {
    let answer = match ask::ask(&Cli::parse()) {
        Ok(answer) => answer,
        Err(error) => {
            eprintln!("vrctl: {error}");
            return error.exit_code();
        }
    };
    match std::io::stdout().lock().write_all(answer.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader has seen enough, as `head` does.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vrctl: cannot write the answer: {error}");
            ExitCode::FAILURE
        }
    }
}
