//! The model and the real router side by side: the same frames, changes and moments for both.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use dataplane::desired::Desired;

use crate::idle::{self, Table};
use crate::masked::{Wire, wire};
use crate::node::{Moment, Node, Observed, Room, SeenPair, WORKERS};
use crate::pairs::{Key, Owner, Pair};
use crate::router::{Outcome, Router, Side, State};

/// Room for pairs: the share of a vif is small enough to be met.
pub const ROOM: Room = Room { pairs: 256, per_vif: 6 };

/// Both routers.
#[derive(Debug)]
pub struct Lockstep {
    /// The model.
    pub model: Router,
    /// Everything that earlier packets may have left behind: a choice that nobody has seen may have been any.
    possible: Vec<State>,
    node: Node,
    entropy: BTreeMap<(Side, Vec<u8>), u16>,
    reached: BTreeMap<String, u64>,
    turns: u32,
}

/// What was sent for a frame.
pub type Sent = Vec<(Side, Vec<u8>)>;

impl Lockstep {
    /// Both with a first desired state.
    ///
    /// # Errors
    /// The desired state contradicts itself.
    pub fn new(desired: &Desired) -> Result<Self, String> {
        Self::with_room(desired, ROOM)
    }

    /// Both with other room in their flow tables.
    ///
    /// # Errors
    /// The desired state contradicts itself.
    pub fn with_room(desired: &Desired, room: Room) -> Result<Self, String> {
        let node = Node::new(desired, room).map_err(|error| error.to_string())?;
        let mut model = Router {
            desired: desired.clone(),
            ids: node.ids(),
            state: State::default(),
            now: 1000,
            generation: 0,
            pairs_per_vif: room.per_vif as usize,
            pairs: room.pairs as usize,
            worker: 0,
        };
        model.configure(desired, node.ids());
        let mut state = State::default();
        model.adapt(&mut state);
        Ok(Self {
            model,
            possible: vec![state],
            node,
            entropy: BTreeMap::new(),
            reached: BTreeMap::new(),
            turns: 0,
        })
    }

    /// Gives both another desired state.
    ///
    /// # Errors
    /// The real router refuses it, or gives an identity a second time.
    pub fn configure(&mut self, desired: &Desired) -> Result<(), String> {
        self.node.configure(desired).map_err(|error| error.to_string())?;
        let (old, new) = (&self.model.ids, self.node.ids());
        for vif in &new.vifs {
            let twice = |other: &&crate::router::VifIds| other.id == vif.id || other.slot == vif.slot;
            if let Some(before) = old.vifs.iter().find(twice).filter(|before| *before != vif) {
                return Err(format!("{vif:?} has a number of {before:?}"));
            }
        }
        self.entropy.clear();
        self.model.configure(desired, new);
        self.possible.iter_mut().for_each(|state| self.model.adapt(state));
        Ok(())
    }

    /// Lets time pass for both.
    pub fn advance(&mut self, millis: u64) {
        self.model.now += millis;
    }

    /// Sweeps the flow table and judges what has gone by how long it was idle.
    ///
    /// # Errors
    /// A pair went too early or stays too long.
    pub fn sweep(&mut self) -> Result<(), String> {
        self.node.sweep(self.model.now);
        let left = self.node.pairs(self.model.now);
        let now = self.model.now;
        let mut wrong = None;
        let mut fits = |state: &mut State| {
            let mut right = true;
            state.pairs.retain(|pair| {
                let stays = left.iter().any(|real| identity(real) == identity(&seen(pair)));
                let idle = now - pair.last;
                let (least, most) = idle::bounds(pair, Table::HasRoom);
                if stays && idle > most || !stays && idle <= least {
                    right = false;
                    wrong = Some(format!(
                        "after {idle} ms (bounds {least}..={most}) pair stays = {stays}: {pair:#?}"
                    ));
                }
                stays
            });
            right
        };
        self.possible.retain_mut(&mut fits);
        if self.possible.is_empty() { Err(wrong.unwrap_or_default()) } else { Ok(()) }
    }

    /// Gives both a frame.
    ///
    /// # Errors
    /// What the real router did is not among what the model calls right; the text shows all of it.
    pub fn step(&mut self, side: Side, frame: &[u8]) -> Result<Sent, String> {
        self.model.worker = self.next_worker();
        let moment = Moment { now: self.model.now, worker: self.model.worker };
        let observed = self.node.step(side, frame, moment)?;
        let mut masked = Vec::new();
        for (to, sent) in &observed.sent {
            let Wire { frame: bytes, entropy } = wire(*to, sent)?;
            self.check_entropy(side, frame, entropy)?;
            masked.push((*to, bytes));
        }
        let hint = observed.sent.first().map(|(_, sent)| sent.as_slice());
        let pairs = self.node.pairs(self.model.now);
        let mut outcomes = Vec::new();
        for before in std::mem::take(&mut self.possible) {
            self.model.state = before;
            outcomes = self.model.step(side, frame, hint);
            let right = outcomes.iter().filter(|outcome| self.agrees(outcome, &observed, &masked, &pairs));
            let right: Vec<_> = right.cloned().collect();
            if let Some(outcome) = right.first() {
                self.note(&outcomes, outcome);
            }
            for Outcome { state, .. } in right {
                if !self.possible.contains(&state) {
                    self.possible.push(state);
                }
            }
        }
        if self.possible.is_empty() {
            return Err(report(side, frame, &observed, &pairs, &outcomes, &self.model.state));
        }
        Ok(observed.sent)
    }

    /// Any of them, by Knuth's linear congruential generator: the same in every run.
    fn next_worker(&mut self) -> usize {
        self.turns = self.turns.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.turns >> 16) as usize % WORKERS
    }

    fn agrees(
        &self,
        outcome: &Outcome,
        observed: &Observed,
        masked: &[(Side, Vec<u8>)],
        real: &[SeenPair],
    ) -> bool {
        let on = |side| {
            let right = outcome.emitted.iter().filter(|emitted| emitted.side == side);
            let real = masked.iter().filter(|(to, _)| *to == side);
            right.map(|emitted| &emitted.frame).eq(real.map(|(_, frame)| frame))
        };
        on(Side::Trunk)
            && on(Side::Uplink)
            && outcome.moved == observed.moved
            && self.same_pairs(&outcome.state, real)
    }

    /// Pairs that a change has overtaken are compared by their keys and counts: what their actions name may be
    /// another's by now.
    fn same_pairs(&self, state: &State, real: &[SeenPair]) -> bool {
        let mut left = real.to_vec();
        let all_there = state.pairs.iter().all(|pair| {
            let right = seen(pair);
            let fits = |real: &SeenPair| match pair.checked == self.model.generation {
                true => *real == right,
                false => identity(real) == identity(&right),
            };
            left.iter().position(fits).map(|at| left.remove(at)).is_some()
        });
        all_there && left.is_empty()
    }

    /// Whether every count was on a port that exists.
    pub fn has_strange_counts(&self) -> bool {
        self.node.has_strange_counts()
    }

    /// What the frames have come to so far: counters without their port, and a few things that no counter tells.
    pub fn reached(&self) -> &BTreeMap<String, u64> {
        &self.reached
    }

    fn note(&mut self, outcomes: &[Outcome], chosen: &Outcome) {
        let mut reach = |what: &str| *self.reached.entry(what.to_owned()).or_default() += 1;
        for name in chosen.moved.keys() {
            reach(name.rsplit('.').next().unwrap_or(name));
        }
        if outcomes.len() > 1 {
            reach("a choice");
        }
        let ports: BTreeSet<&str> = chosen.emitted.iter().map(|emitted| emitted.port.as_str()).collect();
        match (chosen.emitted.len(), ports.len()) {
            (0 | 1, _) => {}
            (_, 1) => reach("pieces of a packet"),
            _ => reach("several copies"),
        }
        let (before, after) = (&self.model.state.pairs, &chosen.state.pairs);
        if after.iter().filter(|pair| !before.contains(pair)).any(|pair| pair.packets[1] > 0) {
            reach("an answer");
        }
        let plans = |pairs: &[Pair]| pairs.iter().map(|pair| pair.plan).collect::<Vec<_>>();
        let (before, after) = (plans(before), plans(after));
        if before.iter().any(|plan| !after.contains(plan)) {
            reach("a pair derived anew");
        }
        for plan in after.iter().filter(|plan| !before.contains(plan)) {
            let (forward, answer) = (plan.forward.key.tuple, plan.reverse.key.tuple);
            if answer != forward.reversed() {
                reach(if answer.dst == forward.dst { "a pod at its own service" } else { "a translation" });
            }
            if answer.dst == forward.dst && answer.dport != forward.sport {
                reach("another source port");
            }
        }
        if chosen.emitted.len() > 1 && chosen.state.held.len() < self.model.state.held.len() {
            reach("fragments that waited");
        }
        let icmp_error = chosen.emitted.len() == 1
            && chosen.moved.keys().all(|name| name.contains(".rx") || name.contains(".tx"));
        if icmp_error {
            reach("an ICMP error relayed");
        }
    }

    /// RFC 7510 section 3: packets of one flow have one source port.
    fn check_entropy(&mut self, side: Side, frame: &[u8], entropy: Option<u16>) -> Result<(), String> {
        let Some(port) = entropy else { return Ok(()) };
        let known = *self.entropy.entry((side, frame.to_vec())).or_insert(port);
        if known == port { Ok(()) } else { Err(format!("entropy port {known} has become {port}")) }
    }
}

fn seen(pair: &Pair) -> SeenPair {
    SeenPair { plan: pair.plan, packets: pair.packets, bytes: pair.bytes }
}

/// What of a pair no change of the configuration touches.
fn identity(pair: &SeenPair) -> (Key, Key, Owner, [u64; 2], [u64; 2]) {
    (pair.plan.forward.key, pair.plan.reverse.key, pair.plan.owner, pair.packets, pair.bytes)
}

fn sorted(state: &State) -> Vec<SeenPair> {
    let mut pairs: Vec<_> = state.pairs.iter().map(seen).collect();
    pairs.sort_unstable();
    pairs
}

fn report(
    side: Side,
    frame: &[u8],
    observed: &Observed,
    pairs: &[SeenPair],
    outcomes: &[Outcome],
    before: &State,
) -> String {
    let mut text = format!("the pipeline differs from the model\n{side:?} in:  {}\n", hex(frame));
    let _ = writeln!(text, "real moved: {:?}", observed.moved);
    for (to, sent) in &observed.sent {
        let masked = wire(*to, sent).map_or_else(|error| error, |wire| hex(&wire.frame));
        let _ = writeln!(text, "real out:   {to:?} {masked}");
    }
    for outcome in outcomes {
        let _ = writeln!(text, "right moved: {:?}", outcome.moved);
        for emitted in &outcome.emitted {
            let _ = writeln!(text, "right out:  {:?} {}", emitted.side, hex(&emitted.frame));
        }
        if sorted(&outcome.state) != pairs {
            let only = |these: &[SeenPair], those: &[SeenPair]| -> Vec<SeenPair> {
                these.iter().filter(|pair| !those.contains(pair)).copied().collect()
            };
            let right = sorted(&outcome.state);
            let _ = writeln!(
                text,
                "pairs only real: {:#?}\npairs only right: {:#?}",
                only(pairs, &right),
                only(&right, pairs)
            );
        }
    }
    let _ = writeln!(text, "pairs before: {}", before.pairs.len());
    text
}

/// The first bytes as text, enough for every header there can be.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(200).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
