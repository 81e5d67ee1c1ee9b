//! The daemon's documents as tables.

mod flow;
mod node;
mod route;
mod service;
mod vif;
mod worker;

use serde_json::Value;

use crate::cli::{Command, FlowCommand, RouteCommand, VifCommand};
use crate::value::Mismatch;

/// `document`, the answer to `command`, as text for a terminal.
///
/// # Errors
/// [`Mismatch`] when the document is not the one that this version of the daemon sends.
pub(crate) fn show(command: &Command, document: &Value) -> Result<String, Mismatch> {
    match command {
        Command::Vif(VifCommand::List) => vif::list(document),
        Command::Vif(VifCommand::Show { .. }) => vif::one(document),
        Command::Vrf => route::vrfs(document),
        Command::Route(RouteCommand::List { .. }) => route::routes(document),
        Command::Nh => route::next_hops(document),
        Command::Label => route::labels(document),
        Command::Service => service::services(document),
        Command::Flow(FlowCommand::List(_)) => flow::flows(document),
        Command::Drops { all } => node::drops(document, *all),
        Command::Worker => worker::workers(document),
        Command::Tunnel => route::tunnels(document),
        Command::Stats => node::stats(document),
    }
}
