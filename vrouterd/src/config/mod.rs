//! The configuration file: TOML in, [`Config`] out, or every mistake with its place and remedy.
//!
//! ```text
//! node-a.toml:14:9: vif[1].label: 17 is already the label of vif "client" (line 9): give each vif ...
//! ```
//!
//! [`load`] reads and judges a file without looking at the machine; [`check_against`] judges it
//! beside what the kernel says. Neither changes anything. `docs/configuration.md` lists the keys.

mod api;
mod awaited;
mod broadcast;
mod desired;
mod export;
mod facts;
mod gateway;
mod inventory;
mod ledger;
mod model;
mod nat;
mod node;
mod options;
mod place;
mod policy;
mod problem;
mod route;
mod scalar;
mod section;
mod service;
mod sources;
mod timeout;
mod vif;

#[cfg(test)]
mod tests;

use core::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use dataplane::desired::{Nat, Route};
use dataplane::ids::VifSlot;
use toml::de::DeTable;

pub use awaited::Awaited;
pub use facts::{HostFacts, LinkFacts, check_against};
pub use inventory::{Found, inventory};
pub use model::{
    Api, Attach, Config, Engine, Export, Gateways, Host, Http, HugePages, Node, Service, Vif, Wait, ZeroCopy,
};
pub use place::{At, Place, Written};
pub use problem::{Problem, Problems};
pub use vif::MOST_VIF_MTU;

pub use sources::{DOCUMENT_VERSION, Misfit, Source, parse_all, parse_with_routes};

use ledger::Ledger;
use problem::{Findings, Reported};
use sources::Roots;

/// Larger files are refused: 64 MiB hold the largest tables this daemon takes several times.
const MOST_BYTES: u64 = 64 << 20;
/// VRFs are numbered with 16 bits, and the last number stays free.
const MOST_VRFS: usize = 65_535;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot read the configuration: {source}: give --config a file that this user may read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// The file is larger than any sensible configuration.
    #[error("{}: the file is larger than 64 MiB: give --config a configuration file", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is not text.
    #[error("{}: the file is not UTF-8 text (byte {offset}): save it as UTF-8, as TOML asks", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// Offset of the first wrong byte.
        offset: usize,
    },
    /// The file has mistakes.
    #[error(transparent)]
    Problems(#[from] Problems),
}

/// Reads and judges a file. Mistakes are named all at once, but of TOML syntax only the first.
///
/// # Errors
///
/// [`ConfigError`] when the file cannot be read or has mistakes.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    Ok(parse(&path.display().to_string(), &read_text(path)?)?)
}

/// Reads a file of at most 64 MiB.
///
/// # Errors
///
/// [`ConfigError`], but no [`ConfigError::Problems`].
pub fn read_text(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    let length = file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(length).unwrap_or(u64::MAX) > MOST_BYTES {
        return Err(ConfigError::TooLarge { path: path.to_owned() });
    }
    String::from_utf8(bytes).map_err(|error| ConfigError::NotText {
        path: path.to_owned(),
        offset: error.utf8_error().valid_up_to(),
    })
}

/// Judges the text of a file; `file` is how messages name it.
///
/// # Errors
///
/// All mistakes, in the order of the text.
pub fn parse(file: &str, text: &str) -> Result<Config, Problems> {
    parse_all(Source::on_disk(file, text), None)
}

/// Reads every section, in the order in which they refer to each other.
fn read(mut roots: Roots<'_>, findings: &Findings, known: &[Option<&Route>]) -> Result<Config, Reported> {
    let empty = DeTable::new();
    let ledger = &mut Ledger::new(findings);
    let (mut pools, mut floating_ips) = (Vec::new(), Vec::new());
    let vrfs = roots.tables("vrf", |section| vif::vrf(section, ledger, &mut pools));
    let root = &mut roots.file;
    let node = match root.item("node") {
        Some(item) => item.section().and_then(|section| node::read(section, ledger)),
        None => {
            Err(root.wrong("the section [node] is missing", "add [node] with name, uplink, tunnel_address"))
        }
    };
    let engine = root.section_or("engine", &empty).and_then(options::engine);
    let timeouts = root.section_or("timeouts", &empty).and_then(timeout::timeouts);
    let http = root.section_or("http", &empty).and_then(options::http);
    let state_dir = node.as_ref().ok().map(|node| node.state_dir.as_path());
    let api = root.section_or("api", &empty).and_then(|section| api::api(section, state_dir));
    let export = root.optional("export", |item| export::export(item.section()?));
    let node_name = node.as_ref().ok().map(|node| node.name.as_str());
    let host = root.optional("host", |item| vif::host(item.section()?, ledger, node_name));
    let policies = roots.tables("policy", |section| policy::policy(section, ledger));
    let vifs = roots.tables("vif", |section| vif::vif(section, ledger, &mut floating_ips));
    let services = roots.tables("service", |section| service::service(section, ledger));
    let routes = roots.tables("route", |section| route::route(section, ledger));
    let routes = route::with_known(routes, known, ledger, &roots.last().place);
    let known = vifs.as_deref().unwrap_or_default();
    let broadcasts = roots.tables("broadcast", |section| broadcast::broadcast(section, ledger, known));
    roots.finish();

    let most_vifs = usize::from(VifSlot::LAST) - usize::from(matches!(host, Ok(Some(_))));
    check_count(&roots, &vifs, "vifs", most_vifs);
    check_count(&roots, &vrfs, "VRFs", MOST_VRFS);
    let host = host?.map(|at| at.value);
    host.iter().flat_map(|host| &host.routes).for_each(|prefix| ledger.check_host_route(prefix));
    ledger.check_public();
    let nat = Nat { pools, floating_ips };
    if let (Ok(vrfs), Ok(routes), Ok(services)) = (&vrfs, &routes, &services) {
        nat::check_labels(&nat, vrfs, (routes, services), ledger);
    }
    let config = Config {
        node: node?,
        engine: engine?,
        timeouts: timeouts?,
        http: http?,
        api: api?,
        export: export?.map(|at| at.value),
        host,
        vrfs: vrfs?,
        vifs: vifs?,
        routes: routes?,
        services: services?,
        policies: policies?,
        nat,
        broadcasts: broadcasts?,
    };
    Ok(config)
}

/// The trunk has a VLAN id for each vif, the host's included; VRFs are numbered with 16 bits.
fn check_count<T>(roots: &Roots<'_>, list: &Result<Vec<T>, Reported>, things: &str, most: usize) {
    if let Ok(list) = list
        && list.len() > most
    {
        let what = format!("{} {things} are given, there is room for {most}", list.len());
        roots.last().wrong(what, format_args!("remove {things} that this node does not need"));
    }
}

/// The summary that `vrouterd check` prints.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |n: usize, one: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") };
        let host = if self.host.is_some() { " and the host's" } else { "" };
        write!(
            f,
            "node {}: {}, {}{host}, {}, {}, {}",
            self.node.name,
            count(self.vrfs.len(), "VRF"),
            count(self.vifs.len(), "vif"),
            count(self.routes.len(), "route"),
            count(self.services.len(), "service"),
            count(usize::from(self.engine.workers.value), "worker"),
        )
    }
}
