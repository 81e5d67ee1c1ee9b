//! Flow pairs.

use serde_json::Value;

use crate::table::Column::{Left, Right, State};
use crate::table::{Table, details};
use crate::value::{Mismatch, at, cell, list, number, span, target};

/// Two lines per pair: the direction of its first packet, then the answers.
pub(crate) fn flows(document: &Value) -> Result<String, Mismatch> {
    let mut table = Table::new([
        Left("VRF"),
        Left("FLOW"),
        Left("SOURCE"),
        Left("DESTINATION"),
        Left("FROM"),
        Left("TO"),
        Right("PACKETS"),
        Right("BYTES"),
        State("STATE"),
        Right("AGE"),
        Right("IDLE"),
        Left("TRANSLATED"),
    ]);
    let flows = list(document, "/flows")?;
    for flow in flows {
        let forward = side(at(flow, "/forward")?)?;
        let reverse = side(at(flow, "/reverse")?)?;
        let age = span(number(flow, "/age_seconds")?);
        let idle = span(number(flow, "/idle_seconds")?);
        let (vrf, protocol, state) = (cell(flow, "/vrf")?, cell(flow, "/protocol")?, cell(flow, "/state")?);
        let none = String::new;
        table.row(line(&vrf, protocol, forward, [state, age, idle, translations(flow)?]));
        table.row(line(&vrf, "reply".to_owned(), reverse, [none(), none(), none(), none()]));
    }
    let more = match at(document, "/truncated")?.as_bool() {
        Some(false) => "",
        Some(true) => ", more match: raise --limit or narrow the filter",
        None => return Err(Mismatch::Kind("/truncated".to_owned(), "truth value")),
    };
    let (total, capacity) = (cell(document, "/total")?, cell(document, "/capacity")?);
    let count = flows.len();
    Ok(format!("{table}\n{count} listed{more}; {total} in the table, room for {capacity}\n"))
}

fn line(vrf: &str, name: String, side: [String; 6], pair: [String; 4]) -> [String; 12] {
    let [source, destination, from, to, packets, bytes] = side;
    let [state, age, idle, translated] = pair;
    let vrf = vrf.to_owned();
    [vrf, name, source, destination, from, to, packets, bytes, state, age, idle, translated]
}

fn side(side: &Value) -> Result<[String; 6], Mismatch> {
    let from = match at(side, "/vif")? {
        Value::Null => "fabric".to_owned(),
        _ => format!("vif {}", cell(side, "/vif")?),
    };
    Ok([
        endpoint(at(side, "/source")?)?,
        endpoint(at(side, "/destination")?)?,
        from,
        target(at(side, "/to")?)?,
        cell(side, "/traffic/packets")?,
        cell(side, "/traffic/bytes")?,
    ])
}

/// `10.0.1.2:80` or `[fd00:1::2]:80`.
fn endpoint(of: &Value) -> Result<String, Mismatch> {
    let (address, port) = (cell(of, "/address")?, cell(of, "/port")?);
    Ok(if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") })
}

fn translations(flow: &Value) -> Result<String, Mismatch> {
    let one = |change: &Value| {
        let (from, to) = (endpoint(at(change, "/from")?)?, endpoint(at(change, "/to")?)?);
        Ok(format!("{} {from}->{to}", cell(change, "/field")?))
    };
    let all: Result<Vec<String>, Mismatch> = list(flow, "/translations")?.iter().map(one).collect();
    Ok(all?.join(", "))
}

/// A paragraph per pair.
pub(crate) fn in_full(document: &Value) -> Result<String, Mismatch> {
    let paragraphs: Result<Vec<_>, _> = list(document, "/flows")?.iter().map(one).collect();
    let paragraphs = paragraphs?;
    Ok(if paragraphs.is_empty() { "no flow matches\n".to_owned() } else { paragraphs.join("\n") })
}

fn one(flow: &Value) -> Result<String, Mismatch> {
    let mut pairs = vec![
        ("protocol", cell(flow, "/protocol")?),
        ("vrf", cell(flow, "/vrf")?),
        ("state", cell(flow, "/state")?),
        ("age", span(number(flow, "/age_seconds")?)),
        ("idle", span(number(flow, "/idle_seconds")?)),
    ];
    for (name, pointer) in [("forward", "/forward"), ("reply", "/reverse")] {
        let [source, destination, from, to, packets, bytes] = side(at(flow, pointer)?)?;
        pairs.push((name, format!("{source} -> {destination}")));
        pairs.push(("  way", format!("from {from} to {to}")));
        pairs.push(("  traffic", format!("{packets} packets, {bytes} bytes")));
    }
    let translated = translations(flow)?;
    pairs.push(("translated", if translated.is_empty() { "-".to_owned() } else { translated }));
    for rule in list(flow, "/allowed_by")? {
        let name = match at(rule, "/name")? {
            Value::Null => cell(rule, "/number")?,
            _ => cell(rule, "/name")?,
        };
        let (policy, course, allows) =
            (cell(rule, "/policy")?, cell(rule, "/course")?, cell(rule, "/allows")?);
        pairs.push(("allowed by", format!("policy {policy}, {course} rule {name}: {allows}")));
    }
    if !at(flow, "/drop_reason")?.is_null() {
        pairs.push(("dropped for", cell(flow, "/drop_reason")?));
    }
    Ok(details(&pairs))
}
