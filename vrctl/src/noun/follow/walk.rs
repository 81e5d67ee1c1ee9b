//! The walk: route -> next hop -> label on the next node -> vif, or VRF and route again. Where a route has several
//! next hops, all of them are followed.

use std::fmt;
use std::net::IpAddr;

use serde_json::{Value, json};

use super::facts::Facts;
use crate::lookup;
use crate::value::{Mismatch, cell, list, state, target};

/// Deeper is no network, but a mistake.
const DEEPEST: usize = 32;
/// Steps of all ways together.
const MOST_STEPS: usize = 500;

/// How a way ends.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// At a pod.
    Delivered(String),
    /// Before.
    Dropped(String),
    /// Where we cannot look any further.
    Unknown(String),
}

/// What one node does with the packet.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    depth: usize,
    node: String,
    what: String,
    end: Option<End>,
}

/// All steps of all ways.
#[derive(Debug)]
pub(super) struct Walk<'n> {
    nodes: &'n [Facts],
    address: IpAddr,
    steps: Vec<Step>,
    /// Tables asked on the way to where we are, as (node, VRF).
    asked: Vec<(String, String)>,
}

/// Follows `address` from VRF `vrf` of the node `start`.
///
/// # Errors
/// [`Mismatch`] when a node does not say what is expected.
pub(super) fn walk<'n>(
    nodes: &'n [Facts],
    start: &'n Facts,
    vrf: &str,
    address: IpAddr,
) -> Result<Walk<'n>, Mismatch> {
    let mut walk = Walk { nodes, address, steps: Vec::new(), asked: Vec::new() };
    walk.look_up(start, vrf, 0)?;
    Ok(walk)
}

impl<'n> Walk<'n> {
    fn step(&mut self, node: &Facts, depth: usize, what: String, end: Option<End>) {
        self.steps.push(Step { depth, node: node.name.clone(), what, end });
    }

    fn look_up(&mut self, node: &'n Facts, vrf: &str, depth: usize) -> Result<(), Mismatch> {
        let table = (node.name.clone(), vrf.to_owned());
        if self.asked.contains(&table) {
            let end = End::Dropped("it was here before: packets go round until their TTL ends".to_owned());
            self.step(node, depth, format!("VRF {vrf}"), Some(end));
            return Ok(());
        }
        let Some(route) = lookup::longest(&node.routes, vrf, self.address)? else {
            let end = End::Dropped(format!("no route to {} (no_route)", self.address));
            self.step(node, depth, format!("VRF {vrf}"), Some(end));
            return Ok(());
        };
        let (prefix, origin) = (cell(route, "/prefix")?, cell(route, "/origin")?);
        let hops = list(route, "/next_hops")?;
        let what = match hops.len() {
            1 => format!("VRF {vrf}: route {prefix} ({origin})"),
            ways => format!("VRF {vrf}: route {prefix} ({origin}), {ways} ways"),
        };
        let end = hops.is_empty().then(|| End::Dropped("the route has no next hop".to_owned()));
        self.step(node, depth, what, end);
        self.asked.push(table);
        for hop in hops {
            if depth >= DEEPEST || self.steps.len() >= MOST_STEPS {
                let end = End::Unknown("this is followed no further".to_owned());
                self.step(node, depth + 1, "...".to_owned(), Some(end));
                break;
            }
            self.hop(node, hop, depth + 1)?;
        }
        self.asked.pop();
        Ok(())
    }

    fn hop(&mut self, node: &'n Facts, hop: &Value, depth: usize) -> Result<(), Mismatch> {
        let to = target(hop)?;
        if let Some(known) = node.next_hop(&cell(hop, "/next_hop")?)?
            && cell(known, "/state")? == "down"
        {
            let end = End::Dropped(state(known)?);
            self.step(node, depth, format!("-> {to}"), Some(end));
            return Ok(());
        }
        match cell(hop, "/kind")?.as_str() {
            "vif" => self.deliver(node, "->", &cell(hop, "/vif")?, depth),
            "tunnel" => {
                let (peer, label) = (cell(hop, "/node")?, cell(hop, "/label")?);
                match self.nodes.iter().find(|node| node.tunnel_address == peer) {
                    Some(next) => {
                        self.step(node, depth, format!("-> {to}"), None);
                        self.arrive(next, &label, depth + 1)
                    }
                    None => {
                        let end = End::Unknown(format!("add the node of {peer} with --node NAME=URL"));
                        self.step(node, depth, format!("-> {to}"), Some(end));
                        Ok(())
                    }
                }
            }
            "vrf" => {
                self.step(node, depth, format!("-> {to}"), None);
                self.look_up(node, &cell(hop, "/vrf")?, depth + 1)
            }
            "pool" => {
                let end =
                    End::Unknown("only the flow knows: these are answers to a source NAT pool".to_owned());
                self.step(node, depth, format!("-> {to}"), Some(end));
                Ok(())
            }
            _ => {
                let end = End::Dropped("the route says so (discard_route)".to_owned());
                self.step(node, depth, format!("-> {to}"), Some(end));
                Ok(())
            }
        }
    }

    fn arrive(&mut self, node: &'n Facts, label: &str, depth: usize) -> Result<(), Mismatch> {
        let Some(meaning) = node.label(label)? else {
            let end = End::Dropped("the node has not given it out (invalid_label)".to_owned());
            self.step(node, depth, format!("label {label}"), Some(end));
            return Ok(());
        };
        let to = target(meaning)?;
        match cell(meaning, "/kind")?.as_str() {
            "vif" => self.deliver(node, &format!("label {label} ->"), &cell(meaning, "/vif")?, depth),
            "vrf" => {
                self.step(node, depth, format!("label {label} -> {to}"), None);
                self.look_up(node, &cell(meaning, "/vrf")?, depth + 1)
            }
            "quarantined" => {
                let end = End::Dropped("it changed hands a moment ago (label_quarantined)".to_owned());
                self.step(node, depth, format!("label {label}"), Some(end));
                Ok(())
            }
            _ => {
                let end = End::Dropped("it is for packets to all (label_destination_mismatch)".to_owned());
                self.step(node, depth, format!("label {label} -> {to}"), Some(end));
                Ok(())
            }
        }
    }

    fn deliver(&mut self, node: &Facts, by: &str, name: &str, depth: usize) -> Result<(), Mismatch> {
        let end = match node.vif(name)? {
            None => End::Unknown("the vif has gone meanwhile".to_owned()),
            Some(vif) if cell(vif, "/state")? == "down" => End::Dropped(state(vif)?),
            Some(vif) => End::Delivered(format!("to {}", cell(vif, "/addresses")?)),
        };
        self.step(node, depth, format!("{by} vif {name}"), Some(end));
        Ok(())
    }

    fn ends(&self) -> impl Iterator<Item = &End> {
        self.steps.iter().filter_map(|step| step.end.as_ref())
    }

    fn delivered(&self) -> usize {
        self.ends().filter(|end| matches!(end, End::Delivered(_))).count()
    }

    /// All of it, for programs.
    pub(super) fn document(&self) -> Value {
        let steps: Vec<Value> = self.steps.iter().map(Step::document).collect();
        let (ways, delivered) = (self.ends().count(), self.delivered());
        json!({ "address": self.address, "steps": steps, "ways": ways, "delivered": delivered })
    }
}

impl Step {
    fn document(&self) -> Value {
        let mut step = json!({ "depth": self.depth, "node": self.node, "step": self.what });
        if let Some(end) = &self.end {
            let (word, why) = end.words();
            step["end"] = json!({ "outcome": word, "detail": why });
        }
        step
    }
}

impl End {
    fn words(&self) -> (&'static str, &str) {
        match self {
            End::Delivered(why) => ("delivered", why),
            End::Dropped(why) => ("dropped", why),
            End::Unknown(why) => ("unknown", why),
        }
    }
}

impl fmt::Display for Walk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Step { depth, node, what, end } in &self.steps {
            write!(f, "{:indent$}{node}  {what}", "", indent = depth * 2)?;
            match end.as_ref().map(End::words) {
                Some((word, why)) => writeln!(f, "  {word}: {why}")?,
                None => writeln!(f)?,
            }
        }
        writeln!(f, "delivered on {} of {} ways", self.delivered(), self.ends().count())
    }
}

#[cfg(test)]
mod tests;
