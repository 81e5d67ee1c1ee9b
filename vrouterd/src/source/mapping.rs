//! Pairs that carry no packets: they remember what a sender is translated to.

use dataplane::counters::TrafficTotals;
use dataplane::ids::VrfId;
use dataplane::verdict::{ContextOwner, context_owner};
use flow_table::{Addr, FlowView as Pair};

use super::Reading;
use super::flow::{end, seconds};
use crate::view::{FlowSide, FlowView, HopView, Protocol, TranslatedField, Translation};

/// What is shown in place of a state.
const STATE: &str = "nat_mapping";

impl Reading<'_> {
    /// The mapping of a sender in `vrf`, for whatever destination.
    pub(super) fn mapping(&self, pair: &Pair, vrf: VrfId) -> Option<FlowView> {
        let (inside, outside) = (pair.forward.key.tuple, pair.reverse.key.tuple);
        let vif = match context_owner(pair.forward.key.context) {
            ContextOwner::Vif(id) => Some(self.snapshot.vif_by_id(id)?.name.clone()),
            ContextOwner::Vrf(_) => None,
        };
        let anyone = end(inside.family, Addr(0), 0);
        let (from, to) =
            (end(inside.family, inside.src, inside.sport), end(outside.family, outside.dst, outside.dport));
        let within = HopView::Vrf { vrf: self.vrf_name(vrf)? };
        let back = vif
            .clone()
            .map_or(HopView::Vrf { vrf: self.vrf_of(pair.forward.key.context)? }, |vif| HopView::Vif { vif });
        let traffic = TrafficTotals::default();
        Some(FlowView {
            vrf: self.vrf_of(pair.forward.key.context)?,
            protocol: Protocol(inside.protocol),
            forward: FlowSide { vif, source: from, destination: anyone, to: within, traffic },
            reverse: FlowSide { vif: None, source: anyone, destination: to, to: back, traffic },
            state: STATE,
            age_seconds: seconds(pair.age),
            idle_seconds: seconds(pair.forward.idle),
            translations: vec![Translation { field: TranslatedField::Source, from, to }],
            allowed_by: Vec::new(),
            drop_reason: None,
        })
    }
}
