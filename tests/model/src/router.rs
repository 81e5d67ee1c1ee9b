//! The model itself: a frame in, every right outcome out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use dataplane::desired::{Desired, MssClamp};
use dataplane::drop::DropReason;
use dataplane::ids::{VifName, VrfName};

use crate::answer;
use crate::datagram::Datagram;
use crate::fabric;
use crate::fib::{self, Exit};
use crate::fragment::Held;
use crate::limit::Limited;
use crate::member::{Client, Last};
use crate::neighbour::{self, Reply};
use crate::packet::{Kind, Packet, Tuple};
use crate::pairs::{Context, Origin, Output, Pair, Step};
use crate::plan::Ingress;
use crate::reject;
use crate::rewrite;
use crate::split;
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
    /// Milliseconds of credit of each slot, and when they were counted.
    pub credits: BTreeMap<(Limited, u16), (u64, u64)>,
    /// Every tunnel endpoint.
    pub endpoints: BTreeSet<IpAddr>,
    /// Clients that services remember.
    pub clients: BTreeMap<Client, Last>,
    /// Datagrams whose fragments are under way.
    pub datagrams: Vec<Datagram>,
    /// Fragments that wait for the first of their datagram.
    pub held: Vec<Held>,
    /// Nodes that were no endpoint for a time while fragments from them waited.
    pub renumbered: BTreeSet<IpAddr>,
}

/// Names of counters and by how much they move.
pub type Moved = BTreeMap<String, u64>;

/// One right outcome of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What is sent, in order.
    pub emitted: Vec<Emitted>,
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
    /// Pairs that a pod may have, and other nodes towards it.
    pub pairs_per_vif: usize,
    /// Pairs there is room for.
    pub pairs: usize,
    /// The worker that takes the frame; it makes no difference but to the order in which waiting fragments leave.
    pub worker: usize,
}

/// Where a packet came in and which port its drop is laid to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) ingress: Ingress,
    pub(crate) port: String,
}

/// An outcome in the making.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) moved: Moved,
    pub(crate) state: State,
}

/// What is done to a packet of a flow.
#[derive(Clone, Copy)]
pub(crate) struct Action {
    pub(crate) output: Output,
    pub(crate) step: Step,
    pub(crate) tuple: Tuple,
}

pub(crate) type Decided<T> = Vec<(Draft, Result<T, Halt>)>;

pub(crate) enum End {
    Sent(Vec<Emitted>),
    Answered(Emitted),
}

impl Draft {
    pub(crate) fn count(&mut self, name: &str, by: u64) {
        if by > 0 {
            *self.moved.entry(name.to_owned()).or_default() += by;
        }
    }

    pub(crate) fn dropped(mut self, port: &str, reason: DropReason) -> Outcome {
        self.count(&format!("{port}.{}", reason.name()), 1);
        self.sent(Vec::new())
    }

    pub(crate) fn sent(mut self, emitted: Vec<Emitted>) -> Outcome {
        for Emitted { side, port, frame } in &emitted {
            let tag = if *side == Side::Trunk { 4 } else { 0 };
            self.count(&format!("{port}.tx"), 1);
            self.count(&format!("{port}.tx_bytes"), frame.len() as u64 - tag);
        }
        Outcome { emitted, moved: self.moved, state: self.state }
    }
}

impl Router {
    /// Every right outcome of a frame. `seen` is what the real router sent, from which only the
    /// port of a translation is read that had to give way to another.
    pub fn step(&self, side: Side, frame: &[u8], seen: Option<&[u8]>) -> Vec<Outcome> {
        let draft = Draft { moved: Moved::new(), state: self.state.clone() };
        let outcomes = match side {
            Side::Trunk => self.take_from_trunk(frame, draft, seen),
            Side::Uplink => self.take_from_uplink(frame, draft, seen),
        };
        outcomes.into_iter().flat_map(|outcome| self.release(outcome, seen)).collect()
    }

    /// Another desired state, with the numbers that the real router gave.
    pub fn configure(&mut self, desired: &Desired, ids: Ids) {
        self.desired = desired.clone();
        self.ids = ids;
        self.generation += 1;
    }

    /// What a change of the configuration makes of what packets have left behind.
    pub fn adapt(&self, state: &mut State) {
        state.endpoints = fib::endpoints(&self.desired);
        let is_gone = |node: &IpAddr| state.renumbered.contains(node) || !state.endpoints.contains(node);
        state.renumbered = state.held.iter().filter_map(Held::node).filter(is_gone).collect();
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
            Ingress::VrfLabel(vrf, _) | Ingress::AllLabel(vrf, _) => {
                self.ids.vrfs.iter().find(|(name, _)| name == vrf).map(|(_, id)| Context::Vrf(*id))
            }
        }
    }

    fn take_from_trunk(&self, frame: &[u8], mut draft: Draft, seen: Option<&[u8]>) -> Vec<Outcome> {
        let found = trunk::vif(self, frame);
        let port = found.as_ref().map_or("trunk".to_owned(), |vif| vif.name.to_string());
        draft.count(&format!("{port}.rx"), 1);
        draft.count(&format!("{port}.rx_bytes"), frame.len().saturating_sub(4) as u64);
        let content = found.and_then(|vif| Ok((vif, trunk::content(self, vif, frame)?)));
        let (vif, reply) = match content {
            Ok((vif, Content::Ip(packet))) => {
                let ingress = Ingress::Vif(vif.name.clone());
                return self.gate(Arrival { ingress, port }, packet, draft, seen);
            }
            Ok((vif, Content::All(packet))) => {
                let at = Arrival { ingress: Ingress::Vif(vif.name.clone()), port };
                return self.replicate(&at, &packet, draft);
            }
            Ok((vif, Content::Arp(body))) => (vif, neighbour::arp(self, vif, body)),
            Ok((vif, Content::Link(packet))) => (vif, neighbour::link(self, vif, &packet)),
            Err(reason) => return vec![draft.dropped(&port, reason)],
        };
        let slot = u16::from_be_bytes([frame[14], frame[15]]) & 0xfff;
        let header = |ethertype: [u8; 2]| {
            let tag = [[0x81, 0], slot.to_be_bytes(), ethertype];
            [&vif.mac.0[..], &[0, 0, 0x5e, 0, 1, 0], tag.as_flattened()].concat()
        };
        let allowed = match reply {
            Ok(Reply::Arp(_) | Reply::Ip(_)) => self.may_cause(Limited::Neighbours, slot, &mut draft.state),
            Ok(Reply::Nothing) | Err(_) => true,
        };
        let frame = match reply {
            _ if !allowed => return vec![draft.dropped(&port, DropReason::NeighbourRatelimited)],
            Err(reason) => return vec![draft.dropped(&port, reason)],
            Ok(Reply::Nothing) => {
                draft.count("consumed", 1);
                return vec![draft.sent(Vec::new())];
            }
            Ok(Reply::Arp(body)) => [header([8, 6]), body].concat(),
            Ok(Reply::Ip(packet)) => [header([0x86, 0xdd]), packet].concat(),
        };
        draft.count("consumed", 1);
        draft.count("generated", 1);
        vec![draft.sent(vec![Emitted { side: Side::Trunk, port, frame }])]
    }

    fn take_from_uplink(&self, frame: &[u8], mut draft: Draft, seen: Option<&[u8]>) -> Vec<Outcome> {
        draft.count("uplink.rx", 1);
        draft.count("uplink.rx_bytes", frame.len() as u64);
        let port = |ingress: &Ingress| ingress.vif().map_or("uplink".to_owned(), VifName::to_string);
        match fabric::take(self, frame) {
            Ok((ingress, packet)) => {
                let port = port(&ingress);
                if let Ingress::AllLabel(vrf, _) = &ingress {
                    let at = Arrival { ingress: ingress.clone(), port };
                    return self.take_for_all(&at, vrf, &packet, draft);
                }
                self.gate(Arrival { ingress, port }, packet, draft, seen)
            }
            Err((named, reason)) => {
                let port = named.as_ref().map_or("uplink".to_owned(), port);
                vec![draft.dropped(&port, reason)]
            }
        }
    }

    pub(crate) fn finish(
        &self,
        at: &Arrival,
        packet: &Packet,
        draft: Draft,
        seen: Option<&[u8]>,
    ) -> Vec<Outcome> {
        let ends = match packet.kind {
            Kind::EchoRequest if packet.piece.is_none() && self.is_for_gateway(at, packet) => {
                vec![(draft, self.echo(at, packet))]
            }
            Kind::Error => self.relay(at, packet, draft),
            Kind::Refused => vec![(draft, Err(DropReason::IcmpRedirect.into()))],
            _ => self.forward(at, packet, draft, seen),
        };
        let finished = ends.into_iter().flat_map(|(mut draft, end)| match end {
            Ok(End::Sent(emitted)) => {
                draft.count("generated", emitted.len() as u64 - 1);
                vec![draft.sent(emitted)]
            }
            Ok(End::Answered(emitted)) => {
                draft.count("consumed", 1);
                draft.count("generated", 1);
                vec![draft.sent(vec![emitted])]
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
        let decided = self.decide(at, packet, draft, seen);
        decided
            .into_iter()
            .map(|(draft, action)| (draft, action.and_then(|action| self.carry_out(at, packet, action))))
            .collect()
    }

    fn carry_out(&self, at: &Arrival, packet: &Packet, action: Action) -> Result<End, Halt> {
        check_ttl(packet, action.step)?;
        if !rewrite::is_possible(packet, action.tuple) {
            return Err(DropReason::FragmentUnsupported.into());
        }
        match way::check(self, action.output, packet.bytes.len()) {
            Err(Halt::TooBig(mtu)) if split::is_allowed(packet, mtu) => {
                let whole = rewrite::apply(packet, action.tuple, action.step);
                let pieces = split::cut(&whole, mtu);
                let sent = pieces.iter().map(|piece| way::leave(self, action.output, piece));
                return Ok(End::Sent(sent.collect::<Option<_>>().ok_or(DropReason::VifDown)?));
            }
            checked => checked?,
        }
        let crosses = at.ingress.origin() != Origin::Vif || matches!(action.output, Output::Tunnel(..));
        let packet = match self.desired.node.mss_clamp {
            MssClamp::On if crosses => rewrite::clamp(packet, way::inner_mtu(self)),
            _ => packet.clone(),
        };
        let bytes = rewrite::apply(&packet, action.tuple, action.step);
        Ok(End::Sent(vec![way::leave(self, action.output, &bytes).ok_or(DropReason::VifDown)?]))
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
            if !self.may_cause(Limited::Errors, slot, &mut draft.state) {
                draft.count("suppressed", 1);
                return draft.dropped(&at.port, halt.reason());
            }
            let open = way::check(self, output, message.len()).is_ok();
            match way::leave(self, output, &message).filter(|_| open) {
                Some(emitted) => {
                    draft.count(&format!("{}.{}", at.port, halt.reason().name()), 1);
                    draft.count("generated", 1);
                    draft.sent(vec![emitted])
                }
                None => draft.dropped(&at.port, halt.reason()),
            }
        };
        ways.into_iter().map(answer).collect()
    }
}

pub(crate) fn check_ttl(packet: &Packet, step: Step) -> Result<(), Halt> {
    let used_up = step == Step::Routed && packet.ttl <= 1;
    if used_up { Err(DropReason::TtlExceeded.into()) } else { Ok(()) }
}
