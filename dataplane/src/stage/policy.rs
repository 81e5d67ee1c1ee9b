//! Policies where a flow is set up or derived again, and how long their refusals are remembered.

use flow_table::{Action, Context, Direction, FlowKey, Hit, NewPair, Output};

use super::nat::Plan;
use super::plan::First;
use crate::drop::DropReason;
use crate::ids::VifSlot;
use crate::pipeline::Pipeline;
use crate::policy::Passage;

impl Pipeline<'_> {
    /// The pair for a packet if the policies of both its ends allow it.
    pub(crate) fn judged(&self, first: &First<'_>) -> Result<Plan, DropReason> {
        let plan = first.plan()?;
        let (forward, answers) = (&plan.pair.forward, &plan.pair.reverse.key);
        let passage = Passage::of(self.snapshot, &forward.key, &forward.action, answers);
        if passage.is_allowed() || self.answers_a_flow(&plan.pair) {
            Ok(plan)
        } else {
            Err(DropReason::PolicyDenied)
        }
    }

    /// Whether these are the answers to an allowed flow of the receiving vif, sent to the label of
    /// its VRF: the flow expects them at the vif's own label, so they are not found as its answers.
    fn answers_a_flow(&self, pair: &NewPair) -> bool {
        let Output::Vif { slot } = pair.forward.action.output else { return false };
        let Some(vif) = VifSlot::new(slot).and_then(|slot| self.snapshot.vif(slot)) else { return false };
        let key = FlowKey { context: Context(vif.id.0), tuple: pair.forward.key.tuple };
        let hit = self.flows.lookup(self.flows.hash(&key), &key);
        let Some(hit) = hit.filter(|hit| hit.direction == Direction::Reverse) else { return false };
        match (self.flows.keys(hit.pair), self.flows.actions(hit.pair)) {
            (Some((forward, answers)), Some((action, _))) => {
                !matches!(action.output, Output::Drop { .. })
                    && Passage::of(self.snapshot, &forward, &action, &answers).is_allowed()
            }
            (None, _) | (_, None) => false,
        }
    }

    /// Remembers a refusal while there is plenty of room, so that what is refused can not keep
    /// out what is allowed; without room the flow is refused just the same.
    pub(crate) fn remember(&self, first: &First<'_>, reason: DropReason) {
        let flows = self.flows;
        let has_room =
            |owner| flows.owner_len(owner) < flows.owner_capacity() / 2 && flows.len() < flows.capacity() / 2;
        if let Some(refusal) = first.refusal(reason).filter(|refusal| has_room(refusal.owner)) {
            let _ = flows.insert(&refusal, self.now);
        }
    }

    /// Makes room for a flow whose answers were refused before it began. Says whether they were.
    pub(crate) fn forget_refusal(&self, answers: &FlowKey) -> bool {
        let hit = self.flows.lookup(self.flows.hash(answers), answers);
        let refused = hit.filter(|hit| matches!(hit.action.output, Output::Drop { .. }));
        refused.is_some_and(|hit| self.flows.remove(hit.pair))
    }

    /// Ends a flow that the policies allow no more, in both directions: an answer is not to begin
    /// it anew from the other end. `drop` is what is done to its packets from now on.
    pub(crate) fn revoke(&self, hit: &Hit, drop: Option<Action>) {
        match (drop, self.flows.actions(hit.pair)) {
            (Some(drop), Some((forward, reverse))) => {
                let forward = Action { source: forward.source, ..drop };
                let reverse = Action { source: reverse.source, ..drop };
                self.flows.replace(hit.pair, forward, reverse);
            }
            (None, _) | (_, None) => {
                self.flows.remove(hit.pair);
            }
        }
    }
}
