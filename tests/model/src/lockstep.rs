//! The model and the real router side by side: the same frames, changes and moments for both.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use dataplane::desired::Desired;

use crate::masked::{Wire, wire};
use crate::node::{Node, Observed, PAIRS, SeenPair};
use crate::pairs::{Key, Output, Owner, Pair, Plan};
use crate::router::{Outcome, Router, Side, State};

/// Pairs that one vif may have, small enough to be met.
pub const PAIRS_PER_VIF: u32 = 6;

/// Both routers.
#[derive(Debug)]
pub struct Lockstep {
    /// The model.
    pub model: Router,
    node: Node,
    entropy: BTreeMap<(Side, Vec<u8>), u16>,
    reached: BTreeMap<String, u64>,
}

/// What was sent for a frame.
pub type Sent = Vec<(Side, Vec<u8>)>;

impl Lockstep {
    /// Both with a first desired state.
    ///
    /// # Errors
    /// The desired state contradicts itself.
    pub fn new(desired: &Desired) -> Result<Self, String> {
        let node = Node::new(desired, PAIRS_PER_VIF).map_err(|error| error.to_string())?;
        let mut model = Router {
            desired: desired.clone(),
            ids: node.ids(),
            state: State::default(),
            now: 1000,
            generation: 0,
            pairs_per_vif: PAIRS_PER_VIF as usize,
            pairs: PAIRS as usize,
        };
        model.configure(desired, node.ids());
        Ok(Self { model, node, entropy: BTreeMap::new(), reached: BTreeMap::new() })
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
        self.model.state.pairs.retain(|pair| {
            let stays = left.iter().any(|real| identity(real) == identity(&seen(pair)));
            let idle = now - pair.last;
            let (least, most) = idle_bounds(pair);
            if stays && idle > most || !stays && idle <= least {
                wrong = Some(format!(
                    "after {idle} ms (bounds {least}..={most}) pair stays = {stays}: {pair:#?}"
                ));
            }
            stays
        });
        wrong.map_or(Ok(()), Err)
    }

    /// Gives both a frame.
    ///
    /// # Errors
    /// What the real router did is not among what the model calls right; the text shows all of it.
    pub fn step(&mut self, side: Side, frame: &[u8]) -> Result<Sent, String> {
        if self.model.leaves_out(side, frame) {
            *self.reached.entry("a fragment, left out".to_owned()).or_default() += 1;
            return Ok(Vec::new());
        }
        let observed = self.node.step(side, frame, self.model.now)?;
        let mut masked = Vec::new();
        for (to, sent) in &observed.sent {
            let Wire { frame: bytes, entropy } = wire(*to, sent)?;
            self.check_entropy(side, frame, entropy)?;
            masked.push((*to, bytes));
        }
        let hint = observed.sent.first().map(|(_, sent)| sent.as_slice());
        let pairs = self.node.pairs(self.model.now);
        let mut outcomes = self.model.step(side, frame, hint);
        let agrees = |lockstep: &Self, outcomes: &[Outcome]| {
            outcomes.iter().position(|outcome| lockstep.agrees(outcome, &observed, &masked, &pairs))
        };
        let mut right = agrees(self, &outcomes);
        if right.is_none()
            && let Some(row) = self.gave_way(&pairs)
        {
            self.model.state.pairs.remove(row);
            outcomes = self.model.step(side, frame, hint);
            right = agrees(self, &outcomes);
        }
        let Some(right) = right else {
            return Err(report(side, frame, &observed, &pairs, &outcomes, &self.model.state));
        };
        self.note(&outcomes, &outcomes[right]);
        self.model.commit(&outcomes[right]);
        Ok(observed.sent)
    }

    /// The pair that is really gone because its owner had as many as it may, if it was one that may give way.
    fn gave_way(&self, real: &[SeenPair]) -> Option<usize> {
        let pairs = &self.model.state.pairs;
        let keys = |plan: &Plan| (plan.forward.key, plan.reverse.key);
        let is_gone = |pair: &Pair| real.iter().all(|real| keys(&real.plan) != keys(&pair.plan));
        let owned = |owner| pairs.iter().filter(|pair| pair.plan.owner == owner).count();
        pairs.iter().position(|pair| {
            is_gone(pair)
                && owned(pair.plan.owner) >= self.model.pairs_per_vif
                && self.model.now - pair.last + GRAIN > pressed_idle(pair)
        })
    }

    fn agrees(
        &self,
        outcome: &Outcome,
        observed: &Observed,
        masked: &[(Side, Vec<u8>)],
        real: &[SeenPair],
    ) -> bool {
        let emitted = outcome.emitted.iter().map(|emitted| (emitted.side, &emitted.frame));
        emitted.eq(masked.iter().map(|(side, frame)| (*side, frame)))
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

/// The time of the last packet is stored so coarsely, in milliseconds.
const GRAIN: u64 = 512;

/// Idle milliseconds before which a pair must stay, and after which it must go. The TCP state machine has a
/// model of its own beside the flow table; here it is enough that only FIN and RST shorten a life.
fn idle_bounds(pair: &Pair) -> (u64, u64) {
    const SECOND: u64 = 1000;
    let drops = matches!(pair.plan.forward.output, Output::Drop(_));
    let (least, most) = match pair.plan.forward.key.tuple.protocol {
        _ if drops => (10 * SECOND, 10 * SECOND),
        6 if pair.flags & 0b101 != 0 => (10 * SECOND, 126 * 60 * SECOND),
        6 => (240 * SECOND, 126 * 60 * SECOND),
        1 | 58 => (60 * SECOND, 60 * SECOND),
        _ => (300 * SECOND, 300 * SECOND),
    };
    (least, most + GRAIN)
}

/// Idle milliseconds after which a pair may give way to another of its owner. The model does not know which TCP
/// connections with packets both ways are established; the flow table's own tests do.
fn pressed_idle(pair: &Pair) -> u64 {
    let usual = idle_bounds(pair).0;
    match (pair.plan.forward.key.tuple.protocol, pair.packets[1]) {
        (6, _) => usual.min(5000),
        (_, 0) => usual.min(10_000),
        _ => usual,
    }
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
