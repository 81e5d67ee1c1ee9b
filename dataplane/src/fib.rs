//! One VRF: longest-prefix match to next hops, and the services in it.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ahash::RandomState;
use flow_table::{Addr, Family};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;

use crate::ecmp::{Group, Member};
use crate::ids::{CellId, VrfId, VrfName};
use crate::nat::Edge;
use crate::service::ServiceAddress;

/// Where a prefix leads.
#[derive(Clone, Debug, PartialEq)]
pub enum NextHop {
    /// One or more vifs and tunnels.
    Group(Group),
    /// A service address: the port decides.
    Service,
    /// A public address of a pod: the pod, and the address it has itself.
    Floating(Member, Addr),
    /// An address that sources are translated to: only answers come to it.
    Pool,
    /// Look up once more in this VRF.
    Vrf(VrfId),
    /// Drop.
    Discard,
}

/// The routes of a VRF but for its service addresses. Immutable, and shared by snapshots.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Routes {
    v4: PrefixMap<Ipv4Net, NextHop>,
    v6: PrefixMap<Ipv6Net, NextHop>,
    pub(crate) edge: Edge,
}

impl Routes {
    /// A table of these; of equal prefixes the last one counts.
    pub fn new(routes: impl IntoIterator<Item = (IpNet, NextHop)>) -> Self {
        let mut table = Self::default();
        for (prefix, next_hop) in routes {
            match prefix {
                IpNet::V4(prefix) => drop(table.v4.insert(prefix, next_hop)),
                IpNet::V6(prefix) => drop(table.v6.insert(prefix, next_hop)),
            }
        }
        table
    }

    /// These with what becomes of sources at the edge of the VRF.
    pub(crate) fn with_edge(self, edge: Edge) -> Self {
        Self { edge, ..self }
    }

    /// The members of all next hops, some more than once.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> + '_ {
        self.v4.values().chain(self.v6.values()).flat_map(|next_hop| match next_hop {
            NextHop::Group(group) => group.members(),
            NextHop::Floating(member, _) => std::slice::from_ref(member),
            NextHop::Service | NextHop::Pool | NextHop::Vrf(_) | NextHop::Discard => &[],
        })
    }
}

/// The services of a VRF by address.
pub type Services = HashMap<(Family, Addr), ServiceAddress, RandomState>;

/// A private routing table. Immutable once published.
#[derive(Clone, Debug)]
pub struct Vrf {
    /// Its index in the snapshot.
    pub id: VrfId,
    /// Its name.
    pub name: VrfName,
    /// What flows through it rest on.
    pub cells: VrfCells,
    /// Its routes.
    pub(crate) routes: Arc<Routes>,
    /// Its services. Their addresses are host routes, so that they come before all others.
    pub(crate) services: Arc<Services>,
}

/// The epochs of a VRF, from narrow to wide. One service alone has [`ServiceAddress::cell`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VrfCells {
    /// Moves when a route changes, or a service address comes or goes.
    pub routes: CellId,
    /// Moves when anything changes.
    pub whole: CellId,
}

impl Vrf {
    /// A VRF of these tables.
    pub fn new(
        id: VrfId,
        name: VrfName,
        cells: VrfCells,
        routes: Arc<Routes>,
        services: Arc<Services>,
    ) -> Self {
        Self { id, name, cells, routes, services }
    }

    /// The longest match.
    pub fn lookup(&self, family: Family, dst: Addr) -> Option<&NextHop> {
        self.matched(family, dst).map(|(_, next_hop)| next_hop)
    }

    /// The longest match with its prefix.
    pub fn matched(&self, family: Family, dst: Addr) -> Option<(IpNet, &NextHop)> {
        if self.services.contains_key(&(family, dst)) {
            return Some((IpNet::from(ip_addr(family, dst)), &NextHop::Service));
        }
        match family {
            Family::V4 => {
                let host = Ipv4Net::from(Ipv4Addr::from_bits(dst.0 as u32));
                self.routes.v4.get_lpm(&host).map(|(prefix, next_hop)| (IpNet::V4(prefix), next_hop))
            }
            Family::V6 => {
                let host = Ipv6Net::from(Ipv6Addr::from_bits(dst.0));
                self.routes.v6.get_lpm(&host).map(|(prefix, next_hop)| (IpNet::V6(prefix), next_hop))
            }
        }
    }

    /// The service at an address.
    pub fn service(&self, family: Family, address: Addr) -> Option<&ServiceAddress> {
        self.services.get(&(family, address))
    }

    /// What becomes of the sources of packets that other VRFs lead into this one.
    pub fn edge(&self) -> &Edge {
        &self.routes.edge
    }

    /// All routes, IPv4 first, in the order of prefixes. For the operator.
    pub fn routes(&self) -> impl Iterator<Item = (IpNet, &NextHop)> + '_ {
        let v4 = self.routes.v4.iter().map(|(prefix, next_hop)| (IpNet::V4(prefix), next_hop));
        let v6 = self.routes.v6.iter().map(|(prefix, next_hop)| (IpNet::V6(prefix), next_hop));
        let services = self.services().map(|(address, _)| (IpNet::from(address), &NextHop::Service));
        // A later entry replaces an equal prefix, as the lookup has it.
        v4.chain(v6).chain(services).collect::<BTreeMap<_, _>>().into_iter()
    }

    /// All services in no particular order. For the operator.
    pub fn services(&self) -> impl Iterator<Item = (IpAddr, &ServiceAddress)> + '_ {
        self.services.iter().map(|((family, addr), service)| (ip_addr(*family, *addr), service))
    }
}

/// Splits an address into what flow keys hold.
pub fn family_and_addr(address: IpAddr) -> (Family, Addr) {
    match address {
        IpAddr::V4(v4) => (Family::V4, Addr::from_v4(v4.octets())),
        IpAddr::V6(v6) => (Family::V6, Addr::from_v6(v6.octets())),
    }
}

/// The other way round.
pub fn ip_addr(family: Family, addr: Addr) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::from_bits(addr.0 as u32)),
        Family::V6 => IpAddr::V6(Ipv6Addr::from_bits(addr.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vrf(routes: &[(&str, u16)]) -> Vrf {
        let routes =
            routes.iter().map(|(prefix, target)| (prefix.parse().unwrap(), NextHop::Vrf(VrfId(*target))));
        let cells = VrfCells { routes: CellId(0), whole: CellId(1) };
        let routes = Arc::new(Routes::new(routes));
        Vrf::new(VrfId(0), "blue".into(), cells, routes, Arc::default())
    }

    fn hit(vrf: &Vrf, address: &str) -> Option<u16> {
        let (family, addr) = family_and_addr(address.parse().unwrap());
        vrf.lookup(family, addr).map(|next_hop| match next_hop {
            NextHop::Vrf(VrfId(n)) => *n,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn the_longest_prefix_wins_in_each_family() {
        let vrf = vrf(&[
            ("0.0.0.0/0", 1),
            ("10.0.0.0/8", 2),
            ("10.1.0.0/16", 3),
            ("10.1.2.3/32", 4),
            ("fd00::/8", 5),
        ]);
        assert_eq!(hit(&vrf, "192.0.2.1"), Some(1));
        assert_eq!(hit(&vrf, "10.2.0.1"), Some(2));
        assert_eq!(hit(&vrf, "10.1.0.1"), Some(3));
        assert_eq!(hit(&vrf, "10.1.2.3"), Some(4));
        assert_eq!(hit(&vrf, "fd00::1"), Some(5));
        assert_eq!(hit(&vrf, "2001:db8::1"), None);
    }
}
