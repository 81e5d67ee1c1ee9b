//! Which tunnel an outer source address is of. Asked for every packet from another node, so it is one
//! multiplication and mostly one line of memory; the addresses are the operator's, so they need no seeded hash.

use flow_table::{Addr, Family};

use crate::ids::TunnelId;

/// Places for each address.
const ROOM: usize = 4;

/// Tunnels by the address of the other node, with linear probing.
#[derive(Debug)]
pub(crate) struct Peers {
    /// A power of two, most of them empty.
    places: Box<[Option<Peer>]>,
}

#[derive(Clone, Copy, Debug)]
struct Peer {
    address: Addr,
    family: Family,
    tunnel: TunnelId,
}

impl Peers {
    pub(crate) fn new(tunnels: impl ExactSizeIterator<Item = ((Family, Addr), TunnelId)>) -> Self {
        let count = (tunnels.len() * ROOM).next_power_of_two().max(ROOM);
        let mut places = vec![None; count];
        for ((family, address), tunnel) in tunnels {
            let probed = (0..count).map(|step| (place(address).wrapping_add(step)) & (count - 1));
            let free = probed.into_iter().find(|at| places.get(*at).is_some_and(Option::is_none));
            if let Some(free) = free.and_then(|at| places.get_mut(at)) {
                *free = Some(Peer { address, family, tunnel });
            }
        }
        Self { places: places.into() }
    }

    #[inline(always)]
    pub(crate) fn get(&self, family: Family, address: Addr) -> Option<TunnelId> {
        let mask = self.places.len() - 1;
        let mut at = place(address) & mask;
        loop {
            let peer = self.places.get(at)?.as_ref()?;
            if peer.address == address && peer.family == family {
                return Some(peer.tunnel);
            }
            // There are more places than peers, so an empty one comes.
            at = (at + 1) & mask;
        }
    }
}

#[inline(always)]
fn place(Addr(address): Addr) -> usize {
    let folded = (address >> 64) as u64 ^ address as u64;
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_is_found_and_no_other() {
        for count in [0u16, 1, 2, 3, 250, 10_000] {
            let v4 = |n: u16| (Family::V4, Addr(0xac1e_0000 + u128::from(n)));
            let v6 = |n: u16| (Family::V6, Addr(0xfd00 << 112 | u128::from(n)));
            let of = |n: u16| if n.is_multiple_of(2) { v4(n) } else { v6(n) };
            let all: Vec<_> = (0..count).map(|n| (of(n), TunnelId(n))).collect();
            let peers = Peers::new(all.iter().copied());
            for ((family, address), tunnel) in all {
                assert_eq!(peers.get(family, address), Some(tunnel));
                let other = if family == Family::V4 { Family::V6 } else { Family::V4 };
                assert_eq!(peers.get(other, address), None);
            }
            assert_eq!(peers.get(Family::V4, Addr(0x0a00_0001)), None);
        }
    }
}
