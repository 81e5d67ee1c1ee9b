//! How much of each flow pair has been counted already.

use dataplane::counters::TrafficTotals;
use flow_table::{DirectionView, FlowView, PairRef};

/// What a flow pair has counted since it was looked at last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Whether it was never looked at before.
    pub is_new: bool,
    /// In the direction of the first packet.
    pub forward: TrafficTotals,
    /// Answers.
    pub reverse: TrafficTotals,
}

#[derive(Clone, Copy, Debug)]
struct Counted {
    pair: PairRef,
    forward: TrafficTotals,
    reverse: TrafficTotals,
}

/// By slot of the flow table.
#[derive(Debug)]
pub struct Seen(Vec<Option<Counted>>);

impl Seen {
    /// For a table of `capacity` pairs: 48 bytes each.
    pub fn new(capacity: usize) -> Self {
        Self(vec![None; capacity])
    }

    /// What is new of a pair; none if nothing is.
    pub fn delta(&mut self, flow: &FlowView) -> Option<Delta> {
        let now =
            Counted { pair: flow.pair, forward: traffic(&flow.forward), reverse: traffic(&flow.reverse) };
        let place = self.0.get_mut(flow.pair.index() as usize)?;
        let before = place.replace(now).filter(|before| before.pair == flow.pair);
        let delta = Delta {
            is_new: before.is_none(),
            forward: since(now.forward, before.map(|before| before.forward)),
            reverse: since(now.reverse, before.map(|before| before.reverse)),
        };
        (delta.is_new || delta.forward.packets > 0 || delta.reverse.packets > 0).then_some(delta)
    }
}

fn traffic(side: &DirectionView) -> TrafficTotals {
    TrafficTotals { packets: side.packets, bytes: side.bytes }
}

fn since(now: TrafficTotals, before: Option<TrafficTotals>) -> TrafficTotals {
    let before = before.unwrap_or_default();
    TrafficTotals {
        packets: now.packets.saturating_sub(before.packets),
        bytes: now.bytes.saturating_sub(before.bytes),
    }
}
