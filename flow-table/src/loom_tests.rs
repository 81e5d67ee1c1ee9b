//! Every order in which threads can run, and every value that a weak memory may show them, of the parts of the
//! table that workers share. `cargo test -p flow-table --features loom --lib loom_tests` runs these tests alone,
//! as no other works with the model's atomics.
//!
//! Loom takes a release fence to cover the stores behind it too. So it does not notice when the end of a write, or
//! the entry that publishes a pair, is stored relaxed; any other ordering that is weakened makes a test here fail.

use loom::model::Builder;
use loom::sync::Arc;
use loom::thread;

use crate::activity::{Activity, Packet};
use crate::bucket::{Bucket, Entry};
use crate::fixtures::{START, UDP, action, find, plain, table, translated};
use crate::pair::{Pair, Read};
use crate::sync::{AtomicU64, Ordering};
use crate::{Direction, InsertError, Millis};

/// Moments at which a thread is stopped for another in the larger models.
const SWITCHES: usize = 3;

/// All orders.
fn model(check: impl Fn() + Send + Sync + 'static) {
    Builder::new().check(check);
}

/// All orders with few switches, for models with many steps.
fn bounded(check: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(SWITCHES);
    builder.max_branches = 20_000;
    builder.check(check);
}

fn live_pair(n: u16) -> Pair {
    let pair = Pair::new();
    let free = pair.incarnation();
    let filled = pair.write(free, |pair| {
        pair.store_actions(action(n), action(n));
        (free.next(), ())
    });
    assert!(filled.is_some());
    pair
}

#[test]
fn a_reader_sees_all_words_of_a_write_or_none() {
    model(|| {
        let pair = Arc::new(live_pair(1));
        let written = Arc::clone(&pair);
        let writer = thread::spawn(move || {
            let incarnation = written.incarnation();
            written.write(incarnation, |pair| {
                pair.store_actions(action(2), action(2));
                (incarnation, ())
            })
        });
        let look = |pair: &Pair| (pair.action(Direction::Forward), pair.action(Direction::Reverse));
        if let Read::Live(_, (forward, reverse)) = pair.read(look) {
            assert!(forward == action(1) || forward == action(2), "torn: {forward:?}");
            assert_eq!(forward, reverse, "of two writes");
        }
        assert!(writer.join().unwrap().is_some());
    });
}

#[test]
fn a_reader_never_takes_the_words_of_the_next_pair_for_those_of_this_one() {
    model(|| {
        let pair = Arc::new(live_pair(1));
        let first = pair.incarnation();
        let used_again = Arc::clone(&pair);
        let writer = thread::spawn(move || {
            // Removed, and the slot filled with another pair.
            used_again.write(first, |_| (first.next(), ())).unwrap();
            used_again.write(first.next(), |pair| {
                pair.store_actions(action(2), action(2));
                (first.next().next(), ())
            })
        });
        if let Read::Live(incarnation, seen) = pair.read(|pair| pair.action(Direction::Forward)) {
            assert_eq!(seen, action(if incarnation == first { 1 } else { 2 }));
        }
        assert!(writer.join().unwrap().is_some());
    });
}

#[test]
fn of_two_writers_of_one_incarnation_one_ends_it() {
    model(|| {
        let pair = Arc::new(live_pair(1));
        let first = pair.incarnation();
        let end = move |pair: &Pair| pair.write(first, |_| (first.next(), ())).is_some();
        let other = Arc::clone(&pair);
        let writer = thread::spawn(move || end(&other));
        let won = end(&pair);
        assert!(won ^ writer.join().unwrap());
        assert!(!pair.incarnation().is_live());
    });
}

#[test]
fn an_entry_that_is_found_names_a_pair_that_is_filled() {
    model(|| {
        let shared = Arc::new((Bucket::new(), Pair::new()));
        let published = Arc::clone(&shared);
        let entry = Entry { tag: 7, pair: 0, direction: Direction::Forward };
        let writer = thread::spawn(move || {
            let (bucket, pair) = &*published;
            let free = pair.incarnation();
            pair.write(free, |pair| {
                pair.store_actions(action(3), action(3));
                (free.next(), ())
            });
            bucket.put(entry).unwrap();
        });
        let (bucket, pair) = &*shared;
        if bucket.matching(7).next().is_some() {
            match pair.read(|pair| pair.action(Direction::Forward)) {
                Read::Live(_, seen) => assert_eq!(seen, action(3)),
                Read::Free | Read::Busy => panic!("the entry was there before its pair"),
            }
        }
        writer.join().unwrap();
    });
}

#[test]
fn two_entries_put_at_once_are_both_there() {
    model(|| {
        let bucket = Arc::new(Bucket::new());
        let entry = |pair| Entry { tag: 7, pair, direction: Direction::Forward };
        let other = Arc::clone(&bucket);
        let writer = thread::spawn(move || other.put(entry(1)).unwrap());
        bucket.put(entry(2)).unwrap();
        writer.join().unwrap();
        let mut found: Vec<u32> = bucket.matching(7).map(|entry| entry.pair).collect();
        found.sort_unstable();
        assert_eq!(found, [1, 2]);
    });
}

#[test]
fn what_is_done_under_a_buckets_lock_is_seen_by_the_next_who_has_it() {
    model(|| {
        let shared = Arc::new((Bucket::new(), AtomicU64::new(0)));
        let step = |(bucket, count): &(Bucket, AtomicU64)| {
            let _held = bucket.lock();
            count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        };
        let other = Arc::clone(&shared);
        let worker = thread::spawn(move || step(&other));
        step(&shared);
        worker.join().unwrap();
        assert_eq!(shared.1.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn the_later_of_two_packets_counts() {
    model(|| {
        let both = Arc::new([Activity::new(), Activity::new()]);
        both.iter().for_each(|activity| activity.reset(START, 1));
        let packet = |after| Packet { now: Millis(START.0 + after), bytes: 1, segment: None };
        let other = Arc::clone(&both);
        let worker = thread::spawn(move || other[0].record(&other[1], 1, &packet(2000)));
        both[0].record(&both[1], 1, &packet(1000));
        worker.join().unwrap();
        assert_eq!(both[0].last(), Millis(START.0 + 2000));
    });
}

#[test]
fn of_two_inserts_of_one_flow_one_makes_the_pair_and_the_other_gets_it() {
    bounded(|| {
        let table = Arc::new(table(2));
        let other = Arc::clone(&table);
        let worker = thread::spawn(move || other.insert(&plain(UDP, 1), START));
        let own = table.insert(&plain(UDP, 1), START);
        match (own, worker.join().unwrap()) {
            (Ok(made), Err(InsertError::Exists(got))) | (Err(InsertError::Exists(got)), Ok(made)) => {
                assert_eq!(made.pair, got.pair);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(table.len(), 1);
    });
}

#[test]
fn a_lookup_beside_an_insert_finds_the_whole_pair_or_nothing() {
    bounded(|| {
        let table = Arc::new(table(1));
        let other = Arc::clone(&table);
        let new = translated(UDP, 1);
        let worker = thread::spawn(move || other.insert(&new, START).unwrap());
        if let Some(hit) = find(&table, &new.reverse.key) {
            assert_eq!(hit.action, new.reverse.action);
            assert_eq!(hit.rewrite.dport, new.forward.key.tuple.sport);
        }
        let made = worker.join().unwrap();
        assert_eq!(find(&table, &new.forward.key).map(|hit| hit.pair), Some(made.pair));
    });
}

#[test]
fn of_a_removal_and_a_sweep_one_takes_the_pair() {
    bounded(|| {
        let table = Arc::new(table(1));
        let made = table.insert(&plain(UDP, 1), START).unwrap();
        let other = Arc::clone(&table);
        let sweeper = thread::spawn(move || other.sweep(Millis(u64::MAX >> 24), 1, |_, _| true).expired);
        let removed = table.remove(made.pair);
        let expired = sweeper.join().unwrap();
        assert_eq!(usize::from(removed) + expired, 1);
        assert_eq!((table.len(), table.slots.free()), (0, 1));
        assert!(find(&table, &plain(UDP, 1).forward.key).is_none());
    });
}

#[test]
fn a_lookup_beside_a_removal_finds_the_pair_as_it_was_or_nothing() {
    bounded(|| {
        let table = Arc::new(table(1));
        let new = translated(UDP, 1);
        let made = table.insert(&new, START).unwrap();
        let other = Arc::clone(&table);
        let worker = thread::spawn(move || other.remove(made.pair));
        if let Some(hit) = find(&table, &new.forward.key) {
            assert_eq!((hit.pair, hit.action), (made.pair, new.forward.action));
            table.touch(&hit, START, 1, None);
        }
        assert!(worker.join().unwrap());
        assert!(find(&table, &new.forward.key).is_none());
    });
}
