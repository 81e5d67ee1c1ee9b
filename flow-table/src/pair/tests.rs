use std::cell::Cell;

use super::*;
use crate::fixtures::{START, UDP, action, translated};

/// A slot that holds a pair.
fn filled() -> (Pair, Incarnation) {
    let pair = Pair::new();
    let live = Incarnation(0).next();
    let new = translated(UDP, 1);
    let rewrite = Rewrite::between(&new.forward.key.tuple, &new.reverse.key.tuple);
    let written = pair.write(Incarnation(0), |pair| {
        pair.fill(&new.forward, &new.reverse, &rewrite);
        pair.reset_activity(START, live);
        (live, ())
    });
    assert!(written.is_some());
    (pair, live)
}

fn actions(pair: &Pair) -> (Action, Action) {
    (pair.action(Direction::Forward), pair.action(Direction::Reverse))
}

#[test]
fn a_slot_is_three_cache_lines_and_each_direction_starts_its_own() {
    assert_eq!((size_of::<Pair>(), align_of::<Pair>()), (192, 64));
    assert_eq!(std::mem::offset_of!(Pair, reverse), 64);
    assert_eq!(std::mem::offset_of!(Pair, activity), 128);
}

#[test]
fn a_new_slot_is_free() {
    assert!(matches!(Pair::new().read(|_| ()), Read::Free));
}

#[test]
fn a_read_that_a_write_falls_into_is_done_again() {
    let (pair, live) = filled();
    let looks = Cell::new(0);
    let read = pair.read(|pair| {
        let forward = pair.action(Direction::Forward);
        looks.set(looks.get() + 1);
        if looks.get() == 1 {
            let written = pair.write(live, |pair| (live, pair.store_actions(action(10), action(11))));
            assert!(written.is_some());
        }
        (forward, pair.action(Direction::Reverse))
    });
    assert_eq!((read.of(live), looks.get()), (Some((action(10), action(11))), 2));
}

#[test]
fn a_read_that_a_removal_falls_into_finds_nothing() {
    let (pair, live) = filled();
    let read = pair.read(|pair| {
        assert!(pair.write(live, |_| (live.next(), ())).is_some());
        actions(pair)
    });
    assert!(matches!(read, Read::Free));
}

#[test]
fn a_reader_gives_up_on_a_slot_that_is_being_written() {
    let (pair, live) = filled();
    let read = pair.write(live, |pair| (live, pair.read(actions)));
    assert!(matches!(read, Some(Read::Busy)));
    assert_eq!(pair.read(actions).of(live), Some((action(1), action(2))));
}

#[test]
fn a_write_for_another_incarnation_does_not_happen() {
    let (pair, live) = filled();
    let never = |_: &Pair| -> (Incarnation, ()) { panic!("written") };
    assert_eq!(pair.write(live.next(), never), None);
    assert_eq!(pair.write(Incarnation(0), never), None);
    assert_eq!(pair.incarnation(), live);
}

#[test]
fn incarnations_and_writes_wrap_without_touching_each_other() {
    assert_eq!(Incarnation(u32::MAX).next(), Incarnation(0));
    let pair = Pair::new();
    let last = Incarnation(u32::MAX);
    pair.sequence.store(Sequence::new(last, u32::MAX - 1).0, Ordering::Relaxed);
    assert_eq!(pair.write(last, |_| (last, ())), Some(()));
    assert_eq!(pair.sequence.load(Ordering::Relaxed), Sequence::new(last, 0).0);
}
