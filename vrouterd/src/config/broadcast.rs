//! `[[broadcast]]`: who hears the broadcast and link-local multicast of a VRF.

use core::net::IpAddr;
use std::collections::HashSet;

use dataplane::desired::{Broadcast, BroadcastNode};
use dataplane::ids::VrfName;
use ipnet::{IpNet, Ipv4Net};

use super::ledger::{Ledger, Owner};
use super::model::Vif;
use super::place::At;
use super::problem::{Reported, quote};
use super::scalar;
use super::section::{Item, Section};

/// `vifs` are those of the whole configuration.
pub(super) fn broadcast(
    mut section: Section<'_>,
    ledger: &mut Ledger<'_>,
    vifs: &[Vif],
) -> Result<Broadcast, Reported> {
    let vrf = section.required("vrf", "vrf = \"blue\"", |item| ledger.vrf(item));
    let label = section.optional("label", scalar::label);
    let subnets = section.or_default("subnets", Vec::new(), |item| subnets(item, ledger, vrf.as_ref().ok()));
    let nodes = section.or_default("nodes", Vec::new(), |item| nodes(item, ledger));
    section.finish();
    let named = vrf.as_ref().map_err(|reported| *reported);
    let named = named.map(|at| At { value: at.value.to_string(), place: at.place.clone() });
    if let Ok(Some(label)) = &label {
        ledger.claim_label(label, &Owner::new("the broadcast of VRF", &named, &section.place));
    }
    let vrf = vrf?;
    ledger.claim_broadcast(&vrf);
    let members = vifs.iter().filter(|vif| vif.vrf == vrf.value).count();
    if members > Broadcast::MOST_VIFS {
        let name = quote(vrf.value.as_str());
        let what = format!("VRF {name} has {members} vifs, and each costs a copy of every broadcast");
        let remedy =
            format!("at most {} vifs of a VRF can hear broadcasts: remove this table", Broadcast::MOST_VIFS);
        return Err(section.wrong(what, remedy));
    }
    Ok(Broadcast { vrf: vrf.value, label: label?.map(|at| at.value), subnets: subnets?, nodes: nodes? })
}

fn subnets(
    item: &Item<'_>,
    ledger: &Ledger<'_>,
    vrf: Option<&At<VrfName>>,
) -> Result<Vec<Ipv4Net>, Reported> {
    let mut seen = HashSet::new();
    let list = item.list(|element| {
        let subnet = match scalar::prefix(element)? {
            IpNet::V4(subnet) if subnet.prefix_len() <= 30 => subnet,
            IpNet::V4(subnet) => {
                let remedy = "write the subnet that the pods are in, or leave it out";
                return Err(element.wrong(format_args!("{subnet} has no broadcast address"), remedy));
            }
            IpNet::V6(subnet) => {
                let remedy = "leave it out: link-local multicast needs no subnet";
                return Err(element.wrong(format_args!("{subnet}: IPv6 has no broadcast"), remedy));
            }
        };
        let all = IpAddr::V4(subnet.broadcast());
        if let Some(owner) = vrf.and_then(|vrf| ledger.owner(&vrf.value, all)) {
            let owner = owner.seen_from(&element.place);
            let what = format!("{all}, which means all of {subnet}, is the address of {owner}");
            return Err(element.wrong(what, "write the right length, or change that address"));
        }
        if !seen.insert(subnet) {
            return Err(element.wrong(format_args!("{subnet} is listed twice"), "list each subnet once"));
        }
        Ok(subnet)
    })?;
    bounded(item, list.len(), Broadcast::MOST_SUBNETS, "subnets")?;
    Ok(list.into_iter().map(|at| at.value).collect())
}

fn nodes(item: &Item<'_>, ledger: &mut Ledger<'_>) -> Result<Vec<BroadcastNode>, Reported> {
    let mut seen = HashSet::new();
    let list = item.list(|element| {
        let mut section = element.section()?;
        let tunnel = section.required("tunnel", "tunnel = \"172.30.0.2\"", |item| ledger.endpoint(item));
        let label = section.required("label", "label = 101", scalar::label);
        section.finish();
        let node = tunnel?.value;
        if !seen.insert(node) {
            let remedy = "list each node once: its pods would hear everything twice";
            return Err(element.wrong(format_args!("node {node} is listed twice"), remedy));
        }
        Ok(BroadcastNode { node, label: label?.value })
    })?;
    bounded(item, list.len(), Broadcast::MOST_NODES, "nodes")?;
    Ok(list.into_iter().map(|at| at.value).collect())
}

fn bounded(item: &Item<'_>, count: usize, most: usize, things: &str) -> Result<(), Reported> {
    if count <= most {
        return Ok(());
    }
    Err(item.wrong(format_args!("{count} {things} are given"), format_args!("give at most {most}")))
}
