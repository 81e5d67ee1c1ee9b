//! The `vrouterd` command.

use std::process::ExitCode;

use clap::Parser as _;
use vrouterd::cli::{self, Cli, Command, EXIT_MISTAKE};

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Check(file) => match cli::check(&file.config) {
            Ok(summary) => {
                println!("{summary}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("{error}");
                ExitCode::from(EXIT_MISTAKE)
            }
        },
    }
}
