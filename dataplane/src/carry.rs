//! Flow pairs of an earlier daemon in the terms of this one: ids are a process's own, names are not.

use std::collections::HashMap;
use std::net::IpAddr;

use ahash::RandomState;
use flow_table::{Action, Addr, Carried, Context, Half, Millis, NewPair, Output, Source};

use crate::affinity::{AffinityTable, Client, Fingerprint};
use crate::desired::Affinity;
use crate::ecmp::Target;
use crate::ids::{TunnelId, VifId, VifName, VifSlot, VrfId, VrfName};
use crate::snapshot::Snapshot;
use crate::verdict::{ContextOwner, context_owner, mapping_vrf, same_kind};

/// Which ids of a snapshot stand for what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// Vifs.
    pub vifs: Vec<(VifId, VifSlot, VifName)>,
    /// VRFs.
    pub vrfs: Vec<(VrfId, VrfName)>,
    /// Tunnel endpoints.
    pub tunnels: Vec<(TunnelId, IpAddr)>,
}

impl Roster {
    /// The roster of a snapshot.
    pub fn of(snapshot: &Snapshot) -> Self {
        let vifs = snapshot.vifs().map(|vif| (vif.id, vif.slot, vif.name.clone()));
        let vrfs = snapshot.vrfs().map(|vrf| (vrf.id, vrf.name.clone()));
        let tunnels = snapshot.tunnel_ids().map(|(id, tunnel)| (id, tunnel.address));
        Self { vifs: vifs.collect(), vrfs: vrfs.collect(), tunnels: tunnels.collect() }
    }
}

type Map<K, V> = HashMap<K, V, RandomState>;

/// Turns the ids of a roster into those of a snapshot, by name.
#[derive(Debug)]
pub struct Adoption<'a> {
    snapshot: &'a Snapshot,
    vifs: Map<VifId, VifId>,
    slots: Map<u16, VifSlot>,
    vrfs: Map<VrfId, VrfId>,
    tunnels: Map<u16, TunnelId>,
}

impl<'a> Adoption<'a> {
    /// From the ids of `roster` to those of `snapshot`.
    pub fn new(roster: &Roster, snapshot: &'a Snapshot) -> Self {
        let new = Roster::of(snapshot);
        let vifs: Map<_, _> = new.vifs.iter().map(|(id, slot, name)| (name, (*id, *slot))).collect();
        let vrfs: Map<_, _> = new.vrfs.iter().map(|(id, name)| (name, *id)).collect();
        let tunnels: Map<_, _> = new.tunnels.iter().map(|(id, address)| (*address, *id)).collect();
        let found = |name| vifs.get(name).copied();
        let known = roster.vifs.iter().filter_map(|(id, slot, name)| Some(((*id, *slot), found(name)?)));
        let known: Vec<((VifId, VifSlot), (VifId, VifSlot))> = known.collect();
        Self {
            snapshot,
            vifs: known.iter().map(|((old, _), (new, _))| (*old, *new)).collect(),
            slots: known.iter().map(|((_, old), (_, new))| (old.get(), *new)).collect(),
            vrfs: roster.vrfs.iter().filter_map(|(id, name)| Some((*id, *vrfs.get(name)?))).collect(),
            tunnels: roster.tunnels.iter().filter_map(|(id, at)| Some((id.0, *tunnels.get(at)?))).collect(),
        }
    }

    /// The pair with this node's ids; none if something that it names is not there any more.
    /// Whether it may still be is judged when its next packet comes, as after any change.
    pub fn translate(&self, carried: &Carried) -> Option<Carried> {
        let NewPair { mut forward, reverse, owner } = carried.pair;
        if let Some(vrf) = mapping_vrf(reverse.key.context) {
            // A mapping names the VRF in the place of the far end as well.
            forward.key.tuple.dst = Addr(u128::from(self.vrfs.get(&vrf)?.0));
        }
        let pair =
            NewPair { forward: self.half(forward)?, reverse: self.half(reverse)?, owner: self.owner(owner)? };
        Some(Carried { pair, ..*carried })
    }

    /// Gives the client of a translated pair back to its backend, where the service keeps its
    /// clients: for as long as it would have had it from the beginning of this flow on.
    pub fn remember(&self, carried: &Carried, affinity: &AffinityTable, now: Millis) {
        let Some((client, backend, timeout)) = self.client(carried) else { return };
        let expires = Millis(carried.created.0.saturating_add(timeout.0));
        if expires > now {
            affinity.remember(&client, backend, expires);
        }
    }

    fn client(&self, carried: &Carried) -> Option<(Client, Fingerprint, Millis)> {
        let Half { key, action } = carried.pair.forward;
        let id = match context_owner(key.context) {
            ContextOwner::Vif(id) => self.snapshot.vif_by_id(id)?.vrf,
            ContextOwner::Vrf(id) => id,
        };
        let (vrf, tuple) = (self.snapshot.vrf(id)?, key.tuple);
        let port = vrf.service(tuple.family, tuple.dst)?.port(tuple.protocol, tuple.dport)?;
        let Affinity::ClientAddress(timeout) = port.backends.affinity else { return None };
        let target = Target::of(action.output)?;
        let member = port.backends.ready.members().iter().find(|member| member.target == target)?;
        let client = Client { vrf: id, family: tuple.family, service: tuple.dst, address: tuple.src };
        Some((client, Fingerprint::of(member.identity), timeout))
    }

    fn half(&self, Half { mut key, action }: Half) -> Option<Half> {
        key.context = self.context(key.context)?;
        let output = match action.output {
            Output::Vif { slot } => Output::Vif { slot: self.slots.get(&slot)?.get() },
            Output::Tunnel { tunnel, label } => {
                Output::Tunnel { tunnel: self.tunnels.get(&tunnel)?.0, label }
            }
            Output::Drop { .. } => return None,
        };
        let source = match action.source {
            Source::Tunnel(tunnel) => Source::Tunnel(self.tunnels.get(&tunnel)?.0),
            Source::Any | Source::Vif => action.source,
        };
        Some(Half { key, action: Action { output, source, ..action } })
    }

    fn context(&self, context: Context) -> Option<Context> {
        let owner = match context_owner(context) {
            ContextOwner::Vif(id) => ContextOwner::Vif(*self.vifs.get(&id)?),
            ContextOwner::Vrf(id) => ContextOwner::Vrf(*self.vrfs.get(&id)?),
        };
        Some(same_kind(context, owner))
    }

    fn owner(&self, owner: u16) -> Option<u16> {
        match owner.checked_sub(VifSlot::TABLE as u16) {
            None => Some(self.slots.get(&owner)?.flow_owner()),
            Some(slot) => Some(self.slots.get(&slot)?.fabric_flow_owner()),
        }
    }
}
