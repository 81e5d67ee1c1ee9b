//! Which tunnel an outer source address is of. Asked for every packet from another node, so it is two multiplications
//! and mostly one line of memory. The addresses in the table are the operator's, so no stranger can make them
//! collide, and who asks for other addresses meets runs that are short.

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
            let probed = (0..count).map(|step| place(address, count).wrapping_add(step) & (count - 1));
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
        let mut at = place(address, self.places.len());
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

/// Where to look first among `count` places, a power of two. Each half of the address is spread on its own: in plans
/// for IPv6 they often differ in the same way.
#[inline(always)]
fn place(Addr(address): Addr, count: usize) -> usize {
    let spread = ((address >> 64) as u64 ^ 0x243f_6a88_85a3_08d3).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let spread = (spread ^ spread >> 32 ^ address as u64).wrapping_mul(0xd6e8_feb8_6659_fd93);
    // The upper bits of a product depend on all of both factors.
    ((u128::from(spread) * count as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(n: u32) -> (Family, Addr) {
        (Family::V4, Addr(0xac1e_0000 + u128::from(n)))
    }

    /// Plans in which nodes are numbered: in the host part, the subnet, both, rack and host.
    fn v6(plan: usize, n: u32) -> (Family, Addr) {
        let n = u128::from(n);
        let bits = match plan {
            0 => n,
            1 => n << 64,
            2 => n << 64 | n,
            3 => n << 48,
            _ => ((n / 100) << 64) | (n % 100),
        };
        (Family::V6, Addr(0x2001_0db8 << 96 | bits))
    }

    fn probes(peers: &Peers, (_, address): (Family, Addr)) -> usize {
        let start = place(address, peers.places.len());
        let run = (0..).map(|step| peers.places[(start + step) & (peers.places.len() - 1)]);
        1 + run.take_while(|peer| peer.is_some_and(|peer| peer.address != address)).count()
    }

    #[test]
    fn every_peer_is_found_and_no_other() {
        for count in [0, 1, 2, 3, 250, 10_000] {
            let of = |n: u32| if n.is_multiple_of(2) { v4(n) } else { v6(0, n) };
            let peers = Peers::new((0..count).map(|n| (of(n), TunnelId(n as u16))));
            for n in 0..count {
                let (family, address) = of(n);
                assert_eq!(peers.get(family, address), Some(TunnelId(n as u16)));
                let other = if family == Family::V4 { Family::V6 } else { Family::V4 };
                assert_eq!(peers.get(other, address), None);
            }
            assert_eq!(peers.get(Family::V4, Addr(0x0a00_0001)), None);
        }
    }

    #[test]
    fn however_nodes_are_numbered_few_places_are_looked_at() {
        for count in [250, 1000, 10_000] {
            for plan in 0..6 {
                let of = |n: u32| if plan == 5 { v4(n) } else { v6(plan, n) };
                let peers = Peers::new((0..count).map(|n| (of(n), TunnelId(n as u16))));
                let worst = (0..count).map(|n| probes(&peers, of(n))).max();
                assert!(worst < Some(12), "plan {plan}, {count} nodes: {worst:?}");
            }
        }
    }
}
