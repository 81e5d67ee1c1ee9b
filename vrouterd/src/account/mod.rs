//! Traffic between networks and services, from the counts of the flow pairs.
//!
//! ```text
//! flow table --visited bit by bit, just before each sweep--> what each pair has counted since
//!            --> cell of (VRF, VRF, service, origin), at most so many; the rest is one cell
//! ```
//!
//! The workers have no part in it. What a pair counts between the last visit and its removal is lost when it is not
//! the sweep that removes it: when it gives way in a full table, or is derived again.

mod cell;
mod seen;

pub use cell::{CellKey, Cells};
pub use seen::{Delta, Seen};

use std::time::Instant;

use dataplane::fib::ip_addr;
use dataplane::ids::VrfName;
use dataplane::snapshot::Snapshot;
use dataplane::verdict::{ContextOwner, context_owner, mapping_vrf};
use flow_table::{Context, FlowTable, FlowView, Millis, Output, Source};

use crate::export::Exporter;
use crate::view::{ExportView, FlowOrigin};

/// Traffic between networks as it is counted.
#[derive(Debug)]
pub struct Accounts {
    seen: Seen,
    /// What was counted so far.
    pub cells: Cells,
    next: usize,
    exporter: Option<Exporter>,
}

impl Accounts {
    /// Nothing counted yet; tells apart `most` pairs of networks, in a flow table of `capacity` pairs.
    pub fn new(capacity: usize, most: usize) -> Self {
        Self { seen: Seen::new(capacity), cells: Cells::new(most), next: 0, exporter: None }
    }

    /// Takes over what the next `slots` slots of the flow table have counted.
    pub fn pass(&mut self, flows: &FlowTable, snapshot: &Snapshot, now: Millis, slots: usize) {
        let Self { seen, cells, next, exporter } = self;
        exporter.iter_mut().for_each(|exporter| exporter.begin(Instant::now()));
        *next = flows.visit(now, *next, slots, |flow| {
            if let Some(delta) = seen.delta(flow)
                && let Some((key, vrfs)) = cell_of(flow, snapshot)
            {
                cells.add(key, &delta);
                exporter.iter_mut().for_each(|exporter| exporter.note(flow, &delta, vrfs));
            }
        });
        exporter.iter_mut().for_each(Exporter::flush);
    }

    /// Tells a collector too.
    pub fn export_to(&mut self, exporter: Exporter) {
        self.exporter = Some(exporter);
    }

    /// What was exported; none if nothing is to be.
    pub fn export_view(&self) -> Option<ExportView> {
        self.exporter.as_ref().map(Exporter::view)
    }

    /// Forgets pairs of networks that are gone: their counts go to the rest.
    pub fn follow(&mut self, snapshot: &Snapshot) {
        self.cells.keep(|key| is_there(key, snapshot));
    }
}

/// Where a flow counts, and the numbers of its VRFs; none if it carries nothing or names something that is gone.
fn cell_of(flow: &FlowView, snapshot: &Snapshot) -> Option<(CellKey, (u16, u16))> {
    let (forward, reverse) = (&flow.forward, &flow.reverse);
    let drops = matches!(forward.action.output, Output::Drop { .. });
    if drops || mapping_vrf(reverse.key.context).is_some() {
        return None;
    }
    let (from, to) = (vrf_of(forward.key.context, snapshot)?, vrf_of(reverse.key.context, snapshot)?);
    let tuple = forward.key.tuple;
    let key = CellKey {
        to: to.name.clone(),
        service: from.service(tuple.family, tuple.dst).map(|_| ip_addr(tuple.family, tuple.dst)),
        origin: match forward.action.source {
            Source::Tunnel(_) => FlowOrigin::Fabric,
            Source::Vif | Source::Any => FlowOrigin::Pod,
        },
        from: from.name.clone(),
    };
    Some((key, (from.id.0, to.id.0)))
}

fn vrf_of(context: Context, snapshot: &Snapshot) -> Option<&dataplane::fib::Vrf> {
    let id = match context_owner(context) {
        ContextOwner::Vif(id) => snapshot.vif_by_id(id)?.vrf,
        ContextOwner::Vrf(id) => id,
    };
    snapshot.vrf(id)
}

fn is_there(key: &CellKey, snapshot: &Snapshot) -> bool {
    let find = |name: &VrfName| snapshot.vrfs().find(|vrf| vrf.name == *name);
    let service = |vrf: &dataplane::fib::Vrf| match key.service {
        None => true,
        Some(address) => {
            let (family, address) = dataplane::fib::family_and_addr(address);
            vrf.service(family, address).is_some()
        }
    };
    find(&key.from).is_some_and(service) && find(&key.to).is_some()
}
