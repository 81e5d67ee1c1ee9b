//! Equal-cost groups: which member carries a new flow.
//!
//! Highest random weight (rendezvous) hashing: every member scores the flow's hash and the best
//! score wins. A member that leaves takes only its own flows along, a new one takes its share of
//! new flows, and there are no buckets that could be filled unevenly. The choice is kept in the
//! flow, so this runs once per flow.

use crate::ids::{TunnelId, VifSlot};
use encap::Label;
use flow_table::Output;

/// The end of a next hop, resolved to this node's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// A vif of this node.
    Vif(VifSlot),
    /// A label on another node.
    Tunnel {
        /// The node.
        tunnel: TunnelId,
        /// Its label.
        label: Label,
    },
}

impl Target {
    /// Where an action leads, unless that is nowhere.
    pub(crate) fn of(output: Output) -> Option<Self> {
        match output {
            Output::Vif { slot } => VifSlot::new(slot).map(Target::Vif),
            Output::Tunnel { tunnel, label } => {
                Label::new(label).map(|label| Target::Tunnel { tunnel: TunnelId(tunnel), label })
            }
            Output::Drop { .. } => None,
        }
    }
}

/// A member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Where it leads.
    pub target: Target,
    /// Share relative to the others, at least 1.
    pub weight: u16,
    /// What makes its scores its own: equal for the same member in every snapshot.
    pub identity: u64,
}

/// Members that share flows. May be empty when none is up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    members: Box<[Member]>,
}

impl Group {
    /// A group of these members.
    pub fn new(members: impl IntoIterator<Item = Member>) -> Self {
        Self { members: members.into_iter().collect() }
    }

    /// Its members.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member with the best score among those that `eligible` accepts.
    pub fn pick(&self, flow: FlowSpread, eligible: impl Fn(&Member) -> bool) -> Option<&Member> {
        let mut best: Option<(f64, &Member)> = None;
        for member in self.members.iter().filter(|member| eligible(member)) {
            let score = member.score(flow);
            if best.is_none_or(|(highest, _)| score > highest) {
                best = Some((score, member));
            }
        }
        best.map(|(_, member)| member)
    }
}

/// Hash of a flow's five-tuple under a seed of its own, never the one of the flow table or of
/// the entropy port, so that choices in a row are independent of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowSpread(pub u64);

impl Member {
    /// Weighted rendezvous score: `weight / -ln(u)`, u uniform in (0, 1)
    /// (Schindelhauer and Schomaker, "Weighted distributed hash tables", 2005).
    fn score(&self, flow: FlowSpread) -> f64 {
        let mixed = mix(flow.0 ^ self.identity);
        let uniform = ((mixed >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        f64::from(self.weight) / -uniform.ln()
    }
}

/// Finaliser of SplitMix64 (Steele, Lea, Flood 2014): every input bit reaches every output bit.
pub(crate) fn mix(mut x: u64) -> u64 {
    x ^= x >> 30;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 27;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(members: &[(u16, u16)]) -> Group {
        Group::new(members.iter().map(|(slot, weight)| Member {
            target: Target::Vif(VifSlot::new(*slot).unwrap()),
            weight: *weight,
            identity: mix(u64::from(*slot)),
        }))
    }

    fn picks(group: &Group) -> Vec<u16> {
        let pick = |n: u64| match group.pick(FlowSpread(mix(n)), |_| true) {
            Some(Member { target: Target::Vif(slot), .. }) => slot.get(),
            other => panic!("{other:?}"),
        };
        (1..=10_000).map(pick).collect()
    }

    fn share(picks: &[u16], slot: u16) -> f64 {
        picks.iter().filter(|picked| **picked == slot).count() as f64 / picks.len() as f64
    }

    #[test]
    fn weights_are_shares() {
        let picks = picks(&group(&[(1, 1), (2, 1), (3, 2)]));
        assert!((share(&picks, 1) - 0.25).abs() < 0.02);
        assert!((share(&picks, 2) - 0.25).abs() < 0.02);
        assert!((share(&picks, 3) - 0.50).abs() < 0.02);
    }

    #[test]
    fn only_the_flows_of_the_member_that_left_move() {
        let before = picks(&group(&[(1, 1), (2, 1), (3, 1), (4, 1)]));
        let after = picks(&group(&[(1, 1), (3, 1), (4, 1)]));
        for (old, new) in before.iter().zip(&after) {
            assert!(old == new || *old == 2);
        }
        for slot in [1, 3, 4] {
            assert!((share(&after, slot) - 1.0 / 3.0).abs() < 0.02);
        }
    }

    /// Pearson's statistic of the picks against equal shares.
    fn chi_squared(picks: impl Iterator<Item = u16>, members: usize) -> f64 {
        let mut counts = vec![0u32; members];
        picks.for_each(|slot| counts[usize::from(slot) - 1] += 1);
        let expected = f64::from(counts.iter().sum::<u32>()) / members as f64;
        counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum()
    }

    #[test]
    fn flows_spread_evenly() {
        // Critical values of chi squared at 1 % for 1, 2, 6 and 63 degrees of freedom.
        for (members, critical) in [(2u16, 6.635), (3, 9.210), (7, 16.812), (64, 92.010)] {
            let group = group(&(1..=members).map(|slot| (slot, 1)).collect::<Vec<_>>());
            let statistic = chi_squared(picks(&group).into_iter(), usize::from(members));
            assert!(statistic < critical, "{members} members: {statistic}");
        }
    }

    #[test]
    fn the_choice_of_the_next_node_is_independent() {
        let group = group(&[(1, 1), (2, 1), (3, 1)]);
        let seeds = [ahash::RandomState::with_seeds(1, 2, 3, 4), ahash::RandomState::with_seeds(5, 6, 7, 8)];
        let pick = |node: usize, flow: u64| match group.pick(FlowSpread(seeds[node].hash_one(flow)), |_| true)
        {
            Some(Member { target: Target::Vif(slot), .. }) => slot.get(),
            other => panic!("{other:?}"),
        };
        let second = (0..30_000).filter(|flow| pick(0, *flow) == 1).map(|flow| pick(1, flow));
        let statistic = chi_squared(second, 3);
        assert!(statistic < 9.210, "{statistic}");
    }

    #[test]
    fn a_second_member_takes_half_and_leaves_the_rest_where_it_was() {
        let (one, two) = (picks(&group(&[(1, 1)])), picks(&group(&[(1, 1), (2, 1)])));
        assert!(one.iter().zip(&two).all(|(before, after)| before == after || *after == 2));
        assert!((share(&two, 2) - 0.5).abs() < 0.02);
    }

    #[test]
    fn an_empty_group_picks_nothing() {
        assert_eq!(Group::default().pick(FlowSpread(1), |_| true), None);
        assert_eq!(group(&[(1, 1)]).pick(FlowSpread(1), |_| false), None);
    }
}
