//! `vrctl vrf`

use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;
use serde_json::{Value, json};

use crate::failure::{Failure, Noun};
use crate::session::Session;
use crate::value::{Mismatch, cell, list};
use crate::{query, show};

/// What to do with VRFs; without it, they are listed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// All of them, one per line.
    List,
    /// One of them with its vifs, services and routes.
    Show {
        /// Its name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
}

impl Args {
    /// Does what is asked for.
    ///
    /// # Errors
    /// [`Failure`]
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        match self.command.as_ref().unwrap_or(&Command::List) {
            Command::List => session.show(&query::page("/vrfs", &[]), show::route::vrfs),
            Command::Show { name } => one(session, name),
        }
    }
}

fn one(session: &Session, name: &str) -> Result<(), Failure> {
    let of_vrf = |path: &str, key: &str| {
        let page = query::page(path, &[]);
        let all = session.read(&page)?;
        session.expect(&page, having(&all, key, name))
    };
    let found = of_vrf("/vrfs", "/name")?;
    let Some(vrf) = found.into_iter().next() else {
        return Err(Failure::NoSuch { noun: Noun::Vrf, name: name.to_owned() });
    };
    let routes = query::page("/routes", &[("vrf", Some(name.to_owned()))]);
    let document = json!({
        "vrf": vrf,
        "vifs": of_vrf("/vifs", "/vrf")?,
        "services": of_vrf("/services", "/vrf")?,
        "routes": session.read(&routes)?,
    });
    session.answer_with("/vrfs", document, show::route::vrf)
}

/// Those of a list whose `key` is `value`.
fn having(all: &Value, key: &str, value: &str) -> Result<Vec<Value>, Mismatch> {
    let mut found = Vec::new();
    for item in list(all, "")? {
        if cell(item, key)? == value {
            found.push(item.clone());
        }
    }
    Ok(found)
}
