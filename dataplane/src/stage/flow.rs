//! A packet and its flow: found, made, or derived again after a change.

use flow_table::{
    Action, Direction, FlowHash, FlowKey, Hit, InsertError, Rewrite, RewriteKind, Source, Tuple,
};

use super::backend::Clients;
use super::egress;
use super::mss::SYN;
use super::nat::{PORT_ATTEMPTS, Plan};
use super::plan::{First, Keep};
use crate::drop::DropReason;
use crate::ecmp::{FlowSpread, Target};
use crate::ids::TunnelId;
use crate::packet::l4::{L4, protocol};
use crate::pipeline::Pipeline;
use crate::snapshot::LabelTarget;
use crate::verdict::{ContextOwner, Flow, Halt, Ingress, context_owner};

impl Pipeline<'_> {
    /// What to do with a packet of which no flow can say it: what a new flow will say, or one derived again.
    #[cold]
    pub(crate) fn decide(
        &self,
        flow: &Flow,
        hash: FlowHash,
        found: Option<&Hit>,
    ) -> Result<(Action, Rewrite), Halt> {
        let Some(hit) = found else {
            self.counters.flow_misses.add(1);
            return self.admit(flow);
        };
        self.counters.flow_hits.add(1);
        self.counters.flow_revalidations.add(1);
        self.revalidate(flow, hash, hit)
    }

    /// Whether a packet's flow says what to do with it; if so the flow has noted the packet.
    #[inline(always)]
    pub(crate) fn is_served(&self, flow: &Flow, hit: &Hit) -> bool {
        let is_served = self.is_current(&hit.action) && came_from(flow.ingress, hit.action.source);
        if is_served {
            self.counters.flow_hits.add(1);
            self.touch(hit, flow);
        }
        is_served
    }

    pub(crate) fn is_current(&self, action: &Action) -> bool {
        self.snapshot.is_current(&action.depends)
    }

    #[inline(always)]
    fn touch(&self, hit: &Hit, flow: &Flow) {
        let segment = match flow.ip.l4 {
            L4::Tcp(segment) => Some(segment),
            _ => None,
        };
        self.flows.touch(hit, self.now, flow.ip.len as u32, segment);
    }

    /// Makes the pair for a first packet; the packet itself is never lost to that. One that dies on
    /// its way out makes none.
    fn admit(&self, flow: &Flow) -> Result<(Action, Rewrite), Halt> {
        if let L4::Tcp(segment) = flow.ip.l4
            && !begins_sensibly(segment.flags)
        {
            return Err(DropReason::TcpBadFlags.into());
        }
        let first = self.first_of_client(flow.ingress, flow.key(), None);
        let mut plan = self.judged(&first).inspect_err(|reason| self.remember(&first, *reason))?;
        egress::check_first(self.snapshot, &flow.ip, &plan.pair.forward.action)?;
        self.map_endpoint(&mut plan)?;
        for attempt in 1..=PORT_ATTEMPTS {
            match self.flows.insert(&plan.pair, self.now) {
                Ok(hit) => {
                    self.touch(&hit, flow);
                    return Ok((hit.action, hit.rewrite));
                }
                Err(InsertError::Exists(hit)) => return Ok(self.join(flow, &hit)?),
                Err(InsertError::ReverseTaken) => match self.sidestep(&mut plan, attempt) {
                    Sidestep::Retry => {}
                    Sidestep::Stateless => return Ok((plan.pair.forward.action, NO_REWRITE)),
                    Sidestep::Refuse => return Err(DropReason::NatPortExhausted.into()),
                },
                Err(InsertError::OwnerLimit) => return Err(DropReason::VifFlowLimit.into()),
                Err(InsertError::TableFull | InsertError::BucketFull) => {
                    return Err(DropReason::FlowTableFull.into());
                }
            }
        }
        Err(DropReason::NatPortExhausted.into())
    }

    /// Another worker has made the pair in the same moment.
    fn join(&self, flow: &Flow, hit: &Hit) -> Result<(Action, Rewrite), DropReason> {
        if self.is_current(&hit.action) && came_from(flow.ingress, hit.action.source) {
            self.touch(hit, flow);
            return Ok((hit.action, hit.rewrite));
        }
        let (_, reverse) = self.flows.keys(hit.pair).ok_or(DropReason::FlowTableFull)?;
        self.check_source(flow, hit, &reverse)
    }

    /// What to do when another pair's packets look like the answers to this one.
    fn sidestep(&self, plan: &mut Plan, attempt: u16) -> Sidestep {
        let (forward, answers) = (&plan.pair.forward.key, &plan.pair.reverse.key);
        if self.forget_refusal(answers) {
            return Sidestep::Retry;
        }
        if answers.tuple == forward.tuple.reversed() {
            // Nothing is translated, so nothing needs to be remembered.
            return Sidestep::Stateless;
        }
        // Where the client's own address and port go to the backend, there is nothing to vary.
        if self.forget_early_answers(answers) || plan.vary(attempt) {
            Sidestep::Retry
        } else {
            Sidestep::Refuse
        }
    }

    /// Answers that were seen before their request (after a restart, say) have made a pair of their
    /// own: untranslated, the other way round, and answered by nobody. It gives way to the request.
    fn forget_early_answers(&self, answers: &FlowKey) -> bool {
        let hit = self.flows.lookup(self.flows.hash(answers), answers);
        let early = hit.filter(|hit| {
            hit.direction == Direction::Forward
                && hit.rewrite.kind == RewriteKind::None
                && self.flows.is_answered(hit.pair) == Some(false)
        });
        early.is_some_and(|hit| self.flows.remove(hit.pair))
    }

    /// Derives a flow again that a snapshot has overtaken, or whose packet came from elsewhere.
    fn revalidate(&self, flow: &Flow, hash: FlowHash, hit: &Hit) -> Result<(Action, Rewrite), Halt> {
        let Some((_, reverse)) = self.flows.keys(hit.pair) else { return self.admit(flow) };
        if self.is_current(&hit.action) {
            return Ok(self.check_source(flow, hit, &reverse)?);
        }
        match self.derive_again(hit) {
            Derived::Kept => match self.flows.lookup(hash, &flow.key()) {
                Some(fresh)
                    if self.is_current(&fresh.action) && came_from(flow.ingress, fresh.action.source) =>
                {
                    self.touch(&fresh, flow);
                    Ok((fresh.action, fresh.rewrite))
                }
                Some(fresh) => Ok(self.check_source(flow, &fresh, &reverse)?),
                None => self.admit(flow),
            },
            // A new connection between the same ports has nothing to lose.
            Derived::Refused(DropReason::ServiceBackendGone | DropReason::NatMappingGone) if opens(flow) => {
                self.admit(flow)
            }
            // The client's route leads elsewhere now; this may be its first packet from there.
            Derived::Refused(DropReason::TunnelSourceMismatch) => self.admit(flow),
            Derived::Refused(reason) => {
                // Of a flow that policies have ended the pair is still there, and remembers it.
                self.touch(hit, flow);
                Err(reason.into())
            }
            Derived::Gone => self.admit(flow),
        }
    }

    /// The pair of a key as the current snapshot has it, for a packet that is not of the flow itself.
    pub(crate) fn current(&self, hash: FlowHash, key: &FlowKey) -> Option<Hit> {
        let hit = self.flows.lookup(hash, key)?;
        if self.is_current(&hit.action) {
            return Some(hit);
        }
        match self.derive_again(&hit) {
            Derived::Kept => self.flows.lookup(hash, key).filter(|hit| self.is_current(&hit.action)),
            Derived::Refused(_) | Derived::Gone => None,
        }
    }

    /// Plans the pair anew from its forward key. Where that gives the same translation the pair
    /// stays with new actions, and where policies refuse it as one that drops; else it is removed.
    fn derive_again(&self, hit: &Hit) -> Derived {
        let (Some((forward, reverse)), Some((old, answers))) =
            (self.flows.keys(hit.pair), self.flows.actions(hit.pair))
        else {
            return Derived::Gone;
        };
        let back = Target::of(answers.output);
        let keep = Target::of(old.output).map(|target| Keep { target, reverse, back });
        let ingress = self.ingress_of(&forward, old.source);
        let first = ingress.map(|ingress| self.first_of_client(ingress, forward, keep));
        match (first.map(|first| self.judged(&first)), hit.direction) {
            (Some(Ok(Plan { pair, .. })), _) if pair.reverse.key == reverse => {
                self.flows.replace(hit.pair, pair.forward.action, pair.reverse.action);
                return Derived::Kept;
            }
            (Some(Ok(Plan { pair, .. })), _) if hides_sender(&forward.tuple, &reverse.tuple) => {
                let shows_sender = pair.reverse.key.tuple.dst == forward.tuple.src;
                let drop = first.and_then(|first| first.drop_action(DropReason::NatMappingGone));
                self.revoke(hit, drop.filter(|_| shows_sender));
                if !shows_sender && forward.tuple.protocol != protocol::TCP {
                    return Derived::Gone;
                }
                return Derived::Refused(DropReason::NatMappingGone);
            }
            (Some(Err(reason @ DropReason::PolicyDenied)), _) => {
                self.revoke(hit, first.and_then(|first| first.drop_action(reason)));
                return Derived::Refused(reason);
            }
            (Some(Err(reason @ DropReason::ServiceBackendGone)), _)
            | (Some(Err(reason)), Direction::Forward) => {
                self.flows.remove(hit.pair);
                return Derived::Refused(reason);
            }
            (Some(_) | None, _) => {}
        }
        self.flows.remove(hit.pair);
        Derived::Gone
    }

    /// A packet of a live flow from another place than the flow knows: allowed only when the
    /// same flow could have begun there (another path to the same pod).
    fn check_source(
        &self,
        flow: &Flow,
        hit: &Hit,
        reverse: &FlowKey,
    ) -> Result<(Action, Rewrite), DropReason> {
        if self.comes_from_next_door(flow.ingress, flow.key(), hit) {
            return Ok((hit.action, hit.rewrite));
        }
        // Not judged by policies: the flow was, and its answers pass by that.
        let Plan { pair, .. } = self.first(flow.ingress, flow.key()).plan()?;
        let same = match hit.direction {
            Direction::Forward => pair.reverse.key == *reverse,
            Direction::Reverse => hit.rewrite.kind == RewriteKind::None,
        };
        if same { Ok((hit.action, hit.rewrite)) } else { Err(DropReason::TunnelSourceMismatch) }
    }

    /// Whether these are answers to a translated source from another node than the flow goes to,
    /// but one that the route to their sender names as well.
    pub(crate) fn comes_from_next_door(&self, ingress: Ingress, key: FlowKey, hit: &Hit) -> bool {
        match (ingress, hit.direction) {
            (Ingress::Fabric { target: LabelTarget::Vrf(vrf), peer }, Direction::Reverse) => {
                self.first(ingress, key).way_back(vrf, peer).is_ok()
            }
            (Ingress::Fabric { .. } | Ingress::Vif(_), _) => false,
        }
    }

    /// A packet whose flow is asked for, but not made.
    pub(crate) fn first(&self, ingress: Ingress, key: FlowKey) -> First<'_> {
        let tuple = key.tuple;
        let numbers = (tuple.src.0, tuple.dst.0, tuple.sport, tuple.dport, tuple.protocol);
        let spread = FlowSpread(self.spread.hash_one(numbers));
        let sender = self.spread.hash_one((tuple.family, tuple.src));
        let (snapshot, clients) = (self.snapshot, Clients::Ignore);
        First { snapshot, ingress, key, spread, sender, keep: None, clients }
    }

    /// A packet whose flow is made, or made anew.
    fn first_of_client(&self, ingress: Ingress, key: FlowKey, keep: Option<Keep>) -> First<'_> {
        First { keep, clients: Clients::Remember(self.affinity, self.now), ..self.first(ingress, key) }
    }

    /// Where the first packet of a flow came in, read back from its key.
    fn ingress_of(&self, forward: &FlowKey, source: Source) -> Option<Ingress> {
        let target = match context_owner(forward.context) {
            ContextOwner::Vif(id) => LabelTarget::Vif(self.snapshot.vif_by_id(id)?.slot),
            ContextOwner::Vrf(vrf) => LabelTarget::Vrf(vrf),
        };
        match (source, target) {
            (Source::Tunnel(peer), target) => Some(Ingress::Fabric { target, peer: TunnelId(peer) }),
            (Source::Vif | Source::Any, LabelTarget::Vif(slot)) => Some(Ingress::Vif(slot)),
            (Source::Vif | Source::Any, LabelTarget::Vrf(_)) => None,
        }
    }
}

// Flags of TCP beside SYN (RFC 9293 section 3.1).
const FIN: u8 = 0x01;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

pub(crate) const NO_REWRITE: Rewrite = Rewrite {
    kind: RewriteKind::None,
    src: flow_table::Addr(0),
    dst: flow_table::Addr(0),
    sport: 0,
    dport: 0,
    l3_delta: 0,
    l4_delta: 0,
};

/// What has become of a pair that was derived again.
enum Derived {
    /// It has new actions.
    Kept,
    /// Its first packet would be refused now, and so is this one.
    Refused(DropReason),
    /// It is no more; its packets begin anew.
    Gone,
}

enum Sidestep {
    Retry,
    Stateless,
    Refuse,
}

/// Whether a flow may begin with this segment. One without SYN may: after a restart the vrouter
/// meets connections in the middle. No stack sends the combinations that scanners use: SYN with
/// FIN or RST, or neither SYN, RST nor ACK (RFC 9293 section 3.10.7).
fn begins_sensibly(flags: u8) -> bool {
    match flags & SYN {
        0 => flags & (RST | ACK) != 0,
        _ => flags & (FIN | RST) == 0,
    }
}

pub(crate) fn came_from(ingress: Ingress, source: Source) -> bool {
    match (source, ingress) {
        (Source::Any, _) | (Source::Vif, Ingress::Vif(_)) => true,
        (Source::Tunnel(tunnel), Ingress::Fabric { peer, .. }) => peer.0 == tunnel,
        (Source::Vif, Ingress::Fabric { .. }) | (Source::Tunnel(_), Ingress::Vif(_)) => false,
    }
}

/// Whether a packet begins a TCP connection.
fn opens(flow: &Flow) -> bool {
    matches!(flow.ip.l4, L4::Tcp(segment) if segment.flags & (SYN | ACK) == SYN)
}

/// Whether a flow shows another address than its sender's. One that shows the address it is sent
/// to is of a pod that reaches itself.
fn hides_sender(forward: &Tuple, answers: &Tuple) -> bool {
    answers.dst != forward.src && answers.dst != forward.dst
}
