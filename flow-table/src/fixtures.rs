//! Keys, actions and tables for the tests.

use crate::{
    Action, Addr, Context, Dependency, Family, FlowKey, FlowTable, Half, Hit, Millis, NewPair, Output,
    Segment, Source, TableConfig, Timeouts, Ttl, Tuple,
};

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;

pub(crate) const START: Millis = Millis(1_000_000);

pub(crate) fn config(max_pairs: u32) -> TableConfig {
    TableConfig { max_pairs, max_per_owner: u32::MAX, max_owners: 4, timeouts: Timeouts::default() }
}

pub(crate) fn table(max_pairs: u32) -> FlowTable {
    FlowTable::new(config(max_pairs), [1, 2, 3, 4])
}

/// For a sweep that removes idle pairs only.
pub(crate) fn keep_all(_: &FlowKey, _: &FlowKey) -> bool {
    true
}

/// An action that names `n` in every field that has room for it.
pub(crate) fn action(n: u16) -> Action {
    Action {
        output: Output::Tunnel { tunnel: n, label: u32::from(n) << 4 },
        ttl: Ttl::Decrement,
        source: Source::Tunnel(n),
        depends: Dependency { cell: n.into(), epoch: n.into() },
    }
}

/// A key between 10.0.x.x and a service, different for each `n`.
pub(crate) fn key(protocol: u8, n: u32) -> FlowKey {
    let [_, a, b, _] = n.to_be_bytes();
    let tuple = Tuple {
        family: Family::V4,
        protocol,
        src: Addr::from_v4([10, 0, a, b]),
        dst: Addr::from_v4([172, 16, 0, 1]),
        sport: 1024 + (n & 0xff) as u16,
        dport: 80,
    };
    FlowKey { context: Context(7), tuple }
}

/// A pair without translation; the answers come in another context.
pub(crate) fn plain(protocol: u8, n: u32) -> NewPair {
    let forward = key(protocol, n);
    let reverse = FlowKey { context: Context(8), tuple: forward.tuple.reversed() };
    NewPair {
        forward: Half { key: forward, action: action(1) },
        reverse: Half { key: reverse, action: action(2) },
        owner: 0,
    }
}

/// A pair whose destination is translated to a pod, 192.168.0.9:8080.
pub(crate) fn translated(protocol: u8, n: u32) -> NewPair {
    let mut pair = plain(protocol, n);
    pair.reverse.key.tuple.src = Addr::from_v4([192, 168, 0, 9]);
    pair.reverse.key.tuple.sport = 8080;
    pair
}

pub(crate) fn owned(pair: NewPair, owner: u16) -> NewPair {
    NewPair { owner, ..pair }
}

pub(crate) fn find(table: &FlowTable, key: &FlowKey) -> Option<Hit> {
    table.lookup(table.hash(key), key)
}

pub(crate) fn after(millis: u64) -> Millis {
    Millis(START.0 + millis)
}

/// A packet of either direction, found by its key.
pub(crate) fn packet(table: &FlowTable, key: &FlowKey, now: Millis, segment: Option<Segment>) {
    let hit = find(table, key).unwrap();
    table.touch(&hit, now, 100, segment);
}

pub(crate) fn established(table: &FlowTable, new: &NewPair, now: Millis) {
    table.insert(new, now).unwrap();
    packet(table, &new.forward.key, now, Some(segment(SYN, 99, 0, 0)));
    packet(table, &new.reverse.key, now, Some(segment(SYN | ACK, 499, 100, 0)));
    packet(table, &new.forward.key, now, Some(segment(ACK, 100, 500, 0)));
}

/// A UDP pair with a packet of its reverse direction.
pub(crate) fn answered(table: &FlowTable, n: u32, now: Millis) {
    let new = plain(UDP, n);
    table.insert(&new, now).unwrap();
    packet(table, &new.reverse.key, now, None);
}

pub(crate) fn segment(flags: u8, seq: u32, ack: u32, payload: u32) -> Segment {
    Segment { flags, seq, ack, payload }
}

/// `created = live + expired + evicted + purged`, and live is what is really there.
pub(crate) fn assert_law(table: &FlowTable) {
    let statistics = table.statistics();
    let gone = statistics.expired + statistics.evicted + statistics.purged;
    assert_eq!(statistics.created, statistics.live + gone, "{statistics:?}");
    let seen = table.view(START, 0, usize::MAX, |_| true).len();
    assert_eq!((table.len(), statistics.live), (seen, seen as u64));
    let owned: u32 = (0..4).map(|owner| table.owner_len(owner)).sum();
    assert_eq!(owned as usize, seen);
    assert_eq!(table.slots.free() + seen, table.capacity(), "a slot is free or in use");
    assert_eq!(table.slots.taken(0..table.capacity()).count(), seen, "and known to be");
}
