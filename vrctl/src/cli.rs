//! The command line of `vrctl`.

use std::net::IpAddr;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Shows what the vrouter daemon of this node is doing.
///
/// Exits with 0 when there is an answer, with 1 when the daemon gives none, and with 2 when the
/// command line is wrong or names something that is not there.
#[derive(Debug, Parser)]
#[command(name = "vrctl", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Where the daemon listens: `http.listen` of its configuration.
    #[arg(long, global = true, value_name = "URL", default_value = "http://127.0.0.1:8085")]
    pub(crate) url: String,
    /// How the answer is written.
    #[arg(long, short, global = true, value_enum, value_name = "FORM", default_value_t = Output::Table)]
    pub(crate) output: Output,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Aligned columns, for people.
    Table,
    /// The daemon's document, for programs.
    Json,
}

/// What to show.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Interfaces of pods and of the host.
    #[command(subcommand)]
    Vif(VifCommand),
    /// Private routing tables.
    Vrf,
    /// Routes.
    #[command(subcommand)]
    Route(RouteCommand),
    /// Next hops.
    Nh,
    /// Labels that this node has given out.
    Label,
    /// Services and their backends.
    Service,
    /// Flow pairs.
    #[command(subcommand)]
    Flow(FlowCommand),
    /// Dropped packets by reason.
    Drops {
        /// Also reasons that were never met.
        #[arg(long)]
        all: bool,
    },
    /// Worker threads, their frames and rings.
    Worker,
    /// The ways to other nodes.
    Tunnel,
    /// The node as a whole, and what is wrong with it.
    Stats,
}

#[derive(Debug, Subcommand)]
pub(crate) enum VifCommand {
    /// All of them, one per line.
    List,
    /// One of them, in full.
    Show {
        /// Its name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RouteCommand {
    /// All of them, one line per next hop.
    List {
        /// Only those of this VRF.
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        vrf: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum FlowCommand {
    /// Those that match all filters, both directions of each.
    List(FlowFilter),
}

/// Which flows; a pair matches when either direction does.
#[derive(Debug, Default, Args)]
pub(crate) struct FlowFilter {
    /// Only flows of this vif.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) vif: Option<String>,
    /// Only flows of this VRF.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) vrf: Option<String>,
    /// Only this protocol: tcp, udp, sctp, icmp, icmp6 or a number.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) proto: Option<String>,
    /// Only flows with this address at either end.
    #[arg(long)]
    pub(crate) addr: Option<IpAddr>,
    /// Only flows with this port at either end.
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// At most this many; the daemon lists 100 when nothing is said.
    #[arg(long)]
    pub(crate) limit: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
