//! Flow pairs.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use dataplane::counters::TrafficTotals;
use dataplane::drop::DropReason;
use dataplane::fib::ip_addr;
use dataplane::ids::{TunnelId, VifName, VrfName};
use dataplane::policy::{AllowedBy, Opinion, Passage};
use dataplane::verdict::{ContextOwner, context_owner, mapping_vrf};
use flow_table::{Addr, Context, DirectionView, Family, Millis, Output, Source};

use super::Reading;
use crate::state::NodeState;
use crate::view::{
    Endpoint, FlowFilter, FlowOrder, FlowSide, FlowTableView, FlowView, FlowsView, HopView, Protocol,
    RuleView, TranslatedField, Translation,
};

impl NodeState {
    /// Removes the flow pairs that match, whatever the filter's limit, and says how many. The next packet of such
    /// a flow is judged and placed anew. Walks the table once: for a thread that may take its time.
    pub fn flush_flows(&self, filter: &FlowFilter) -> u64 {
        Reading::new(self).flush(filter)
    }
}

impl Reading<'_> {
    /// Pairs that name something that is gone are left out: they wait for the sweep, or for a
    /// packet that has them derived again.
    pub(super) fn flows(&self, filter: &FlowFilter) -> FlowsView {
        let table = &self.state.flows;
        let wanted = |pair: &flow_table::FlowView| self.flow(pair).is_some_and(|flow| filter.matches(&flow));
        let (found, truncated) = match filter.order {
            FlowOrder::Table => {
                let mut found = table.view(self.now(), 0, filter.limit.saturating_add(1), wanted);
                let truncated = found.len() > filter.limit;
                found.truncate(filter.limit);
                (found, truncated)
            }
            FlowOrder::Packets => self.top(filter.limit, |side| side.packets, wanted),
            FlowOrder::Bytes => self.top(filter.limit, |side| side.bytes, wanted),
        };
        FlowsView {
            flows: found.iter().filter_map(|pair| self.flow(pair)).collect(),
            truncated,
            total: table.len() as u64,
            capacity: table.capacity() as u64,
        }
    }

    pub(super) fn flow_table(&self) -> FlowTableView {
        let counts = self.state.flows.statistics();
        FlowTableView {
            now: counts.live,
            capacity: self.state.flows.capacity() as u64,
            created: counts.created,
            expired: counts.expired,
            evicted: counts.evicted,
            purged: counts.purged,
            refused_full: counts.refused_full,
            refused_vif: counts.refused_owner,
            refused_bucket: counts.refused_bucket,
        }
    }

    /// The `limit` pairs that are wanted and have the most of something, both directions together, and whether
    /// there are more. Walks the table once, and holds no more than `limit` pairs.
    fn top(
        &self,
        limit: usize,
        count: impl Fn(&DirectionView) -> u64,
        wanted: impl Fn(&flow_table::FlowView) -> bool,
    ) -> (Vec<flow_table::FlowView>, bool) {
        let best = RefCell::new(BTreeMap::new());
        let (seen, truncated) = (Cell::new(0u64), Cell::new(false));
        self.state.flows.view(self.now(), 0, usize::MAX, |pair| {
            if wanted(pair) {
                let mut best = best.borrow_mut();
                let total = count(&pair.forward) + count(&pair.reverse);
                seen.set(seen.get() + 1);
                // The number tells equals apart.
                best.insert((total, seen.get()), *pair);
                if best.len() > limit {
                    best.pop_first();
                    truncated.set(true);
                }
            }
            false
        });
        (best.into_inner().into_values().rev().collect(), truncated.get())
    }

    /// Removes the pairs that match, and counts them.
    fn flush(&self, filter: &FlowFilter) -> u64 {
        let table = &self.state.flows;
        let removed = Cell::new(0);
        table.view(self.now(), 0, usize::MAX, |pair| {
            let matches = filter.is_open() || self.flow(pair).is_some_and(|flow| filter.matches(&flow));
            if matches && table.remove(pair.pair) {
                removed.set(removed.get() + 1);
            }
            false
        });
        removed.get()
    }

    fn flow(&self, pair: &flow_table::FlowView) -> Option<FlowView> {
        let (forward, reverse) = (&pair.forward, &pair.reverse);
        if let Some(vrf) = mapping_vrf(reverse.key.context) {
            return self.mapping(pair, vrf);
        }
        Some(FlowView {
            vrf: self.vrf_of(forward.key.context)?,
            protocol: Protocol(forward.key.tuple.protocol),
            forward: self.side(forward, reverse.key.context)?,
            reverse: self.side(reverse, forward.key.context)?,
            state: pair.state.name(),
            age_seconds: seconds(pair.age),
            idle_seconds: seconds(forward.idle.min(reverse.idle)),
            translations: translations(forward, reverse),
            allowed_by: self.allowed_by(forward, reverse),
            drop_reason: drop_reason(forward.action.output),
        })
    }

    /// Asks the policies again, so that it is the rule of now that is shown.
    fn allowed_by(&self, forward: &DirectionView, reverse: &DirectionView) -> Vec<RuleView> {
        let passage = Passage::of(&self.snapshot, &forward.key, &forward.action, &reverse.key);
        let view = |opinion| match opinion {
            Opinion::Allowed(by) if drop_reason(forward.action.output).is_none() => Some(rule_view(by)),
            Opinion::Allowed(_) | Opinion::Unrestricted | Opinion::Denied => None,
        };
        [passage.egress(), passage.ingress()].into_iter().filter_map(view).collect()
    }

    fn side(&self, side: &DirectionView, answers: Context) -> Option<FlowSide> {
        let tuple = side.key.tuple;
        Some(FlowSide {
            vif: match side.action.source {
                Source::Vif | Source::Any => Some(self.vif_of(side.key.context)?),
                Source::Tunnel(_) => None,
            },
            source: end(tuple.family, tuple.src, tuple.sport),
            destination: end(tuple.family, tuple.dst, tuple.dport),
            to: match side.action.output {
                // The answers come from the vif the packets go to, and their context names it for
                // good, while a slot may have been given to another vif.
                Output::Vif { .. } => HopView::Vif { vif: self.vif_of(answers)? },
                Output::Tunnel { tunnel, label } => {
                    HopView::Tunnel { node: self.snapshot.tunnel(TunnelId(tunnel))?.address, label }
                }
                Output::Drop { .. } => HopView::Discard,
            },
            traffic: TrafficTotals { packets: side.packets, bytes: side.bytes },
        })
    }

    /// The VRF in which the first packet was looked up.
    pub(super) fn vrf_of(&self, context: Context) -> Option<VrfName> {
        let id = match context_owner(context) {
            ContextOwner::Vif(id) => self.snapshot.vif_by_id(id)?.vrf,
            ContextOwner::Vrf(id) => id,
        };
        self.vrf_name(id)
    }

    fn vif_of(&self, context: Context) -> Option<VifName> {
        match context_owner(context) {
            ContextOwner::Vif(id) => Some(self.snapshot.vif_by_id(id)?.name.clone()),
            ContextOwner::Vrf(_) => None,
        }
    }
}

fn rule_view(by: AllowedBy<'_>) -> RuleView {
    RuleView {
        policy: by.policy.clone(),
        course: by.course,
        number: by.number,
        name: by.rule.name.clone(),
        allows: by.rule.to_string(),
    }
}

fn drop_reason(output: Output) -> Option<&'static str> {
    match output {
        Output::Drop { reason } => Some(DropReason::from_index(usize::from(reason))?.name()),
        Output::Vif { .. } | Output::Tunnel { .. } => None,
    }
}

/// What the sender wrote beside what the receiver sees: the answers, turned round.
fn translations(forward: &DirectionView, reverse: &DirectionView) -> Vec<Translation> {
    let (sent, seen) = (forward.key.tuple, reverse.key.tuple.reversed());
    let ends = [
        (TranslatedField::Source, (sent.src, sent.sport), (seen.src, seen.sport)),
        (TranslatedField::Destination, (sent.dst, sent.dport), (seen.dst, seen.dport)),
    ];
    let changed = ends.into_iter().filter(|(_, from, to)| from != to);
    let view = |(field, from, to): (_, (Addr, u16), (Addr, u16))| Translation {
        field,
        from: end(sent.family, from.0, from.1),
        to: end(sent.family, to.0, to.1),
    };
    changed.map(view).collect()
}

pub(super) fn end(family: Family, address: Addr, port: u16) -> Endpoint {
    Endpoint { address: ip_addr(family, address), port }
}

pub(super) fn seconds(span: Millis) -> u64 {
    span.0 / 1000
}
