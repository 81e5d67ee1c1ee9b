//! `vrctl trace --live`: the next packets of the running node.

use std::net::IpAddr;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use serde_json::{Value, json};

use super::outcome;
use crate::client::Request;
use crate::failure::Failure;
use crate::session::{Form, Session};
use crate::value::{Mismatch, at, cell, list};

const TRACES: &str = "/v1/traces";
/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// Which packets, and how many.
#[derive(Debug, clap::Args)]
pub(super) struct Live {
    /// Waits for real packets instead, and tells what happens to them.
    #[arg(long, conflicts_with_all = ["protocol", "from_node", "size"])]
    live: bool,
    /// Ends after so many packets.
    #[arg(long, requires = "live", value_name = "N", default_value_t = 10)]
    count: u32,
    /// Ends after so many seconds.
    #[arg(long, requires = "live", value_name = "N", default_value_t = 60)]
    seconds: u32,
    /// Only this protocol: tcp, udp, sctp, icmp, icmp6 or a number.
    #[arg(long, requires = "live", value_parser = NonEmptyStringValueParser::new())]
    proto: Option<String>,
    /// Only packets from this address, as they come.
    #[arg(long, requires = "live", value_name = "ADDR")]
    src: Option<IpAddr>,
    /// Only packets to this address, as they come.
    #[arg(long, requires = "live", value_name = "ADDR")]
    dst: Option<IpAddr>,
    /// Only packets from or to this port.
    #[arg(long, requires = "live")]
    port: Option<u16>,
}

impl Live {
    pub(super) fn is_wanted(&self) -> bool {
        self.live
    }

    /// Tells of each packet as it comes, in JSON and YAML of all at the end.
    pub(super) fn run(&self, session: &Session, vif: Option<&str>) -> Result<(), Failure> {
        let wanted = json!({
            "vif": vif, "proto": self.proto, "src": self.src, "dst": self.dst, "port": self.port,
            "count": self.count, "seconds": self.seconds,
        });
        let armed = session.daemon.ask(&Request::post(TRACES, Some(wanted)))?.document;
        let id = session.expect(TRACES, cell(&armed, "/id"))?;
        let page = format!("{TRACES}/{id}");
        let mut told = 0;
        loop {
            let answer = session.daemon.get(&page)?;
            if session.form == Form::Table {
                let lines = session.expect(&page, lines(&answer.document, told))?;
                told += lines.len();
                session.say(&lines.concat())?;
            }
            if session.expect(&page, cell(&answer.document, "/state"))? == "done" {
                session.daemon.ask(&Request::delete(&*page))?;
                return session.answer(&page, &answer, missed);
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// A line for each packet that was not told yet.
fn lines(document: &Value, told: usize) -> Result<Vec<String>, Mismatch> {
    list(document, "/packets")?.iter().skip(told).map(line).collect()
}

fn line(packet: &Value) -> Result<String, Mismatch> {
    let from = match at(packet, "/vif")? {
        Value::String(vif) => format!("{} {vif}", cell(packet, "/from")?),
        _ => cell(packet, "/from")?,
    };
    let (flow, summary) = (cell(packet, "/flow")?, cell(packet, "/summary")?);
    let seconds = at(packet, "/at_ms")?.as_u64().unwrap_or_default() as f64 / 1000.0;
    Ok(format!("{seconds:>10.3}  {from:<16} flow {flow:<9} {summary}  => {}\n", outcome(packet)?))
}

fn missed(document: &Value) -> Result<String, Mismatch> {
    match at(document, "/missed")?.as_u64().unwrap_or_default() {
        0 => Ok(String::new()),
        missed => Ok(format!("{missed} packets came too fast to be recorded\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_packet_is_told_once() {
        let packet = |vif: Value| {
            json!({ "at_ms": 12_345, "from": "trunk", "vif": vif, "flow": "hit", "summary": "a > b",
                "outcome": { "verdict": "sent", "reason": null, "to": "vif web" } })
        };
        let document = json!({ "packets": [packet(json!("client")), packet(Value::Null)], "missed": 3 });
        let expected = [
            "    12.345  trunk client     flow hit       a > b  => sent, to vif web\n",
            "    12.345  trunk            flow hit       a > b  => sent, to vif web\n",
        ];
        assert_eq!(lines(&document, 0).unwrap(), expected);
        assert_eq!(lines(&document, 1).unwrap(), expected[1..]);
        assert_eq!(missed(&document).unwrap(), "3 packets came too fast to be recorded\n");
    }
}
