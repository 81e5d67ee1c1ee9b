//! The `vrouterd` command.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use vrouterd::cli::{self, Cli, Command, EXIT_MISTAKE};
use vrouterd::daemon::Beginning;
use vrouterd::{daemon, log};

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(args) => {
            let beginning = if args.replace { Beginning::Replacing } else { Beginning::Alone };
            run(&args.file.config, beginning)
        }
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

fn run(config: &Path, beginning: Beginning) -> ExitCode {
    log::start();
    match daemon::run(config, beginning) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            if error.is_mistake() { ExitCode::from(EXIT_MISTAKE) } else { ExitCode::FAILURE }
        }
    }
}
