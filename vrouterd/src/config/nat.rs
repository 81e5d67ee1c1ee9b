//! `source_nat` of a VRF and `floating_ips` of a vif: addresses that pods have elsewhere.

use core::net::IpAddr;
use std::collections::BTreeSet;

use dataplane::desired::{
    FloatingIp, HopTarget, Mapping, Nat, PortRange, Route, RouteTarget, SourcePool, Vrf,
};
use dataplane::ids::VrfName;

use super::ledger::{Ledger, Owner};
use super::model::Service;
use super::place::At;
use super::problem::{Reported, quote};
use super::scalar;
use super::section::{Item, Section};

/// Each new flow asks all of them.
const MOST_ADDRESSES: usize = 64;

/// What `source_nat` says; the VRF is known by its own table.
pub(super) struct Pool {
    addresses: Vec<At<IpAddr>>,
    ports: PortRange,
    mapping: Mapping,
}

pub(super) fn source_nat(item: &Item<'_>) -> Result<Pool, Reported> {
    let mut section = item.section()?;
    let addresses = section.required("addresses", "addresses = [\"192.0.2.1\"]", pool_addresses);
    let ports = section.or_default("ports", PortRange::UNPRIVILEGED, super::service::range);
    let mapping = section.or_default("mapping", Mapping::default(), |item| {
        let both = [Mapping::AddressAndPortDependent, Mapping::EndpointIndependent];
        scalar::choice(item, &both.map(|mapping| (mapping.name(), mapping)))
    });
    section.finish();
    Ok(Pool { addresses: addresses?.value, ports: ports?, mapping: mapping? })
}

fn pool_addresses(item: &Item<'_>) -> Result<Vec<At<IpAddr>>, Reported> {
    let list = item.list(scalar::address)?;
    if list.is_empty() {
        return Err(item.wrong("the pool is empty", "give at least one address, or remove `source_nat`"));
    }
    if list.len() > MOST_ADDRESSES {
        let what = format!("{} addresses are given", list.len());
        return Err(item.wrong(what, format_args!("give at most {MOST_ADDRESSES}")));
    }
    Ok(list)
}

impl Pool {
    /// The pool of `vrf`, with its addresses claimed.
    pub(super) fn of(self, vrf: VrfName, owner: &Owner, ledger: &mut Ledger<'_>) -> SourcePool {
        self.addresses.iter().for_each(|address| ledger.claim_public(&vrf, address, owner));
        let addresses = self.addresses.into_iter().map(|at| at.value).collect();
        SourcePool { vrf, addresses, ports: self.ports, mapping: self.mapping }
    }
}

/// A public address of a vif, where it is public.
pub(super) struct Floating {
    vrf: VrfName,
    address: At<IpAddr>,
}

/// Reads `floating_ips` of a vif with these addresses in this VRF, as far as they could be read.
pub(super) fn floating_ips(
    item: &Item<'_>,
    ledger: &Ledger<'_>,
    own: (Option<&VrfName>, Option<&[At<IpAddr>]>),
) -> Result<Vec<Floating>, Reported> {
    let list = item.list(|element| floating_ip(element.section()?, ledger, own))?;
    Ok(list.into_iter().map(|at| at.value).collect())
}

fn floating_ip(
    mut section: Section<'_>,
    ledger: &Ledger<'_>,
    (own_vrf, own_addresses): (Option<&VrfName>, Option<&[At<IpAddr>]>),
) -> Result<Floating, Reported> {
    let address = section.required("address", "address = \"192.0.2.10\"", scalar::address);
    let vrf = section.required("vrf", "vrf = \"public\"", |item| {
        let vrf = ledger.vrf(item)?;
        if own_vrf == Some(&vrf) {
            let remedy = "name another VRF, or give the pod the address in `addresses`";
            return Err(item.wrong(format_args!("{} is the vif's own VRF", quote(vrf.as_str())), remedy));
        }
        Ok(vrf)
    });
    section.finish();
    let address = address?;
    let has_family =
        |own: &[At<IpAddr>]| own.iter().any(|own| own.value.is_ipv4() == address.value.is_ipv4());
    if own_addresses.is_some_and(|own| !has_family(own)) {
        let what = format!("the vif has no address of the family of {}", address.value);
        return Err(section.wrong_at(&address.place, what, "give the pod an address of that family"));
    }
    Ok(Floating { vrf: vrf?.value, address })
}

impl Floating {
    /// The floating IP of the vif with this name, with its address claimed.
    pub(super) fn of(self, vif: &str, owner: &Owner, ledger: &mut Ledger<'_>) -> FloatingIp {
        ledger.claim_public(&self.vrf, &self.address, owner);
        FloatingIp { vif: vif.into(), vrf: self.vrf, address: self.address.value }
    }
}

/// Refuses a VRF with public addresses that leads to other nodes, but can not be answered by them.
pub(super) fn check_labels(
    nat: &Nat,
    vrfs: &[Vrf],
    (routes, services): (&[Route], &[Service]),
    ledger: &Ledger<'_>,
) {
    let pools = nat.pools.iter().map(|pool| &pool.vrf);
    let public: BTreeSet<_> = pools.chain(nat.floating_ips.iter().map(|floating| &floating.vrf)).collect();
    let unlabelled = |vrf: &&Vrf| vrf.label.is_none() && public.contains(&vrf.name);
    for vrf in vrfs.iter().filter(unlabelled) {
        if leads_to_nodes(&vrf.name, routes, services) {
            let what =
                format!("VRF {} has public addresses and leads to other nodes", quote(vrf.name.as_str()));
            let remedy = "add a `label` to the VRF: the other nodes send to it what is for those addresses";
            ledger.wrong_vrf(&vrf.name, what, remedy);
        }
    }
}

fn leads_to_nodes(vrf: &VrfName, routes: &[Route], services: &[Service]) -> bool {
    let is_tunnel = |to: &HopTarget| matches!(to, HopTarget::Tunnel { .. });
    let mut seen = BTreeSet::from([vrf]);
    let mut open = vec![vrf];
    while let Some(vrf) = open.pop() {
        let mut backends = services.iter().filter(|of| of.vrf == *vrf).flat_map(|of| &of.backends);
        if backends.any(|backend| is_tunnel(&backend.to)) {
            return true;
        }
        for route in routes.iter().filter(|route| route.vrf == *vrf) {
            match &route.target {
                RouteTarget::Hops(hops) if hops.iter().any(|hop| is_tunnel(&hop.to)) => return true,
                RouteTarget::Vrf(next) if seen.insert(next) => open.push(next),
                RouteTarget::Hops(_) | RouteTarget::Vrf(_) | RouteTarget::Discard => {}
            }
        }
    }
    false
}
