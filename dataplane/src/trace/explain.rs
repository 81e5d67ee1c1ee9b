//! Why a packet ends as it does: what the stages have left behind, and the same questions asked of
//! the same functions once more.

use flow_table::{Action, Direction, FlowKey, Hit, Output, Ttl, Tuple};

use super::Tracer;
use super::names::{Names, reach_text, tuple_text};
use super::run::{Run, key_of};
use super::step::{Choice, TraceStep};
use crate::desired::Affinity;
use crate::drop::DropReason;
use crate::ecmp::{Member, Target};
use crate::fib::{NextHop, Vrf};
use crate::ids::{Mac, TunnelId, VifSlot, VrfId};
use crate::packet::ethernet::Ethernet;
use crate::packet::ip::Fragment;
use crate::packet::u16_at;
use crate::pipeline::Pipeline;
use crate::policy::{FlowCourse, Opinion, Passage};
use crate::service::{Backends, ServiceAddress};
use crate::snapshot::{LabelTarget, Snapshot, Vif};
use crate::stage::backend::Clients;
use crate::stage::resolve::{Prefer, Query, Scope, resolve_along};
use crate::verdict::{Flow, Ingress, Prepared, Verdict, Way};

/// What is asked, and where the answers go.
struct Story<'a> {
    tracer: &'a Tracer,
    snapshot: &'a Snapshot,
    run: &'a Run,
    steps: Vec<TraceStep>,
}

/// How a flow goes on: from its pair if there is one now, else as it would be planned.
struct Course {
    action: Action,
    direction: Direction,
    forward: FlowKey,
    forward_action: Action,
    answers: FlowKey,
}

pub(super) fn steps(tracer: &Tracer, snapshot: &Snapshot, run: &Run) -> Vec<TraceStep> {
    let mut story = Story { tracer, snapshot, run, steps: Vec::new() };
    match &run.prepared {
        Prepared::Flow(flow) => story.of_flow(flow),
        Prepared::Broadcast(flow) => story.parse(flow),
        Prepared::Arp { vif } => story.plain("ARP", Some(*vif)),
        Prepared::Link { vif, .. } => story.plain("neighbour discovery or group membership", Some(*vif)),
        Prepared::Wait(waiting) => {
            story.parse(&waiting.flow);
            story.steps.push(TraceStep::Wait);
            return story.steps;
        }
        Prepared::Drop { vif, .. } => story.plain("a packet", *vif),
    }
    story.end();
    story.steps
}

impl<'a> Story<'a> {
    fn pipeline(&self) -> Pipeline<'a> {
        self.run.scratch.pipeline(self.tracer, self.snapshot, self.run.now)
    }

    fn names(&self) -> Names<'a> {
        Names(self.snapshot)
    }

    fn plain(&mut self, what: &str, vif: Option<VifSlot>) {
        let from = vif.map_or_else(|| "the wire".to_owned(), |slot| self.names().vif(slot));
        self.steps.push(TraceStep::Parse { from, packet: what.to_owned(), bytes: self.run.len });
    }

    fn parse(&mut self, flow: &Flow) {
        let from = match flow.ingress {
            Ingress::Vif(slot) => self.names().vif(slot),
            Ingress::Fabric { peer, .. } => self.names().node(peer),
        };
        let mut packet = tuple_text(&flow.ip.tuple);
        if flow.ip.fragment != Fragment::Whole {
            packet.push_str(", a fragment,");
        }
        self.steps.push(TraceStep::Parse { from, packet, bytes: self.run.len });
        if let Ingress::Fabric { target, .. } = flow.ingress {
            let (vif, vrf) = match target {
                LabelTarget::Vif(slot) => {
                    let vif = self.snapshot.vif(slot);
                    (vif.map(|vif| vif.name.clone()), vif.map(|vif| vif.vrf))
                }
                LabelTarget::Vrf(vrf) => (None, Some(vrf)),
            };
            let vrf = vrf.and_then(|vrf| self.snapshot.vrf(vrf));
            if let Some(vrf) = vrf {
                self.steps.push(TraceStep::Label { vif, vrf: vrf.name.clone() });
            }
        }
    }

    fn of_flow(&mut self, flow: &Flow) {
        self.parse(flow);
        self.flow();
        if stops_before_routes(self.run.verdict) {
            return;
        }
        let course = self.course(flow);
        let is_answer = course.as_ref().is_some_and(|course| course.direction == Direction::Reverse);
        if !is_answer {
            self.routes(flow, course.as_ref());
        }
        let Some(course) = course else { return };
        if is_answer {
            self.steps.push(TraceStep::PolicyByState);
        } else {
            self.policies(&course);
        }
        self.way(flow, &course);
    }

    fn flow(&mut self) {
        let flows = &self.tracer.flows;
        let view = self.run.known.and_then(|hit| Some((hit, flows.look(hit.pair, self.run.now)?)));
        self.steps.push(match view {
            Some((hit, view)) => TraceStep::Flow {
                found: if self.snapshot.is_current(&hit.action.depends) { "known" } else { "stale" },
                state: Some(view.state.name()),
                answer: hit.direction == Direction::Reverse,
                packets: view.forward.packets + view.reverse.packets,
            },
            None => TraceStep::Flow { found: "new", state: None, answer: false, packets: 0 },
        });
    }

    /// The pair as the stages have left it. A refusal, or no pair at all, has a way that was
    /// planned and not taken.
    fn course(&self, flow: &Flow) -> Option<Course> {
        let pipeline = self.pipeline();
        let hit = key_of(&self.run.prepared)
            .and_then(|key| pipeline.flows.lookup(pipeline.flows.hash(&key), &key))
            .filter(|hit| !matches!(hit.action.output, Output::Drop { .. }));
        if let Some(course) = hit.and_then(|hit| self.of_pair(&hit)) {
            return Some(course);
        }
        let pair = pipeline.first(flow.ingress, flow.key()).plan().ok()?.pair;
        Some(Course {
            action: pair.forward.action,
            direction: Direction::Forward,
            forward: pair.forward.key,
            forward_action: pair.forward.action,
            answers: pair.reverse.key,
        })
    }

    fn of_pair(&self, hit: &Hit) -> Option<Course> {
        let flows = &self.run.scratch.flows;
        let (forward, answers) = flows.keys(hit.pair)?;
        let (forward_action, _) = flows.actions(hit.pair)?;
        Some(Course { action: hit.action, direction: hit.direction, forward, forward_action, answers })
    }

    /// The look-ups, and those among whom the last one chooses.
    fn routes(&mut self, flow: &Flow, course: Option<&Course>) {
        let (vrf, sender) = match flow.ingress {
            Ingress::Vif(slot) => (self.snapshot.vif(slot).map(|vif| vif.vrf), Some(slot)),
            Ingress::Fabric { target: LabelTarget::Vif(slot), .. } => return self.labelled(flow, slot),
            Ingress::Fabric { target: LabelTarget::Vrf(vrf), .. } => (Some(vrf), None),
        };
        let Some(vrf) = vrf else { return };
        let spread = self.pipeline().first(flow.ingress, flow.key()).spread;
        let query = Query {
            tuple: &flow.ip.tuple,
            sender,
            spread,
            prefer: Prefer::Hash,
            scope: Scope::Any,
            clients: Clients::Ignore,
        };
        let mut last: Option<(&Vrf, &NextHop)> = None;
        let mut seen = Vec::new();
        // What comes of it is told from the pair.
        let _ = resolve_along(self.snapshot, vrf, &query, |vrf, prefix, next_hop| {
            seen.push((vrf, prefix, next_hop));
            last = Some((vrf, next_hop));
        });
        for (vrf, prefix, next_hop) in seen {
            let to = self.names().next_hop(next_hop);
            self.steps.push(TraceStep::Route { vrf: vrf.name.clone(), prefix, to });
        }
        let chosen = course.and_then(|course| Target::of(course.forward_action.output));
        match last {
            Some((_, NextHop::Group(group))) => self.members(group.members(), chosen, None),
            Some((vrf, NextHop::Service)) => self.service(flow, vrf, chosen),
            Some((_, NextHop::Vrf(next))) => self.no_route(*next),
            Some((_, NextHop::Floating(..) | NextHop::Pool | NextHop::Discard)) => {}
            None => self.no_route(vrf),
        }
    }

    fn no_route(&mut self, vrf: VrfId) {
        if let Some(vrf) = self.snapshot.vrf(vrf) {
            self.steps.push(TraceStep::NoRoute { vrf: vrf.name.clone() });
        }
    }

    /// A vif's own label: no look-up, but perhaps a service of the pod.
    fn labelled(&mut self, flow: &Flow, slot: VifSlot) {
        let tuple = &flow.ip.tuple;
        let vif = self.snapshot.vif(slot).filter(|vif| !vif.has_address(tuple.family, tuple.dst));
        let vrf = vif.and_then(|vif| self.snapshot.vrf(vif.vrf));
        if let Some(service) = vrf.and_then(|vrf| vrf.service(tuple.family, tuple.dst)) {
            self.service_port(tuple, service);
        }
    }

    fn service(&mut self, flow: &Flow, vrf: &Vrf, chosen: Option<Target>) {
        let tuple = &flow.ip.tuple;
        let Some(service) = vrf.service(tuple.family, tuple.dst) else { return };
        self.service_port(tuple, service);
        let Some(mapped) = service.port(tuple.protocol, tuple.dport) else { return };
        let Backends { ready, terminating, .. } = &*mapped.backends;
        self.members(ready.members(), chosen, None);
        self.members(terminating.members(), chosen, Some(Choice::Terminating));
    }

    fn service_port(&mut self, tuple: &Tuple, service: &ServiceAddress) {
        let mapped = service.port(tuple.protocol, tuple.dport);
        self.steps.push(TraceStep::Service {
            port: tuple.dport,
            target_port: mapped.map(|mapped| mapped.port.target_for(tuple.dport)),
            affinity: mapped.is_some_and(|mapped| mapped.backends.affinity != Affinity::None),
        });
    }

    fn members(&mut self, members: &[Member], chosen: Option<Target>, else_: Option<Choice>) {
        for member in members {
            let chosen = match chosen == Some(member.target) {
                true => Choice::Chosen,
                false => else_.unwrap_or(Choice::Other),
            };
            let to = self.names().target(member.target);
            self.steps.push(TraceStep::Member { to, weight: member.weight, chosen });
        }
    }

    fn policies(&mut self, course: &Course) {
        let passage = Passage::of(self.snapshot, &course.forward, &course.forward_action, &course.answers);
        let (sender, receiver) = passage.ends();
        if let Some(vif) = sender {
            self.policy(vif, FlowCourse::Egress, passage.egress());
        }
        if let Some(vif) = receiver {
            self.policy(vif, FlowCourse::Ingress, passage.ingress());
        }
    }

    fn policy(&mut self, vif: &Vif, course: FlowCourse, opinion: Opinion<'_>) {
        let restricts = |policy: &crate::desired::Policy| match course {
            FlowCourse::Ingress => policy.ingress.is_some(),
            FlowCourse::Egress => policy.egress.is_some(),
        };
        let (allowed, policies, rule) = match opinion {
            Opinion::Unrestricted => (true, Vec::new(), None),
            Opinion::Allowed(by) => {
                let name = by.rule.name.clone().unwrap_or_else(|| format!("rule {}", by.number));
                (true, vec![by.policy.clone()], Some(format!("{name}: {}", by.rule)))
            }
            Opinion::Denied => {
                let of_vif = vif.policies.iter().map(|policy| policy.wanted());
                (
                    false,
                    of_vif.filter(|policy| restricts(policy)).map(|policy| policy.name.clone()).collect(),
                    None,
                )
            }
        };
        self.steps.push(TraceStep::Policy { vif: vif.name.clone(), course, allowed, policies, rule });
    }

    /// Translation, TTL, and the way out as far as it is open.
    fn way(&mut self, flow: &Flow, course: &Course) {
        if matches!(self.run.verdict, Verdict::Drop { reason, .. } | Verdict::Reject { reason, .. } if stops_before_way(reason))
        {
            return;
        }
        let seen = match course.direction {
            Direction::Forward => course.answers.tuple.reversed(),
            Direction::Reverse => course.forward.tuple.reversed(),
        };
        if seen != flow.ip.tuple {
            let (from, to) = (tuple_text(&flow.ip.tuple), tuple_text(&seen));
            self.steps.push(TraceStep::Translate { from, to });
        }
        let from = flow.ip.ttl;
        let to = match course.action.ttl {
            Ttl::Decrement => from.saturating_sub(1),
            Ttl::Keep => from,
        };
        self.steps.push(TraceStep::Ttl { from, to });
        let mtu = match course.action.output {
            Output::Vif { slot } => {
                VifSlot::new(slot).and_then(|slot| self.snapshot.vif(slot)).map(|vif| vif.mtu)
            }
            Output::Tunnel { tunnel, .. } => {
                self.snapshot.tunnel(TunnelId(tunnel)).map(|tunnel| tunnel.inner_mtu)
            }
            Output::Drop { .. } => None,
        };
        if let Some(mtu) = mtu {
            self.steps.push(TraceStep::Mtu { needed: flow.ip.len, mtu });
        }
        if let Output::Tunnel { tunnel, label } = course.action.output
            && let Some(tunnel) = self.snapshot.tunnel(TunnelId(tunnel))
        {
            let reach = reach_text(tunnel.reach);
            self.steps.push(TraceStep::Tunnel { node: tunnel.address, label, reach });
        }
    }

    /// How it ends, from the verdict and the bytes.
    fn end(&mut self) {
        let step = match self.run.verdict {
            Verdict::Send(way) => self.sent(way),
            Verdict::Split(split) => Some(TraceStep::Split { mtu: split.mtu }),
            Verdict::Replicate(replica) => {
                let to = self.pipeline().targets(replica).map(|target| self.names().target(target)).collect();
                Some(TraceStep::Broadcast { to })
            }
            Verdict::Answer(way) => Some(TraceStep::Answer { to: self.names().way(way) }),
            Verdict::Consumed => Some(TraceStep::Consumed),
            Verdict::Reject { vif, reason, .. } => Some(self.dropped(vif, reason, true)),
            Verdict::Drop { vif, reason } => Some(self.dropped(vif, reason, false)),
        };
        self.steps.extend(step);
    }

    fn dropped(&self, vif: Option<VifSlot>, reason: DropReason, told: bool) -> TraceStep {
        let vif = vif.and_then(|slot| self.snapshot.vif(slot)).map(|vif| vif.name.clone());
        TraceStep::Drop { reason: reason.name(), meaning: reason.meaning(), vif, told }
    }

    fn sent(&self, way: Way) -> Option<TraceStep> {
        let frame = &self.run.bytes;
        let ethernet = Ethernet::parse(frame).ok()?;
        match way {
            Way::Vif(slot) => {
                let vif = self.snapshot.vif(slot)?.name.clone();
                Some(TraceStep::Deliver { vif, mac: ethernet.dst })
            }
            Way::Tunnel(id) => {
                let (src, dst) = (self.snapshot.fabric.address, self.snapshot.tunnel(id)?.address);
                let header = if src.is_ipv4() { 20 } else { 40 };
                let port = u16_at(frame, ethernet.len + header)?;
                let neighbour: Mac = ethernet.dst;
                Some(TraceStep::Underlay { src, dst, port, neighbour })
            }
        }
    }
}

/// Drops for what a packet is, wherever it goes.
fn stops_before_routes(verdict: Verdict) -> bool {
    match verdict {
        Verdict::Drop { reason, .. } | Verdict::Reject { reason, .. } => matches!(
            reason,
            DropReason::MartianAddress
                | DropReason::MulticastUnsupported
                | DropReason::SpoofedSource
                | DropReason::TcpBadFlags
                | DropReason::IcmpRedirect
        ),
        Verdict::Answer(_) | Verdict::Consumed => true,
        Verdict::Send(_) | Verdict::Split(_) | Verdict::Replicate(_) => false,
    }
}

/// Drops that are decided when the flow is, before anything is said about the way out.
fn stops_before_way(reason: DropReason) -> bool {
    !matches!(
        reason,
        DropReason::TtlExceeded
            | DropReason::FrameTooBig
            | DropReason::VifDown
            | DropReason::UplinkDown
            | DropReason::NoNeighbour
    )
}
