//! When to ask the kernel to resolve or confirm a neighbour.
//!
//! The kernel never sees the engine's packets, so to it the neighbours look unused. They are
//! "used" in the engine's name: at once when unresolved, every few seconds when stale so that
//! the entry stays confirmed, and ever more rarely when nobody answers. Time is an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::facts::{KernelFacts, Nud};
use super::underlay::NextHop;

/// A stale entry that is used gets probed after 5 s (`delay_first_probe_time`).
const STALE_GAP: Duration = Duration::from_secs(5);
/// The kernel sends its three requests one second apart.
const UNRESOLVED_GAP: Duration = Duration::from_secs(1);
/// First and longest wait after a failure; the waits between double.
const FAILED_FIRST: Duration = Duration::from_secs(1);
const FAILED_LAST: Duration = Duration::from_secs(10);
/// Most neighbours asked for in one pass; the others have their turn in the next.
const ASKS_PER_PASS: usize = 64;

/// What to do now, and when to look again.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Plan {
    /// Neighbours to ask the kernel for.
    pub ask: Vec<NextHop>,
    /// When the next one is due if no fact changes; absent when none is.
    pub next: Option<Instant>,
}

/// Remembers what has been asked for.
#[derive(Debug, Default)]
pub struct Solicitor {
    asked: BTreeMap<NextHop, Asked>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    last: Option<Instant>,
    /// Requests since the first failure; absent while there was none.
    failures: Option<u32>,
}

impl Solicitor {
    /// Decides about all next hops in use; others are forgotten.
    pub fn plan(&mut self, facts: &KernelFacts, wanted: &BTreeSet<NextHop>, now: Instant) -> Plan {
        self.asked.retain(|next_hop, _| wanted.contains(next_hop));
        let mut plan = Plan::default();
        for next_hop in wanted {
            let asked = self.asked.entry(*next_hop).or_default();
            let state = facts.neighbours.get(next_hop).map_or(Nud::None, |neighbour| neighbour.state);
            let Some(due) = asked.due(state, now) else { continue };
            let due = if due <= now && plan.ask.len() < ASKS_PER_PASS {
                asked.note(now);
                plan.ask.push(*next_hop);
                match asked.due(state, now) {
                    Some(due) => due,
                    None => continue,
                }
            } else {
                due
            };
            plan.next = Some(plan.next.map_or(due, |next| next.min(due)));
        }
        plan
    }

    /// The next hops that did not answer when last asked.
    pub fn failed(&self) -> BTreeSet<NextHop> {
        self.asked.iter().filter(|(_, asked)| asked.failures.is_some()).map(|(hop, _)| *hop).collect()
    }
}

impl Asked {
    /// When to ask next in this state; absent when there is no need to.
    fn due(&mut self, state: Nud, now: Instant) -> Option<Instant> {
        match state {
            Nud::Reachable | Nud::Delay | Nud::Probe | Nud::NoArp | Nud::Permanent => {
                self.failures = None;
                return None;
            }
            Nud::Stale => self.failures = None,
            Nud::Failed => self.failures = self.failures.or(Some(0)),
            // A failed entry that is tried again, or was collected, has still failed.
            Nud::None | Nud::Incomplete => {}
        }
        let gap = match (self.failures, state) {
            (Some(failures), _) => FAILED_FIRST.saturating_mul(1 << failures.min(8)).min(FAILED_LAST),
            (None, Nud::Stale) => STALE_GAP,
            (None, _) => UNRESOLVED_GAP,
        };
        Some(self.last.map_or(now, |last| last + gap))
    }

    fn note(&mut self, now: Instant) {
        self.last = Some(now);
        self.failures = self.failures.map(|failures| failures.saturating_add(1));
    }
}

#[cfg(test)]
mod tests;
