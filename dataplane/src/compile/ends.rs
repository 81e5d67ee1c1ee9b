//! What the names in next hops and backends resolve to.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;

use ahash::RandomState;

use super::CompileError;
use super::ids::Ids;
use crate::desired::{HopTarget, Link};
use crate::ecmp::{Member, Target, mix};
use crate::ids::{TunnelId, VifId, VifName, VifSlot};
use crate::snapshot::Vif;

/// A vif as the end of a next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct VifEnd {
    id: VifId,
    slot: VifSlot,
    state: EndState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EndState {
    Up,
    Down,
}

/// Everything that a next hop can name.
#[derive(Debug, Default)]
pub(super) struct Ends {
    vifs: HashMap<VifName, VifEnd, RandomState>,
    tunnels: HashMap<IpAddr, TunnelId, RandomState>,
}

/// Names that resolve to something else than before, or to nothing.
pub(super) struct Stale<'a> {
    vifs: HashSet<&'a VifName, RandomState>,
    tunnels: HashSet<IpAddr, RandomState>,
}

impl Stale<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.vifs.is_empty() && self.tunnels.is_empty()
    }

    pub(super) fn contains(&self, to: &HopTarget) -> bool {
        match to {
            HopTarget::Vif(name) => self.vifs.contains(name),
            HopTarget::Tunnel { node, .. } => self.tunnels.contains(node),
        }
    }
}

impl Ends {
    pub(super) fn new(vifs: &[Vif], ids: &Ids) -> Self {
        let end = |vif: &Vif| {
            let state = match vif.link {
                Link::Up => EndState::Up,
                Link::Down(_) => EndState::Down,
            };
            (vif.name.clone(), VifEnd { id: vif.id, slot: vif.slot, state })
        };
        Self { vifs: vifs.iter().map(end).collect(), tunnels: ids.tunnel_ids().collect() }
    }

    /// The names of `self` that `new` resolves otherwise. A name that is new is not among them:
    /// nothing has been made of it yet.
    pub(super) fn stale<'a>(&'a self, new: &Self) -> Stale<'a> {
        let vifs = self.vifs.iter().filter(|(name, end)| new.vifs.get(*name) != Some(*end));
        let tunnels = self.tunnels.iter().filter(|(address, id)| new.tunnels.get(*address) != Some(*id));
        Stale {
            vifs: vifs.map(|(name, _)| name).collect(),
            tunnels: tunnels.map(|(address, _)| *address).collect(),
        }
    }

    /// The member that `to` names for `user`, up or not.
    pub(super) fn member(
        &self,
        user: fmt::Arguments<'_>,
        to: &HopTarget,
        weight: u16,
    ) -> Result<Member, CompileError> {
        match to {
            HopTarget::Vif(name) => {
                let unknown = || CompileError::UnknownVif { user: user.to_string(), vif: name.clone() };
                let end = self.vifs.get(name).ok_or_else(unknown)?;
                Ok(vif_member(end.id, end.slot, weight))
            }
            HopTarget::Tunnel { node, label } => {
                let tunnel = *self.tunnels.get(node).ok_or(CompileError::TunnelFamily(*node))?;
                let address = match node {
                    IpAddr::V4(v4) => u128::from(v4.to_bits()),
                    IpAddr::V6(v6) => v6.to_bits(),
                };
                let folded = mix(address as u64) ^ mix((address >> 64) as u64).rotate_left(1);
                let identity = mix(folded ^ u64::from(label.get()) << 40);
                Ok(Member { target: Target::Tunnel { tunnel, label: *label }, weight, identity })
            }
        }
    }

    /// Whether packets can be sent there; of another node's pods that node knows.
    pub(super) fn is_up(&self, to: &HopTarget) -> bool {
        match to {
            HopTarget::Vif(name) => self.vifs.get(name).is_some_and(|end| end.state == EndState::Up),
            HopTarget::Tunnel { .. } => true,
        }
    }
}

/// A vif as a member of a group.
pub(super) fn vif_member(id: VifId, slot: VifSlot, weight: u16) -> Member {
    Member { target: Target::Vif(slot), weight, identity: mix(u64::from(id.0) | 1 << 63) }
}
