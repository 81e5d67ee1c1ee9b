use super::*;
use crate::fixtures::{
    ACK, FIN, RST, START, SYN, TCP, UDP, after, assert_law, established, find, keep_all, key, owned, packet,
    plain, segment, table, translated,
};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;

/// The pair is there `idle` after `from`, and gone as soon as its last packet can not have been later.
fn assert_idle_timeout(table: &FlowTable, from: Millis, idle: u64) {
    assert_eq!(table.len(), 1);
    assert_eq!(table.sweep(Millis(from.0 + idle + GRAIN.0), usize::MAX, keep_all).expired, 0, "too early");
    assert_eq!(table.sweep(Millis(from.0 + idle + GRAIN.0 + 1), usize::MAX, keep_all).expired, 1, "too late");
    assert_law(table);
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
fn an_established_connection_lives_two_hours_and_six_minutes() {
    let table = table(8);
    established(&table, &translated(TCP, 1), START);
    assert_idle_timeout(&table, START, 126 * MINUTE);
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
    assert_idle_timeout(&table, START, 126 * MINUTE);
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
    let late = after(6 * MINUTE);
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
