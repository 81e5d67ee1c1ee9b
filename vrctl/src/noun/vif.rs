//! `vrctl vif`

use std::net::IpAddr;
use std::time::Duration;

use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;
use serde_json::{Map, Value};

use crate::client::Request;
use crate::failure::{Failure, Noun};
use crate::session::{Session, absent};
use crate::{file, query, show};

/// What to do with vifs; without it, they are listed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// All of them, one per line.
    List,
    /// One of them, in full.
    Show {
        /// Its name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
    /// Declares one and waits until packets flow; takes it back when they do not in time.
    Attach(Attach),
    /// Takes a declared one away and waits until its port is detached.
    Detach {
        /// Its name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
}

/// A vif to be declared: by options, or as the API takes it from a file.
#[derive(Debug, clap::Args)]
struct Attach {
    /// Its name.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    name: String,
    /// The node's end of its veth pair.
    #[arg(long, required_unless_present = "file")]
    ifname: Option<String>,
    /// Its routing table.
    #[arg(long, required_unless_present = "file")]
    vrf: Option<String>,
    /// An address that the pod may use; may be repeated.
    #[arg(long = "address", value_name = "ADDR", required_unless_present = "file")]
    addresses: Vec<IpAddr>,
    /// The pod's Ethernet address.
    #[arg(long, required_unless_present = "file")]
    mac: Option<String>,
    /// The MPLS label that means it on this node, 16 to 1048575.
    #[arg(long, required_unless_present = "file")]
    label: Option<u32>,
    /// Largest IP packet in bytes.
    #[arg(long)]
    mtu: Option<u16>,
    /// The vrouter's own address towards the pod; may be repeated.
    #[arg(long = "gateway", value_name = "ADDR")]
    gateways: Vec<IpAddr>,
    /// A security policy that it is under; may be repeated.
    #[arg(long = "policy", value_name = "NAME")]
    policies: Vec<String>,
    /// Reads all that from a file, TOML or JSON; `-` is standard input.
    #[arg(long, short, conflicts_with_all = ["ifname", "vrf", "addresses", "mac", "label", "mtu", "gateways", "policies"])]
    file: Option<String>,
    /// Milliseconds to wait for packets to flow.
    #[arg(long, value_name = "MS", default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    deadline: u32,
}

impl Args {
    /// Does what is asked for.
    ///
    /// # Errors
    /// [`Failure`]
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        match self.command.as_ref().unwrap_or(&Command::List) {
            Command::List => session.show(&query::page("/vifs", &[]), show::vif::list),
            Command::Show { name } => {
                let page = query::page(&format!("/vif/{}", query::encode(name)), &[]);
                let answer = session.daemon.get(&page).map_err(|error| absent(error, Noun::Vif, name))?;
                session.answer(&page, &answer, show::vif::one)
            }
            Command::Attach(vif) => vif.run(session),
            Command::Detach { name } => {
                let path = format!("/v1/vifs/{}/detach", query::encode(name));
                let answer = session.daemon.ask(&Request::post(&path, None))?;
                session.answer(&path, &answer, |_| {
                    Ok(format!("vif {name} is not declared, and its port is detached\n"))
                })
            }
        }
    }
}

impl Attach {
    fn run(&self, session: &Session) -> Result<(), Failure> {
        let path = format!("/v1/vifs/{}/attach", query::encode(&self.name));
        let deadline = [("deadline_ms", Some(self.deadline.to_string()))];
        let request = Request::post(query::of_v1(&path, &deadline), Some(self.resource()?))
            .patient(Duration::from_millis(self.deadline.into()));
        session.act(&path, &request, show::change::attached)
    }

    fn resource(&self) -> Result<Value, Failure> {
        if let Some(path) = &self.file {
            return file::read(path);
        }
        let texts = |list: &[IpAddr]| Value::from_iter(list.iter().map(IpAddr::to_string));
        let some = |list: &[IpAddr]| (!list.is_empty()).then(|| texts(list));
        let keys = [
            ("ifname", self.ifname.clone().map(Value::from)),
            ("vrf", self.vrf.clone().map(Value::from)),
            ("addresses", some(&self.addresses)),
            ("mac", self.mac.clone().map(Value::from)),
            ("label", self.label.map(Value::from)),
            ("mtu", self.mtu.map(Value::from)),
            ("gateway", some(&self.gateways)),
            ("policies", (!self.policies.is_empty()).then(|| self.policies.clone().into())),
        ];
        let given = keys.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        Ok(Value::Object(Map::from_iter(given)))
    }
}
