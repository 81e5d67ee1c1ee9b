//! `vrctl follow`: where packets to an address go, from node to node.

mod facts;
mod walk;

use std::net::IpAddr;

use clap::builder::NonEmptyStringValueParser;

use crate::client::{Daemon, Place};
use crate::failure::{Failure, Noun};
use crate::session::Session;
use facts::Facts;

/// What is followed, and the nodes that can be asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The destination: a pod, or a service.
    #[arg(value_name = "ADDR")]
    address: IpAddr,
    /// The routing table in which the first node looks it up.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    vrf: String,
    /// A node and where its daemon answers: a URL or the path of a socket. May be repeated; without it, only the
    /// daemon of --socket or --url is asked.
    #[arg(long = "node", value_name = "NAME=URL", value_parser = named)]
    nodes: Vec<(String, String)>,
    /// The node that sends; by default the first.
    #[arg(long, value_name = "NAME", requires = "nodes")]
    from: Option<String>,
}

fn named(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, place))
            if !name.is_empty() && (place.starts_with("http://") || place.starts_with('/')) =>
        {
            Ok((name.to_owned(), place.to_owned()))
        }
        _ => Err("write it like node-b=http://10.0.0.2:8085 or node-b=/run/b/api.sock".to_owned()),
    }
}

impl Args {
    /// Asks all nodes, and walks.
    ///
    /// # Errors
    /// [`Failure`]
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let mut nodes = Vec::new();
        for (name, place) in &self.nodes {
            let place = match place.strip_prefix('/') {
                Some(_) => Place::Socket(place.into()),
                None => Place::of_url(place)?,
            };
            let of_node = Session { daemon: Daemon::at(place), form: session.form };
            nodes.push(Facts::read(&of_node, Some(name))?);
        }
        if nodes.is_empty() {
            nodes.push(Facts::read(session, None)?);
        }
        let start = match &self.from {
            None => nodes.first(),
            Some(name) => nodes.iter().find(|node| node.name == *name),
        };
        let Some(start) = start else {
            return Err(Failure::BadArgument("--from names none of the nodes that --node gives".to_owned()));
        };
        if !session.expect("/vrfs", start.has_vrf(&self.vrf))? {
            return Err(Failure::NoSuch { noun: Noun::Vrf, name: self.vrf.clone() });
        }
        let found = session.expect("/routes", walk::walk(&nodes, start, &self.vrf, self.address))?;
        session.answer_with("/routes", found.document(), |_| Ok(found.to_string()))
    }
}
