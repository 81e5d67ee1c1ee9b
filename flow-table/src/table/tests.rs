use super::*;
use crate::bucket::Bucket;
use crate::fixtures::{START, TCP, action, assert_law, find, key, plain, table, translated};
use crate::{Addr, Context, Family, RewriteKind, Tuple};

#[test]
fn a_pair_costs_248_bytes_and_a_bit_all_told() {
    let table = table(1000);
    let index = table.index.bytes();
    let slots = size_of_val(&*table.pairs) + size_of_val(&*table.origins);
    // A place in crossbeam's queue is a stamp (8) and the value, padded to 16 bytes.
    let queue = 16 * table.capacity();
    assert_eq!((index, slots, queue), (32_000, 200_000, 16_000));
    assert_eq!((size_of::<Pair>(), align_of::<Pair>(), size_of::<Bucket>()), (192, 64, 64));
}

#[test]
fn both_keys_find_the_pair_and_each_its_own_action() {
    let table = table(16);
    let new = plain(TCP, 1);
    let made = table.insert(&new, START).unwrap();
    let forward = find(&table, &new.forward.key).unwrap();
    assert_eq!(forward, made);
    assert_eq!((forward.direction, forward.action), (Direction::Forward, action(1)));
    assert_eq!(forward.rewrite.kind, RewriteKind::None);
    assert_eq!((forward.rewrite.dst, forward.rewrite.dport), (Addr::from_v4([172, 16, 0, 1]), 80));
    let reverse = find(&table, &new.reverse.key).unwrap();
    assert_eq!((reverse.pair, reverse.direction, reverse.action), (made.pair, Direction::Reverse, action(2)));
    assert_eq!(table.keys(made.pair), Some((new.forward.key, new.reverse.key)));
    assert_eq!(table.actions(made.pair), Some((action(1), action(2))));
    assert_law(&table);
}

#[test]
fn any_other_field_is_another_key() {
    let table = table(16);
    let FlowKey { context, tuple } = plain(TCP, 1).forward.key;
    table.insert(&plain(TCP, 1), START).unwrap();
    let others = [
        FlowKey { context: Context(9), tuple },
        FlowKey { context, tuple: Tuple { family: Family::V6, ..tuple } },
        FlowKey { context, tuple: Tuple { protocol: 17, ..tuple } },
        FlowKey { context, tuple: Tuple { src: Addr(tuple.src.0 | 1 << 100), ..tuple } },
        FlowKey { context, tuple: Tuple { dst: Addr(tuple.dst.0 ^ 1), ..tuple } },
        FlowKey { context, tuple: Tuple { sport: tuple.sport ^ 1, ..tuple } },
        FlowKey { context, tuple: Tuple { dport: tuple.dport ^ 1, ..tuple } },
        FlowKey { context, tuple: tuple.reversed() },
    ];
    let hash = table.hash(&FlowKey { context, tuple });
    for other in others {
        assert_eq!(find(&table, &other), None, "{other:?}");
        // The same place in the index: the key itself must tell them apart.
        assert_eq!(table.lookup(hash, &other), None, "{other:?}");
    }
}

#[test]
fn translation_is_the_same_from_the_slot_as_from_the_keys() {
    let table = table(16);
    let new = translated(TCP, 1);
    let (forward, reverse) = (new.forward.key, new.reverse.key);
    let made = table.insert(&new, START).unwrap();
    assert_eq!(made.rewrite, Rewrite::between(&forward.tuple, &reverse.tuple));
    assert_eq!(find(&table, &forward).unwrap(), made);
    let back = find(&table, &reverse).unwrap().rewrite;
    assert_eq!(back, Rewrite::between(&reverse.tuple, &forward.tuple));
    assert_eq!(back.kind, RewriteKind::Translate);
    assert_eq!((back.src, back.sport), (Addr::from_v4([172, 16, 0, 1]), 80));
}

#[test]
fn replaced_actions_are_found_and_the_pair_stays() {
    let table = table(16);
    let new = translated(TCP, 1);
    let made = table.insert(&new, START).unwrap();
    assert!(table.replace(made.pair, action(5), action(6)));
    let forward = find(&table, &new.forward.key).unwrap();
    assert_eq!((forward.pair, forward.action, forward.rewrite), (made.pair, action(5), made.rewrite));
    assert_eq!(find(&table, &new.reverse.key).unwrap().action, action(6));
}

#[test]
fn an_old_reference_names_nothing() {
    let table = table(1);
    let old = table.insert(&plain(TCP, 1), START).unwrap();
    assert!(table.remove(old.pair));
    for _ in 0..2 {
        assert_eq!((table.keys(old.pair), table.actions(old.pair)), (None, None));
        assert!(!table.replace(old.pair, action(8), action(9)));
        assert!(!table.remove(old.pair));
        table.touch(&old, Millis(START.0 + 5), 100, None);
        // The second round has another pair in the same slot.
        let _ = table.insert(&plain(TCP, 2), START);
    }
    let view = table.view(START, 0, 9, |_| true);
    assert_eq!(view.len(), 1);
    assert_eq!(view[0].pair.index(), old.pair.index());
    assert_eq!((view[0].forward.packets, view[0].forward.action), (0, action(1)));
    assert_law(&table);
}

#[test]
fn a_removed_pair_is_not_found_and_can_be_made_again() {
    let table = table(16);
    for round in 0..100 {
        let made = table.insert(&plain(TCP, 1), START).unwrap();
        assert_eq!(find(&table, &key(TCP, 1)).unwrap().pair, made.pair, "round {round}");
        assert!(table.remove(made.pair));
        assert_eq!(find(&table, &key(TCP, 1)), None, "round {round}");
    }
    assert_eq!(table.statistics().purged, 100);
    assert!(table.is_empty());
    assert_law(&table);
}

#[test]
fn a_full_table_refuses_no_bucket() {
    let table = table(50_000);
    for n in 0..50_000 {
        table.insert(&translated(TCP, n), START).unwrap();
        // Every other pair goes and comes again, as old entries in the way of new ones are the harder case.
        if n % 2 == 1 {
            assert!(table.remove(find(&table, &key(TCP, n / 2)).unwrap().pair));
            table.insert(&translated(TCP, n / 2), START).unwrap();
        }
    }
    assert_eq!((table.len(), table.statistics().refused_bucket), (50_000, 0));
    assert!((0..50_000).all(|n| find(&table, &key(TCP, n)).is_some()));
    assert!((0..50_000).all(|n| find(&table, &translated(TCP, n).reverse.key).is_some()));
}

#[test]
fn another_seed_is_another_hash() {
    let other = FlowTable::new(crate::fixtures::config(16), [1, 2, 3, 5]);
    assert_ne!(table(16).hash(&key(TCP, 1)), other.hash(&key(TCP, 1)));
}

#[test]
fn odd_sizes_work() {
    for max_pairs in [0, 1, 2, 3, 7] {
        let table = table(max_pairs);
        assert_eq!(table.capacity(), max_pairs.max(1) as usize);
        for n in 0..max_pairs {
            table.insert(&plain(TCP, n), START).unwrap();
            let _ = table.prefetch(table.hash(&key(TCP, n)));
        }
        assert_law(&table);
    }
}

#[test]
fn a_search_that_was_begun_finds_what_a_lookup_finds() {
    let table = table(64);
    for n in 0..40 {
        let new = translated(TCP, n);
        table.insert(&new, START).unwrap();
        for key in [new.forward.key, new.reverse.key] {
            let search = table.begin(table.hash(&key));
            assert_eq!(table.finish(&search, &key), find(&table, &key));
        }
    }
}

#[test]
fn a_search_finds_nothing_for_another_key_nor_after_the_pair_has_gone() {
    let table = table(16);
    let new = plain(TCP, 1);
    let hash = table.hash(&new.forward.key);
    let early = table.begin(hash);
    let made = table.insert(&new, START).unwrap();
    assert_eq!(table.finish(&early, &new.forward.key), None, "begun before the pair was made");
    let search = table.begin(hash);
    assert_eq!(table.finish(&search, &new.forward.key), Some(made));
    assert_eq!(table.finish(&search, &plain(TCP, 2).forward.key), None, "another key with the same tag");
    assert_eq!(table.finish(&hash.into(), &new.forward.key), None, "nothing is known but the hash");
    table.remove(made.pair);
    assert_eq!(table.finish(&search, &new.forward.key), None);
    table.insert(&plain(TCP, 3), START).unwrap();
    assert_eq!(table.finish(&search, &new.forward.key), None, "the slot may be another's by now");
}
