//! Several threads at once, each test about a quarter of a second.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::fixtures::{START, UDP, action, assert_law, config, find, keep_all, plain, table, translated};
use crate::{Context, FlowKey, FlowTable, Hit, InsertError, Millis, NewPair, Output, TableConfig};

const RUN: Duration = Duration::from_millis(250);

/// The pair `n` with actions that name it, so that a mix of two pairs shows.
fn named(n: u32) -> NewPair {
    let mut pair = translated(UDP, n);
    pair.forward.action = action(n as u16);
    pair.reverse.action = action(!(n as u16));
    pair.reverse.key.tuple.src.0 += u128::from(n) << 8;
    pair
}

#[test]
fn of_two_that_insert_the_same_pair_one_wins_and_the_other_gets_it() {
    let table = table(64);
    let start = Barrier::new(2);
    let wins = AtomicU64::new(0);
    let worker = |mirrored: bool| {
        for n in 0..3000 {
            let new = plain(UDP, n % 50);
            let new =
                if mirrored { NewPair { forward: new.reverse, reverse: new.forward, ..new } } else { new };
            start.wait();
            let hit = match table.insert(&new, START) {
                Ok(hit) => {
                    wins.fetch_add(1, Ordering::Relaxed);
                    hit
                }
                Err(InsertError::Exists(hit)) => hit,
                Err(error) => panic!("{error}"),
            };
            assert_eq!(hit.action, new.forward.action);
            start.wait();
            // Both try to remove it; one does.
            table.remove(hit.pair);
        }
    };
    for mirrored in [false, true] {
        thread::scope(|scope| {
            scope.spawn(|| worker(false));
            scope.spawn(|| worker(mirrored));
        });
    }
    assert_eq!(wins.load(Ordering::Relaxed), 6000);
    assert_eq!((table.statistics().created, table.statistics().purged), (6000, 6000));
    assert_law(&table);
}

#[test]
fn of_two_that_want_the_same_answers_one_wins() {
    let table = table(64);
    let start = Barrier::new(2);
    let wins = AtomicU64::new(0);
    let worker = |flow: u32| {
        for n in 0..3000 {
            let mut new = translated(UDP, n % 50);
            new.forward.key.context = Context(flow);
            start.wait();
            let made = table.insert(&new, START);
            match &made {
                Ok(_) => _ = wins.fetch_add(1, Ordering::Relaxed),
                Err(error) => assert_eq!(*error, InsertError::ReverseTaken),
            }
            start.wait();
            assert!(made.is_err() || made.is_ok_and(|hit| table.remove(hit.pair)));
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| worker(1));
        scope.spawn(|| worker(2));
    });
    assert_eq!(wins.load(Ordering::Relaxed), 3000);
    assert_law(&table);
}

#[test]
fn a_lookup_never_mixes_two_pairs() {
    // Few slots, so that each is used again and again by other keys.
    let table = table(3);
    let stop = AtomicBool::new(false);
    let hits = AtomicU64::new(0);
    let churn = || {
        for n in (0..40).cycle() {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            if let Ok(hit) = table.insert(&named(n), START) {
                table.remove(hit.pair);
            }
        }
    };
    // Begun now and finished after the others had time to give the slot to another pair, or to the same again.
    let search = |key: &FlowKey| {
        let search = table.begin(table.hash(key));
        std::hint::black_box(table.prefetch_pair(&search));
        thread::yield_now();
        table.finish(&search, key)
    };
    let look = |found: &dyn Fn(&FlowKey) -> Option<Hit>| {
        for n in (0..40).cycle() {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let pair = named(n);
            for (this, other) in [(pair.forward, pair.reverse), (pair.reverse, pair.forward)] {
                let Some(hit) = found(&this.key) else { continue };
                hits.fetch_add(1, Ordering::Relaxed);
                let wanted = other.key.tuple.reversed();
                assert_eq!(hit.action, this.action);
                assert_eq!((hit.rewrite.src, hit.rewrite.dst), (wanted.src, wanted.dst));
                assert_eq!((hit.rewrite.sport, hit.rewrite.dport), (wanted.sport, wanted.dport));
                let keys = table.keys(hit.pair);
                assert!(keys.is_none() || keys == Some((pair.forward.key, pair.reverse.key)));
                table.touch(&hit, START, 1, None);
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(churn);
        scope.spawn(churn);
        scope.spawn(|| look(&|key| find(&table, key)));
        scope.spawn(|| look(&search));
        thread::sleep(RUN);
        stop.store(true, Ordering::Relaxed);
    });
    assert!(hits.load(Ordering::Relaxed) > 0, "the reader met no pair");
    assert_law(&table);
}

#[test]
fn a_lookup_sees_both_words_of_an_action_or_neither() {
    let table = table(2);
    let new = plain(UDP, 1);
    let made = table.insert(&new, START).unwrap();
    assert!(table.replace(made.pair, action(0), action(1)));
    let stop = AtomicBool::new(false);
    let write = |n: u16| {
        while !stop.load(Ordering::Relaxed) {
            assert!(table.replace(made.pair, action(n), action(n + 1)));
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| write(10));
        scope.spawn(|| write(20));
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let Some((forward, reverse)) = table.actions(made.pair) else { continue };
                let Output::Tunnel { tunnel, .. } = forward.output else { panic!("{forward:?}") };
                assert_eq!((forward, reverse), (action(tunnel), action(tunnel + 1)));
            }
        });
        thread::sleep(RUN);
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn everything_at_once_keeps_the_books() {
    let table = FlowTable::new(TableConfig { max_per_owner: 30, ..config(64) }, [5, 6, 7, 8]);
    let clock = AtomicU64::new(START.0);
    let start = Instant::now();
    // A busy machine may not run the sweeping thread in so short a time; then go on, within bounds.
    let enough = || {
        let statistics = table.statistics();
        let seen = statistics.created > 1000 && statistics.expired > 10 && statistics.purged > 10;
        start.elapsed() > 8 * RUN || start.elapsed() > RUN && seen
    };
    let work = |seed: u32| {
        let mut n = seed;
        while !enough() {
            n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let new = NewPair { owner: (n >> 30) as u16, ..named(n >> 8 & 0x7f) };
            let now = Millis(clock.load(Ordering::Relaxed));
            let hit = match find(&table, &new.forward.key) {
                Some(hit) => Some(hit),
                None => match table.insert(&new, now) {
                    Ok(hit) | Err(InsertError::Exists(hit)) => Some(hit),
                    // In so small an index two full buckets do happen by chance, one time in many million.
                    Err(InsertError::TableFull | InsertError::OwnerLimit | InsertError::BucketFull) => None,
                    Err(error @ InsertError::ReverseTaken) => panic!("{error}"),
                },
            };
            let Some(hit) = hit else { continue };
            assert_eq!(hit.rewrite.dport, 8080);
            table.touch(&hit, now, 64, None);
            if n >> 16 & 7 == 0 {
                table.remove(hit.pair);
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| work(1));
        scope.spawn(|| work(2));
        scope.spawn(|| {
            while !enough() {
                let now = Millis(clock.fetch_add(10_000, Ordering::Relaxed));
                table.sweep(now, 16, keep_all);
            }
        });
    });
    let statistics = table.statistics();
    assert!(statistics.created > 1000 && statistics.expired > 10 && statistics.purged > 10, "{statistics:?}");
    assert_law(&table);
}
