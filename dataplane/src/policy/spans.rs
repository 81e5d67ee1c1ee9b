//! Rules over kinds of packets, compiled so that one binary search finds the first that allows.

use core::ops::RangeInclusive;
use std::collections::BTreeSet;

use crate::desired::RuleTraffic;

/// Index of a rule among those of a policy in one direction.
pub(super) type RuleIndex = u32;

/// Protocol and, within it, destination port or ICMP type, as one number: protocol in bits 16 to
/// 23, the other below. What a rule allows is an interval of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind(u32);

impl Kind {
    /// `detail` is the port, the ICMP type, or 0 for other protocols.
    pub(super) fn new(protocol: u8, detail: u16) -> Self {
        Self(u32::from(protocol) << 16 | u32::from(detail))
    }
}

/// The kinds that a rule allows, as numbers of [`Kind`].
pub(super) fn interval(traffic: &RuleTraffic) -> RangeInclusive<u32> {
    let range = |protocol, first, last| Kind::new(protocol, first).0..=Kind::new(protocol, last).0;
    match traffic {
        RuleTraffic::Any => 0..=Kind::new(u8::MAX, u16::MAX).0,
        RuleTraffic::Protocol(number) => range(*number, 0, u16::MAX),
        RuleTraffic::Ports { transport, ports } => range(transport.number(), *ports.start(), *ports.end()),
        RuleTraffic::Icmp { version, kind } => range(version.number(), u16::from(*kind), u16::from(*kind)),
    }
}

/// A step function from kinds to the first rule that allows them. At most two steps per rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spans {
    steps: Box<[Step]>,
}

/// From this kind on, up to the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    from: u32,
    rule: Option<RuleIndex>,
}

impl Spans {
    /// From what each rule allows; intervals may overlap.
    pub(super) fn new(rules: &[(RangeInclusive<u32>, RuleIndex)]) -> Self {
        let mut edges: Vec<(u32, Edge, RuleIndex)> = Vec::with_capacity(rules.len() * 2);
        for (interval, rule) in rules.iter().filter(|(interval, _)| !interval.is_empty()) {
            edges.push((*interval.start(), Edge::Opens, *rule));
            edges.push((interval.end() + 1, Edge::Closes, *rule));
        }
        edges.sort_unstable_by_key(|(at, _, _)| *at);
        let mut open = BTreeSet::new();
        let mut steps: Vec<Step> = Vec::new();
        for group in edges.chunk_by(|one, other| one.0 == other.0) {
            for (_, edge, rule) in group {
                let _ = match edge {
                    Edge::Opens => open.insert(*rule),
                    Edge::Closes => open.remove(rule),
                };
            }
            let rule = open.first().copied();
            if steps.last().map(|step| step.rule) != Some(rule) {
                steps.extend(group.first().map(|(at, _, _)| Step { from: *at, rule }));
            }
        }
        Self { steps: steps.into() }
    }

    /// The first rule that allows this kind.
    pub(super) fn first(&self, kind: Kind) -> Option<RuleIndex> {
        let after = self.steps.partition_point(|step| step.from <= kind.0);
        self.steps.get(after.checked_sub(1)?)?.rule
    }
}

#[derive(Clone, Copy)]
enum Edge {
    Opens,
    Closes,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn touching_and_nested_intervals_keep_their_edges() {
        let spans = Spans::new(&[(10..=20, 1), (15..=15, 0), (21..=21, 1), (30..=0xff_ffff, 2)]);
        let first = |kind| spans.first(Kind(kind));
        let found = [0, 9, 10, 14, 15, 16, 20, 21, 22, 29, 30, 0xff_ffff].map(first);
        let one = Some(1);
        assert_eq!(found, [None, None, one, one, Some(0), one, one, one, None, None, Some(2), Some(2)]);
    }

    proptest! {
        #[test]
        fn the_first_rule_is_that_of_a_linear_search(
            rules in proptest::collection::vec((0u32..64, 0u32..64), 0..40),
        ) {
            let intervals: Vec<_> =
                (0..).zip(&rules).map(|(index, (start, length))| (*start..=start + length, index)).collect();
            let spans = Spans::new(&intervals);
            for kind in 0..140 {
                let linear = intervals.iter().find(|(interval, _)| interval.contains(&kind));
                prop_assert_eq!(spans.first(Kind(kind)), linear.map(|(_, index)| *index));
            }
        }
    }
}
