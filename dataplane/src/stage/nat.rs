//! The source that a flow gets on its way: address and port, and what is remembered of it.

use flow_table::{Action, Addr, Context, FlowKey, Half, Hit, InsertError, NewPair, Source, Ttl, Tuple};

use super::plan::First;
use super::resolve::Decision;
use crate::desired::{Mapping, PortRange};
use crate::drop::DropReason;
use crate::ecmp::{Target, mix};
use crate::ids::VrfId;
use crate::nat::{NewSource, Pool};
use crate::packet::l4::{self, protocol};
use crate::pipeline::Pipeline;
use crate::verdict::{unanswered, vrf_context};

/// Source ports tried before a translation is given up.
pub(crate) const PORT_ATTEMPTS: u16 = 32;

/// A pair as routes, services and pools have it, and how far its translated source may vary.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) pair: NewPair,
    pub(crate) port: SourcePort,
}

/// Which source ports will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SourcePort {
    /// The sender's own.
    Fixed,
    /// Any of these that gives answers of their own.
    OneOf(Candidates),
    /// One of these for all destinations, remembered for this VRF.
    Mapped(VrfId, Candidates),
}

/// Ports in the order in which a hash has them tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidates {
    ports: PortRange,
    start: u64,
}

impl Candidates {
    /// The port that is tried after `attempt` others: in a row where all can be tried, else scattered.
    fn nth(self, attempt: u16) -> u16 {
        let (count, attempt) = (u64::from(self.ports.count()), u64::from(attempt));
        let offset = if count < u64::from(PORT_ATTEMPTS) {
            self.start % count + attempt
        } else {
            mix(self.start.wrapping_add(attempt))
        };
        self.ports.first() + (offset % count) as u16
    }
}

impl Plan {
    /// Takes the next source port to try, if there may be another.
    pub(crate) fn vary(&mut self, attempt: u16) -> bool {
        let SourcePort::OneOf(candidates) = self.port else { return false };
        set_answer_port(&mut self.pair.reverse.key.tuple, candidates.nth(attempt));
        true
    }
}

/// An echo has its identifier in both ports.
fn set_source_port(tuple: &mut Tuple, port: u16) {
    tuple.sport = port;
    if !l4::has_ports(tuple.protocol) {
        tuple.dport = port;
    }
}

fn set_answer_port(answer: &mut Tuple, port: u16) {
    let mut seen = answer.reversed();
    set_source_port(&mut seen, port);
    *answer = seen.reversed();
}

impl First<'_> {
    /// The tuple as the receiver sees it, and which source ports would do.
    pub(super) fn translate(&self, decision: &Decision) -> Result<(Tuple, SourcePort), DropReason> {
        let sent = self.key.tuple;
        let seen = match decision.translate_to {
            Some((dst, dport)) => Tuple { dst, dport, ..sent },
            None => sent,
        };
        let is_own = self.ingress.own_vif().is_some_and(|own| decision.target == Target::Vif(own));
        match decision.source {
            Some((_, NewSource::Refused)) => Err(DropReason::NatNoAddress),
            Some((vrf, NewSource::Pool)) => self.behind_pool(vrf, seen),
            Some((_, NewSource::Floating(src))) if is_own => Ok(self.hairpin(Tuple { src, ..seen })),
            Some((_, NewSource::Floating(src))) => Ok((Tuple { src, ..seen }, SourcePort::Fixed)),
            // A pod that reaches itself must not see its own address as the client, or it would
            // answer past us: it sees the address that it has called instead.
            None if is_own && decision.translate_to.is_some() => {
                Ok(self.hairpin(Tuple { src: sent.dst, ..seen }))
            }
            None => Ok((seen, SourcePort::Fixed)),
        }
    }

    fn hairpin(&self, mut seen: Tuple) -> (Tuple, SourcePort) {
        if !l4::has_ports(seen.protocol) {
            return (seen, SourcePort::Fixed);
        }
        if let Some(keep) = self.keep.filter(|keep| keep.reverse.tuple.dst == seen.src) {
            seen.sport = keep.reverse.tuple.dport;
        }
        let candidates = Candidates { ports: PortRange::DYNAMIC, start: self.spread.0 };
        (seen, SourcePort::OneOf(candidates))
    }

    fn behind_pool(&self, vrf: VrfId, mut seen: Tuple) -> Result<(Tuple, SourcePort), DropReason> {
        let edge = self.snapshot.vrf(vrf).map(|vrf| vrf.edge());
        let pool = edge.and_then(|edge| edge.pool.as_ref()).ok_or(DropReason::NatNoAddress)?;
        if !can_share(&seen) {
            return Err(DropReason::NatUnsupported);
        }
        let port = self.port_of(vrf, pool);
        let kept = self.keep.map(|keep| keep.reverse.tuple);
        if let Some(kept) = kept.filter(|kept| pool.has(kept.family, kept.dst, kept.dport)) {
            seen.src = kept.dst;
            set_source_port(&mut seen, kept.dport);
            return Ok((seen, port));
        }
        seen.src = pool.address(seen.family, self.sender).ok_or(DropReason::NatNoAddress)?;
        match port {
            _ if pool.ports.contains(seen.sport) => {}
            SourcePort::Fixed => return Err(DropReason::NatPortExhausted),
            SourcePort::OneOf(candidates) | SourcePort::Mapped(_, candidates) => {
                set_source_port(&mut seen, candidates.nth(0));
            }
        }
        Ok((seen, port))
    }

    fn port_of(&self, vrf: VrfId, pool: &Pool) -> SourcePort {
        let (tuple, ports) = (&self.key.tuple, pool.ports);
        match pool.mapping {
            // An association may have several addresses, which all speak of one port (RFC 9260 section 1.3).
            _ if tuple.protocol == protocol::SCTP => SourcePort::Fixed,
            Mapping::AddressAndPortDependent => SourcePort::OneOf(Candidates { ports, start: self.spread.0 }),
            // The same after the mapping has been forgotten.
            Mapping::EndpointIndependent => {
                let start = mix(self.sender ^ u64::from(tuple.sport) << 8 ^ u64::from(tuple.protocol));
                SourcePort::Mapped(vrf, Candidates { ports, start })
            }
        }
    }
}

/// Whether flows of this kind can be told apart at one address: by port, or by echo identifier.
fn can_share(tuple: &Tuple) -> bool {
    match tuple.protocol {
        number if l4::is_foreign(tuple.family, number) => false,
        protocol::ICMP | protocol::ICMPV6 => l4::is_echo(tuple),
        number => l4::has_ports(number),
    }
}

impl Pipeline<'_> {
    /// Gives the pair the source that its sender has for all destinations, where that is asked for.
    pub(crate) fn map_endpoint(&self, plan: &mut Plan) -> Result<(), DropReason> {
        let SourcePort::Mapped(vrf, candidates) = plan.port else { return Ok(()) };
        let mut mapping = mapping(plan, vrf);
        let seen = plan.pair.reverse.key.tuple;
        for attempt in 1..=PORT_ATTEMPTS {
            let known = match self.flows.insert(&mapping, self.now) {
                Ok(hit) | Err(InsertError::Exists(hit)) => self.mapped(&hit, vrf),
                Err(InsertError::ReverseTaken) => {
                    mapping.reverse.key.tuple.dport = candidates.nth(attempt);
                    continue;
                }
                Err(InsertError::OwnerLimit) => return Err(DropReason::VifFlowLimit),
                Err(InsertError::TableFull | InsertError::BucketFull) => {
                    return Err(DropReason::FlowTableFull);
                }
            };
            if let Some((address, port)) = known {
                let answer = &mut plan.pair.reverse.key.tuple;
                *answer = Tuple { dst: address, ..seen };
                set_answer_port(answer, port);
                return Ok(());
            }
        }
        Err(DropReason::NatPortExhausted)
    }

    /// What a mapping gives, if the pool still has it; else the mapping goes.
    fn mapped(&self, hit: &Hit, vrf: VrfId) -> Option<(Addr, u16)> {
        let (_, outside) = self.flows.keys(hit.pair)?;
        let Tuple { family, dst, dport, .. } = outside.tuple;
        let pool = self.snapshot.vrf(vrf)?.edge().pool.as_ref()?;
        if pool.has(family, dst, dport) {
            self.flows.touch(hit, self.now, 0, None);
            return Some((dst, dport));
        }
        self.flows.remove(hit.pair);
        None
    }
}

/// The pair that remembers a sender's source in a VRF. No packet has its keys: their contexts are
/// those of answers that never come, and the far end is nobody.
fn mapping(plan: &Plan, vrf: VrfId) -> NewPair {
    let (forward, seen) = (&plan.pair.forward, plan.pair.reverse.key.tuple);
    let inside = Tuple { dst: Addr(u128::from(vrf.0)), dport: 0, ..forward.key.tuple };
    let outside = Tuple { src: Addr(0), sport: 0, ..seen };
    let key = |Context(context), tuple| FlowKey { context: unanswered(Context(context)), tuple };
    let action = Action { ttl: Ttl::Keep, source: Source::Any, ..forward.action };
    NewPair {
        forward: Half { key: key(forward.key.context, inside), action },
        reverse: Half { key: key(vrf_context(vrf), outside), action },
        owner: plan.pair.owner,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn of_few_ports_all_are_tried_and_of_many_as_many_as_there_are_attempts() {
        for start in (0..200).map(mix) {
            for (first, last, tried) in [(7, 7, 1), (5000, 5030, 31), (1024, 65535, 32)] {
                let ports = PortRange::new(first, last).unwrap();
                let candidates = Candidates { ports, start };
                let seen: BTreeSet<u16> = (0..PORT_ATTEMPTS).map(|attempt| candidates.nth(attempt)).collect();
                assert!(seen.iter().all(|port| ports.contains(*port)));
                // Of many, two may fall together by chance.
                let by_chance = if tried < 32 { 0 } else { 2 };
                assert!((tried - by_chance..=tried).contains(&seen.len()), "{} of {ports}", seen.len());
            }
        }
    }
}
