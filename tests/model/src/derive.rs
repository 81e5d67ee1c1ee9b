//! Pairs after a change of the configuration: derived anew for every packet.

use dataplane::drop::DropReason;

use crate::pairs::{Context, Direction, Half, Origin, Output, Plan, Step};
use crate::plan::{self, Ingress, Question};
use crate::policy::Judgement;
use crate::router::{Draft, Router};

impl Router {
    /// Everything that a pair may be under the present configuration.
    pub(crate) fn derive(&self, draft: &Draft, row: usize, direction: Direction) -> Vec<(Draft, Derived)> {
        let pair = &draft.state.pairs[row];
        let old = pair.plan;
        let is_refusal = matches!(old.forward.output, Output::Drop(_));
        if is_refusal && pair.checked == self.generation {
            return vec![(draft.clone(), Derived::Kept)];
        }
        let mut derived = Vec::new();
        for ingress in self.ingresses_of(&old.forward) {
            let Some(ingress) = ingress else {
                derived.push((self.without(draft, row), Derived::Gone));
                continue;
            };
            let question = Question {
                ingress: &ingress,
                tuple: old.forward.key.tuple,
                keep: (!is_refusal).then_some(&old),
                clients: Some(&draft.state.clients),
            };
            match plan::plans(self, &question) {
                Ok(plans) => {
                    for plan in plans {
                        let mut draft = draft.clone();
                        self.remember_client(&question, &plan, &mut draft.state);
                        derived.extend(self.derive_as(&draft, row, plan));
                    }
                }
                Err(reason) => derived.extend(self.derive_refused(draft, row, (direction, reason))),
            }
        }
        derived
    }

    /// What a pair may be whose first packet would have this plan now.
    fn derive_as(&self, draft: &Draft, row: usize, plan: Plan) -> Vec<(Draft, Derived)> {
        let pair = &draft.state.pairs[row];
        let old = pair.plan;
        let judgement = match self.judge(&plan, &draft.state) {
            // Judged once for each configuration.
            _ if pair.checked == self.generation => Judgement::Allowed,
            judgement => judgement,
        };
        let stands = old.forward.output == Output::Drop(DropReason::PolicyDenied);
        let mut derived = Vec::new();
        if judgement == Judgement::Denied {
            derived.push((self.with(draft, row, denied(&old)), Derived::Denied));
        } else if plan.reverse.key == old.reverse.key {
            derived.push((self.with(draft, row, plan), Derived::Kept));
        } else {
            derived.push((self.without(draft, row), Derived::Gone));
        }
        // Whether it is the answer to a flow is asked again only after a change that it rests on.
        if judgement == Judgement::Denied && pair.is_answer && !stands {
            derived.push((self.with(draft, row, plan), Derived::Kept));
        }
        if judgement != Judgement::Allowed && stands {
            derived.push((self.with(draft, row, old), Derived::Kept));
        }
        derived
    }

    /// What a pair may be whose first packet would be refused now.
    fn derive_refused(
        &self,
        draft: &Draft,
        row: usize,
        (direction, reason): (Direction, DropReason),
    ) -> Vec<(Draft, Derived)> {
        let pair = &draft.state.pairs[row];
        // A refusal stands; after a change the real router may ask again whether it does, which ends the pair that
        // remembers it.
        let stands = pair.plan.forward.output == Output::Drop(reason);
        let mut derived = Vec::new();
        if stands {
            derived.push((self.with(draft, row, pair.plan), Derived::Kept));
        }
        let refused = match (reason, direction) {
            (DropReason::ServiceBackendGone, _) => Derived::Refused(reason),
            // Where the route to the client leads to another node now, the flow may go on from there.
            (DropReason::TunnelSourceMismatch, _) | (_, Direction::Reverse) => Derived::Gone,
            (_, Direction::Forward) => Derived::Refused(reason),
        };
        if !stands || pair.checked != self.generation {
            derived.push((self.without(draft, row), refused));
        }
        derived
    }

    fn with(&self, draft: &Draft, row: usize, plan: Plan) -> Draft {
        let mut draft = draft.clone();
        let pair = &mut draft.state.pairs[row];
        pair.plan = Plan { owner: pair.plan.owner, ..plan };
        pair.checked = self.generation;
        draft
    }

    pub(crate) fn without(&self, draft: &Draft, row: usize) -> Draft {
        let mut draft = draft.clone();
        draft.state.pairs.remove(row);
        draft
    }

    /// Where the first packet of a flow may have come in. The real router numbers the nodes, and the number of
    /// a node that is gone may be another's by now.
    fn ingresses_of(&self, forward: &Half) -> Vec<Option<Ingress>> {
        let mut origins = vec![forward.origin];
        if let Origin::Node(node) = forward.origin
            && !self.state.endpoints.contains(&node)
        {
            origins.extend(self.state.endpoints.iter().map(|node| Origin::Node(*node)));
        }
        origins.into_iter().map(|origin| self.ingress_of(&Half { origin, ..*forward })).collect()
    }

    /// Where the first packet of a flow came in; none if that is no more.
    fn ingress_of(&self, forward: &Half) -> Option<Ingress> {
        match (forward.key.context, forward.origin) {
            (Context::Vif(id), Origin::Vif) => self.ids.name_of(id).cloned().map(Ingress::Vif),
            (Context::Vif(id), Origin::Node(node)) => {
                self.ids.name_of(id).cloned().map(|name| Ingress::VifLabel(name, node))
            }
            (Context::Vrf(id), Origin::Node(node)) => {
                let vrf = self.ids.vrfs.iter().find(|(_, own)| *own == id)?;
                Some(Ingress::VrfLabel(vrf.0.clone(), node))
            }
            (_, Origin::Any) | (Context::Vrf(_), Origin::Vif) | (Context::Unanswered(_), _) => None,
        }
    }
}

/// What has become of a pair.
pub(crate) enum Derived {
    /// It is right, perhaps with other actions.
    Kept,
    /// It is no more, and this is what its packets get.
    Refused(DropReason),
    /// Policies have ended it; it remembers that for a while.
    Denied,
    /// It is no more, and its packets begin anew.
    Gone,
}

/// The pair of a flow that policies have ended.
fn denied(old: &Plan) -> Plan {
    let drop =
        |half: Half| Half { output: Output::Drop(DropReason::PolicyDenied), step: Step::Delivered, ..half };
    Plan { forward: drop(old.forward), reverse: drop(old.reverse), owner: old.owner }
}
