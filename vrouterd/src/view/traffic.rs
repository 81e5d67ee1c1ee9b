//! Packets, bytes and drops of one port.

use dataplane::counters::{PortTotals, TrafficTotals};
use dataplane::drop::DropReason;

/// How often one drop reason was met.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DropCount {
    /// Stable name of the reason.
    pub reason: &'static str,
    /// Packets dropped.
    pub count: u64,
    /// One line: what it means and what to look at.
    pub meaning: &'static str,
}

impl DropCount {
    /// A count for `reason`.
    pub fn new(reason: DropReason, count: u64) -> Self {
        Self { reason: reason.name(), count, meaning: reason.meaning() }
    }
}

/// What a port has seen: a vif, all vifs together (the trunk), or the uplink.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct PortView {
    /// Taken in from the port.
    pub rx: TrafficTotals,
    /// Sent out of the port.
    pub tx: TrafficTotals,
    /// Sum of `drops`.
    pub dropped: u64,
    /// Reasons with a count above zero.
    pub drops: Vec<DropCount>,
}

impl From<&PortTotals> for PortView {
    fn from(totals: &PortTotals) -> Self {
        Self {
            rx: totals.rx,
            tx: totals.tx,
            dropped: totals.dropped(),
            drops: totals.nonzero_drops().map(|(reason, count)| DropCount::new(reason, count)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reasons_that_happened_are_listed_and_they_sum() {
        let mut totals = PortTotals::default();
        totals.drops[DropReason::NoRoute.index()] = 3;
        totals.drops[DropReason::VifDown.index()] = 4;
        let view = PortView::from(&totals);
        assert_eq!(view.dropped, 7);
        assert_eq!(
            view.drops,
            [DropCount::new(DropReason::VifDown, 4), DropCount::new(DropReason::NoRoute, 3)]
        );
    }
}
