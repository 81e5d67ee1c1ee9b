use super::*;
use crate::fixtures::{
    ACK, FIN, RST, START, SYN, TCP, UDP, assert_law, find, keep_all, key, owned, plain, segment, table,
    translated,
};
use crate::{InsertError, NewPair, Segment};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;

fn after(millis: u64) -> Millis {
    Millis(START.0 + millis)
}

/// A packet of either direction, found by its key.
fn packet(table: &FlowTable, key: &crate::FlowKey, now: Millis, segment: Option<Segment>) {
    let hit = find(table, key).unwrap();
    table.touch(&hit, now, 100, segment);
}

/// The pair is there until exactly `idle` after `from`, and gone a millisecond later.
fn assert_idle_timeout(table: &FlowTable, from: Millis, idle: u64) {
    assert_eq!(table.len(), 1);
    assert_eq!(table.sweep(Millis(from.0 + idle), usize::MAX, keep_all).expired, 0, "too early");
    assert_eq!(table.sweep(Millis(from.0 + idle + 1), usize::MAX, keep_all).expired, 1, "too late");
    assert_law(table);
}

fn established(table: &FlowTable, new: &NewPair, now: Millis) {
    table.insert(new, now).unwrap();
    packet(table, &new.forward.key, now, Some(segment(SYN, 99, 0, 0)));
    packet(table, &new.reverse.key, now, Some(segment(SYN | ACK, 499, 100, 0)));
    packet(table, &new.forward.key, now, Some(segment(ACK, 100, 500, 0)));
}

/// A UDP pair with a packet of its reverse direction.
fn answered(table: &FlowTable, n: u32, now: Millis) {
    let new = plain(UDP, n);
    table.insert(&new, now).unwrap();
    packet(table, &new.reverse.key, now, None);
}

#[test]
fn udp_goes_after_five_minutes_of_silence_in_both_directions() {
    let table = table(8);
    let new = translated(UDP, 1);
    table.insert(&new, START).unwrap();
    packet(&table, &new.forward.key, after(4 * MINUTE), None);
    packet(&table, &new.reverse.key, after(8 * MINUTE), None);
    assert_eq!(table.sweep(after(12 * MINUTE), usize::MAX, keep_all).expired, 0, "one direction is alive");
    assert_idle_timeout(&table, after(8 * MINUTE), 5 * MINUTE);
}

#[test]
fn an_established_connection_lives_two_hours_and_four_minutes() {
    let table = table(8);
    established(&table, &translated(TCP, 1), START);
    assert_idle_timeout(&table, START, 124 * MINUTE);
}

#[test]
fn a_half_open_connection_lives_four_minutes() {
    let table = table(8);
    let new = plain(TCP, 1);
    table.insert(&new, START).unwrap();
    packet(&table, &new.forward.key, START, Some(segment(SYN, 99, 0, 0)));
    assert_idle_timeout(&table, START, 4 * MINUTE);
}

#[test]
fn a_reset_connection_frees_its_slot_quickly() {
    let table = table(8);
    let new = plain(TCP, 1);
    established(&table, &new, START);
    packet(&table, &new.reverse.key, after(SECOND), Some(segment(RST, 500, 0, 0)));
    assert_idle_timeout(&table, after(SECOND), 10 * SECOND);
}

#[test]
fn a_blind_reset_changes_nothing() {
    let table = table(8);
    let new = plain(TCP, 1);
    established(&table, &new, START);
    packet(&table, &new.reverse.key, START, Some(segment(RST, 501, 0, 0)));
    assert_idle_timeout(&table, START, 124 * MINUTE);
}

#[test]
fn fins_of_both_ends_close_and_their_acknowledgements_end_it() {
    let table = table(8);
    let new = plain(TCP, 1);
    established(&table, &new, START);
    packet(&table, &new.forward.key, START, Some(segment(FIN | ACK, 100, 500, 0)));
    packet(&table, &new.reverse.key, START, Some(segment(FIN | ACK, 500, 101, 0)));
    assert_eq!(table.view(START, 0, 1, |_| true)[0].state, FlowState::TcpClosing);
    assert_eq!(table.sweep(after(4 * MINUTE), usize::MAX, keep_all).expired, 0);
    packet(&table, &new.forward.key, after(4 * MINUTE), Some(segment(ACK, 101, 501, 0)));
    assert_idle_timeout(&table, after(4 * MINUTE), 10 * SECOND);
}

#[test]
fn a_new_connection_on_the_ports_of_a_closed_one_forgets_both_directions() {
    let table = table(8);
    let new = plain(TCP, 1);
    established(&table, &new, START);
    packet(&table, &new.reverse.key, START, Some(segment(RST, 500, 0, 0)));
    packet(&table, &new.forward.key, START, Some(segment(SYN, 700_000_000, 0, 0)));
    assert_eq!(table.view(START, 0, 1, |_| true)[0].state, FlowState::TcpOpening);
}

#[test]
fn a_drop_flow_lives_ten_seconds() {
    let table = table(8);
    let mut new = plain(TCP, 1);
    new.forward.action.output = Output::Drop { reason: 3 };
    table.insert(&new, START).unwrap();
    assert_idle_timeout(&table, START, 10 * SECOND);
}

#[test]
fn time_that_goes_back_neither_expires_nor_shortens() {
    let table = table(8);
    let new = plain(UDP, 1);
    table.insert(&new, START).unwrap();
    packet(&table, &new.forward.key, after(MINUTE), None);
    packet(&table, &new.forward.key, Millis(0), None);
    assert_eq!(table.sweep(Millis(0), usize::MAX, keep_all).expired, 0);
    assert_idle_timeout(&table, after(MINUTE), 5 * MINUTE);
}

#[test]
fn a_sweep_keeps_to_its_budget_and_goes_on_where_it_stopped() {
    let table = table(100);
    for n in 0..100 {
        table.insert(&plain(UDP, n), START).unwrap();
    }
    let late = after(5 * MINUTE + 1);
    for round in 1..=10 {
        assert_eq!(table.sweep(late, 10, keep_all), Swept { examined: 10, expired: 10, purged: 0 });
        assert_eq!(table.len(), 100 - 10 * round);
    }
    assert_eq!(table.sweep(late, 1000, keep_all), Swept { examined: 100, expired: 0, purged: 0 });
    assert_eq!(table.statistics().expired, 100);
    assert_law(&table);
}

#[test]
fn unwanted_pairs_go_at_once_within_the_budget_and_their_owner_is_told() {
    let table = table(20);
    for n in 0..20 {
        let new = if n % 2 == 0 { plain(TCP, n) } else { plain(UDP, n) };
        table.insert(&owned(new, (n % 2) as u16), START).unwrap();
    }
    let udp_only = |forward: &crate::FlowKey, reverse: &crate::FlowKey| {
        assert_eq!(reverse.tuple, forward.tuple.reversed());
        forward.tuple.protocol == UDP
    };
    assert_eq!(table.sweep(START, 10, udp_only), Swept { examined: 10, expired: 0, purged: 5 });
    assert_eq!((table.owner_len(0), table.owner_len(1)), (5, 10));
    assert_eq!(table.sweep(START, 10, udp_only), Swept { examined: 10, expired: 0, purged: 5 });
    assert_eq!((table.owner_len(0), table.owner_len(1)), (0, 10));
    assert_eq!((table.statistics().purged, table.statistics().expired), (10, 0));
    assert!((0..20).all(|n| find(&table, &key(TCP, n)).is_none()));
    assert!((0..10).all(|n| find(&table, &key(UDP, 2 * n + 1)).is_some()));
    assert_law(&table);
}

#[test]
fn in_a_full_table_an_expired_pair_gives_way() {
    let table = table(4);
    for n in 0..3 {
        answered(&table, n, after(4 * MINUTE));
    }
    answered(&table, 3, START);
    let now = after(5 * MINUTE + 1);
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
        let made = if n == EVICT_REACH as u32 { START } else { after(4 * MINUTE) };
        answered(&table, n, made);
    }
    let now = after(5 * MINUTE + 1);
    assert_eq!(table.insert(&plain(UDP, 100), now), Err(InsertError::TableFull));
    table.insert(&plain(UDP, 100), now).unwrap();
    assert_law(&table);
}
