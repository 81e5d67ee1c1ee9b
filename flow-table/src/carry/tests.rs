use super::*;
use crate::activity::GRAIN;
use crate::fixtures::*;
use crate::timeout::FlowState;

fn carried(table: &FlowTable) -> Vec<Carried> {
    let mut all = Vec::new();
    table.carry(0..table.capacity(), |pair| all.push(*pair));
    all
}

fn touch(table: &FlowTable, direction: Direction, at: Millis, segment: Option<crate::Segment>) {
    let pair = translated(if segment.is_some() { TCP } else { UDP }, 5);
    let key = match direction {
        Direction::Forward => pair.forward.key,
        Direction::Reverse => pair.reverse.key,
    };
    table.touch(&find(table, &key).unwrap(), at, 100, segment);
}

/// A table with a TCP connection that is established.
fn established() -> FlowTable {
    let table = table(8);
    table.insert(&translated(TCP, 5), START).unwrap();
    for (n, (direction, segment)) in (1..).zip([
        (Direction::Forward, segment(SYN, 10, 0, 0)),
        (Direction::Reverse, segment(SYN | ACK, 90, 11, 0)),
        (Direction::Forward, segment(ACK, 11, 91, 0)),
    ]) {
        touch(&table, direction, Millis(START.0 + n), Some(segment));
    }
    table
}

#[test]
fn keys_outputs_owner_and_times_are_carried_and_what_they_rest_on_is_not() {
    let table = established();
    let all = carried(&table);
    let wanted = translated(TCP, 5);
    let stale = |half: Half| Half { action: Action { depends: Dependency::STALE, ..half.action }, ..half };
    let pair =
        NewPair { forward: stale(wanted.forward), reverse: stale(wanted.reverse), owner: wanted.owner };
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].pair, all[0].created), (pair, START));
    assert_eq!(all[0].traces.map(|trace| trace.last.0 - START.0), [3, 2]);
    let [forward, reverse] = all[0].traces.map(|trace| trace.progress);
    assert!(Progress::is_established(forward, reverse));
}

#[test]
fn a_restored_pair_has_its_state_and_age_and_translates_as_before() {
    let old = established();
    let [pair] = carried(&old)[..] else { panic!("one pair") };
    let new = FlowTable::new(config(4), [9, 9, 9, 9]);
    let now = Millis(START.0 + 5000);
    new.restore(&pair, now).unwrap();
    assert_eq!(carried(&new), [pair]);
    let view = new.view(now, 0, 1, |_| true)[0];
    assert_eq!(
        (view.state, view.age, view.forward.idle),
        (FlowState::TcpEstablished, Millis(5000), Millis(4997))
    );
    let key = translated(TCP, 5).forward.key;
    assert_eq!(find(&new, &key).unwrap().rewrite, find(&old, &key).unwrap().rewrite);
    assert_law(&new);
}

#[test]
fn sequence_numbers_may_have_moved_on_and_the_end_is_still_seen() {
    let [pair] = carried(&established())[..] else { panic!("one pair") };
    let new = table(4);
    new.restore(&pair, START).unwrap();
    let state = |new: &FlowTable| new.view(START, 0, 1, |_| true)[0].state;
    // 2 GiB later.
    for (direction, segment) in [
        (Direction::Forward, segment(ACK, 0x8000_0000, 0x8000_1000, 10)),
        (Direction::Reverse, segment(ACK, 0x8000_1000, 0x8000_000a, 10)),
    ] {
        touch(&new, direction, START, Some(segment));
    }
    assert_eq!(state(&new), FlowState::TcpEstablished);
    touch(&new, Direction::Forward, START, Some(segment(RST, 0x8000_000a, 0, 0)));
    assert_eq!(state(&new), FlowState::TcpClosed);
}

#[test]
fn what_was_idle_is_idle_still_and_expires_in_its_time() {
    let old = table(8);
    old.insert(&translated(UDP, 5), START).unwrap();
    let new = table(8);
    let now = Millis(START.0 + 299_000);
    new.restore(&carried(&old)[0], now).unwrap();
    assert_eq!(new.sweep(now, 8, keep_all).expired, 0);
    let too_late = Millis(START.0 + 300_000 + GRAIN.0 + 1);
    assert_eq!(new.sweep(too_late, 8, keep_all).expired, 1);
}

#[test]
fn times_of_the_future_become_now() {
    let [mut pair] = carried(&established())[..] else { panic!("one pair") };
    pair.created = Millis(u64::MAX);
    pair.traces[0].last = Millis(START.0 + 1_000_000_000);
    let new = table(4);
    new.restore(&pair, START).unwrap();
    let view = new.view(Millis(START.0 + 7), 0, 1, |_| true)[0];
    assert_eq!((view.age, view.forward.idle), (Millis(7), Millis(7)));
}

#[test]
fn refusals_are_not_carried_and_a_full_table_says_so() {
    let old = table(8);
    let mut refusal = plain(UDP, 1);
    refusal.forward.action.output = Output::Drop { reason: 1 };
    old.insert(&refusal, START).unwrap();
    assert!(carried(&old).is_empty());

    for n in 2..5 {
        old.insert(&plain(UDP, n), START).unwrap();
    }
    let new = table(2);
    let outcomes: Vec<bool> = carried(&old).iter().map(|pair| new.restore(pair, START).is_ok()).collect();
    assert_eq!(outcomes, [true, true, false]);
    assert_law(&new);
}
