use dataplane::ids::{TunnelId, VifId, VifSlot, VrfId};
use flow_table::{
    Action, Addr, Context, Dependency, Family, FlowKey, Half, NewPair, Output, Progress, Source, Trace, Ttl,
    Tuple,
};
use proptest::prelude::*;

use super::*;

const BOOT: BootId = BootId([7; 16]);
const WRITTEN: Millis = Millis(5_000_000);
const SPREAD: SpreadSeeds = [1, u64::MAX, 3, 4];

fn roster() -> Roster {
    Roster {
        vifs: vec![(VifId(70_000), VifSlot::new(4094).unwrap(), "web-ü".into())],
        vrfs: vec![(VrfId(65_535), "blue".into()), (VrfId(0), "".into())],
        tunnels: vec![
            (TunnelId(9), "fd00:30::2".parse().unwrap()),
            (TunnelId(1), "172.30.0.2".parse().unwrap()),
        ],
    }
}

fn pair(n: u64, family: Family, output: Output, source: Source) -> Carried {
    let most = match family {
        Family::V4 => u128::from(u32::MAX),
        Family::V6 => u128::MAX,
    };
    let tuple = Tuple {
        family,
        protocol: n as u8,
        src: Addr(most - 1),
        dst: Addr(u128::from(n)),
        sport: 1,
        dport: 65_535,
    };
    let half = |tuple| Half {
        key: FlowKey { context: Context(u32::MAX - n as u32), tuple },
        action: Action { output, source, ttl: Ttl::Keep, depends: Dependency::STALE },
    };
    let trace = |last| Trace { last: Millis(last), progress: Progress::from_bits(n as u8) };
    Carried {
        pair: NewPair { forward: half(tuple), reverse: half(tuple.reversed()), owner: 8000 },
        created: Millis(n),
        traces: [trace(n + 1), trace(u64::MAX)],
    }
}

fn pairs() -> Vec<Carried> {
    vec![
        pair(1, Family::V4, Output::Vif { slot: 4094 }, Source::Any),
        pair(2, Family::V6, Output::Tunnel { tunnel: 65_535, label: 1_048_575 }, Source::Vif),
        pair(30, Family::V6, Output::Drop { reason: 255 }, Source::Tunnel(65_535)),
    ]
}

struct Dir {
    _directory: tempfile::TempDir,
    file: JournalFile,
}

fn dir() -> Dir {
    let directory = tempfile::tempdir().unwrap();
    let file = JournalFile::in_directory(&directory.path().join("state"));
    Dir { _directory: directory, file }
}

fn write(file: &JournalFile, pairs: &[Carried]) {
    let mut pass = file.begin(BOOT, SPREAD).unwrap();
    pairs.iter().for_each(|pair| pass.add(pair).unwrap());
    file.finish(pass, &roster(), WRITTEN).unwrap();
}

fn bytes() -> Vec<u8> {
    let dir = dir();
    write(&dir.file, &pairs());
    fs::read(dir.file.path()).unwrap()
}

#[test]
fn what_is_written_is_read() {
    let dir = dir();
    assert!(dir.file.read(BOOT, WRITTEN, 10).unwrap().is_none(), "there is none yet");
    write(&dir.file, &pairs());
    let journal = dir.file.read(BOOT, Millis(WRITTEN.0 + 1), 10).unwrap().unwrap();
    assert_eq!(journal, Journal { spread: SPREAD, roster: roster(), pairs: pairs() });
    write(&dir.file, &[]);
    assert_eq!(dir.file.read(BOOT, WRITTEN, 10).unwrap().unwrap().pairs, []);
    let names: Vec<_> =
        fs::read_dir(&dir.file.directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["flows"]);
}

#[test]
fn a_pair_takes_no_more_bytes_than_is_said() {
    let mut buffer = Vec::new();
    Writer(&mut buffer).pair(&pairs()[1]);
    assert_eq!(buffer.len(), MOST_PAIR);
    buffer.clear();
    Writer(&mut buffer).pair(&pairs()[0]);
    assert_eq!(buffer.len(), 82, "docs/operations.md says how much a journal takes");
}

#[test]
fn one_of_another_boot_version_program_or_time_is_refused() {
    let good = bytes();
    let say = |bytes: &[u8], boot, now| decode(bytes, boot, now).unwrap_err().to_string();
    assert_eq!(say(&good, BootId([8; 16]), WRITTEN), "it is of another boot of this machine");
    assert_eq!(say(&good, BOOT, Millis(WRITTEN.0 - 1)), "it was written in the future");
    assert_eq!(say(&good, BOOT, Millis(WRITTEN.0 + 3_601_000)), "it is 3601 s old, more than 3600 s");
    let mut newer = good.clone();
    newer[8] = 2;
    assert_eq!(say(&newer, BOOT, WRITTEN), "it is of version 2, this daemon reads version 1");
    assert_eq!(say(b"", BOOT, WRITTEN), "it is no journal of flows");
    assert_eq!(say(b"#!/bin/sh\n", BOOT, WRITTEN), "it is no journal of flows");
    let longer = [&good[..], b"x"].concat();
    assert_eq!(say(&longer, BOOT, WRITTEN), "it is damaged or cut");
}

#[test]
fn one_that_is_cut_anywhere_is_refused() {
    let good = bytes();
    for len in 0..good.len() {
        assert!(decode(&good[..len], BOOT, WRITTEN).is_err(), "{len} bytes");
    }
}

#[test]
fn one_with_a_flipped_bit_is_refused() {
    let good = bytes();
    for bit in 0..8 * good.len() {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(decode(&bad, BOOT, WRITTEN).is_err(), "bit {bit}");
    }
}

#[test]
fn one_that_is_larger_than_any_is_not_even_read() {
    let dir = dir();
    write(&dir.file, &[]);
    let file = File::options().write(true).open(dir.file.path()).unwrap();
    file.set_len(1 << 40).unwrap();
    assert!(matches!(dir.file.read(BOOT, WRITTEN, 1000), Err(JournalError::TooLarge { .. })));
}

#[test]
fn one_that_is_not_used_is_put_aside_and_takes_the_place_of_the_last() {
    let dir = dir();
    for text in ["first", "second"] {
        fs::create_dir_all(&dir.file.directory).unwrap();
        fs::write(dir.file.path(), text).unwrap();
        assert_eq!(crate::journal::take_up(&dir.file, BOOT, WRITTEN, 10), None);
        assert_eq!(fs::read_to_string(dir.file.directory.join(BAD)).unwrap(), text);
        assert!(!dir.file.path().exists());
    }
}

proptest! {
    /// A checksum that fits is no proof of sense.
    #[test]
    fn bytes_with_a_right_checksum_do_no_harm(mut body: Vec<u8>, honest: bool) {
        let mut bytes = bytes()[..60].to_vec();
        if honest {
            let mut whole = bytes_without_checksum();
            whole.splice(60..60, body);
            body = whole.split_off(60);
        }
        bytes.append(&mut body);
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        drop(decode(&bytes, BOOT, WRITTEN));
    }
}

fn bytes_without_checksum() -> Vec<u8> {
    let mut bytes = bytes();
    bytes.truncate(bytes.len() - 4);
    bytes
}
