//! Fragments: all of a datagram go where its first one goes; those that come before it wait.

use std::net::IpAddr;

use dataplane::drop::DropReason;
use dataplane::fragment::PER_CONTEXT;

use crate::datagram::{Datagram, Id, Known, Ports};
use crate::fib;
use crate::packet::{Kind, Packet, Piece};
use crate::pairs::Context;
use crate::plan::Ingress;
use crate::router::{Arrival, Draft, Outcome, Router};

/// Datagrams that are told apart at a time.
const DATAGRAMS: usize = 64;

/// A fragment that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    at: Arrival,
    packet: Packet,
    id: Id,
    context: Context,
    until: u64,
    worker: usize,
}

impl Held {
    /// The node it came from, if it came from one.
    pub fn node(&self) -> Option<IpAddr> {
        self.at.ingress.node()
    }
}

impl Router {
    /// Takes a packet that may be a fragment.
    pub(crate) fn gate(
        &self,
        at: Arrival,
        packet: Packet,
        mut draft: Draft,
        seen: Option<&[u8]>,
    ) -> Vec<Outcome> {
        let Some(piece) = packet.piece else { return self.finish(&at, &packet, draft, seen) };
        match self.admit_fragment(&at, &packet, piece, &mut draft) {
            Err(reason) => vec![draft.dropped(&at.port, reason)],
            Ok(Some(ports)) => self.finish(&at, &follow(packet, ports), draft, seen),
            Ok(None) => {
                let Some(context) = self.context(&at.ingress) else { return Vec::new() };
                let id = Id::new(context, &packet, &piece);
                let until = draft.state.datagrams.iter().find(|one| one.id == id).map_or(0, |one| one.until);
                draft.state.held.push(Held { at, packet, id, context, until, worker: self.worker });
                vec![draft.sent(Vec::new())]
            }
        }
    }

    /// The ports of the fragment's datagram; none if it has to wait for them.
    fn admit_fragment(
        &self,
        at: &Arrival,
        packet: &Packet,
        piece: Piece,
        draft: &mut Draft,
    ) -> Result<Option<Ports>, DropReason> {
        if let Ingress::Vif(name) = &at.ingress
            && !fib::vif(&self.desired, name)
                .is_some_and(|vif| fib::may_send(&self.desired, vif, packet.tuple.src))
        {
            return Err(DropReason::SpoofedSource);
        }
        if matches!(packet.kind, Kind::Error | Kind::Refused) {
            return Err(DropReason::FragmentUnsupported);
        }
        let context = self.context(&at.ingress).ok_or(DropReason::InvalidLabel)?;
        let id = Id::new(context, packet, &piece);
        let datagrams = &mut draft.state.datagrams;
        datagrams.retain(|datagram| datagram.until > self.now);
        if datagrams.iter().all(|datagram| datagram.id != id) {
            let same = datagrams.iter().filter(|datagram| datagram.context() == context).count();
            if same >= PER_CONTEXT || datagrams.len() >= DATAGRAMS {
                return Err(DropReason::FragmentTableFull);
            }
            datagrams.push(Datagram::new(id, self.now));
        }
        let Some(datagram) = datagrams.iter_mut().find(|datagram| datagram.id == id) else {
            return Err(DropReason::FragmentTableFull);
        };
        datagram.take(packet, piece)?;
        match datagram.known {
            Known::Ports(ports) => Ok(Some(ports)),
            Known::Nothing | Known::Contradiction => Ok(None),
        }
    }

    /// Lets go of every fragment whose wait is over: those of the worker that has taken the last frame, then others.
    pub(crate) fn release(&self, outcome: Outcome, seen: Option<&[u8]>) -> Vec<Outcome> {
        let mut waiting = outcome.state.held.clone();
        waiting.sort_by_key(|held| held.worker != self.worker);
        let mut outcomes = vec![outcome];
        for held in waiting {
            outcomes =
                outcomes.into_iter().flat_map(|outcome| self.release_one(&held, outcome, seen)).collect();
        }
        for Outcome { state, .. } in &mut outcomes {
            let (held, datagrams) = (&state.held, &mut state.datagrams);
            datagrams.retain(|datagram| {
                let waits = held.iter().any(|held| held.id == datagram.id);
                waits || !matches!(datagram.known, Known::Ports(_)) || !datagram.is_complete()
            });
        }
        outcomes
    }

    fn release_one(&self, held: &Held, outcome: Outcome, seen: Option<&[u8]>) -> Vec<Outcome> {
        let known = outcome.state.datagrams.iter().find(|datagram| datagram.id == held.id);
        let known = known.map_or(Known::Nothing, |datagram| datagram.known);
        if self.now < held.until && known == Known::Nothing {
            return vec![outcome];
        }
        let Outcome { emitted: before, moved, mut state } = outcome;
        if let Some(row) = state.held.iter().position(|one| one == held) {
            state.held.remove(row);
        }
        let draft = Draft { moved, state };
        let after = match known {
            _ if self.now >= held.until => vec![draft.dropped(&held.at.port, DropReason::FragmentTimeout)],
            Known::Ports(ports) if self.is_there(held.context) => {
                let packet = follow(held.packet.clone(), ports);
                let ends = self.arrivals(&held.at).into_iter();
                ends.flat_map(|at| self.finish(&at, &packet, draft.clone(), seen)).collect()
            }
            Known::Ports(_) => vec![draft.dropped(&held.at.port, DropReason::UnknownVif)],
            Known::Nothing | Known::Contradiction => {
                vec![draft.dropped(&held.at.port, DropReason::FragmentOverlap)]
            }
        };
        let whole = |outcome: Outcome| {
            let emitted = before.iter().cloned().chain(outcome.emitted).collect();
            Outcome { emitted, ..outcome }
        };
        after.into_iter().map(whole).collect()
    }

    fn is_there(&self, context: Context) -> bool {
        match context {
            Context::Vif(id) => self.ids.name_of(id).is_some(),
            Context::Vrf(id) => self.ids.vrfs.iter().any(|(_, own)| *own == id),
            Context::Unanswered(_) => false,
        }
    }

    /// The real router numbers the nodes: the number of one that was gone meanwhile may be another's by now.
    fn arrivals(&self, at: &Arrival) -> Vec<Arrival> {
        let mut arrivals = vec![at.clone()];
        if let Some(node) = at.ingress.node().filter(|node| self.state.renumbered.contains(node)) {
            let others = self.state.endpoints.iter().filter(|other| **other != node);
            arrivals.extend(
                others.map(|other| Arrival { ingress: at.ingress.clone().from_node(*other), ..at.clone() }),
            );
        }
        arrivals
    }
}

fn follow(mut packet: Packet, ports: Ports) -> Packet {
    (packet.tuple.protocol, packet.tuple.sport, packet.tuple.dport) =
        (ports.protocol, ports.sport, ports.dport);
    packet
}
