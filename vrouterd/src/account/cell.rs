//! Sums by pair of networks, a bounded number of them.

use std::collections::HashMap;
use std::net::IpAddr;

use dataplane::ids::VrfName;

use super::Delta;
use crate::view::{FlowOrigin, PairTotals, PairTrafficView, TrafficView};

/// A pair of networks, or a network and a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CellKey {
    /// VRF in which the flow begins.
    pub from: VrfName,
    /// VRF in which it ends.
    pub to: VrfName,
    /// ClusterIP it was sent to.
    pub service: Option<IpAddr>,
    /// Where it begins.
    pub origin: FlowOrigin,
}

/// The sums. A pair that has a place keeps it, so that no sum ever falls; who comes when all places are taken counts
/// for the rest.
#[derive(Debug)]
pub struct Cells {
    cells: HashMap<CellKey, PairTotals>,
    other: PairTotals,
    most: usize,
}

impl Cells {
    /// No sums yet, with `most` places.
    pub fn new(most: usize) -> Self {
        Self { cells: HashMap::new(), other: PairTotals::default(), most }
    }

    /// Adds what a flow has counted.
    pub fn add(&mut self, key: CellKey, delta: &Delta) {
        let more =
            PairTotals { flows: u64::from(delta.is_new), forward: delta.forward, reverse: delta.reverse };
        if self.cells.len() < self.most {
            self.cells.entry(key).or_default().add(&more);
        } else {
            self.cells.get_mut(&key).unwrap_or(&mut self.other).add(&more);
        }
    }

    /// Gives up the places of pairs that are not to be kept.
    pub fn keep(&mut self, keep: impl Fn(&CellKey) -> bool) {
        for (_, totals) in self.cells.extract_if(|key, _| !keep(key)) {
            self.other.add(&totals);
        }
    }

    /// All sums, those with most bytes first.
    pub fn view(&self) -> TrafficView {
        let pair = |(key, totals): (&CellKey, &PairTotals)| PairTrafficView {
            from: key.from.clone(),
            to: key.to.clone(),
            service: key.service,
            origin: key.origin,
            totals: *totals,
        };
        let mut pairs: Vec<_> = self.cells.iter().map(pair).collect();
        pairs.sort_by(|one, other| {
            let names =
                |pair: &PairTrafficView| (pair.from.clone(), pair.to.clone(), pair.service, pair.origin);
            other.totals.bytes().cmp(&one.totals.bytes()).then_with(|| names(one).cmp(&names(other)))
        });
        TrafficView { pairs, other: self.other }
    }
}

#[cfg(test)]
mod tests {
    use dataplane::counters::TrafficTotals;

    use super::*;

    fn key(from: &str) -> CellKey {
        CellKey { from: from.into(), to: "blue".into(), service: None, origin: FlowOrigin::Pod }
    }

    fn delta(bytes: u64) -> Delta {
        let forward = TrafficTotals { packets: 1, bytes };
        Delta { is_new: true, forward, reverse: TrafficTotals { packets: 2, bytes } }
    }

    #[test]
    fn who_finds_no_place_counts_for_the_rest() {
        let mut cells = Cells::new(2);
        for (from, bytes) in [("a", 10), ("b", 20), ("c", 40), ("a", 50)] {
            cells.add(key(from), &delta(bytes));
        }
        let view = cells.view();
        let rows: Vec<_> = view
            .pairs
            .iter()
            .map(|pair| (pair.from.as_str(), pair.totals.flows, pair.totals.bytes()))
            .collect();
        assert_eq!(rows, [("a", 2, 120), ("b", 1, 40)]);
        assert_eq!((view.other.flows, view.other.bytes()), (1, 80));
    }

    #[test]
    fn counts_of_a_pair_that_is_gone_are_not_lost() {
        let mut cells = Cells::new(1);
        cells.add(key("a"), &delta(10));
        cells.keep(|key| key.from.as_str() != "a");
        cells.add(key("b"), &delta(5));
        let view = cells.view();
        assert_eq!((view.pairs.len(), view.pairs[0].from.as_str()), (1, "b"));
        assert_eq!((view.other.flows, view.other.bytes()), (1, 20));
    }
}
