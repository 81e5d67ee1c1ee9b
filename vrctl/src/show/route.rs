//! Routing: VRFs, routes, next hops, labels, tunnels.

use serde_json::Value;

use super::{service, vif};
use crate::table::Column::{Left, Right, State};
use crate::table::{Table, details};
use crate::value::{Mismatch, at, cell, list, state, target};

pub(crate) fn vrfs(document: &Value) -> Result<String, Mismatch> {
    let columns = [
        Left("NAME"),
        Right("ROUTES"),
        Right("SERVICES"),
        Left("VIFS"),
        Left("SOURCE NAT"),
        Left("BROADCAST TO"),
    ];
    let mut table = Table::new(columns);
    for vrf in list(document, "")? {
        let [name, routes, services, vifs] =
            [cell(vrf, "/name")?, cell(vrf, "/routes")?, cell(vrf, "/services")?, cell(vrf, "/vifs")?];
        table.row([name, routes, services, vifs, source_nat(vrf)?, broadcast(vrf)?]);
    }
    Ok(table.to_string())
}

/// The pool of sources for what other VRFs lead in.
fn source_nat(vrf: &Value) -> Result<String, Mismatch> {
    Ok(match at(vrf, "/source_nat")? {
        Value::Null => "-".to_owned(),
        nat => format!("{}:{}", cell(nat, "/addresses")?, cell(nat, "/ports")?),
    })
}

/// Whom a packet for all is copied to.
fn broadcast(vrf: &Value) -> Result<String, Mismatch> {
    if vrf.get("broadcast").is_some_and(Value::is_null) {
        return Ok("off".to_owned());
    }
    let node = |node: &Value| Ok(format!("{} label {}", cell(node, "/node")?, cell(node, "/label")?));
    let vifs = list(vrf, "/broadcast/vifs")?.iter().map(|vif| cell(vif, ""));
    let nodes = list(vrf, "/broadcast/nodes")?.iter().map(node);
    let all: Vec<String> = vifs.chain(nodes).collect::<Result<_, Mismatch>>()?;
    Ok(if all.is_empty() { "nobody".to_owned() } else { all.join(", ") })
}

/// One line per next hop, each complete, so that `grep` finds whole routes.
pub(crate) fn routes(document: &Value) -> Result<String, Mismatch> {
    let columns = [Left("VRF"), Left("PREFIX"), Left("ORIGIN"), Right("NH"), Right("WEIGHT"), Left("TO")];
    let mut table = Table::new(columns);
    for route in list(document, "")? {
        let route_cells = || Ok([cell(route, "/vrf")?, cell(route, "/prefix")?, cell(route, "/origin")?]);
        let hops = list(route, "/next_hops")?;
        for hop in hops {
            let [vrf, prefix, origin] = route_cells()?;
            table.row([vrf, prefix, origin, cell(hop, "/next_hop")?, cell(hop, "/weight")?, target(hop)?]);
        }
        if hops.is_empty() {
            let [vrf, prefix, origin] = route_cells()?;
            let none = "-".to_owned();
            table.row([vrf, prefix, origin, none.clone(), none, "no next hop".to_owned()]);
        }
    }
    Ok(table.to_string())
}

/// One route with the states of its next hops.
pub(crate) fn route(route: &Value) -> Result<String, Mismatch> {
    let pairs = [
        ("route", cell(route, "/prefix")?),
        ("vrf", cell(route, "/vrf")?),
        ("origin", cell(route, "/origin")?),
    ];
    let mut table = Table::new([Right("NH"), Right("WEIGHT"), Left("TO"), State("STATE")]);
    for hop in list(route, "/next_hops")? {
        table.row([cell(hop, "/next_hop")?, cell(hop, "/weight")?, target(hop)?, state(hop)?]);
    }
    let hops = if table.is_empty() { "no next hop\n".to_owned() } else { table.to_string() };
    Ok(format!("{}\n{hops}", details(&pairs)))
}

/// One VRF with what is in it.
pub(crate) fn vrf(document: &Value) -> Result<String, Mismatch> {
    let vrf = at(document, "/vrf")?;
    let pairs =
        [("name", cell(vrf, "/name")?), ("source nat", source_nat(vrf)?), ("broadcast to", broadcast(vrf)?)];
    let mut text = details(&pairs);
    let filled = |pointer: &str| Ok(!list(document, pointer)?.is_empty());
    if filled("/vifs")? {
        text.push_str(&format!("\n{}", vif::list(at(document, "/vifs")?)?));
    }
    if filled("/services")? {
        text.push_str(&format!("\n{}", service::services(at(document, "/services")?)?));
    }
    if filled("/routes")? {
        text.push_str(&format!("\n{}", routes(at(document, "/routes")?)?));
    }
    Ok(text)
}

pub(crate) fn next_hops(document: &Value) -> Result<String, Mismatch> {
    let mut table = Table::new([Right("NH"), Left("TO"), Right("ROUTES"), State("STATE")]);
    for hop in list(document, "")? {
        table.row([cell(hop, "/id")?, target(hop)?, cell(hop, "/routes")?, state(hop)?]);
    }
    Ok(table.to_string())
}

pub(crate) fn labels(document: &Value) -> Result<String, Mismatch> {
    let mut table = Table::new([Right("LABEL"), Left("TO"), Left("VRF")]);
    for label in list(document, "")? {
        table.row([cell(label, "/label")?, target(label)?, cell(label, "/vrf")?]);
    }
    Ok(table.to_string())
}

pub(crate) fn tunnels(document: &Value) -> Result<String, Mismatch> {
    let mut table = Table::new([Left("PEER"), Right("NEXT HOPS"), Right("INNER MTU"), State("REACH")]);
    for tunnel in list(document, "")? {
        let reach = match cell(tunnel, "/reach")?.as_str() {
            "via" => format!("via {}", cell(tunnel, "/mac")?),
            "unresolved" => "unresolved: the neighbour is being asked for".to_owned(),
            "failed" => "failed: the neighbour does not answer".to_owned(),
            "no_route" => "no route over the uplink: look at `ip route get`".to_owned(),
            other => other.to_owned(),
        };
        table.row([cell(tunnel, "/peer")?, cell(tunnel, "/next_hops")?, cell(tunnel, "/inner_mtu")?, reach]);
    }
    Ok(table.to_string())
}
