//! The model itself: a frame in, every right outcome out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use dataplane::desired::{Desired, MssClamp};
use dataplane::drop::DropReason;
use dataplane::ids::{VifName, VrfName};

use crate::answer;
use crate::fabric;
use crate::fib::{self, Exit};
use crate::neighbour::{self, Reply};
use crate::packet::{Kind, Packet, Tuple};
use crate::pairs::{self, Context, Direction, Half, Key, Origin, Output, Pair, Plan, Step};
use crate::plan::{self, Ingress};
use crate::quote;
use crate::reject;
use crate::rewrite;
use crate::trunk::{self, Content};
use crate::way::{self, Emitted, Halt};

/// Which side of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The vifs, told apart by VLAN.
    Trunk,
    /// The other nodes.
    Uplink,
}

/// Numbers that the real router has given; the model cannot foretell them and checks them only.
#[derive(Clone, Debug, Default)]
pub struct Ids {
    /// Of the vifs there are.
    pub vifs: Vec<VifIds>,
    /// Of the VRFs there are.
    pub vrfs: Vec<(VrfName, u16)>,
}

/// Numbers of a vif.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VifIds {
    /// Name.
    pub name: VifName,
    /// Identity.
    pub id: u32,
    /// VLAN on the trunk.
    pub slot: u16,
}

impl Ids {
    /// Numbers of a vif.
    pub fn vif(&self, name: &VifName) -> Option<&VifIds> {
        self.vifs.iter().find(|vif| vif.name == *name)
    }

    /// The vif with an identity.
    pub fn name_of(&self, id: u32) -> Option<&VifName> {
        self.vifs.iter().find(|vif| vif.id == id).map(|vif| &vif.name)
    }

    /// The vif in a slot.
    pub fn at_slot(&self, slot: u16) -> Option<&VifName> {
        self.vifs.iter().find(|vif| vif.slot == slot).map(|vif| &vif.name)
    }
}

/// What packets leave behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Flow pairs.
    pub pairs: Vec<Pair>,
    /// Milliseconds of credit of each slot for answers, and when they were counted.
    pub credits: BTreeMap<u16, (u64, u64)>,
    /// Every tunnel endpoint that was ever configured.
    pub endpoints: BTreeSet<IpAddr>,
}

/// Names of counters and by how much they move.
pub type Moved = BTreeMap<String, u64>;

/// One right outcome of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What is sent.
    pub emitted: Option<Emitted>,
    /// What is counted.
    pub moved: Moved,
    /// What is remembered.
    pub state: State,
}

/// The model.
#[derive(Clone, Debug)]
pub struct Router {
    /// What the node shall be.
    pub desired: Desired,
    /// Numbers given by the real router.
    pub ids: Ids,
    /// What earlier packets have left behind.
    pub state: State,
    /// Time in milliseconds.
    pub now: u64,
    /// Counts the configurations.
    pub generation: u64,
    /// Pairs that one vif may have.
    pub pairs_per_vif: usize,
}

/// Where a packet came in and which port its drop is laid to.
struct Arrival {
    ingress: Ingress,
    port: String,
}

/// An outcome in the making.
#[derive(Clone)]
struct Draft {
    moved: Moved,
    state: State,
}

/// What is done to a packet of a flow.
#[derive(Clone, Copy)]
struct Action {
    output: Output,
    step: Step,
    tuple: Tuple,
}

type Decided<T> = Vec<(Draft, Result<T, Halt>)>;

enum End {
    Sent(Emitted),
    Answered(Emitted),
}

impl Draft {
    fn count(&mut self, name: &str, by: u64) {
        if by > 0 {
            *self.moved.entry(name.to_owned()).or_default() += by;
        }
    }

    fn dropped(mut self, port: &str, reason: DropReason) -> Outcome {
        self.count(&format!("{port}.{}", reason.name()), 1);
        self.outcome(None)
    }

    fn sent(mut self, emitted: Emitted) -> Outcome {
        let tag = if emitted.side == Side::Trunk { 4 } else { 0 };
        self.count(&format!("{}.tx", emitted.port), 1);
        self.count(&format!("{}.tx_bytes", emitted.port), emitted.frame.len() as u64 - tag);
        self.outcome(Some(emitted))
    }

    fn outcome(self, emitted: Option<Emitted>) -> Outcome {
        Outcome { emitted, moved: self.moved, state: self.state }
    }
}

impl Router {
    /// Every right outcome of a frame. `seen` is what the real router sent, from which only the
    /// port of a translation is read that had to give way to another.
    pub fn step(&self, side: Side, frame: &[u8], seen: Option<&[u8]>) -> Vec<Outcome> {
        let draft = Draft { moved: Moved::new(), state: self.state.clone() };
        match side {
            Side::Trunk => self.take_from_trunk(frame, draft, seen),
            Side::Uplink => self.take_from_uplink(frame, draft, seen),
        }
    }

    /// Takes the outcome that the real router chose.
    pub fn commit(&mut self, outcome: &Outcome) {
        self.state = outcome.state.clone();
    }

    /// Another desired state, with the numbers that the real router gave.
    pub fn configure(&mut self, desired: &Desired, ids: Ids) {
        self.state.endpoints.extend(dataplane::compile::tunnel_endpoints(desired));
        self.desired = desired.clone();
        self.ids = ids;
        self.generation += 1;
    }

    /// The output that leads to an exit.
    pub fn output(&self, exit: &Exit) -> Option<Output> {
        match exit {
            Exit::Vif(name) => self.ids.vif(name).map(|vif| Output::Vif(vif.id)),
            Exit::Tunnel(node, label) => Some(Output::Tunnel(*node, *label)),
        }
    }

    /// The namespace of keys of packets that come in somewhere.
    pub fn context(&self, ingress: &Ingress) -> Option<Context> {
        match ingress {
            Ingress::Vif(name) | Ingress::VifLabel(name, _) => {
                self.ids.vif(name).map(|vif| Context::Vif(vif.id))
            }
            Ingress::VrfLabel(vrf, _) => {
                self.ids.vrfs.iter().find(|(name, _)| name == vrf).map(|(_, id)| Context::Vrf(*id))
            }
        }
    }

    fn take_from_trunk(&self, frame: &[u8], mut draft: Draft, seen: Option<&[u8]>) -> Vec<Outcome> {
        let found = trunk::vif(self, frame);
        let port = found.as_ref().map_or("trunk".to_owned(), |vif| vif.name.to_string());
        draft.count(&format!("{port}.rx"), 1);
        draft.count(&format!("{port}.rx_bytes"), frame.len().saturating_sub(4) as u64);
        let content = found.and_then(|vif| Ok((vif, trunk::content(vif, frame)?)));
        let (vif, reply) = match content {
            Ok((vif, Content::Ip(packet))) => {
                return self.finish(
                    &Arrival { ingress: Ingress::Vif(vif.name.clone()), port },
                    &packet,
                    draft,
                    seen,
                );
            }
            Ok((vif, Content::Arp(body))) => (vif, neighbour::arp(self, vif, body)),
            Ok((vif, Content::Solicitation(packet))) => (vif, neighbour::solicitation(self, vif, &packet)),
            Err(reason) => return vec![draft.dropped(&port, reason)],
        };
        let slot = u16::from_be_bytes([frame[14], frame[15]]) & 0xfff;
        let header = |ethertype: [u8; 2]| {
            let tag = [[0x81, 0], slot.to_be_bytes(), ethertype];
            [&vif.mac.0[..], &[0, 0, 0x5e, 0, 1, 0], tag.as_flattened()].concat()
        };
        let frame = match reply {
            Err(reason) => return vec![draft.dropped(&port, reason)],
            Ok(Reply::Nothing) => {
                draft.count("consumed", 1);
                return vec![draft.outcome(None)];
            }
            Ok(Reply::Arp(body)) => [header([8, 6]), body].concat(),
            Ok(Reply::Ip(packet)) => [header([0x86, 0xdd]), packet].concat(),
        };
        draft.count("consumed", 1);
        draft.count("generated", 1);
        vec![draft.sent(Emitted { side: Side::Trunk, port, frame })]
    }

    fn take_from_uplink(&self, frame: &[u8], mut draft: Draft, seen: Option<&[u8]>) -> Vec<Outcome> {
        draft.count("uplink.rx", 1);
        draft.count("uplink.rx_bytes", frame.len() as u64);
        let port = |ingress: &Ingress| ingress.vif().map_or("uplink".to_owned(), VifName::to_string);
        match fabric::take(self, frame) {
            Ok((ingress, packet)) => {
                let port = port(&ingress);
                self.finish(&Arrival { ingress, port }, &packet, draft, seen)
            }
            Err((named, reason)) => {
                let port = named.as_ref().map_or("uplink".to_owned(), port);
                vec![draft.dropped(&port, reason)]
            }
        }
    }

    fn finish(&self, at: &Arrival, packet: &Packet, draft: Draft, seen: Option<&[u8]>) -> Vec<Outcome> {
        let ends = match packet.kind {
            Kind::EchoRequest if self.is_for_gateway(at, packet) => vec![(draft, self.echo(at, packet))],
            Kind::Error => self.relay(at, packet, draft),
            Kind::Refused => vec![(draft, Err(DropReason::IcmpRedirect.into()))],
            _ => self.forward(at, packet, draft, seen),
        };
        let finished = ends.into_iter().flat_map(|(mut draft, end)| match end {
            Ok(End::Sent(emitted)) => vec![draft.sent(emitted)],
            Ok(End::Answered(emitted)) => {
                draft.count("consumed", 1);
                draft.count("generated", 1);
                vec![draft.sent(emitted)]
            }
            Err(halt) => self.refuse(at, packet, halt, draft),
        });
        finished.collect()
    }

    fn is_for_gateway(&self, at: &Arrival, packet: &Packet) -> bool {
        let Ingress::Vif(name) = &at.ingress else { return false };
        fib::vif(&self.desired, name).is_some_and(|vif| {
            let gateways: [IpAddr; 2] = [vif.gateway_v4.into(), vif.gateway_v6.into()];
            gateways.contains(&packet.tuple.dst) && vif.addresses.contains(&packet.tuple.src)
        })
    }

    fn echo(&self, at: &Arrival, packet: &Packet) -> Result<End, Halt> {
        let ids = at.ingress.vif().and_then(|name| self.ids.vif(name)).ok_or(DropReason::UnknownVif)?;
        way::check(self, Output::Vif(ids.id), packet.bytes.len())?;
        let emitted = way::leave(self, Output::Vif(ids.id), &answer::echo(packet));
        Ok(End::Answered(emitted.ok_or(DropReason::VifDown)?))
    }

    fn forward(&self, at: &Arrival, packet: &Packet, draft: Draft, seen: Option<&[u8]>) -> Decided<End> {
        if packet.kind == Kind::Later {
            return vec![(draft, Err(DropReason::FragmentUnsupported.into()))];
        }
        let decided = self.decide(at, packet, draft, seen);
        decided
            .into_iter()
            .map(|(draft, action)| (draft, action.and_then(|action| self.carry_out(at, packet, action))))
            .collect()
    }

    fn carry_out(&self, at: &Arrival, packet: &Packet, action: Action) -> Result<End, Halt> {
        check_ttl(packet, action.step)?;
        way::check(self, action.output, packet.bytes.len())?;
        let crosses = at.ingress.origin() != Origin::Vif || matches!(action.output, Output::Tunnel(..));
        let packet = match self.desired.node.mss_clamp {
            MssClamp::On if crosses => rewrite::clamp(packet, way::inner_mtu(self)),
            _ => packet.clone(),
        };
        let bytes = rewrite::apply(&packet, action.tuple, action.step);
        Ok(End::Sent(way::leave(self, action.output, &bytes).ok_or(DropReason::VifDown)?))
    }

    fn decide(
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
            (Context::Vrf(_), Origin::Vif) => None,
        }
    }

    /// An ICMP error goes where the answers of the flow go that it speaks of.
    fn relay(&self, at: &Arrival, error: &Packet, draft: Draft) -> Decided<End> {
        let unmatched = || (draft.clone(), Err(Halt::Drop(DropReason::IcmpErrorUnmatched)));
        let Some(quote) = quote::read(error) else {
            return vec![(draft, Err(DropReason::MalformedL4.into()))];
        };
        let key = self.context(&at.ingress).map(|context| Key { context, tuple: quote.tuple.reversed() });
        let Some((row, direction)) = key.and_then(|key| pairs::find(&draft.state.pairs, &key)) else {
            return vec![unmatched()];
        };
        let pair = &draft.state.pairs[row];
        let mut ends = Vec::new();
        let mut plans = vec![pair.plan];
        if pair.checked != self.generation {
            // A change has come since the pair was found right. Until its next packet, errors about
            // it may get lost: they are no reason to derive a flow again.
            ends.push(unmatched());
            let anew = self.ingress_of(&pair.plan.forward).and_then(|ingress| {
                plan::plans(self, &ingress, pair.plan.forward.key.tuple, Some(&pair.plan)).ok()
            });
            plans.retain(|old| anew.as_ref().is_some_and(|anew| anew.iter().any(|new| same_path(new, old))));
        }
        for plan in plans {
            let half = match direction {
                Direction::Forward => plan.forward,
                Direction::Reverse => plan.reverse,
            };
            let sent = self.relay_along(at, error, &quote, (&half, pair.leaves_as(direction)));
            ends.push((draft.clone(), sent));
        }
        ends
    }

    fn relay_along(
        &self,
        at: &Arrival,
        error: &Packet,
        quote: &quote::Quote,
        (half, answer): (&Half, Tuple),
    ) -> Result<End, Halt> {
        // RFC 792: an error goes to the source of the packet it quotes.
        if quote.tuple.src != error.tuple.dst {
            return Err(DropReason::IcmpErrorUnmatched.into());
        }
        if half.origin != at.ingress.origin() {
            return Err(DropReason::TunnelSourceMismatch.into());
        }
        if let Ingress::Vif(name) = &at.ingress {
            let own =
                fib::vif(&self.desired, name).is_some_and(|vif| vif.addresses.contains(&error.tuple.src));
            if !own {
                return Err(DropReason::SpoofedSource.into());
            }
        }
        check_ttl(error, half.step)?;
        way::check(self, half.output, error.bytes.len())?;
        let bytes = quote::translate(error, quote, answer, half.step);
        Ok(End::Sent(way::leave(self, half.output, &bytes).ok_or(DropReason::VifDown)?))
    }

    fn refuse(&self, at: &Arrival, packet: &Packet, halt: Halt, draft: Draft) -> Vec<Outcome> {
        let ways = reject::ways(self, &at.ingress, packet);
        let message = reject::message(self, &at.ingress, packet, halt);
        let slot = at.ingress.vif().and_then(|name| self.ids.vif(name)).map(|vif| vif.slot);
        let (Some(message), Some(slot), false) = (message, slot, ways.is_empty()) else {
            return vec![draft.dropped(&at.port, halt.reason())];
        };
        let answer = |output: Output| {
            let mut draft = draft.clone();
            if !self.may_answer(slot, &mut draft.state) {
                draft.count("suppressed", 1);
                return draft.dropped(&at.port, halt.reason());
            }
            let open = way::check(self, output, message.len()).is_ok();
            match way::leave(self, output, &message).filter(|_| open) {
                Some(emitted) => {
                    draft.count(&format!("{}.{}", at.port, halt.reason().name()), 1);
                    draft.count("generated", 1);
                    draft.sent(emitted)
                }
                None => draft.dropped(&at.port, halt.reason()),
            }
        };
        ways.into_iter().map(answer).collect()
    }

    /// 50 answers at once, 100 a second: a credit of 500 ms, of which each takes 10.
    fn may_answer(&self, slot: u16, state: &mut State) -> bool {
        let (credit, at) = state.credits.get(&slot).copied().unwrap_or((500, self.now));
        let credit = (credit + (self.now - at)).min(500);
        let allowed = credit >= 10;
        state.credits.insert(slot, (if allowed { credit - 10 } else { credit }, self.now));
        allowed
    }
}

fn same_path(new: &Plan, old: &Plan) -> bool {
    new.reverse == old.reverse && new.forward == old.forward
}

fn check_ttl(packet: &Packet, step: Step) -> Result<(), Halt> {
    let used_up = step == Step::Routed && packet.ttl <= 1;
    if used_up { Err(DropReason::TtlExceeded.into()) } else { Ok(()) }
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
