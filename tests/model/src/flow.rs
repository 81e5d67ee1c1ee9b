//! Flows: found in the list, derived anew for every packet, made where there is none.

use dataplane::drop::DropReason;

use crate::packet::{Kind, Packet};
use crate::pairs::{self, Context, Direction, Half, Key, Origin, Pair, Plan};
use crate::plan::{self, Ingress};
use crate::router::{Action, Arrival, Decided, Draft, Router};
use crate::way::Halt;

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
        let old = draft.state.pairs[row].plan;
        let planned = self
            .ingress_of(&old.forward)
            .map(|ingress| plan::plans(self, &ingress, old.forward.key.tuple, Some(&old)));
        let removed = |draft: &Draft| {
            let mut draft = draft.clone();
            draft.state.pairs.remove(row);
            draft
        };
        match (planned, direction) {
            (Some(Ok(plans)), _) => {
                let (same, other): (Vec<_>, Vec<_>) =
                    plans.into_iter().partition(|plan| plan.reverse.key == old.reverse.key);
                let mut decided = Vec::new();
                for plan in same {
                    let mut draft = draft.clone();
                    let pair = &mut draft.state.pairs[row];
                    pair.plan = Plan { owner: old.owner, ..plan };
                    pair.checked = self.generation;
                    decided.extend(self.use_pair(at, packet, draft, (row, direction)));
                }
                if !other.is_empty() {
                    decided.extend(self.admit(at, packet, removed(&draft), seen));
                }
                decided
            }
            (Some(Err(reason)), Direction::Forward) => vec![(removed(&draft), Err(reason.into()))],
            _ => self.admit(at, packet, removed(&draft), seen),
        }
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
        if half.origin == at.ingress.origin() {
            pair.touch(direction, packet.bytes.len(), self.now, flags(packet));
            return vec![(draft, Ok(action))];
        }
        // From elsewhere it may come if the same flow could have begun there.
        let plans = match plan::plans(self, &at.ingress, packet.tuple, None) {
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

    fn admit(&self, at: &Arrival, packet: &Packet, draft: Draft, seen: Option<&[u8]>) -> Decided<Action> {
        match plan::plans(self, &at.ingress, packet.tuple, None) {
            Ok(plans) => {
                plans.into_iter().map(|plan| self.insert(plan, packet, draft.clone(), seen)).collect()
            }
            Err(reason) => vec![(draft, Err(reason.into()))],
        }
    }

    fn insert(
        &self,
        mut plan: Plan,
        packet: &Packet,
        mut draft: Draft,
        seen: Option<&[u8]>,
    ) -> (Draft, Result<Action, Halt>) {
        let owned = draft.state.pairs.iter().filter(|pair| pair.plan.owner == plan.owner).count();
        if owned >= self.pairs_per_vif {
            return (draft, Err(DropReason::VifFlowLimit.into()));
        }
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
        let mut pair = Pair::new(plan, self.now, self.generation);
        let action = Action { output, step, tuple: pair.leaves_as(Direction::Forward) };
        pair.touch(Direction::Forward, packet.bytes.len(), self.now, flags(packet));
        draft.state.pairs.push(pair);
        draft.count("pairs", 1);
        (draft, Ok(action))
    }

    /// Where the first packet of a flow came in; none if that is no more.
    pub(crate) fn ingress_of(&self, forward: &Half) -> Option<Ingress> {
        match (forward.key.context, forward.origin) {
            (Context::Vif(id), Origin::Vif) => self.ids.name_of(id).cloned().map(Ingress::Vif),
            (Context::Vif(id), Origin::Node(node)) => {
                self.ids.name_of(id).cloned().map(|name| Ingress::VifLabel(name, node))
            }
            (Context::Vrf(id), Origin::Node(node)) => {
                let vrf = self.ids.vrfs.iter().find(|(_, own)| *own == id)?;
                Some(Ingress::VrfLabel(vrf.0.clone(), node))
            }
            (Context::Vrf(_), Origin::Vif) => None,
        }
    }
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
