//! What a VRF does to the sources of packets that routes of other VRFs lead into it.

use std::collections::{BTreeMap, BTreeSet};

use flow_table::{Addr, Family};

use crate::desired::{Mapping, PortRange};
use crate::ecmp::mix;
use crate::ids::VifSlot;

/// The translation at the edge of a VRF. Immutable once published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    /// Addresses for everybody.
    pub pool: Option<Pool>,
    /// Public addresses that stand for one address of a pod: the first one given to it.
    floating: BTreeMap<(VifSlot, Family, Addr), Addr>,
    /// The families of those.
    families: BTreeSet<Family>,
}

/// Addresses and ports that senders share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The addresses, each once.
    pub addresses: BTreeSet<(Family, Addr)>,
    /// Ports and echo identifiers.
    pub ports: PortRange,
    /// For which destinations a mapping holds.
    pub mapping: Mapping,
}

/// What becomes of the source of a packet that enters a VRF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewSource {
    /// Its own public address; the port stays.
    Floating(Addr),
    /// An address of the pool.
    Pool,
    /// Its family is translated here, but there is no address for it.
    Refused,
}

impl Edge {
    /// Adds a public address of a vif; of several for one address the first is what it sends from.
    pub(crate) fn add_floating(&mut self, slot: VifSlot, (family, inside): (Family, Addr), public: Addr) {
        self.floating.entry((slot, family, inside)).or_insert(public);
        self.families.insert(family);
    }

    /// What a packet from `inside` gets as its source; `vif` is its sender if that is one of this
    /// node. None where the family is not translated.
    pub(crate) fn source(&self, vif: Option<VifSlot>, family: Family, inside: Addr) -> Option<NewSource> {
        if let Some(public) = vif.and_then(|slot| self.floating.get(&(slot, family, inside))) {
            return Some(NewSource::Floating(*public));
        }
        let pool = self.pool.as_ref().filter(|pool| pool.addresses.iter().any(|(of, _)| *of == family));
        match pool {
            Some(_) => Some(NewSource::Pool),
            None if self.families.contains(&family) => Some(NewSource::Refused),
            None => None,
        }
    }
}

impl Pool {
    /// The address for a sender with this hash: always the same one (RFC 4787 REQ-2), and while
    /// the pool changes the same one for most (rendezvous hashing).
    pub(crate) fn address(&self, family: Family, sender: u64) -> Option<Addr> {
        let score = |addr: &Addr| mix(sender ^ mix((addr.0 >> 64) as u64 ^ addr.0 as u64));
        let own = self.addresses.iter().filter(|(of, _)| *of == family).map(|(_, addr)| *addr);
        own.max_by_key(score)
    }

    /// Whether an address and port could have been given out.
    pub(crate) fn has(&self, family: Family, addr: Addr, port: u16) -> bool {
        self.ports.contains(port) && self.addresses.contains(&(family, addr))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(addresses: impl IntoIterator<Item = u128>) -> Pool {
        Pool {
            addresses: addresses.into_iter().map(|addr| (Family::V4, Addr(addr))).collect(),
            ports: PortRange::new(1024, 2047).unwrap(),
            mapping: Mapping::AddressAndPortDependent,
        }
    }

    #[test]
    fn a_sender_keeps_its_address_unless_that_one_goes() {
        let (three, two) = (pool([7, 8, 9]), pool([7, 9]));
        let mut seen = BTreeSet::new();
        for sender in (0..300u64).map(mix) {
            let before = three.address(Family::V4, sender).unwrap();
            let after = two.address(Family::V4, sender).unwrap();
            assert!(before == after || before == Addr(8), "{before:?} became {after:?}");
            seen.insert(before);
        }
        assert_eq!(seen.len(), 3);
        assert_eq!(three.address(Family::V6, 1), None);
    }

    #[test]
    fn a_family_with_nothing_to_give_is_left_alone() {
        let slot = VifSlot::new(1).unwrap();
        let mut edge = Edge::default();
        assert_eq!(edge.source(Some(slot), Family::V4, Addr(1)), None);
        edge.add_floating(slot, (Family::V4, Addr(1)), Addr(100));
        edge.add_floating(slot, (Family::V4, Addr(1)), Addr(101));
        assert_eq!(edge.source(Some(slot), Family::V4, Addr(1)), Some(NewSource::Floating(Addr(100))));
        assert_eq!(edge.source(Some(slot), Family::V4, Addr(2)), Some(NewSource::Refused));
        assert_eq!(edge.source(None, Family::V4, Addr(1)), Some(NewSource::Refused));
        assert_eq!(edge.source(Some(slot), Family::V6, Addr(1)), None);
        edge.pool = Some(pool([7]));
        assert_eq!(edge.source(None, Family::V4, Addr(1)), Some(NewSource::Pool));
        assert_eq!(edge.source(Some(slot), Family::V6, Addr(1)), None);
    }
}
