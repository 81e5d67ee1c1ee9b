//! Routes that were read before.
//!
//! A node has many more routes than anything else, and one of them changes at a time. What a route says of itself has
//! been judged when it was read; what it has to do with others is claimed anew each time.

use core::net::IpAddr;

use dataplane::desired::{HopTarget, Route, RouteTarget};

use super::super::place::Place;
use super::Ledger;

impl Ledger<'_> {
    /// Claims what [`route`](super::super::route::route) does for a declared route; no if it would find a mistake.
    pub(in crate::config) fn admit(&mut self, route: &Route, place: &Place) -> bool {
        let has = |ledger: &Self, vrf: &dataplane::ids::VrfName| ledger.vrfs.contains_key(vrf.as_str());
        let leads_somewhere = match &route.target {
            RouteTarget::Hops(hops) => hops.iter().all(|hop| match &hop.to {
                // Programs may name vifs that are not there.
                HopTarget::Vif(_) => true,
                HopTarget::Tunnel { node, .. } => self.admit_endpoint(*node, place),
            }),
            RouteTarget::Vrf(other) => has(self, other),
            RouteTarget::Discard => true,
        };
        leads_somewhere && has(self, &route.vrf) && self.admit_prefix(route, place)
    }

    fn admit_endpoint(&mut self, endpoint: IpAddr, place: &Place) -> bool {
        self.endpoints.entry(endpoint).or_insert_with(|| place.clone());
        self.tunnel_address.is_none_or(|own| own != endpoint && own.is_ipv4() == endpoint.is_ipv4())
    }

    fn admit_prefix(&mut self, route: &Route, place: &Place) -> bool {
        let net = route.prefix;
        let is_first = self.prefixes.insert((route.vrf.clone(), net), place.clone()).is_none();
        let is_host = net.prefix_len() == net.max_prefix_len();
        is_first && !(is_host && self.owner(&route.vrf, net.network()).is_some())
    }
}
