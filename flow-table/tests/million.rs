//! A million live pairs: what they cost in memory, that both directions of all are found, and how they go.
//!
//! A test program of its own, because the memory of the whole process is what is measured.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops where it goes wrong")]

use std::fs;

use flow_table::{
    Action, Addr, Context, Dependency, Direction, Family, FlowKey, FlowTable, Half, Millis, NewPair, Output,
    Source, TableConfig, Timeouts, Ttl, Tuple,
};

const PAIRS: u32 = 1_000_000;
const OWNERS: u16 = 250;
const START: Millis = Millis(1000);
/// Slots that one call of a sweep looks at.
const BUDGET: usize = 10_000;

const UDP: u8 = 17;

fn action(slot: u16) -> Action {
    let depends = Dependency { cell: 1, epoch: 1 };
    Action { output: Output::Vif { slot }, ttl: Ttl::Decrement, source: Source::Vif, depends }
}

/// Flow `n` of a client to a service, and back from its backend.
fn pair(n: u32) -> NewPair {
    let tuple = Tuple {
        family: Family::V4,
        protocol: UDP,
        src: Addr::from_v4((0x0a00_0000 + n / 50_000).to_be_bytes()),
        dst: Addr::from_v4([10, 96, 0, 10]),
        sport: (n % 50_000) as u16,
        dport: 80,
    };
    let mut answers = tuple.reversed();
    (answers.src, answers.sport) = (Addr::from_v4([10, 0, 1, 9]), 8080);
    let half = |context, tuple, action| Half { key: FlowKey { context: Context(context), tuple }, action };
    NewPair {
        forward: half(1, tuple, action(1)),
        reverse: half(2, answers, action(2)),
        owner: (n % u32::from(OWNERS)) as u16,
    }
}

/// Memory of this process that is in use, in bytes: the second number of /proc/self/statm, in pages.
fn resident() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096
}

fn found(table: &FlowTable, key: &FlowKey) -> Option<Direction> {
    table.lookup(table.hash(key), key).map(|hit| hit.direction)
}

#[test]
fn a_million_pairs_live_in_256_bytes_each_and_go_in_bounded_steps() {
    let before = resident();
    let config = TableConfig {
        max_pairs: PAIRS,
        max_per_owner: PAIRS / u32::from(OWNERS),
        max_owners: OWNERS,
        timeouts: Timeouts::default(),
    };
    let table = FlowTable::new(config, [1, 2, 3, 4]);
    for n in 0..PAIRS {
        table.insert(&pair(n), START).expect("there is room for a million");
    }
    let each = (resident() - before) as f64 / f64::from(PAIRS);
    println!("{each:.1} bytes a pair, all told");
    // Less than the slots alone would be a wrong measurement.
    assert!((200.0..256.0).contains(&each), "{each} bytes a pair");
    assert_eq!(table.len(), PAIRS as usize);

    for n in 0..PAIRS {
        let pair = pair(n);
        assert_eq!(found(&table, &pair.forward.key), Some(Direction::Forward), "{n}");
        assert_eq!(found(&table, &pair.reverse.key), Some(Direction::Reverse), "{n}");
    }
    assert_eq!(found(&table, &pair(PAIRS).forward.key), None);

    let late = Millis(START.0 + 600_000);
    for calls in 1..=PAIRS as usize / BUDGET {
        let swept = table.sweep(late, BUDGET, |_, _| true);
        assert_eq!((swept.examined, swept.expired), (BUDGET, BUDGET));
        assert_eq!(table.len(), PAIRS as usize - calls * BUDGET);
    }
    assert!(table.is_empty());
    let statistics = table.statistics();
    assert_eq!((statistics.created, statistics.expired), (u64::from(PAIRS), u64::from(PAIRS)));
}
