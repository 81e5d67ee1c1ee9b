//! Security policies: every rule of every policy of both ends of a flow, one after the other.

use std::net::IpAddr;

use dataplane::desired::{Peers, Rule, RuleTraffic, Vif};
use dataplane::policy::FlowCourse;

use crate::fib;
use crate::packet::{Packet, Tuple};
use crate::pairs::{self, Context, Direction, Key, Origin, Output, Plan};
use crate::router::{Router, State};

/// What the policies say to a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It may be.
    Allowed,
    /// It may be because it is the answer to a flow that may be.
    AllowedAsAnswer,
    /// It may not be.
    Denied,
}

impl Router {
    /// What the policies of both ends say to a flow, beside the flows there are.
    pub(crate) fn judge(&self, plan: &Plan, state: &State) -> Judgement {
        if self.both_allow(plan) {
            return Judgement::Allowed;
        }
        let Output::Vif(receiver) = plan.forward.output else { return Judgement::Denied };
        let key = Key { context: Context::Vif(receiver), tuple: plan.forward.key.tuple };
        match pairs::find(&state.pairs, &key) {
            Some((row, Direction::Reverse)) => {
                let question = &state.pairs[row].plan;
                let dropped = matches!(question.forward.output, Output::Drop(_));
                if !dropped && self.both_allow(question) {
                    Judgement::AllowedAsAnswer
                } else {
                    Judgement::Denied
                }
            }
            Some((_, Direction::Forward)) | None => Judgement::Denied,
        }
    }

    /// Whether a vif may send a packet to all.
    pub(crate) fn may_speak(&self, vif: &Vif, packet: &Packet) -> bool {
        let tuple = &packet.tuple;
        self.allows(vif, FlowCourse::Egress, tuple, &[(tuple.dst, tuple.dport)])
    }

    /// Whether a vif may hear a packet to all; other nodes judge for theirs.
    pub(crate) fn may_hear(&self, output: Output, packet: &Packet) -> bool {
        let Output::Vif(id) = output else { return true };
        let tuple = &packet.tuple;
        let asked = [(tuple.src, tuple.dport)];
        self.vif_of(id).is_none_or(|vif| self.allows(vif, FlowCourse::Ingress, tuple, &asked))
    }

    fn both_allow(&self, plan: &Plan) -> bool {
        let (sent, seen) = (plan.forward.key.tuple, plan.reverse.key.tuple.reversed());
        let sender = match (plan.forward.origin, plan.forward.key.context) {
            (Origin::Vif | Origin::Any, Context::Vif(id)) => self.vif_of(id),
            _ => None,
        };
        let receiver = match plan.forward.output {
            Output::Vif(id) => self.vif_of(id),
            Output::Tunnel(..) | Output::Drop(_) => None,
        };
        // Where it is sent to, or where it goes: the nodes of other backends know the first alone.
        let outwards = [(sent.dst, sent.dport), (seen.dst, seen.dport)];
        // Its own, to a pod that reaches itself and sees the service.
        let source = if seen.src == sent.dst { sent.src } else { seen.src };
        sender.is_none_or(|vif| self.allows(vif, FlowCourse::Egress, &sent, &outwards))
            && receiver
                .is_none_or(|vif| self.allows(vif, FlowCourse::Ingress, &sent, &[(source, seen.dport)]))
    }

    fn vif_of(&self, id: u32) -> Option<&Vif> {
        fib::vif(&self.desired, self.ids.name_of(id)?)
    }

    /// Whether any rule of any policy of a vif allows it; without rules everything is allowed.
    fn allows(&self, vif: &Vif, course: FlowCourse, sent: &Tuple, peers: &[(IpAddr, u16)]) -> bool {
        let policies = self.desired.policies.iter().filter(|policy| vif.policies.contains(&policy.name));
        let lists: Vec<_> = policies
            .filter_map(|policy| match course {
                FlowCourse::Ingress => policy.ingress.as_ref(),
                FlowCourse::Egress => policy.egress.as_ref(),
            })
            .collect();
        let any = |rule: &Rule| peers.iter().any(|(peer, port)| allows(rule, sent, *peer, *port));
        lists.is_empty() || lists.iter().any(|rules| rules.iter().any(any))
    }
}

fn allows(rule: &Rule, sent: &Tuple, peer: IpAddr, port: u16) -> bool {
    let is_peer = match &rule.peers {
        Peers::Any => true,
        Peers::Within(prefixes) => prefixes.iter().any(|prefix| prefix.contains(&peer)),
    };
    let is_traffic = match &rule.traffic {
        RuleTraffic::Any => true,
        RuleTraffic::Protocol(number) => sent.protocol == *number,
        RuleTraffic::Ports { transport, ports } => {
            sent.protocol == transport.number() && ports.contains(&port)
        }
        RuleTraffic::Icmp { version, kind } => {
            let own_family = sent.src.is_ipv4() == (version.number() == 1);
            sent.protocol == version.number() && own_family && question(sent) == u16::from(*kind)
        }
    };
    is_peer && is_traffic
}

/// The type of the ICMP message that a flow began with, or that its first packet answers.
fn question(sent: &Tuple) -> u16 {
    match (sent.sport, sent.dport) {
        (sport, dport) if sport == dport => {
            if sent.src.is_ipv4() {
                8
            } else {
                128
            }
        }
        (0, kind) | (kind, _) => kind,
    }
}
