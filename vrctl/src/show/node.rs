//! The node as a whole, and its drops.

use serde_json::Value;

use super::vif::traffic;
use crate::table::Column::{Left, Right};
use crate::table::{Table, details};
use crate::value::{Mismatch, at, cell, list, number, span, state};

pub(crate) fn stats(document: &Value) -> Result<String, Mismatch> {
    let (uplink, counts) = (at(document, "/uplink")?, at(document, "/counts")?);
    let count = |noun: &str| cell(counts, &format!("/{noun}"));
    let pairs = [
        ("node", cell(document, "/name")?),
        ("version", cell(document, "/version")?),
        ("uptime", span(number(document, "/uptime_seconds")?)),
        ("generation", cell(document, "/generation")?),
        ("tunnel address", cell(document, "/tunnel_address")?),
        ("uplink", format!("{} {}", cell(uplink, "/name")?, state(at(uplink, "/link")?)?)),
        ("uplink mac", cell(uplink, "/mac")?),
        ("uplink mtu", cell(uplink, "/mtu")?),
        ("uplink vlan", cell(uplink, "/vlan")?),
        ("xdp", attach(at(uplink, "/attach")?)?),
        ("uplink rx", traffic(uplink, "/traffic/rx")?),
        ("uplink tx", traffic(uplink, "/traffic/tx")?),
        ("uplink dropped", format!("{} packets", cell(uplink, "/traffic/dropped")?)),
        ("vifs rx", traffic(document, "/trunk/rx")?),
        ("vifs tx", traffic(document, "/trunk/tx")?),
        ("vifs dropped", format!("{} packets", cell(document, "/trunk/dropped")?)),
        ("generated", format!("{} packets", cell(document, "/generated")?)),
        ("consumed", format!("{} packets", cell(document, "/consumed")?)),
        ("vrfs", count("vrfs")?),
        ("vifs", format!("{}, {} down", count("vifs")?, count("vifs_down")?)),
        ("routes", count("routes")?),
        ("next hops", count("next_hops")?),
        ("labels", count("labels")?),
        ("services", count("services")?),
        ("tunnels", count("tunnels")?),
        ("workers", count("workers")?),
        ("flows", format!("{}, room for {}", count("flows")?, count("flow_capacity")?)),
    ];
    Ok(format!("{}\n{}", details(&pairs), troubles(document)?))
}

/// How the program is attached to the uplink.
fn attach(attach: &Value) -> Result<String, Mismatch> {
    let mode = cell(attach, "/mode")?;
    match attach.get("reason") {
        Some(_) => Ok(format!("{mode}: {}", cell(attach, "/reason")?)),
        None => Ok(mode),
    }
}

fn troubles(document: &Value) -> Result<String, Mismatch> {
    let mut table = Table::new([Left("TROUBLE"), Left("NAME"), Left("REASON")]);
    for trouble in list(document, "/troubles")? {
        // The configuration has no name.
        let name = match trouble.get("name") {
            Some(_) => cell(trouble, "/name")?,
            None => "-".to_owned(),
        };
        table.row([cell(trouble, "/noun")?, name, cell(trouble, "/reason")?]);
    }
    Ok(if table.is_empty() { "no trouble\n".to_owned() } else { table.to_string() })
}

pub(crate) fn drops(document: &Value, all: bool) -> Result<String, Mismatch> {
    let mut table = Table::new([Left("REASON"), Right("PACKETS"), Left("PORTS"), Left("MEANING")]);
    for drop in list(document, "")? {
        if all || number(drop, "/count")? > 0 {
            let ports: Result<Vec<_>, _> = list(drop, "/ports")?.iter().map(port).collect();
            let ports = ports?.join(", ");
            table.row([cell(drop, "/reason")?, cell(drop, "/count")?, ports, cell(drop, "/meaning")?]);
        }
    }
    Ok(if table.is_empty() { "no packet has been dropped\n".to_owned() } else { table.to_string() })
}

/// Above the lines of [`drop_line`].
pub(crate) const DROP_LINES: &str = "  PACKETS  REASON                    PORTS\n";

/// What one reason has taken since the last look.
pub(crate) fn drop_line(drop: &Value) -> Result<String, Mismatch> {
    let ports: Result<Vec<_>, _> = list(drop, "/ports")?.iter().map(port).collect();
    let (count, reason) = (cell(drop, "/count")?, cell(drop, "/reason")?);
    Ok(format!("{count:>9}  {reason:<24}  {}\n", ports?.join(", ")))
}

/// `vif client 12`.
fn port(port: &Value) -> Result<String, Mismatch> {
    let name = match cell(port, "/port")?.as_str() {
        "vif" => format!("vif {}", cell(port, "/vif")?),
        "removed_vifs" => "removed vifs".to_owned(),
        other => other.to_owned(),
    };
    Ok(format!("{name} {}", cell(port, "/count")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn troubles_without_a_name_and_none_at_all() {
        let refused = json!({ "troubles": [{ "noun": "configuration", "reason": "line 3" }] });
        let expected = "TROUBLE        NAME  REASON\nconfiguration  -     line 3\n";
        assert_eq!(anstream::adapter::strip_str(&troubles(&refused).unwrap()).to_string(), expected);
        assert_eq!(troubles(&json!({ "troubles": [] })).unwrap(), "no trouble\n");
    }

    #[test]
    fn drops_name_every_kind_of_port_and_none_at_all() {
        let ports = json!([
            { "port": "uplink", "count": 1 },
            { "port": "vif", "vif": "a", "count": 2 },
            { "port": "removed_vifs", "count": 3 },
        ]);
        let some = json!([{ "reason": "r", "count": 6, "meaning": "m", "ports": ports }]);
        let expected = concat!(
            "REASON  PACKETS  PORTS                              MEANING\n",
            "r             6  uplink 1, vif a 2, removed vifs 3  m\n",
        );
        assert_eq!(anstream::adapter::strip_str(&drops(&some, false).unwrap()).to_string(), expected);
        let none = json!([{ "reason": "r", "count": 0, "meaning": "m", "ports": [] }]);
        assert_eq!(drops(&none, false).unwrap(), "no packet has been dropped\n");
    }
}
