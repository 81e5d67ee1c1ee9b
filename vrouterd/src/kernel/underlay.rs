//! From facts and route answers to [`Underlay`]. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use dataplane::desired::{Link, Reach, Underlay, Uplink};
use dataplane::ids::Mac;

use super::facts::{IfIndex, KernelFacts, Neighbour, Nud};
use super::uplink::{UplinkDevices, UplinkFault, check_up, find_uplink};

/// What the underlay is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnderlayQuery {
    /// Name of the uplink.
    pub uplink: String,
    /// This node's tunnel address: the source of everything we send.
    pub tunnel_address: IpAddr,
    /// Tunnel addresses of the other nodes.
    pub endpoints: BTreeSet<IpAddr>,
}

/// The kernel's decision about packets to one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RouteAnswer {
    /// They leave by a device towards a next hop (the gateway, or the endpoint itself).
    Hop {
        /// The device.
        device: IfIndex,
        /// The neighbour on it.
        next_hop: IpAddr,
    },
    /// They do not leave the node: no route, one that refuses, or an address of our own.
    #[default]
    None,
}

/// The kernel's decision about every endpoint that has been asked for.
pub type Routes = BTreeMap<IpAddr, RouteAnswer>;

/// A neighbour that packets go to.
pub type NextHop = (IfIndex, IpAddr);

/// The neighbours that the endpoints are reached by.
pub fn next_hops(facts: &KernelFacts, query: &UnderlayQuery, routes: &Routes) -> BTreeSet<NextHop> {
    let Ok(devices) = find_uplink(facts, &query.uplink, query.tunnel_address) else {
        return BTreeSet::new();
    };
    query.endpoints.iter().filter_map(|endpoint| hop_over(devices, routes.get(endpoint))).collect()
}

/// The underlay as it is now. `failed` are next hops that did not answer when last asked.
pub fn underlay(
    facts: &KernelFacts,
    query: &UnderlayQuery,
    routes: &Routes,
    failed: &BTreeSet<NextHop>,
) -> Underlay {
    let devices = find_uplink(facts, &query.uplink, query.tunnel_address);
    let reach = |endpoint: &IpAddr| {
        let Ok(devices) = devices else { return Reach::NoRoute };
        match hop_over(devices, routes.get(endpoint)) {
            Some(next_hop) => reach(facts.neighbours.get(&next_hop), failed.contains(&next_hop)),
            None => Reach::NoRoute,
        }
    };
    let tunnels = query.endpoints.iter().map(|endpoint| (*endpoint, reach(endpoint))).collect();
    Underlay { uplink: uplink(facts, query, &devices), tunnels, ..Underlay::default() }
}

fn hop_over(devices: UplinkDevices, route: Option<&RouteAnswer>) -> Option<NextHop> {
    match route {
        Some(RouteAnswer::Hop { device, next_hop }) if *device == devices.layer3 => {
            Some((*device, *next_hop))
        }
        Some(RouteAnswer::Hop { .. } | RouteAnswer::None) | None => None,
    }
}

fn uplink(
    facts: &KernelFacts,
    query: &UnderlayQuery,
    devices: &Result<UplinkDevices, UplinkFault>,
) -> Option<Uplink> {
    let (link, vlan) = match devices {
        Ok(devices) => (facts.links.get(&devices.layer3)?, devices.vlan),
        Err(_) => (facts.link_named(&query.uplink)?, None),
    };
    let state = match devices {
        Ok(devices) => check_up(facts, *devices),
        Err(fault) => Err(fault.clone()),
    };
    let link_state = match (state, link.mac) {
        (Ok(()), Some(_)) => Link::Up,
        (Ok(()), None) => Link::Down(format!("{} has no Ethernet address", link.name)),
        (Err(fault), _) => Link::Down(fault.to_string()),
    };
    // A device can carry more than an IP packet can be long.
    let mtu = u16::try_from(link.mtu).unwrap_or(u16::MAX);
    Some(Uplink { mac: link.mac.unwrap_or(Mac([0; 6])), mtu, vlan, link: link_state })
}

fn reach(neighbour: Option<&Neighbour>, has_failed: bool) -> Reach {
    let unanswered = if has_failed { Reach::Failed } else { Reach::Unresolved };
    let Some(neighbour) = neighbour else { return unanswered };
    match neighbour.state {
        Nud::Failed => Reach::Failed,
        Nud::None | Nud::Incomplete => unanswered,
        Nud::Reachable | Nud::Stale | Nud::Delay | Nud::Probe | Nud::NoArp | Nud::Permanent => {
            neighbour.mac.filter(|mac| !mac.is_zero()).map_or(unanswered, Reach::Via)
        }
    }
}

#[cfg(test)]
mod tests;
