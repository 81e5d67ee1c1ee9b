//! A flow as the policies of both its ends see it.

use flow_table::{Action, Addr, FlowKey, Output, Source, Tuple};

use super::spans::Kind;
use super::{FlowCourse, Opinion};
use crate::ids::VifSlot;
use crate::packet::l4;
use crate::snapshot::{Snapshot, Vif};
use crate::verdict::{ContextOwner, context_owner};

/// A flow from one end to the other, told from its pair.
#[derive(Clone, Copy, Debug)]
pub struct Passage<'s> {
    sender: Option<&'s Vif>,
    receiver: Option<&'s Vif>,
    /// As the sender wrote it.
    sent: Tuple,
    /// As the receiver sees it.
    seen: Tuple,
}

impl<'s> Passage<'s> {
    /// The passage of a pair: its forward key and action, and the key of its answers.
    pub fn of(snapshot: &'s Snapshot, forward: &FlowKey, action: &Action, answers: &FlowKey) -> Self {
        let sender = match (action.source, context_owner(forward.context)) {
            (Source::Vif | Source::Any, ContextOwner::Vif(id)) => snapshot.vif_by_id(id),
            (Source::Vif | Source::Any, ContextOwner::Vrf(_)) | (Source::Tunnel(_), _) => None,
        };
        let receiver = match action.output {
            Output::Vif { slot } => VifSlot::new(slot).and_then(|slot| snapshot.vif(slot)),
            Output::Tunnel { .. } | Output::Drop { .. } => None,
        };
        Self { sender, receiver, sent: forward.tuple, seen: answers.tuple.reversed() }
    }

    /// What a packet to all is, for its sender and for one of those that hear it, as far as they
    /// are vifs of this node. A fragment behind the first has port 0.
    pub fn to_all(sender: Option<&'s Vif>, receiver: Option<&'s Vif>, tuple: Tuple) -> Self {
        Self { sender, receiver, sent: tuple, seen: tuple }
    }

    /// The vif of this node that sends, and the one that receives.
    pub fn ends(&self) -> (Option<&'s Vif>, Option<&'s Vif>) {
        (self.sender, self.receiver)
    }

    /// Whether both ends allow it.
    pub fn is_allowed(&self) -> bool {
        self.egress() != Opinion::Denied && self.ingress() != Opinion::Denied
    }

    /// What the sender's policies say. The destination is asked about as the sender wrote it and
    /// as the backend sees it, and one of them is enough: a rule for a ClusterIP must mean the
    /// same for backends here and on other nodes, whose addresses this node does not know; a rule
    /// for the pods behind a service shall hold where they are known.
    pub fn egress(&self) -> Opinion<'s> {
        let (sent, seen) = (&self.sent, &self.seen);
        let as_sent = (sent.dst, kind(sent, sent.dport));
        let as_seen = (seen.dst, kind(sent, seen.dport));
        self.opinion(self.sender, FlowCourse::Egress, &[as_sent, as_seen])
    }

    /// What the receiver's policies say to the sender's address and to the port that the receiver
    /// itself is reached on. The address is the one that the receiver sees, as another node would
    /// have it; a pod that reaches itself is asked about under its own.
    pub fn ingress(&self) -> Opinion<'s> {
        let reaches_itself = self.seen.src == self.sent.dst;
        let sender = if reaches_itself { self.sent.src } else { self.seen.src };
        let question = (sender, kind(&self.sent, self.seen.dport));
        self.opinion(self.receiver, FlowCourse::Ingress, &[question])
    }

    fn opinion(&self, vif: Option<&'s Vif>, course: FlowCourse, questions: &[(Addr, Kind)]) -> Opinion<'s> {
        let Some(vif) = vif else { return Opinion::Unrestricted };
        let mut opinion = Opinion::Unrestricted;
        for policy in &vif.policies {
            let Some(table) = policy.table(course) else { continue };
            let first = |(peer, kind): &(Addr, Kind)| table.first(self.sent.family, *peer, *kind);
            let number = questions.iter().filter_map(first).min();
            if let Some(allowed) = number.and_then(|number| policy.allowed_by(course, number)) {
                return Opinion::Allowed(allowed);
            }
            opinion = Opinion::Denied;
        }
        opinion
    }
}

/// The kind of packet that begins a flow; `port` is the destination port in question.
fn kind(sent: &Tuple, port: u16) -> Kind {
    let detail = match sent.protocol {
        number if l4::is_foreign(sent.family, number) => 0,
        l4::protocol::ICMP | l4::protocol::ICMPV6 => l4::icmp_question(sent),
        protocol if l4::has_ports(protocol) => port,
        _ => 0,
    };
    Kind::new(sent.protocol, detail)
}
