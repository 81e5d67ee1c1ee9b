//! Which flows a request means.

use std::net::IpAddr;

use dataplane::ids::{VifName, VrfName};
use ipnet::IpNet;

use super::problem::Problem;
use super::query::Query;
use crate::view::{FLOW_STATES, FlowFilter, FlowOrder};

/// Parameters that say which flows are meant.
pub(crate) const FLOW_FILTERS: [&str; 8] = ["vif", "vrf", "proto", "addr", "src", "dst", "port", "state"];
/// Parameters that say which of them are listed.
pub(super) const FLOW_LIST: [&str; 2] = ["limit", "top"];

/// Reads [`FLOW_FILTERS`] and [`FLOW_LIST`].
pub(crate) fn flow_filter(query: &Query) -> Result<FlowFilter, Problem> {
    let limit = query.value("limit")?.unwrap_or(FlowFilter::DEFAULT_LIMIT);
    if limit == 0 || limit > FlowFilter::MAX_LIMIT {
        let most = FlowFilter::MAX_LIMIT;
        return Err(Problem::bad_request(format!("limit={limit}: write a number from 1 to {most}.")));
    }
    Ok(FlowFilter {
        vif: query.text("vif").map(VifName::from),
        vrf: query.text("vrf").map(VrfName::from),
        protocol: query.value("proto")?,
        address: query.value("addr")?,
        source: prefix(query, "src")?,
        destination: prefix(query, "dst")?,
        port: query.value("port")?,
        state: choice(query, "state", &FLOW_STATES.map(|state| (state.name(), state)))?,
        limit,
        order: choice(query, "top", &[("packets", FlowOrder::Packets), ("bytes", FlowOrder::Bytes)])?
            .unwrap_or(FlowOrder::Table),
    })
}

/// An address, or a prefix.
fn prefix(query: &Query, key: &str) -> Result<Option<IpNet>, Problem> {
    let read = |text: &str| {
        let net = text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse());
        net.map_err(|_| {
            let like = "write an address like 10.0.1.2 or a prefix like 10.0.1.0/24";
            Problem::bad_request(format!("Parameter {key:?} is {text:?}: {like}."))
        })
    };
    query.text(key).map(read).transpose()
}

fn choice<T: Copy>(query: &Query, key: &str, choices: &[(&str, T)]) -> Result<Option<T>, Problem> {
    let Some(text) = query.text(key) else { return Ok(None) };
    match choices.iter().find(|(word, _)| *word == text) {
        Some((_, value)) => Ok(Some(*value)),
        None => {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            Err(Problem::bad_request(format!("{key}={text:?}: write one of {}.", words.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(raw: &str) -> Result<FlowFilter, Problem> {
        let known: Vec<&str> = FLOW_FILTERS.iter().chain(&FLOW_LIST).copied().collect();
        flow_filter(&Query::parse(Some(raw), &known)?)
    }

    #[test]
    fn every_filter_is_read_and_mistakes_are_refused() {
        let read = filter("vif=a&vrf=b&proto=tcp&addr=10.0.0.1&src=10.0.1.0/24&dst=fd00::1&port=80&state=tcp_opening&limit=7&top=bytes").unwrap();
        assert_eq!(read.source, Some("10.0.1.0/24".parse().unwrap()));
        assert_eq!(read.destination, Some("fd00::1/128".parse().unwrap()));
        assert_eq!((read.state.map(|state| state.name()), read.limit), (Some("tcp_opening"), 7));
        assert_eq!(read.order, FlowOrder::Bytes);
        assert!(filter("").unwrap().is_open() && filter("limit=3&top=packets").unwrap().is_open());
        assert!(!filter("state=stateless").unwrap().is_open() && !filter("src=::/0").unwrap().is_open());
        for bad in [
            "limit=0",
            "limit=10001",
            "src=x",
            "dst=10.0.0.1/33",
            "state=open",
            "top=age",
            "port=99999",
            "proto=x",
        ] {
            assert!(filter(bad).is_err(), "{bad}");
        }
    }
}
