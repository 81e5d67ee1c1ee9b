//! The command line of `vrctl`. What each noun takes stands in its own file under `noun/`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::client::{Daemon, Place};
use crate::failure::Failure;
use crate::noun::{
    capture, completion, config, drops, flow, follow, label, man, nh, policy, route, service, stats, top,
    trace, tunnel, vif, vrf, watch, worker,
};
use crate::session::{Form, Session};

/// Shows what the vrouter daemon of this node is doing, and has it do something else.
///
/// Exits with 0 when there is an answer, with 1 when the daemon gives none, and with 2 when the
/// command line is wrong, names something that is not there, or asks for what the daemon refuses.
#[derive(Debug, Parser)]
#[command(name = "vrctl", version, arg_required_else_help = true, subcommand_required = true)]
pub(crate) struct Cli {
    /// Where the daemon's API is: `api.socket` of its configuration.
    #[arg(long, global = true, value_name = "PATH", default_value = "/run/vrouter/api.sock")]
    pub(crate) socket: PathBuf,
    /// Where the daemon's pages are: `http.listen` of its configuration. For reading only.
    #[arg(long, global = true, value_name = "URL", conflicts_with = "socket")]
    pub(crate) url: Option<String>,
    /// How the answer is written.
    #[arg(long, short, global = true, value_enum, value_name = "FORM", default_value_t = Form::Table)]
    pub(crate) output: Form,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The nouns, and a few verbs of their own.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Interfaces of pods and of the host.
    Vif(vif::Args),
    /// Private routing tables.
    Vrf(vrf::Args),
    /// Routes.
    Route(route::Args),
    /// Next hops.
    Nh(nh::Args),
    /// Labels that this node has given out.
    Label(label::Args),
    /// Services and their backends.
    Service(service::Args),
    /// Security policies and the vifs they are attached to.
    Policy(policy::Args),
    /// Flow pairs.
    Flow(flow::Args),
    /// Dropped packets by reason.
    Drops(drops::Args),
    /// Worker threads, their frames and rings.
    Worker(worker::Args),
    /// The ways to other nodes.
    Tunnel(tunnel::Args),
    /// The node as a whole, and what is wrong with it.
    Stats(stats::Args),
    /// What programs have asked for, as one document.
    Config(config::Args),
    /// What changes, a line each, until it is interrupted.
    Watch(watch::Args),
    /// Rates of vifs, drops and workers, full screen; q ends it.
    Top(top::Args),
    /// Where packets to an address go, from node to node.
    Follow(follow::Args),
    /// What would happen to a packet and why, or what happens to the next real ones.
    Trace(trace::Args),
    /// Packets of vifs into a file for Wireshark.
    Capture(capture::Args),
    /// The completion script of a shell.
    Completion(completion::Args),
    /// Writes the manual pages into a directory.
    #[command(hide = true)]
    Man(man::Args),
}

impl Cli {
    /// Does what is asked for.
    ///
    /// # Errors
    /// [`Failure`], in words for the operator.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let place = match &self.url {
            Some(url) => Place::of_url(url)?,
            None => Place::Socket(self.socket),
        };
        let session = Session { daemon: Daemon::at(place), form: self.output };
        match &self.command {
            Command::Vif(args) => args.run(&session),
            Command::Vrf(args) => args.run(&session),
            Command::Route(args) => args.run(&session),
            Command::Nh(args) => args.run(&session),
            Command::Label(args) => args.run(&session),
            Command::Service(args) => args.run(&session),
            Command::Policy(args) => args.run(&session),
            Command::Flow(args) => args.run(&session),
            Command::Drops(args) => args.run(&session),
            Command::Worker(args) => args.run(&session),
            Command::Tunnel(args) => args.run(&session),
            Command::Stats(args) => args.run(&session),
            Command::Config(args) => args.run(&session),
            Command::Watch(args) => args.run(&session),
            Command::Top(args) => args.run(&session),
            Command::Follow(args) => args.run(&session),
            Command::Trace(args) => args.run(&session),
            Command::Capture(args) => args.run(&session),
            Command::Completion(args) => args.run(&session),
            Command::Man(args) => args.run(),
        }
    }
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
