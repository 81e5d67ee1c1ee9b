//! `vrctl service`

use std::net::IpAddr;

use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;
use serde_json::Value;

use crate::failure::{Failure, Noun};
use crate::session::Session;
use crate::value::{Mismatch, cell, list};
use crate::{query, show};

/// What to do with services; without it, they are listed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// All of them, one line per backend.
    List,
    /// What is behind an address.
    Show {
        /// The ClusterIP.
        #[arg(value_name = "ADDR")]
        address: IpAddr,
        /// Only in this VRF.
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        vrf: Option<String>,
    },
}

impl Args {
    /// Does what is asked for.
    ///
    /// # Errors
    /// [`Failure`]
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let page = query::page("/services", &[]);
        match self.command.as_ref().unwrap_or(&Command::List) {
            Command::List => session.show(&page, show::service::services),
            Command::Show { address, vrf } => {
                let all = session.read(&page)?;
                let found = session.expect(&page, at_address(&all, *address, vrf.as_deref()))?;
                if found.is_empty() {
                    session.must_exist(Noun::Vrf, vrf.as_deref())?;
                    return Err(Failure::NoSuch { noun: Noun::Service, name: address.to_string() });
                }
                session.answer_with(&page, Value::Array(found), show::service::in_full)
            }
        }
    }
}

fn at_address(all: &Value, address: IpAddr, vrf: Option<&str>) -> Result<Vec<Value>, Mismatch> {
    let mut found = Vec::new();
    for service in list(all, "")? {
        let of_vrf = cell(service, "/vrf")?;
        if cell(service, "/address")? == address.to_string() && vrf.is_none_or(|vrf| vrf == of_vrf) {
            found.push(service.clone());
        }
    }
    Ok(found)
}
