//! The command line of `vrouterd`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config;
use crate::daemon::{self, DaemonError};

/// Exit code for a configuration, a command line or privileges that will not do. Clap uses the
/// same for a command line it does not understand.
pub const EXIT_MISTAKE: u8 = 2;

/// The vrouter node daemon: private networks for pods, carried between nodes as MPLS over UDP.
#[derive(Debug, Parser)]
#[command(name = "vrouterd", version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read a configuration, compare it with this machine, name every mistake, and change nothing.
    ///
    /// Exits with 0 when the file is sound and with 2 when it is not.
    Check(Check),
    /// Forward packets until told to stop (SIGTERM, SIGINT); SIGHUP reads the file again.
    ///
    /// Exits with 0 after a stop, with 2 when configuration, privileges or kernel will not do
    /// (nothing has been attached then), and with 1 when something broke.
    Run(Run),
}

/// What to run, and whether another daemon runs already.
#[derive(Debug, Args)]
pub struct Run {
    /// Which configuration.
    #[command(flatten)]
    pub file: ConfigFile,
    /// Take the place of the daemon that runs in this network namespace: it forwards until this one is ready,
    /// hands its flows over and exits.
    #[arg(long)]
    pub replace: bool,
}

/// What to check, and against what.
#[derive(Debug, Args)]
pub struct Check {
    /// Which configuration.
    #[command(flatten)]
    pub file: ConfigFile,
    /// Judge the file alone, not whether it fits this machine's interfaces and CPUs.
    #[arg(long)]
    pub offline: bool,
}

/// Which configuration.
#[derive(Debug, Args)]
pub struct ConfigFile {
    /// The configuration file, in TOML (docs/configuration.md lists the keys).
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
}

/// Judges a configuration file and sums it up in one line.
///
/// # Errors
///
/// [`DaemonError`], one line for each mistake.
pub fn check(check: &Check) -> Result<String, DaemonError> {
    let config = config::load(&check.file.config)?;
    if !check.offline {
        daemon::check_machine(&config)?;
    }
    Ok(format!("config ok: {config}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;
    use clap::error::ErrorKind;
    use std::io::Write as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn check_wants_a_file() {
        let cli = Cli::try_parse_from(["vrouterd", "check", "--config", "a.toml"]).unwrap();
        let Command::Check(check) = cli.command else { panic!("not check") };
        assert_eq!((check.file.config, check.offline), (PathBuf::from("a.toml"), false));
        let table: [(&[&str], ErrorKind); 4] = [
            (&["vrouterd", "check"], ErrorKind::MissingRequiredArgument),
            (&["vrouterd", "chekc"], ErrorKind::InvalidSubcommand),
            (&["vrouterd", "check", "--config", "a", "--x"], ErrorKind::UnknownArgument),
            (&["vrouterd", "--version"], ErrorKind::DisplayVersion),
        ];
        for (arguments, expected) in table {
            assert_eq!(Cli::try_parse_from(arguments).unwrap_err().kind(), expected, "{arguments:?}");
        }
    }

    #[test]
    fn check_sums_up_a_sound_file_and_names_the_mistakes_of_another() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let node = "[node]\nname = \"n\"\nuplink = \"eth0\"\ntunnel_address = \"172.30.0.1\"\n";
        file.write_all(node.as_bytes()).unwrap();
        let offline = Check { file: ConfigFile { config: file.path().to_owned() }, offline: true };
        let summary = check(&offline).unwrap();
        assert_eq!(summary, "config ok: node n: 0 VRFs, 0 vifs, 0 routes, 0 services, 1 worker");

        file.write_all(b"udp_port = 0\n").unwrap();
        let expected = format!(
            "{}:5:12: node.udp_port: 0 is out of range: write a number from 1 to 65535",
            file.path().display()
        );
        assert_eq!(check(&offline).unwrap_err().to_string(), expected);
    }
}
