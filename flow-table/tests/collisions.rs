//! Keys chosen to collide.

#![allow(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

use flow_table::{
    Action, Addr, Context, Dependency, Family, FlowKey, FlowTable, Half, Millis, NewPair, Output, Source,
    TableConfig, Timeouts, Ttl, Tuple,
};

const KEYS: u32 = 100_000;

/// Keys whose words have the same exclusive or, so that hashes which fold them before anything secret comes in
/// can not tell them apart.
fn key(n: u32) -> FlowKey {
    let tuple = Tuple {
        family: Family::V4,
        protocol: 17,
        src: Addr(u128::from(0x0a00_0000 ^ n)),
        dst: Addr::from_v4([10, 96, 0, 10]),
        sport: (n >> 16) as u16,
        dport: n as u16,
    };
    FlowKey { context: Context(1), tuple }
}

fn folded(key: &FlowKey) -> u32 {
    let tuple = key.tuple;
    tuple.src.0 as u32 ^ tuple.dst.0 as u32 ^ (u32::from(tuple.sport) << 16 | u32::from(tuple.dport))
}

fn pair(n: u32) -> NewPair {
    let depends = Dependency { cell: 1, epoch: 1 };
    let action = Action { output: Output::Vif { slot: 1 }, ttl: Ttl::Keep, source: Source::Any, depends };
    let forward = key(n);
    let reverse = FlowKey { context: Context(2), tuple: forward.tuple.reversed() };
    let half = |key| Half { key, action };
    NewPair { forward: half(forward), reverse: half(reverse), owner: 0 }
}

/// A lookup looks at two buckets whatever happens; what chosen keys could do is fill them, which is counted.
#[test]
fn keys_that_collide_under_a_hash_without_a_key_fill_no_bucket() {
    assert!((0..KEYS).all(|n| folded(&key(n)) == folded(&key(0))));
    for seed in [[1, 2, 3, 4], [0x5eed, 7, 0, u64::MAX]] {
        let config = TableConfig {
            max_pairs: KEYS,
            max_per_owner: KEYS,
            max_owners: 1,
            timeouts: Timeouts::default(),
        };
        let table = FlowTable::new(config, seed);
        for n in 0..KEYS {
            table.insert(&pair(n), Millis(0)).unwrap();
        }
        for n in 0..KEYS {
            let key = key(n);
            assert!(table.lookup(table.hash(&key), &key).is_some());
        }
        let statistics = table.statistics();
        assert_eq!((statistics.live, statistics.refused_bucket), (u64::from(KEYS), 0));
    }
}
