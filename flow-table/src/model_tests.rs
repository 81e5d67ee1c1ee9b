//! Random operations on the table and on a map without any tricks.

use std::collections::HashMap;

use proptest::prelude::*;

use crate::activity::GRAIN;
use crate::fixtures::{START, UDP, action, assert_law, config, find, keep_all, owned, translated};
use crate::{Direction, FlowKey, FlowTable, InsertError, Millis, NewPair, TableConfig};

const PAIRS: u32 = 12;
const PER_OWNER: u32 = 5;
const UDP_IDLE: u64 = 300_000;

#[derive(Clone, Debug)]
enum Operation {
    Insert { flow: u32, reverse_of: u32, owner: u16 },
    Packet { flow: u32, direction: bool },
    Remove { flow: u32 },
    Replace { flow: u32, action: u16 },
    Pass { millis: u64 },
    Sweep,
}

fn operation() -> impl Strategy<Value = Operation> {
    let flow = 0..24u32;
    prop_oneof![
        6 => (flow.clone(), flow.clone(), 0..4u16, any::<u8>()).prop_map(|(flow, other, owner, n)| {
            let reverse_of = if n < 40 { other } else { flow };
            Operation::Insert { flow, reverse_of, owner }
        }),
        4 => (flow.clone(), any::<bool>()).prop_map(|(flow, direction)| Operation::Packet { flow, direction }),
        2 => flow.clone().prop_map(|flow| Operation::Remove { flow }),
        1 => (flow, any::<u16>()).prop_map(|(flow, action)| Operation::Replace { flow, action }),
        1 => (0..UDP_IDLE / 2).prop_map(|millis| Operation::Pass { millis }),
        1 => Just(Operation::Sweep),
    ]
}

/// Forward keys differ by `flow`, reverse keys by `reverse_of`.
fn pair(flow: u32, reverse_of: u32, owner: u16) -> NewPair {
    let mut pair = owned(translated(UDP, flow), owner);
    pair.reverse.key = translated(UDP, reverse_of).reverse.key;
    pair
}

struct Known {
    pair: NewPair,
    last: [Millis; 2],
}

/// Pairs by forward key.
#[derive(Default)]
struct Model(HashMap<FlowKey, Known>);

impl Model {
    fn has_reverse(&self, key: &FlowKey) -> bool {
        self.0.values().any(|known| known.pair.reverse.key == *key)
    }

    fn owned_by(&self, owner: u16) -> u32 {
        self.0.values().filter(|known| known.pair.owner == owner).count() as u32
    }

    fn expire(&mut self, now: Millis) -> usize {
        let before = self.0.len();
        self.0.retain(|_, known| now.since(known.last[0].max(known.last[1])).0 <= UDP_IDLE + GRAIN.0);
        before - self.0.len()
    }

    /// What an insert must say. The table is small enough for an eviction to look at every slot.
    fn insert(&mut self, pair: &NewPair, now: Millis) -> &'static str {
        if self.0.contains_key(&pair.forward.key) {
            return "exists";
        }
        if self.owned_by(pair.owner) >= PER_OWNER {
            return "owner";
        }
        if self.0.len() >= PAIRS as usize {
            return "full";
        }
        if self.has_reverse(&pair.reverse.key) {
            return "reverse";
        }
        self.0.insert(pair.forward.key, Known { pair: *pair, last: [now; 2] });
        "made"
    }
}

fn outcome(result: &Result<crate::Hit, InsertError>) -> &'static str {
    match result {
        Ok(_) => "made",
        Err(InsertError::Exists(_)) => "exists",
        Err(InsertError::ReverseTaken) => "reverse",
        Err(InsertError::TableFull) => "full",
        Err(InsertError::OwnerLimit) => "owner",
        Err(InsertError::BucketFull) => "bucket",
    }
}

fn apply(table: &FlowTable, model: &mut Model, now: &mut Millis, operation: &Operation) {
    match *operation {
        Operation::Insert { flow, reverse_of, owner } => {
            // Which of several idle pairs gives way is the table's business, so there is none.
            assert_eq!(table.sweep(*now, usize::MAX, keep_all).expired, model.expire(*now));
            let new = pair(flow, reverse_of, owner);
            assert_eq!(outcome(&table.insert(&new, *now)), model.insert(&new, *now));
        }
        Operation::Packet { flow, direction } => {
            let Some(known) = model.0.get_mut(&pair(flow, flow, 0).forward.key) else { return };
            let half = if direction { known.pair.forward } else { known.pair.reverse };
            let last = &mut known.last[usize::from(direction)];
            let hit = find(table, &half.key).unwrap();
            table.touch(&hit, *now, 1, None);
            if now.since(*last) >= GRAIN {
                *last = *now;
            }
        }
        Operation::Remove { flow } => {
            let key = pair(flow, flow, 0).forward.key;
            let hit = find(table, &key);
            assert_eq!(hit.is_some(), model.0.remove(&key).is_some());
            assert_eq!(hit.is_some_and(|hit| table.remove(hit.pair)), hit.is_some());
        }
        Operation::Replace { flow, action: n } => {
            let Some(known) = model.0.get_mut(&pair(flow, flow, 0).forward.key) else { return };
            known.pair.forward.action = action(n);
            known.pair.reverse.action = action(!n);
            let hit = find(table, &known.pair.forward.key).unwrap();
            assert!(table.replace(hit.pair, action(n), action(!n)));
        }
        Operation::Pass { millis } => now.0 += millis,
        Operation::Sweep => assert_eq!(table.sweep(*now, usize::MAX, keep_all).expired, model.expire(*now)),
    }
}

fn assert_same(table: &FlowTable, model: &Model) {
    for known in model.0.values() {
        let forward = find(table, &known.pair.forward.key).unwrap();
        let reverse = find(table, &known.pair.reverse.key).unwrap();
        assert_eq!((forward.direction, forward.action), (Direction::Forward, known.pair.forward.action));
        assert_eq!((reverse.direction, reverse.action), (Direction::Reverse, known.pair.reverse.action));
        assert_eq!(forward.pair, reverse.pair);
        let wanted = known.pair.reverse.key.tuple.reversed();
        assert_eq!((forward.rewrite.dst, forward.rewrite.dport), (wanted.dst, wanted.dport));
    }
    for flow in 0..24 {
        let new = pair(flow, flow, 0);
        assert_eq!(find(table, &new.forward.key).is_some(), model.0.contains_key(&new.forward.key));
        assert_eq!(find(table, &new.reverse.key).is_some(), model.has_reverse(&new.reverse.key));
    }
    assert_eq!(table.len(), model.0.len());
    (0..4).for_each(|owner| assert_eq!(table.owner_len(owner), model.owned_by(owner)));
    assert_law(table);
}

proptest! {
    #[test]
    fn the_table_does_what_a_map_does(operations in prop::collection::vec(operation(), 1..120), seed: [u64; 4]) {
        let mut config = TableConfig { max_per_owner: PER_OWNER, ..config(PAIRS) };
        // The model makes no room.
        config.timeouts.unanswered_full = Millis(u64::MAX);
        let table = FlowTable::new(config, seed);
        let mut model = Model::default();
        let mut now = START;
        for operation in &operations {
            apply(&table, &mut model, &mut now, operation);
            assert_same(&table, &model);
        }
    }
}
