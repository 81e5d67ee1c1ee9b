use super::*;
use crate::fixtures::{START, TCP, UDP, action, find, owned, plain, table, translated};

#[test]
fn a_pair_is_shown_with_times_and_counts_of_both_directions() {
    let table = table(8);
    let new = owned(translated(UDP, 1), 2);
    let made = table.insert(&new, START).unwrap();
    table.touch(&made, START, 60, None);
    table.touch(&made, Millis(START.0 + 1000), 40, None);
    let reverse = find(&table, &new.reverse.key).unwrap();
    table.touch(&reverse, Millis(START.0 + 3000), 1500, None);
    let direction =
        |key, action, idle, packets, bytes| DirectionView { key, action, idle: Millis(idle), packets, bytes };
    let expected = FlowView {
        pair: made.pair,
        owner: 2,
        state: FlowState::Stateless,
        age: Millis(10_000),
        forward: direction(new.forward.key, action(1), 9000, 2, 100),
        reverse: direction(new.reverse.key, action(2), 7000, 1, 1500),
    };
    assert_eq!(table.view(Millis(START.0 + 10_000), 0, 10, |_| true), [expected]);
}

#[test]
fn counts_and_age_start_anew_with_each_pair() {
    let table = table(1);
    let first = table.insert(&plain(UDP, 1), START).unwrap();
    table.touch(&first, Millis(START.0 + 5), 60, None);
    table.remove(first.pair);
    table.insert(&plain(UDP, 2), Millis(START.0 + 7)).unwrap();
    let [view] = table.view(Millis(START.0 + 8), 0, 10, |_| true)[..] else { panic!("one pair") };
    assert_eq!((view.age, view.forward.idle, view.forward.packets), (Millis(1), Millis(1), 0));
}

#[test]
fn pages_follow_each_other_and_the_filter_holds() {
    let table = table(20);
    for n in 0..10 {
        table.insert(&plain(if n % 2 == 0 { TCP } else { UDP }, n), START).unwrap();
    }
    let tcp = |view: &FlowView| view.forward.key.tuple.protocol == TCP;
    let mut from = 0;
    let mut seen = Vec::new();
    loop {
        let page = table.view(START, from, 2, tcp);
        let Some(last) = page.last() else { break };
        from = last.pair.index() as usize + 1;
        assert!(page.len() <= 2);
        seen.extend(page.iter().map(|view| view.forward.key.tuple.sport));
    }
    assert_eq!(seen, [1024, 1026, 1028, 1030, 1032]);
    assert_eq!(table.view(START, usize::MAX, 5, |_| true), []);
}

#[test]
fn a_visit_passes_every_pair_once_a_round() {
    let table = table(8);
    for n in 0..5 {
        table.insert(&plain(UDP, n), START).unwrap();
    }
    let (mut from, mut seen) = (0, Vec::new());
    for _ in 0..4 {
        from = table.visit(START, from, 2, |view| seen.push(view.pair.index()));
    }
    seen.sort_unstable();
    assert_eq!((from, seen), (0, vec![0, 1, 2, 3, 4]));
    assert_eq!(table.visit(START, 6, 100, |_| {}), 6, "never more than one round");
}
