//! Interfaces.

use serde_json::Value;

use crate::table::Column::{Left, Right, State};
use crate::table::{Table, details};
use crate::value::{self, Mismatch, cell, service_ports, state};

pub(crate) fn list(document: &Value) -> Result<String, Mismatch> {
    let mut table = Table::new([
        Left("NAME"),
        Left("VRF"),
        Left("ADDRESSES"),
        Left("INTERFACE"),
        Right("LABEL"),
        Right("RX"),
        Right("TX"),
        Right("DROPPED"),
        Right("FLOWS"),
        State("STATE"),
    ]);
    for vif in value::list(document, "")? {
        table.row([
            cell(vif, "/name")?,
            cell(vif, "/vrf")?,
            cell(vif, "/addresses")?,
            cell(vif, "/ifname")?,
            cell(vif, "/label")?,
            cell(vif, "/traffic/rx/packets")?,
            cell(vif, "/traffic/tx/packets")?,
            cell(vif, "/traffic/dropped")?,
            cell(vif, "/flows")?,
            state(vif)?,
        ]);
    }
    Ok(table.to_string())
}

pub(crate) fn one(vif: &Value) -> Result<String, Mismatch> {
    let mut pairs = vec![("name", cell(vif, "/name")?), ("state", state(vif)?)];
    pairs.extend([
        ("vrf", cell(vif, "/vrf")?),
        ("addresses", cell(vif, "/addresses")?),
        ("label", cell(vif, "/label")?),
        ("interface", cell(vif, "/ifname")?),
        ("mac", cell(vif, "/mac")?),
        ("mtu", cell(vif, "/mtu")?),
        ("slot", cell(vif, "/slot")?),
        ("flows", cell(vif, "/flows")?),
        ("rx", traffic(vif, "/traffic/rx")?),
        ("tx", traffic(vif, "/traffic/tx")?),
        ("dropped", format!("{} packets", cell(vif, "/traffic/dropped")?)),
    ]);
    for floating in value::list(vif, "/floating_ips")? {
        pairs
            .push(("floating ip", format!("{} in {}", cell(floating, "/address")?, cell(floating, "/vrf")?)));
    }
    for service in value::list(vif, "/services")? {
        pairs.push(("service", format!("{} {}", cell(service, "/address")?, service_ports(service)?)));
    }
    for policy in value::list(vif, "/policies")? {
        pairs.push(("policy", restricted(policy)?));
    }
    let mut text = details(&pairs);
    for table in [drops(vif)?, last_drops(vif)?].into_iter().flatten() {
        text.push('\n');
        text.push_str(&table);
    }
    Ok(text)
}

/// `web: ingress 2 rules`
fn restricted(policy: &Value) -> Result<String, Mismatch> {
    let mut courses = Vec::new();
    for course in ["ingress", "egress"] {
        let pointer = format!("/{course}");
        if !value::at(policy, &pointer)?.is_null() {
            courses.push(format!("{course} {} rules", cell(policy, &pointer)?));
        }
    }
    Ok(format!("{}: {}", cell(policy, "/name")?, courses.join(", ")))
}

/// `12 packets, 840 bytes`.
pub(crate) fn traffic(of: &Value, pointer: &str) -> Result<String, Mismatch> {
    let totals = value::at(of, pointer)?;
    Ok(format!("{} packets, {} bytes", cell(totals, "/packets")?, cell(totals, "/bytes")?))
}

fn drops(vif: &Value) -> Result<Option<String>, Mismatch> {
    let mut table = Table::new([Left("DROP REASON"), Right("PACKETS"), Left("MEANING")]);
    for drop in value::list(vif, "/traffic/drops")? {
        table.row([cell(drop, "/reason")?, cell(drop, "/count")?, cell(drop, "/meaning")?]);
    }
    Ok((!table.is_empty()).then(|| table.to_string()))
}

fn last_drops(vif: &Value) -> Result<Option<String>, Mismatch> {
    let mut table = Table::new([Right("DROPPED"), Left("REASON"), Right("BYTES"), Left("PACKET")]);
    for packet in value::list(vif, "/last_drops")? {
        let ago = value::span(value::number(packet, "/age_ms")? / 1000);
        let decoded = cell(packet, "/decoded")?;
        table.row([format!("{ago} ago"), cell(packet, "/reason")?, cell(packet, "/length")?, decoded]);
    }
    Ok((!table.is_empty()).then(|| table.to_string()))
}
