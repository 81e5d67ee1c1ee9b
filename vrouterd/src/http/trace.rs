//! `/trace`: what would happen to a packet. JSON alone: programs ask it, and `vrctl trace`.

use std::net::IpAddr;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::routing::get;
use dataplane::ids::VifName;
use dataplane::trace::{Origin, Probe, Question};
use encap::Label;

use super::problem::Problem;
use super::query::{Format, Query};
use super::render::{Reader, json};
use crate::view::Protocol;

/// Parameters that describe a packet.
const PACKET: [&str; 9] = ["vif", "node", "label", "proto", "src", "sport", "dst", "dport", "size"];

pub(super) fn routes() -> Router<Reader> {
    Router::new().route("/trace", get(trace))
}

async fn trace(State(reader): State<Reader>, RawQuery(raw): RawQuery) -> Response {
    let probe = match Query::parse(raw.as_deref(), &PACKET).and_then(|query| probe(&query)) {
        Ok(probe) => probe,
        Err(problem) => return problem.respond(Format::Json),
    };
    let traced = reader.read(move |source| source.trace(&probe)).await;
    match traced {
        Ok(Ok(trace)) => json(&trace),
        Ok(Err(error)) => Problem::bad_request(format!("{error}.")).respond(Format::Json),
        Err(problem) => problem.respond(Format::Json),
    }
}

fn probe(query: &Query) -> Result<Probe, Problem> {
    let needed = |key: &str| Problem::bad_request(format!("Parameter {key:?} is missing."));
    let address = |key: &str| query.value::<IpAddr>(key)?.ok_or_else(|| needed(key));
    let protocol: Protocol = query.value("proto")?.ok_or_else(|| needed("proto"))?;
    let port = |key: &str| query.value::<u16>(key)?.ok_or_else(|| needed(key));
    let question = match protocol.0 {
        6 => Question::Tcp { sport: port("sport")?, dport: port("dport")? },
        17 => Question::Udp { sport: port("sport")?, dport: port("dport")? },
        132 => Question::Sctp { sport: port("sport")?, dport: port("dport")? },
        1 | 58 => Question::Echo { id: query.value("sport")?.unwrap_or(1) },
        _ => {
            return Err(Problem::bad_request(
                "proto: write tcp, udp, sctp or icmp; an icmp packet is an echo request.".to_owned(),
            ));
        }
    };
    let size = query.value("size")?.unwrap_or(0);
    Ok(Probe { origin: origin(query)?, question, src: address("src")?, dst: address("dst")?, size })
}

fn origin(query: &Query) -> Result<Origin, Problem> {
    let label = |number: u32| {
        Label::new(number)
            .ok_or_else(|| Problem::bad_request(format!("label={number}: write a number below 1048576.")))
    };
    match (query.text("vif"), query.value("node")?, query.value("label")?) {
        (Some(name), None, None) => Ok(Origin::Vif(VifName::from(name))),
        (None, Some(tunnel), Some(number)) => Ok(Origin::Node { tunnel, label: label(number)? }),
        _ => Err(Problem::bad_request(
            "Write vif, or both node and label: where the packet comes from.".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str) -> Result<Probe, Problem> {
        probe(&Query::parse(Some(raw), &PACKET)?)
    }

    #[test]
    fn a_packet_is_read_and_what_is_missing_is_named() {
        let tcp = read("vif=client&proto=tcp&src=10.0.1.2&sport=4000&dst=10.96.0.10&dport=80").unwrap();
        assert_eq!(tcp.origin, Origin::Vif("client".into()));
        assert_eq!(tcp.question, Question::Tcp { sport: 4000, dport: 80 });
        let echo = read("node=172.30.0.2&label=17&proto=icmp&src=fd00::1&dst=fd00::2&size=1000").unwrap();
        assert_eq!((echo.question, echo.size), (Question::Echo { id: 1 }, 1000));
        for bad in [
            "proto=tcp&src=10.0.1.2&sport=1&dst=10.0.1.3&dport=2",
            "vif=a&node=172.30.0.2&label=17&proto=icmp&src=10.0.1.2&dst=10.0.1.3",
            "vif=a&proto=tcp&src=10.0.1.2&dst=10.0.1.3&dport=2",
            "vif=a&proto=47&src=10.0.1.2&dst=10.0.1.3",
            "vif=a&proto=icmp&src=10.0.1.2",
            "node=172.30.0.2&label=1048576&proto=icmp&src=10.0.1.2&dst=10.0.1.3",
            "vif=a&proto=icmp&src=10.0.1&dst=10.0.1.3",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
