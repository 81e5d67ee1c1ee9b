use super::*;
use crate::fixtures::{
    START, TCP, UDP, after, answered, assert_law, config, established, find, keep_all, key, owned, packet,
    plain, table,
};
use crate::{FlowTable, InsertError, TableConfig};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;

#[test]
fn in_a_full_table_an_expired_pair_gives_way() {
    let table = table(4);
    for n in 0..3 {
        answered(&table, n, after(4 * MINUTE));
    }
    answered(&table, 3, START);
    let now = after(5 * MINUTE + SECOND);
    table.insert(&plain(UDP, 4), now).unwrap();
    assert_eq!(find(&table, &key(UDP, 3)), None);
    assert!([0, 1, 2, 4].iter().all(|n| find(&table, &key(UDP, *n)).is_some()));
    assert_eq!(table.insert(&plain(UDP, 5), now), Err(InsertError::TableFull));
    assert_eq!((table.statistics().evicted, table.statistics().refused_full), (1, 1));
    assert_law(&table);
}

#[test]
fn half_open_connections_give_way_after_five_seconds_and_established_ones_never() {
    let table = table(8);
    for n in 0..4 {
        established(&table, &plain(TCP, n), START);
    }
    for n in 4..8 {
        table.insert(&plain(TCP, n), START).unwrap();
    }
    assert_eq!(table.insert(&plain(TCP, 8), after(5 * SECOND)), Err(InsertError::TableFull));
    let now = after(5 * SECOND + 1);
    for n in 8..12 {
        table.insert(&plain(TCP, n), now).unwrap();
    }
    assert_eq!(table.insert(&plain(TCP, 12), now), Err(InsertError::TableFull));
    assert!((0..4).all(|n| find(&table, &key(TCP, n)).is_some()));
    assert!((4..8).all(|n| find(&table, &key(TCP, n)).is_none()));
    assert_law(&table);
}

#[test]
fn unanswered_pairs_give_way_after_ten_seconds_and_answered_ones_never() {
    let table = table(8);
    for n in 0..4 {
        answered(&table, n, START);
    }
    for n in 4..8 {
        table.insert(&plain(UDP, n), START).unwrap();
        packet(&table, &key(UDP, n), START, None);
    }
    assert_eq!(table.insert(&plain(UDP, 8), after(10 * SECOND)), Err(InsertError::TableFull));
    let now = after(10 * SECOND + 1);
    assert_eq!(table.sweep(now, usize::MAX, keep_all).expired, 0, "only a full table is in a hurry");
    for n in 8..12 {
        table.insert(&plain(UDP, n), now).unwrap();
    }
    assert_eq!(table.insert(&plain(UDP, 12), now), Err(InsertError::TableFull));
    assert!((0..4).all(|n| find(&table, &key(UDP, n)).is_some()));
    assert!((4..8).all(|n| find(&table, &key(UDP, n)).is_none()));
    assert_law(&table);
}

#[test]
fn an_insert_looks_at_a_bounded_number_of_slots() {
    let table = table(100);
    // The cursor starts at slot 0, and slots are given out in order: the idle pair is out of reach at first.
    for n in 0..100 {
        let made = if n == REACH as u32 { START } else { after(4 * MINUTE) };
        answered(&table, n, made);
    }
    let now = after(5 * MINUTE + SECOND);
    assert_eq!(table.insert(&plain(UDP, 100), now), Err(InsertError::TableFull));
    table.insert(&plain(UDP, 100), now).unwrap();
    assert_law(&table);
}

/// A table of 8 slots in which owner 1 may have 4 pairs, and has that many half-open connections.
fn flooded() -> FlowTable {
    let table = FlowTable::new(TableConfig { max_per_owner: 4, ..config(8) }, [1, 2, 3, 4]);
    (0..4).for_each(|n| _ = table.insert(&owned(plain(TCP, n), 1), START).unwrap());
    assert_eq!(table.insert(&owned(plain(TCP, 4), 1), after(5 * SECOND)), Err(InsertError::OwnerLimit));
    table
}

#[test]
fn an_owner_that_has_its_share_loses_its_own_half_open_connections_and_nobody_elses() {
    let table = flooded();
    // As old and as idle, but another's.
    (10..14).for_each(|n| _ = table.insert(&owned(plain(TCP, n), 2), START).unwrap());
    let now = after(5 * SECOND + 1);
    for n in 4..8 {
        table.insert(&owned(plain(TCP, n), 1), now).unwrap();
        assert_eq!(table.owner_len(1), 4);
    }
    assert_eq!(table.insert(&owned(plain(TCP, 8), 1), now), Err(InsertError::OwnerLimit));
    assert!((0..4).all(|n| find(&table, &key(TCP, n)).is_none()));
    assert!((4..8).chain(10..14).all(|n| find(&table, &key(TCP, n)).is_some()));
    assert_eq!((table.statistics().evicted, table.statistics().refused_owner), (4, 2));
    assert_law(&table);
}

#[test]
fn an_owner_that_has_its_share_keeps_what_is_established_or_fresh() {
    let table = FlowTable::new(TableConfig { max_per_owner: 4, ..config(8) }, [1, 2, 3, 4]);
    (0..2).for_each(|n| established(&table, &owned(plain(TCP, n), 1), START));
    (2..4).for_each(|n| _ = table.insert(&owned(plain(TCP, n), 1), after(SECOND)).unwrap());
    let now = after(6 * SECOND);
    assert_eq!(table.insert(&owned(plain(TCP, 4), 1), now), Err(InsertError::OwnerLimit));
    assert_eq!(table.statistics().evicted, 0);
    assert_law(&table);
}

#[test]
fn the_search_for_an_owners_pair_is_bounded_and_goes_on_where_it_stopped() {
    let slots = 3 * OWNER_REACH;
    let table = FlowTable::new(TableConfig { max_per_owner: 1, ..config(slots) }, [1, 2, 3, 4]);
    // Slots are given out in order, so the only pair of owner 1 lies behind the first two stretches.
    for n in 0..2 * OWNER_REACH {
        let made = table.insert(&owned(plain(TCP, n), 0), START).unwrap();
        table.remove(made.pair);
    }
    table.insert(&owned(plain(TCP, 0), 1), START).unwrap();
    let late = after(MINUTE);
    let attempt = || table.insert(&owned(plain(TCP, 1), 1), late);
    assert_eq!((attempt(), attempt()), (Err(InsertError::OwnerLimit), Err(InsertError::OwnerLimit)));
    assert!(attempt().is_ok());
    assert_law(&table);
}
