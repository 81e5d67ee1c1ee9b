//! `vrctl flow`

use std::net::IpAddr;

use clap::builder::NonEmptyStringValueParser;
use clap::{Subcommand, ValueEnum};
use serde_json::Value;

use crate::client::Request;
use crate::failure::{Failure, Noun};
use crate::query::{self, Parameter};
use crate::session::Session;
use crate::show;
use crate::value::{Mismatch, cell};

/// What to do with flows.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Those that match all filters, both directions of each.
    List(Listed),
    /// The same, each in full: what is rewritten, what allows it, why its packets are dropped.
    Show(Listed),
    /// Removes those that match all filters: their next packets are judged and placed anew.
    Flush {
        #[command(flatten)]
        filter: Filter,
        /// Removes every flow.
        #[arg(long)]
        all: bool,
    },
}

/// Which flows, and how many of them.
#[derive(Debug, Default, clap::Args)]
struct Listed {
    #[command(flatten)]
    filter: Filter,
    /// Those with the most, both directions together, first.
    #[arg(long, value_enum, value_name = "WHAT")]
    top: Option<Top>,
    /// At most this many, 1 to 10000; the daemon lists 100 when nothing is said.
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Top {
    Packets,
    Bytes,
}

/// Which flows; a pair matches when either direction does.
#[derive(Debug, Default, clap::Args)]
struct Filter {
    /// Only flows of this vif.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    vif: Option<String>,
    /// Only flows of this VRF.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    vrf: Option<String>,
    /// Only this protocol: tcp, udp, sctp, icmp, icmp6 or a number.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    proto: Option<String>,
    /// Only flows that were begun from this address or prefix.
    #[arg(long, value_name = "PREFIX", value_parser = NonEmptyStringValueParser::new())]
    src: Option<String>,
    /// Only flows that were begun towards this address or prefix, or lead there after translation.
    #[arg(long, value_name = "PREFIX", value_parser = NonEmptyStringValueParser::new())]
    dst: Option<String>,
    /// Only flows with this address at either end.
    #[arg(long)]
    addr: Option<IpAddr>,
    /// Only flows with this port at either end.
    #[arg(long)]
    port: Option<u16>,
    /// Only flows in this state: tcp_opening, tcp_established, tcp_closing, tcp_closed, stateless or dropped.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    state: Option<String>,
}

impl Args {
    /// Does what is asked for.
    ///
    /// # Errors
    /// [`Failure`]
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        match self.command.as_ref().unwrap_or(&Command::List(Listed::default())) {
            Command::List(listed) => listed.run(session, show::flow::flows),
            Command::Show(listed) => listed.run(session, show::flow::in_full),
            Command::Flush { filter, all } => flush(session, filter, *all),
        }
    }
}

impl Listed {
    fn run(&self, session: &Session, table: fn(&Value) -> Result<String, Mismatch>) -> Result<(), Failure> {
        let mut parameters = self.filter.parameters();
        let top = self.top.map(|top| match top {
            Top::Packets => "packets".to_owned(),
            Top::Bytes => "bytes".to_owned(),
        });
        parameters.extend([("top", top), ("limit", self.limit.map(|limit| limit.to_string()))]);
        let page = query::page("/flows", &parameters);
        let answer = session.daemon.get(&page)?;
        if answer.document.pointer("/flows/0").is_none() {
            session.must_exist(Noun::Vif, self.filter.vif.as_deref())?;
            session.must_exist(Noun::Vrf, self.filter.vrf.as_deref())?;
        }
        session.answer(&page, &answer, table)
    }
}

impl Filter {
    fn parameters(&self) -> Vec<Parameter> {
        vec![
            ("vif", self.vif.clone()),
            ("vrf", self.vrf.clone()),
            ("proto", self.proto.clone()),
            ("src", self.src.clone()),
            ("dst", self.dst.clone()),
            ("addr", self.addr.map(|address| address.to_string())),
            ("port", self.port.map(|port| port.to_string())),
            ("state", self.state.clone()),
        ]
    }
}

fn flush(session: &Session, filter: &Filter, all: bool) -> Result<(), Failure> {
    let mut parameters = filter.parameters();
    match (all, parameters.iter().any(|(_, value)| value.is_some())) {
        (false, false) => {
            return Err(Failure::BadArgument(
                "name a filter, or write --all to remove every flow".to_owned(),
            ));
        }
        (true, true) => {
            return Err(Failure::BadArgument("--all and a filter contradict each other".to_owned()));
        }
        (true, false) => parameters.push(("all", Some("true".to_owned()))),
        (false, true) => {}
    }
    session.must_exist(Noun::Vif, filter.vif.as_deref())?;
    session.must_exist(Noun::Vrf, filter.vrf.as_deref())?;
    let path = query::of_v1("/v1/flows", &parameters);
    session.act(&path, &Request::delete(&path), |document| {
        Ok(format!("flow pairs removed: {}\n", cell(document, "/removed")?))
    })
}
