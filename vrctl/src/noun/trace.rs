//! `vrctl trace`: what would happen to a packet, or what happens to the next real ones.

mod live;

use std::net::{IpAddr, SocketAddr};

use clap::builder::NonEmptyStringValueParser;
use serde_json::Value;

use crate::failure::Failure;
use crate::query;
use crate::session::Session;
use crate::value::{Mismatch, at, cell, list};

/// Which packet.
///
/// Without --live nothing is sent and nothing changes: the stages that forward packets are asked
/// what they would do with this one, with the flows and the configuration of this moment.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The vif that sends it; with --live one that sends or receives.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    vif: Option<String>,
    /// The node that sends it instead, by its tunnel address.
    #[arg(long, value_name = "TUNNEL", conflicts_with = "vif", requires = "label")]
    from_node: Option<IpAddr>,
    /// The label it comes with from there.
    #[arg(long, requires = "from_node")]
    label: Option<u32>,
    /// Bytes of the IP packet.
    #[arg(long, value_name = "BYTES")]
    size: Option<u32>,
    /// tcp, udp, sctp, or icmp for an echo request.
    #[arg(required_unless_present = "live", value_parser = NonEmptyStringValueParser::new())]
    protocol: Option<String>,
    /// Source, with its port where the protocol has ports: 10.0.1.2:4000, [fd00::2]:4000.
    #[arg(required_unless_present = "live")]
    source: Option<String>,
    /// Destination.
    #[arg(required_unless_present = "live")]
    destination: Option<String>,
    #[command(flatten)]
    live: live::Live,
}

impl Args {
    /// Tells the steps, or waits for packets.
    ///
    /// # Errors
    /// [`Failure`]
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        if self.live.is_wanted() {
            return self.live.run(session, self.vif.as_deref());
        }
        let (Some(protocol), Some(source), Some(destination)) =
            (&self.protocol, &self.source, &self.destination)
        else {
            return Err(Failure::BadArgument("name protocol, source and destination".to_owned()));
        };
        if self.vif.is_none() && self.from_node.is_none() {
            let text = "name the vif that sends the packet with --vif, or the node with --from-node";
            return Err(Failure::BadArgument(text.to_owned()));
        }
        let ((src, sport), (dst, dport)) = (end(source)?, end(destination)?);
        let parameters = [
            ("vif", self.vif.clone()),
            ("node", self.from_node.map(|node| node.to_string())),
            ("label", self.label.map(|label| label.to_string())),
            ("proto", Some(protocol.clone())),
            ("src", Some(src.to_string())),
            ("sport", sport.map(|port| port.to_string())),
            ("dst", Some(dst.to_string())),
            ("dport", dport.map(|port| port.to_string())),
            ("size", self.size.map(|size| size.to_string())),
        ];
        session.show(&query::page("/trace", &parameters), steps)
    }
}

/// An address, with a port or without.
fn end(text: &str) -> Result<(IpAddr, Option<u16>), Failure> {
    let with_port = text.parse::<SocketAddr>().map(|end| (end.ip(), Some(end.port())));
    with_port.or_else(|_| text.parse().map(|address| (address, None))).map_err(|_| {
        let like = "write it like 10.0.1.2:4000 or [fd00::2]:4000, without a port for icmp";
        Failure::BadArgument(format!("{text:?} is no address: {like}"))
    })
}

/// A line for each step.
fn steps(document: &Value) -> Result<String, Mismatch> {
    let line = |step: &Value| {
        let word = cell(step, "/step")?.replace('_', " ");
        Ok(format!("{word:<16} {}\n", cell(step, "/text")?))
    };
    let mut lines = list(document, "/steps")?.iter().map(line).collect::<Result<String, Mismatch>>()?;
    lines.push_str(&format!("=> {}\n", outcome(document)?));
    Ok(lines)
}

/// How a packet ends, in a few words.
fn outcome(packet: &Value) -> Result<String, Mismatch> {
    let mut text = cell(packet, "/outcome/verdict")?;
    let is_dropped = !at(packet, "/outcome/reason")?.is_null();
    if is_dropped {
        text = format!("{text}, {}", cell(packet, "/outcome/reason")?);
    }
    if !at(packet, "/outcome/to")?.is_null() {
        let word = if is_dropped { "answer to" } else { "to" };
        text = format!("{text}, {word} {}", cell(packet, "/outcome/to")?);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ends_are_addresses_with_and_without_a_port() {
        assert_eq!(end("10.0.1.2:80").unwrap(), ("10.0.1.2".parse().unwrap(), Some(80)));
        assert_eq!(end("[fd00::2]:80").unwrap(), ("fd00::2".parse().unwrap(), Some(80)));
        assert_eq!(end("fd00::2").unwrap(), ("fd00::2".parse().unwrap(), None));
        assert!(end("10.0.1:80").is_err() && end("web").is_err());
    }

    #[test]
    fn every_step_is_a_line_and_the_end_is_the_last() {
        let document = json!({
            "steps": [{ "step": "no_route", "vrf": "blue", "text": "VRF blue: no prefix matches" }],
            "outcome": { "verdict": "dropped", "reason": "no_route", "to": "vif client" },
        });
        let expected =
            "no route         VRF blue: no prefix matches\n=> dropped, no_route, answer to vif client\n";
        assert_eq!(steps(&document).unwrap(), expected);
        let sent = json!({ "outcome": { "verdict": "sent", "reason": null, "to": "node 172.30.0.2" } });
        assert_eq!(outcome(&sent).unwrap(), "sent, to node 172.30.0.2");
    }
}
