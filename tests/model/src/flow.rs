//! Flows: found in the list, derived anew for every packet, made where there is none.

use dataplane::drop::DropReason;

use crate::derive::Derived;
use crate::idle::{self, Table};
use crate::packet::{Kind, Packet};
use crate::pairs::{self, Context, Direction, Half, Key, Origin, Output, Owner, Pair, Plan, Step};
use crate::plan::{self, Question};
use crate::policy::Judgement;
use crate::router::{Action, Arrival, Decided, Draft, Router, check_ttl};
use crate::split;
use crate::way::{self, Halt};

impl Router {
    /// Every right decision about a packet, with what it leaves behind.
    pub(crate) fn decide(
        &self,
        at: &Arrival,
        packet: &Packet,
        mut draft: Draft,
        seen: Option<&[u8]>,
    ) -> Decided<Action> {
        let Some(context) = self.context(&at.ingress) else {
            return vec![(draft, Err(DropReason::InvalidLabel.into()))];
        };
        let key = Key { context, tuple: packet.tuple };
        let Some((row, direction)) = pairs::find(&draft.state.pairs, &key) else {
            draft.count("misses", 1);
            return self.admit(at, packet, draft, seen);
        };
        draft.count("hits", 1);
        let mut decided = Vec::new();
        for (mut draft, derived) in self.derive(&draft, row, direction) {
            match derived {
                Derived::Kept => decided.extend(self.use_pair(at, packet, draft, (row, direction))),
                Derived::Refused(DropReason::ServiceBackendGone) if opens(packet) => {
                    decided.extend(self.admit(at, packet, draft, seen));
                }
                Derived::Refused(reason) => decided.push((draft, Err(reason.into()))),
                Derived::Denied => {
                    draft.state.pairs[row].touch(direction, packet.bytes.len(), self.now, flags(packet));
                    decided.push((draft, Err(DropReason::PolicyDenied.into())));
                }
                Derived::Gone => decided.extend(self.admit(at, packet, draft, seen)),
            }
        }
        decided
    }

    /// A packet of a pair that is right: does it come from where the pair says?
    fn use_pair(
        &self,
        at: &Arrival,
        packet: &Packet,
        mut draft: Draft,
        (row, direction): (usize, Direction),
    ) -> Decided<Action> {
        let pair = &mut draft.state.pairs[row];
        let (half, other) = pair.halves(direction);
        let action = Action { output: half.output, step: half.step, tuple: pair.leaves_as(direction) };
        if half.origin.admits(at.ingress.origin()) {
            pair.touch(direction, packet.bytes.len(), self.now, flags(packet));
            return vec![(draft, Ok(action))];
        }
        // From elsewhere it may come if the same flow could have begun there.
        let question = Question { ingress: &at.ingress, tuple: packet.tuple, keep: None, clients: None };
        let plans = match plan::plans(self, &question) {
            Ok(plans) => plans,
            Err(reason) => return vec![(draft, Err(reason.into()))],
        };
        let judge = |plan: Plan| {
            let same = match direction {
                Direction::Forward => plan.reverse.key == other.key,
                Direction::Reverse => action.tuple == packet.tuple,
            };
            (draft.clone(), if same { Ok(action) } else { Err(DropReason::TunnelSourceMismatch.into()) })
        };
        plans.into_iter().map(judge).collect()
    }

    fn admit(&self, at: &Arrival, packet: &Packet, mut draft: Draft, seen: Option<&[u8]>) -> Decided<Action> {
        if !begins_sensibly(packet) {
            return vec![(draft, Err(DropReason::TcpBadFlags.into()))];
        }
        let clients = draft.state.clients.clone();
        let question =
            Question { ingress: &at.ingress, tuple: packet.tuple, keep: None, clients: Some(&clients) };
        let plans = match plan::plans(self, &question) {
            Ok(plans) => plans,
            Err(reason) => {
                if matches!(reason, DropReason::ServiceNoBackend | DropReason::ServicePortUnmapped) {
                    self.remember_refusal(at, packet, &mut draft, reason);
                }
                return vec![(draft, Err(reason.into()))];
            }
        };
        let mut decided = Vec::new();
        for plan in plans {
            let mut draft = draft.clone();
            self.remember_client(&question, &plan, &mut draft.state);
            match self.judge(&plan, &draft.state) {
                Judgement::Denied => {
                    self.remember_refusal(at, packet, &mut draft, DropReason::PolicyDenied);
                    decided.push((draft, Err(DropReason::PolicyDenied.into())));
                }
                judgement => {
                    let mut pair = Pair::new(plan, self.now, self.generation);
                    pair.is_answer = judgement == Judgement::AllowedAsAnswer;
                    let drafts = self.make_room(draft, &pair, packet);
                    decided.extend(drafts.into_iter().map(|(draft, room)| match room {
                        Ok(()) => self.insert(pair.clone(), packet, draft, seen),
                        Err(halt) => (draft, Err(halt)),
                    }));
                }
            }
        }
        decided
    }

    /// Room for another pair; in a full table one that is idle for long may give way.
    fn make_room(&self, draft: Draft, pair: &Pair, packet: &Packet) -> Decided<()> {
        if let Err(halt) = self.check_first(packet, &pair.plan.forward) {
            return vec![(draft, Err(halt))];
        }
        let owner = pair.plan.owner;
        if self.owned(&draft, owner) >= self.pairs_per_vif {
            return self.give_way(&draft, DropReason::VifFlowLimit, |pair| pair.plan.owner == owner);
        }
        if draft.state.pairs.len() >= self.pairs {
            return self.give_way(&draft, DropReason::FlowTableFull, |_| true);
        }
        vec![(draft, Ok(()))]
    }

    /// One of these pairs may give way, if it is idle for long.
    fn give_way(&self, draft: &Draft, reason: DropReason, is_one: impl Fn(&Pair) -> bool) -> Decided<()> {
        let pairs = draft.state.pairs.iter().enumerate().filter(|(_, pair)| is_one(pair));
        let idle: Vec<_> =
            pairs.map(|(row, pair)| (row, self.now - pair.last, idle::bounds(pair, Table::IsFull))).collect();
        let may_go = idle.iter().filter(|(_, idle, (least, _))| idle > least);
        let mut rooms: Decided<()> = may_go.map(|(row, ..)| (self.without(draft, *row), Ok(()))).collect();
        if idle.iter().all(|(_, idle, (_, most))| idle <= most) {
            rooms.push((draft.clone(), Err(reason.into())));
        }
        rooms
    }

    /// A pair that says for a short while that a service has refused this flow.
    fn remember_refusal(&self, at: &Arrival, packet: &Packet, draft: &mut Draft, reason: DropReason) {
        let vif = at.ingress.vif().and_then(|name| self.ids.vif(name));
        let (Some(vif), Some(context)) = (vif, self.context(&at.ingress)) else { return };
        let half = |context, tuple, origin| Half {
            key: Key { context, tuple },
            output: Output::Drop(reason),
            origin,
            step: Step::Delivered,
        };
        let owner = match at.ingress.origin() {
            Origin::Node(_) => Owner::Fabric(vif.slot),
            Origin::Vif | Origin::Any => Owner::Pod(vif.slot),
        };
        // What is refused must not keep out what is allowed.
        let pairs = &draft.state.pairs;
        if self.owned(draft, owner) >= self.pairs_per_vif / 2 || pairs.len() >= self.pairs / 2 {
            return;
        }
        let plan = Plan {
            forward: half(context, packet.tuple, at.ingress.origin()),
            reverse: half(Context::Unanswered(vif.id), packet.tuple.reversed(), Origin::Any),
            owner,
        };
        if pairs::find(pairs, &plan.reverse.key).is_none() {
            draft.state.pairs.push(Pair::new(plan, self.now, self.generation));
            draft.count("pairs", 1);
        }
    }

    fn owned(&self, draft: &Draft, owner: Owner) -> usize {
        draft.state.pairs.iter().filter(|pair| pair.plan.owner == owner).count()
    }

    fn insert(
        &self,
        mut pair: Pair,
        packet: &Packet,
        mut draft: Draft,
        seen: Option<&[u8]>,
    ) -> (Draft, Result<Action, Halt>) {
        let plan = &mut pair.plan;
        // A flow whose answers were refused before it began takes their place.
        let refused = pairs::find(&draft.state.pairs, &plan.reverse.key)
            .filter(|(row, way)| matches!(draft.state.pairs[*row].halves(*way).0.output, Output::Drop(_)));
        if let Some((row, _)) = refused.filter(|_| plan.reverse.key != plan.forward.key) {
            draft.state.pairs.remove(row);
        }
        let early = draft.state.pairs.iter().position(|pair| is_early_answer(pair, plan));
        early.map(|row| draft.state.pairs.remove(row));
        let taken = |key: &Key, draft: &Draft| pairs::find(&draft.state.pairs, key).is_some();
        let Half { output, step, key: forward, .. } = plan.forward;
        if plan.reverse.key != forward && taken(&plan.reverse.key, &draft) {
            let answer = plan.reverse.key.tuple;
            if answer == forward.tuple.reversed() {
                // Nothing is translated, so nothing needs to be remembered.
                return (draft, Ok(Action { output, step, tuple: forward.tuple }));
            }
            let free = port_of(seen).filter(|_| answer.dst != forward.tuple.src).map(|port| {
                let mut key = plan.reverse.key;
                key.tuple.dport = port;
                key
            });
            match free.filter(|key| key.tuple.dport >= 49152 && !taken(key, &draft)) {
                Some(key) => plan.reverse.key = key,
                None => return (draft, Err(DropReason::NatPortExhausted.into())),
            }
        }
        let action = Action { output, step, tuple: pair.leaves_as(Direction::Forward) };
        pair.touch(Direction::Forward, packet.bytes.len(), self.now, flags(packet));
        draft.state.pairs.push(pair);
        draft.count("pairs", 1);
        (draft, Ok(action))
    }

    /// A packet that dies on its way out makes no flow.
    fn check_first(&self, packet: &Packet, forward: &Half) -> Result<(), Halt> {
        check_ttl(packet, forward.step)?;
        match way::check(self, forward.output, packet.bytes.len()) {
            Err(Halt::TooBig(mtu)) if split::is_allowed(packet, mtu) => Ok(()),
            checked => checked,
        }
    }
}

/// Whether a pair is one that the answers to a translated flow have made before it began.
fn is_early_answer(pair: &Pair, plan: &Plan) -> bool {
    let (forward, answer) = (plan.forward.key.tuple, plan.reverse.key.tuple);
    let Plan { forward: own, reverse: back, .. } = pair.plan;
    answer != forward.reversed()
        && answer.dst == forward.src
        && own.key == plan.reverse.key
        && back.key.tuple == own.key.tuple.reversed()
        && pair.packets[1] == 0
}

/// Whether a packet begins a TCP connection.
fn opens(packet: &Packet) -> bool {
    matches!(packet.kind, Kind::Tcp { flags, .. } if flags & 0x12 == 2)
}

/// RFC 9293 section 3.10.7: no connection begins with SYN and FIN or RST, or with none of SYN, RST and ACK.
fn begins_sensibly(packet: &Packet) -> bool {
    let Kind::Tcp { flags, .. } = packet.kind else { return true };
    let [fin, syn, rst, ack] = [1, 2, 4, 16].map(|flag| flags & flag != 0);
    if syn { !fin && !rst } else { rst || ack }
}

fn flags(packet: &Packet) -> u8 {
    match packet.kind {
        Kind::Tcp { flags, .. } => flags,
        _ => 0,
    }
}

/// Source port of what the real router sent to a vif.
fn port_of(seen: Option<&[u8]>) -> Option<u16> {
    let packet = seen?.get(18..)?;
    let header = if packet.first()? >> 4 == 4 { usize::from(packet[0] & 15) * 4 } else { 40 };
    crate::bytes::u16_at(packet, header)
}
