use super::*;
use crate::bucket::ENTRIES;
use crate::fixtures::{
    START, TCP, UDP, action, assert_law, config, find, key, owned, plain, table, translated,
};
use crate::table::TableConfig;
use crate::{Context, FlowKey, RewriteKind, TableStatistics};

#[test]
fn the_second_insert_gets_the_pair_of_the_first() {
    let table = table(16);
    let made = table.insert(&translated(TCP, 1), START).unwrap();
    let mut again = translated(TCP, 1);
    again.forward.action = action(9);
    assert_eq!(table.insert(&again, START), Err(InsertError::Exists(made)));
    assert_eq!((table.len(), table.owner_len(0)), (1, 1));
    assert_law(&table);
}

#[test]
fn a_pair_seen_from_its_other_end_exists() {
    let table = table(16);
    let new = plain(UDP, 1);
    let made = table.insert(&new, START).unwrap();
    let mirrored = NewPair { forward: new.reverse, reverse: new.forward, owner: 0 };
    let Err(InsertError::Exists(hit)) = table.insert(&mirrored, START) else {
        panic!("the forward key is the reverse key of the first pair");
    };
    assert_eq!((hit.pair, hit.direction, hit.action), (made.pair, Direction::Reverse, action(2)));
    assert_law(&table);
}

#[test]
fn a_reverse_key_of_another_pair_is_refused_and_leaves_nothing() {
    let table = table(16);
    let first = translated(TCP, 1);
    table.insert(&first, START).unwrap();
    let mut second = translated(TCP, 2);
    second.reverse.key = first.reverse.key;
    assert_eq!(table.insert(&second, START), Err(InsertError::ReverseTaken));
    assert_eq!(find(&table, &second.forward.key), None);
    assert_eq!((table.len(), table.owner_len(0)), (1, 1));
    assert_law(&table);
}

#[test]
fn a_pod_that_talks_to_itself_on_one_port_has_a_pair() {
    let table = table(16);
    let mut new = plain(UDP, 1);
    new.forward.key.tuple.dst = new.forward.key.tuple.src;
    new.forward.key.tuple.dport = new.forward.key.tuple.sport;
    new.reverse.key = new.forward.key;
    let made = table.insert(&new, START).unwrap();
    assert_eq!(made.rewrite.kind, RewriteKind::None);
    assert_eq!(find(&table, &new.forward.key), Some(made));
    assert_eq!(table.insert(&new, START), Err(InsertError::Exists(made)));
    assert!(table.remove(made.pair));
    assert_eq!(find(&table, &new.forward.key), None);
    assert_law(&table);
}

#[test]
fn a_full_table_refuses_and_keeps_what_it_has() {
    let table = table(8);
    for n in 0..8 {
        table.insert(&plain(UDP, n), START).unwrap();
    }
    assert_eq!(table.insert(&plain(UDP, 8), START), Err(InsertError::TableFull));
    let exists = table.insert(&plain(UDP, 3), START);
    assert!(matches!(exists, Err(InsertError::Exists(_))), "{exists:?}");
    assert!((0..8).all(|n| find(&table, &key(UDP, n)).is_some()));
    let expected = TableStatistics { created: 8, live: 8, refused_full: 1, ..TableStatistics::default() };
    assert_eq!(table.statistics(), expected);
    assert_law(&table);
}

#[test]
fn an_owner_has_its_share_and_the_others_theirs() {
    let table = FlowTable::new(TableConfig { max_per_owner: 2, ..config(16) }, [1, 2, 3, 4]);
    let first = table.insert(&owned(plain(UDP, 0), 3), START).unwrap();
    table.insert(&owned(plain(UDP, 1), 3), START).unwrap();
    assert_eq!(table.insert(&owned(plain(UDP, 2), 3), START), Err(InsertError::OwnerLimit));
    let exists = table.insert(&owned(plain(UDP, 1), 3), START);
    assert!(matches!(exists, Err(InsertError::Exists(_))), "{exists:?}");
    table.insert(&owned(plain(UDP, 3), 2), START).unwrap();
    assert_eq!((table.owner_len(3), table.owner_len(2), table.owner_len(1)), (2, 1, 0));
    assert!(table.remove(first.pair));
    assert_eq!(table.owner_len(3), 1);
    table.insert(&owned(plain(UDP, 4), 3), START).unwrap();
    assert_eq!(table.statistics().refused_owner, 1);
    assert_law(&table);
}

#[test]
fn an_owner_out_of_range_may_have_nothing() {
    let table = table(16);
    assert_eq!(table.insert(&owned(plain(UDP, 0), 4), START), Err(InsertError::OwnerLimit));
    assert_eq!(table.owner_len(4), 0);
    assert_law(&table);
}

#[test]
fn full_buckets_refuse_with_their_own_error_and_leave_nothing() {
    // There are two buckets, so both are the candidates of every key; one of their places is left.
    let table = table(4);
    assert_eq!(table.index.bytes(), 2 * 64);
    let hash = table.hash(&key(UDP, 0));
    for n in 0..2 * ENTRIES as u32 - 1 {
        table.index.link(hash, n, Direction::Forward).unwrap();
    }
    let new = plain(UDP, 1);
    assert_eq!(table.insert(&new, START), Err(InsertError::BucketFull), "one place for two entries");
    assert_eq!((find(&table, &new.forward.key), find(&table, &new.reverse.key)), (None, None));
    assert_eq!((table.len(), table.slots.free(), table.owner_len(0)), (0, 4, 0));
    assert_eq!(table.statistics().refused_bucket, 1);
    table.index.unlink(hash, 5, Direction::Forward);
    table.insert(&new, START).unwrap();
}

#[test]
fn equal_tuples_in_two_contexts_are_two_flows() {
    let table = table(16);
    let first = plain(UDP, 1);
    let mut second = first;
    second.forward.key.context = Context(100);
    second.reverse.key.context = Context(101);
    let a = table.insert(&first, START).unwrap();
    let b = table.insert(&second, START).unwrap();
    assert_ne!(a.pair, b.pair);
    let key = FlowKey { context: Context(100), ..first.forward.key };
    assert_eq!(find(&table, &key).unwrap().pair, b.pair);
}
