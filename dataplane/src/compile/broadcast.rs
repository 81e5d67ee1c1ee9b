//! The broadcast domains of the VRFs.

use std::collections::{BTreeMap, HashMap};

use ahash::RandomState;
use encap::Label;

use super::CompileError;
use super::ends::Ends;
use super::ids::Ids;
use crate::broadcast::Broadcast;
use crate::desired::{self, Desired, HopTarget, VifKind};
use crate::ecmp::Target;
use crate::ids::VrfId;
use crate::snapshot::{LabelTarget, Vif};

/// All broadcast domains by VRF.
pub(super) type Broadcasts = BTreeMap<VrfId, Broadcast>;

/// Compiles the domains. The pods come in the order of `vifs`, then the nodes in theirs.
pub(super) fn compile(desired: &Desired, vifs: &[Vif], ids: &Ids) -> Result<Broadcasts, CompileError> {
    if desired.broadcasts.is_empty() {
        return Ok(Broadcasts::default());
    }
    let ends = Ends::new(vifs, ids);
    let mut domains = Broadcasts::new();
    for wanted in &desired.broadcasts {
        let domain = domain(wanted, vifs, ids, &ends)?;
        let twice = domains.insert(domain.vrf, domain).is_some();
        bound("broadcasts of a VRF", 1 + usize::from(twice), 1)?;
    }
    Ok(domains)
}

fn domain(
    wanted: &desired::Broadcast,
    vifs: &[Vif],
    ids: &Ids,
    ends: &Ends,
) -> Result<Broadcast, CompileError> {
    let vrf = ids.vrf("a broadcast", &wanted.vrf)?;
    let mut targets: Vec<Target> = vifs
        .iter()
        .filter(|vif| vif.vrf == vrf && vif.kind == VifKind::Pod && vif.is_up())
        .map(|vif| Target::Vif(vif.slot))
        .collect();
    bound("vifs in a VRF with broadcast", targets.len(), desired::Broadcast::MOST_VIFS)?;
    bound("nodes of a broadcast", wanted.nodes.len(), desired::Broadcast::MOST_NODES)?;
    bound("subnets of a broadcast", wanted.subnets.len(), desired::Broadcast::MOST_SUBNETS)?;
    for node in &wanted.nodes {
        let to = HopTarget::Tunnel { node: node.node, label: node.label };
        targets.push(ends.member(format_args!("a broadcast"), &to, 1)?.target);
        // Its pods would get every packet twice.
        let same = wanted.nodes.iter().filter(|other| other.node == node.node);
        bound("labels of one node in a broadcast", same.count(), 1)?;
    }
    let directed = wanted.subnets.iter().map(|subnet| flow_table::Addr::from_v4(subnet.broadcast().octets()));
    Ok(Broadcast { vrf, label: wanted.label, directed: directed.collect(), targets: targets.into() })
}

/// The domains in a table by VRF.
pub(super) fn table(broadcasts: Broadcasts) -> Box<[Option<Broadcast>]> {
    let rows = broadcasts.keys().next_back().map_or(0, |vrf| usize::from(vrf.0) + 1);
    let mut table = vec![None; rows];
    for (vrf, broadcast) in broadcasts {
        table[usize::from(vrf.0)] = Some(broadcast);
    }
    table.into()
}

/// The VRF that each label for all pods stands for.
pub(super) fn labels(
    broadcasts: &Broadcasts,
    others: &HashMap<Label, LabelTarget, RandomState>,
) -> Result<HashMap<Label, VrfId, RandomState>, CompileError> {
    let mut labels = HashMap::default();
    for broadcast in broadcasts.values() {
        let Some(label) = broadcast.label else { continue };
        if others.contains_key(&label) || labels.insert(label, broadcast.vrf).is_some() {
            return Err(CompileError::BroadcastLabelTaken { label });
        }
    }
    Ok(labels)
}

fn bound(what: &'static str, count: usize, most: usize) -> Result<(), CompileError> {
    if count > most { Err(CompileError::TooMany { what, most }) } else { Ok(()) }
}
