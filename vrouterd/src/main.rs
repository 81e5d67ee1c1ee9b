//! The `vrouterd` command.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use vrouterd::cli::{self, Cli, Command, EXIT_MISTAKE};
use vrouterd::{daemon, log};

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(file) => run(&file.config),
        Command::Check(check) => match cli::check(&check) {
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

fn run(config: &Path) -> ExitCode {
    log::start();
    match daemon::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            if error.is_mistake() { ExitCode::from(EXIT_MISTAKE) } else { ExitCode::FAILURE }
        }
    }
}
