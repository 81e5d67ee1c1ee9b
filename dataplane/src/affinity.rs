//! Which backend served a client last, for services that keep their clients (session affinity).
//!
//! A set-associative table of atomics in fixed memory, shared by the workers without locks. It may
//! forget, never mix up: an entry is two words, the first of them the client's hash xor the
//! second, so that words of two entries that met do not fit together (the lock-less transposition
//! table of Hyatt and Mann, 2002).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ahash::RandomState;
use flow_table::{Addr, Family, Millis};

use crate::ids::VrfId;

/// Clients remembered on a node: 2 MiB. A client of a service counts once for each such service; a
/// node whose pods have more at a time forgets those that would expire first.
pub const CLIENTS: usize = 1 << 17;

/// Entries of a set: one cache line.
const WAYS: usize = 4;
/// Bits of an entry that hold the time of expiry: 34 years in milliseconds.
const TIME_BITS: u32 = 40;

/// A client of a service address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    /// The service's VRF.
    pub vrf: VrfId,
    /// Family of both addresses.
    pub family: Family,
    /// The service's address.
    pub service: Addr,
    /// The client's address.
    pub address: Addr,
}

/// What is kept of a backend's identity (see [`crate::ecmp::Member::identity`]). Two backends of a
/// service share one by a chance of one in 16 million; a client is then still served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(u32);

impl Fingerprint {
    /// The fingerprint of a member with this identity.
    pub const fn of(identity: u64) -> Self {
        Self((identity >> TIME_BITS) as u32)
    }
}

/// An entry; all zero is empty, as the time of expiry of another never is.
#[derive(Debug)]
struct Entry {
    check: AtomicU64,
    value: AtomicU64,
}

/// Fingerprint (24) | time of expiry (40).
#[derive(Clone, Copy)]
struct Value(u64);

impl Value {
    fn new(backend: Fingerprint, expires: Millis) -> Self {
        Self(u64::from(backend.0) << TIME_BITS | expires.0.clamp(1, (1 << TIME_BITS) - 1))
    }

    fn expires(self) -> Millis {
        Millis(self.0 & ((1 << TIME_BITS) - 1))
    }

    fn backend(self) -> Fingerprint {
        Fingerprint::of(self.0)
    }
}

impl Entry {
    fn of(&self, hash: u64) -> Option<Value> {
        let value = Value(self.value.load(Relaxed));
        (self.check.load(Relaxed) ^ value.0 == hash && value.0 != 0).then_some(value)
    }

    fn store(&self, hash: u64, value: Value) {
        self.check.store(hash ^ value.0, Relaxed);
        self.value.store(value.0, Relaxed);
    }
}

/// The clients of a node.
#[derive(Debug)]
pub struct AffinityTable {
    sets: Box<[Set]>,
    seed: RandomState,
}

#[derive(Debug)]
#[repr(align(64))]
struct Set([Entry; WAYS]);

impl AffinityTable {
    /// Room for `clients`, rounded up to a power of two. `seed` must be random: who knows it can
    /// choose addresses that push others out.
    pub fn new(clients: usize, seed: RandomState) -> Self {
        let empty = || Entry { check: AtomicU64::new(0), value: AtomicU64::new(0) };
        let sets = clients.div_ceil(WAYS).next_power_of_two();
        Self { sets: (0..sets).map(|_| Set(std::array::from_fn(|_| empty()))).collect(), seed }
    }

    /// The backend to which a client belongs, unless that has expired.
    pub fn find(&self, client: &Client, now: Millis) -> Option<Fingerprint> {
        let hash = self.seed.hash_one(client);
        let value = self.set(hash)?.0.iter().find_map(|entry| entry.of(hash))?;
        (value.expires() > now).then(|| value.backend())
    }

    /// Gives a client to a backend until `expires`. In a full set the entry that would expire
    /// first gives way. Of two workers that meet in one entry one is forgotten.
    pub fn remember(&self, client: &Client, backend: Fingerprint, expires: Millis) {
        let hash = self.seed.hash_one(client);
        let Some(Set(entries)) = self.set(hash) else { return };
        let own = entries.iter().find(|entry| entry.of(hash).is_some());
        let first_to_expire =
            || entries.iter().min_by_key(|entry| Value(entry.value.load(Relaxed)).expires());
        if let Some(entry) = own.or_else(first_to_expire) {
            entry.store(hash, Value::new(backend, expires));
        }
    }

    fn set(&self, hash: u64) -> Option<&Set> {
        self.sets.get(hash as usize & (self.sets.len() - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(clients: usize) -> AffinityTable {
        AffinityTable::new(clients, RandomState::with_seeds(1, 2, 3, 4))
    }

    fn client(n: u128) -> Client {
        Client { vrf: VrfId(1), family: Family::V4, service: Addr(7), address: Addr(n) }
    }

    const A: Fingerprint = Fingerprint::of(0xaaaa_bbcc_dddd_eeee);
    const B: Fingerprint = Fingerprint::of(0x1111_2233_4444_5555);

    #[test]
    fn a_client_is_known_until_it_expires() {
        let table = table(64);
        assert_eq!(table.find(&client(1), Millis(0)), None);
        table.remember(&client(1), A, Millis(1000));
        assert_eq!(table.find(&client(1), Millis(999)), Some(A));
        assert_eq!(table.find(&client(1), Millis(1000)), None);
        table.remember(&client(1), B, Millis(3000));
        assert_eq!(table.find(&client(1), Millis(2999)), Some(B));
    }

    #[test]
    fn clients_services_and_vrfs_are_told_apart() {
        let table = table(64);
        table.remember(&client(1), A, Millis(1000));
        let others = [
            client(2),
            Client { vrf: VrfId(2), ..client(1) },
            Client { service: Addr(8), ..client(1) },
            Client { family: Family::V6, ..client(1) },
        ];
        for other in others {
            assert_eq!(table.find(&other, Millis(0)), None, "{other:?}");
        }
    }

    #[test]
    fn a_full_set_loses_the_one_that_expires_first() {
        let table = table(WAYS);
        let expiries = [400, 200, 300, 500];
        for (n, expires) in (0..).zip(expiries) {
            table.remember(&client(n), A, Millis(expires));
        }
        assert!((0..4).all(|n| table.find(&client(n), Millis(0)) == Some(A)));
        table.remember(&client(9), B, Millis(600));
        let known: Vec<_> = (0..4).map(|n| table.find(&client(n), Millis(0)).is_some()).collect();
        assert_eq!(known, [true, false, true, true]);
        assert_eq!(table.find(&client(9), Millis(0)), Some(B));
    }

    #[test]
    fn words_of_two_entries_do_not_fit_together() {
        let table = table(WAYS);
        table.remember(&client(1), A, Millis(1000));
        let torn = table.sets[0].0.iter().find(|entry| entry.value.load(Relaxed) != 0).unwrap();
        torn.value.store(Value::new(B, Millis(2000)).0, Relaxed);
        assert_eq!(table.find(&client(1), Millis(0)), None);
    }

    #[test]
    fn the_memory_is_what_the_constant_says() {
        assert_eq!(std::mem::size_of::<Set>(), 64);
        assert_eq!(table(CLIENTS).sets.len() * 64, 2 << 20);
    }
}
