//! `vrctl route`

use std::net::IpAddr;

use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;
use serde_json::{Value, json};

use crate::failure::{Failure, Noun};
use crate::lookup;
use crate::session::Session;
use crate::value::{Mismatch, at, cell, list};
use crate::{query, show};

/// What to do with routes; without it, they are listed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// All of them, one line per next hop.
    List {
        /// Only those of this VRF.
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        vrf: Option<String>,
    },
    /// The one that packets to an address take, with its next hops and their state.
    Get {
        /// The address.
        #[arg(value_name = "ADDR")]
        address: IpAddr,
        /// The routing table.
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        vrf: String,
    },
}

impl Args {
    /// Does what is asked for.
    ///
    /// # Errors
    /// [`Failure`]
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        match self.command.as_ref().unwrap_or(&Command::List { vrf: None }) {
            Command::List { vrf } => {
                let page = query::page("/routes", &[("vrf", vrf.clone())]);
                let answer = session.daemon.get(&page)?;
                if answer.document.as_array().is_some_and(Vec::is_empty) {
                    session.must_exist(Noun::Vrf, vrf.as_deref())?;
                }
                session.answer(&page, &answer, show::route::routes)
            }
            Command::Get { address, vrf } => get(session, *address, vrf),
        }
    }
}

fn get(session: &Session, address: IpAddr, vrf: &str) -> Result<(), Failure> {
    let (routes, hops) =
        (query::page("/routes", &[("vrf", Some(vrf.to_owned()))]), query::page("/nexthops", &[]));
    let (all, states) = (session.read(&routes)?, session.read(&hops)?);
    let Some(route) = session.expect(&routes, lookup::longest(&all, vrf, address))? else {
        session.must_exist(Noun::Vrf, Some(vrf))?;
        return Err(Failure::NoRoute { vrf: vrf.to_owned(), address });
    };
    let found = session.expect(&routes, with_states(route, &states))?;
    session.answer_with(&routes, found, show::route::route)
}

/// The route, each of its next hops with the state that the list of next hops tells.
pub(super) fn with_states(route: &Value, states: &Value) -> Result<Value, Mismatch> {
    let mut found = route.clone();
    let hops = list(route, "/next_hops")?.iter().map(|hop| with_state(hop, states));
    found["next_hops"] = Value::Array(hops.collect::<Result<_, _>>()?);
    Ok(found)
}

fn with_state(hop: &Value, states: &Value) -> Result<Value, Mismatch> {
    let mut found = hop.clone();
    let id = cell(hop, "/next_hop")?;
    for state in list(states, "")? {
        if cell(state, "/id")? == id {
            found["state"] = at(state, "/state")?.clone();
            if let Some(reason) = state.get("reason") {
                found["reason"] = reason.clone();
            }
            return Ok(found);
        }
    }
    // It has gone between the two questions.
    found["state"] = json!("unknown");
    Ok(found)
}
