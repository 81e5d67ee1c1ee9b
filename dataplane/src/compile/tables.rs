//! The VRFs of one snapshot after the other, and what moves between two of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::CompileError;
use super::cells::Cells;
use super::ends::Ends;
use super::ids::Ids;
use super::policies::{JudgedAnew, Policed};
use super::routes::{self, RouteSources, VrfRoutes};
use super::services::{self, Key, VrfServices};
use crate::desired::{Desired, Node};
use crate::fib::{Services, Vrf, VrfCells, family_and_addr};
use crate::ids::{CellId, VrfId};
use crate::service::ServiceAddress;
use crate::snapshot::Vif;

/// Everything that was compiled last, in pieces that can be used again.
#[derive(Debug, Default)]
pub(super) struct Tables {
    ends: Ends,
    sources: RouteSources,
    routes: BTreeMap<VrfId, VrfRoutes>,
    services: BTreeMap<VrfId, VrfServices>,
    vrfs: BTreeMap<VrfId, Arc<Vrf>>,
    cells: Cells,
    policed: Policed,
    node: Option<Node>,
}

/// What differs from the last compilation.
#[derive(Debug, Default)]
struct Changes {
    /// VRFs of which every flow is to be derived again.
    rerouted: BTreeSet<VrfId>,
    /// Service addresses, the old ones with another content.
    services: Vec<Key>,
}

impl Tables {
    /// Compiles VRFs and services. Flows through what has changed are stale from `epoch` on. On
    /// an error nothing has changed.
    pub(super) fn follow(
        &mut self,
        desired: &Desired,
        vifs: &[Vif],
        ids: &Ids,
        epoch: u32,
    ) -> Result<(), CompileError> {
        let ends = Ends::new(vifs, ids);
        let stale = self.ends.stale(&ends);
        let services = services::compile(desired, ids, &ends, (&self.services, &stale))?;
        let policed = Policed::of(vifs);
        let judged_anew = self.policed.changed(&policed, vifs);
        if !stale.is_empty() || !self.sources.are_those_of(desired) {
            let mut routes = routes::compile(desired, vifs, ids, &ends)?;
            share(&self.routes, &mut routes);
            let changes = self.changes(&routes, &services, &judged_anew);
            self.sources = RouteSources::of(desired);
            self.routes = routes;
            self.apply(&changes, services, epoch);
        } else {
            let changes = self.changes(&self.routes, &services, &judged_anew);
            self.apply(&changes, services, epoch);
        }
        self.ends = ends;
        self.policed = policed;
        self.cells.bump(CellId::NODE, epoch);
        self.follow_node(&desired.node, epoch);
        Ok(())
    }

    /// How the node speaks to others concerns every flow.
    fn follow_node(&mut self, node: &Node, epoch: u32) {
        if self.node.as_ref() != Some(node) {
            self.cells.bump_all(epoch);
            self.node = Some(node.clone());
        }
    }

    fn changes(
        &self,
        routes: &BTreeMap<VrfId, VrfRoutes>,
        services: &BTreeMap<VrfId, VrfServices>,
        judged_anew: &JudgedAnew,
    ) -> Changes {
        let mut changes = Changes::default();
        let differs = |(id, new): &(&VrfId, &VrfRoutes)| {
            !self.vrfs.contains_key(id) || !self.routes.get(id).is_some_and(|old| old.is_same(new))
        };
        changes.rerouted.extend(routes.iter().filter(differs).map(|(id, _)| *id));
        let none = VrfServices::default();
        for vrf in services.keys().chain(self.services.keys()).collect::<BTreeSet<_>>() {
            let [old, new] = [&self.services, services].map(|services| services.get(vrf).unwrap_or(&none));
            changes.compare(*vrf, old, new);
        }
        changes.rerouted.extend(judged_anew.vrfs(routes, services));
        changes.add_users(routes);
        changes
    }

    fn apply(&mut self, changes: &Changes, services: BTreeMap<VrfId, VrfServices>, epoch: u32) {
        self.services = services;
        let touched: BTreeSet<VrfId> = changes.services.iter().map(|(vrf, _)| *vrf).collect();
        let gone = |id: &VrfId, _: &mut Arc<Vrf>| !self.routes.contains_key(id);
        let gone: Vec<_> = self.vrfs.extract_if(.., gone).collect();
        for (_, vrf) in gone {
            vrf.services.values().for_each(|service| self.cells.release(service.cell, epoch));
            for cell in [vrf.cells.routes, vrf.cells.whole] {
                self.cells.release(cell, epoch);
            }
        }
        for id in changes.rerouted.union(&touched) {
            self.rebuild(*id, epoch);
        }
        for vrf in changes.rerouted.iter().filter_map(|id| self.vrfs.get(id)) {
            self.cells.bump(vrf.cells.routes, epoch);
            vrf.services.values().for_each(|service| self.cells.bump(service.cell, epoch));
        }
        for (vrf, address) in &changes.services {
            let (family, addr) = family_and_addr(*address);
            let service = self.vrfs.get(vrf).and_then(|vrf| vrf.service(family, addr));
            service.into_iter().for_each(|service| self.cells.bump(service.cell, epoch));
        }
        for vrf in changes.rerouted.union(&touched).filter_map(|id| self.vrfs.get(id)) {
            self.cells.bump(vrf.cells.whole, epoch);
        }
    }

    /// Puts a VRF together from its routes and services; what it had keeps its cells.
    fn rebuild(&mut self, id: VrfId, epoch: u32) {
        let Some(routes) = self.routes.get(&id) else { return };
        let old = self.vrfs.get(&id);
        let cells = match old {
            Some(old) => old.cells,
            None => VrfCells { routes: self.cells.allocate(epoch), whole: self.cells.allocate(epoch) },
        };
        let wanted = self.services.get(&id);
        let room = wanted.map_or(0, VrfServices::len);
        let mut services = Services::with_capacity_and_hasher(room, Default::default());
        for (address, service) in wanted.into_iter().flatten() {
            let place = family_and_addr(*address);
            let known = old.and_then(|old| old.services.get(&place)).map(|service| service.cell);
            let cell = known.unwrap_or_else(|| self.cells.allocate(epoch));
            services.insert(place, ServiceAddress::new(cell, Arc::clone(&service.ports)));
        }
        for (place, service) in old.into_iter().flat_map(|old| old.services.iter()) {
            if !services.contains_key(place) {
                self.cells.release(service.cell, epoch);
            }
        }
        let vrf = Vrf::new(id, routes.name.clone(), cells, Arc::clone(&routes.table), Arc::new(services));
        self.vrfs.insert(id, Arc::new(vrf));
    }

    /// The VRFs by id, the gaps too.
    pub(super) fn vrfs(&self) -> Box<[Option<Arc<Vrf>>]> {
        let rows = self.vrfs.keys().next_back().map_or(0, |id| usize::from(id.0) + 1);
        let mut table = vec![None; rows];
        for (id, vrf) in &self.vrfs {
            table[usize::from(id.0)] = Some(Arc::clone(vrf));
        }
        table.into()
    }

    /// The epochs by cell.
    pub(super) fn epochs(&self) -> Box<[u32]> {
        self.cells.epochs()
    }
}

impl Changes {
    /// Adds what differs between the services of a VRF.
    fn compare(&mut self, vrf: VrfId, old: &VrfServices, new: &VrfServices) {
        for (address, new) in new {
            match old.get(address) {
                Some(old) if old.is_same(new) => {}
                Some(_) => self.services.push((vrf, *address)),
                // A service address is a host route too.
                None => drop(self.rerouted.insert(vrf)),
            }
        }
        if old.keys().any(|address| !new.contains_key(address)) {
            self.rerouted.insert(vrf);
        }
    }

    /// Adds the VRFs that look up in one that changes: their flows may rest on it.
    fn add_users(&mut self, routes: &BTreeMap<VrfId, VrfRoutes>) {
        let touched = self.services.iter().map(|(vrf, _)| *vrf);
        let mut changed: Vec<VrfId> =
            touched.chain(self.rerouted.iter().copied()).collect::<BTreeSet<_>>().into_iter().collect();
        while let Some(id) = changed.pop() {
            let users = routes.iter().filter(|(_, routes)| routes.into.contains(&id)).map(|(user, _)| *user);
            changed.extend(users.filter(|user| self.rerouted.insert(*user)).collect::<Vec<_>>());
        }
    }
}

/// Keeps one copy of tables that are the same in both.
fn share(old: &BTreeMap<VrfId, VrfRoutes>, new: &mut BTreeMap<VrfId, VrfRoutes>) {
    for (id, new) in new {
        if let Some(old) = old.get(id).filter(|old| old.is_same(new)) {
            new.table = Arc::clone(&old.table);
        }
    }
}
