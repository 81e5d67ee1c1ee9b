use std::fs;

use dataplane::compile::Compiler;
use dataplane::publish::Publisher;
use flow_table::{
    Action, Addr, Context, Dependency, Family, FlowKey, Half, NewPair, Output, TableConfig, Timeouts, Ttl,
    Tuple,
};

use super::*;
use crate::config;
use crate::journal::{adopt, take_up, zero};

const CONFIG: &str = "[node]\nname = \"a\"\nuplink = \"eth1\"\ntunnel_address = \"172.30.0.1\"\n[[vrf]]\nname = \"blue\"\n\
    [[vif]]\nname = \"web\"\nifname = \"veth1\"\nvrf = \"blue\"\naddresses = [\"10.0.0.1\"]\n\
    mac = \"02:00:00:00:00:01\"\nlabel = 17\n";

fn table(pairs: u32) -> Arc<FlowTable> {
    let config = TableConfig {
        max_pairs: pairs,
        max_per_owner: pairs,
        max_owners: 9000,
        timeouts: Timeouts::default(),
    };
    Arc::new(FlowTable::new(config, [1, 2, 3, 4]))
}

fn publisher() -> Publisher {
    let desired = config::parse("test", CONFIG).unwrap().desired(1500);
    Publisher::new(Compiler::default().compile(&desired).unwrap())
}

/// A flow from the vif to itself, different for each `n`.
fn pair(publisher: &Publisher, n: u32) -> NewPair {
    let vif = publisher.current().vifs().next().unwrap().clone();
    let tuple = Tuple {
        family: Family::V4,
        protocol: 17,
        src: Addr(0x0a00_0001),
        dst: Addr(n.into()),
        sport: 1,
        dport: 2,
    };
    let half = |tuple| Half {
        key: FlowKey { context: Context(vif.id.0), tuple },
        action: Action {
            output: Output::Vif { slot: vif.slot.get() },
            ttl: Ttl::Keep,
            source: flow_table::Source::Vif,
            depends: Dependency::STALE,
        },
    };
    NewPair { forward: half(tuple), reverse: half(tuple.reversed()), owner: vif.slot.flow_owner() }
}

fn now(epoch: Instant) -> Millis {
    Millis(epoch.elapsed().as_millis() as u64)
}

/// A table of `pairs`, and its journal.
fn written(directory: &std::path::Path, publisher: &Publisher, pairs: u32) -> (Source, JournalFile) {
    let (file, epoch) = (JournalFile::in_directory(directory), zero());
    let source = Source { flows: table(pairs.max(1)), snapshots: publisher.shared(), spread: [5; 4], epoch };
    for n in 0..pairs {
        source.flows.insert(&pair(publisher, n), now(epoch)).unwrap();
    }
    (source, file)
}

#[test]
fn the_last_pass_holds_what_the_table_held_at_the_end() {
    let (directory, publisher) = (tempfile::tempdir().unwrap(), publisher());
    let (source, file) = written(directory.path(), &publisher, 3 * SLICE as u32);
    let mut keeper = Keeper::start(file.clone(), source.clone()).unwrap();
    keeper.finish();
    keeper.finish();
    let journal = take_up(&file, BootId::current(), now(source.epoch), 3 * SLICE as u32).unwrap();
    assert_eq!((journal.spread, journal.pairs.len()), ([5; 4], 3 * SLICE));

    let affinity = dataplane::affinity::AffinityTable::new(16, ahash::RandomState::new());
    let smaller = table(100);
    let adopted = adopt(&journal, &publisher.current(), &smaller, &affinity, now(source.epoch));
    assert_eq!((adopted.kept, adopted.unknown, adopted.refused), (100, 0, 3 * SLICE - 100));
}

#[test]
fn a_disk_that_says_no_is_tolerated_and_used_again_when_it_says_yes() {
    let (directory, publisher) = (tempfile::tempdir().unwrap(), publisher());
    let state = directory.path().join("state");
    // A directory can not be made where a file is.
    fs::write(&state, "in the way").unwrap();
    let (source, file) = written(&state, &publisher, 10);
    let mut scribe = Scribe { file: file.clone(), source, boot: BootId::current(), disk: Disk::Well };
    for _ in 0..2 {
        let written = scribe.write(|| {});
        assert!(written.is_err());
        scribe.note(written);
        assert!(scribe.disk == Disk::Failing);
    }
    fs::remove_file(&state).unwrap();
    let written = scribe.write(|| {});
    scribe.note(written);
    assert!(scribe.disk == Disk::Well);
    assert!(file.path().exists());
}

#[test]
fn a_keeper_that_is_dropped_writes_no_more() {
    let (directory, publisher) = (tempfile::tempdir().unwrap(), publisher());
    let (source, file) = written(directory.path(), &publisher, 10);
    let Keeper { last, ended, thread } = Keeper::start(file, source).unwrap();
    drop((last, ended));
    thread.unwrap().join().unwrap();
}

/// Prints what a million pairs cost: `cargo test --release -p vrouterd a_million -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn a_million_pairs() {
    let (directory, publisher) = (tempfile::tempdir_in("/dev/shm").unwrap(), publisher());
    let (source, file) = written(directory.path(), &publisher, 1_000_000);
    let epoch = source.epoch;
    let scribe = Scribe { file: file.clone(), source, boot: BootId::current(), disk: Disk::Well };
    let begun = Instant::now();
    scribe.write(|| {}).unwrap();
    println!("written in {:?}, {} bytes", begun.elapsed(), fs::metadata(file.path()).unwrap().len());
    let begun = Instant::now();
    let journal = take_up(&file, BootId::current(), now(epoch), 1_000_000).unwrap();
    println!("read in {:?}", begun.elapsed());
    let (new, affinity) =
        (table(1_000_000), dataplane::affinity::AffinityTable::new(16, ahash::RandomState::new()));
    let begun = Instant::now();
    let adopted = adopt(&journal, &publisher.current(), &new, &affinity, now(epoch));
    println!("{adopted:?} in {:?}", begun.elapsed());
    assert_eq!(adopted.kept, 1_000_000);
}
