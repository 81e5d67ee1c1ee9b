//! Pools and floating IPs: routes of the VRF in which they are public, and what they do at its edge.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::CompileError;
use super::ends::vif_member;
use super::ids::Ids;
use crate::desired::Nat;
use crate::fib::{NextHop, family_and_addr};
use crate::ids::{VifSlot, VrfId};
use crate::nat::{Edge, Pool};
use crate::snapshot::Vif;

/// What translation adds to one VRF.
#[derive(Debug, Default)]
pub(super) struct VrfNat {
    pub(super) routes: Vec<(IpNet, NextHop)>,
    pub(super) edge: Edge,
}

/// Compiles all translation, VRF by VRF.
pub(super) fn compile(nat: &Nat, vifs: &[Vif], ids: &Ids) -> Result<BTreeMap<VrfId, VrfNat>, CompileError> {
    let mut compiled = BTreeMap::<VrfId, VrfNat>::new();
    for pool in &nat.pools {
        let of_vrf = compiled.entry(ids.vrf("a source NAT pool", &pool.vrf)?).or_default();
        let hosts = pool.addresses.iter().map(|address| (IpNet::from(*address), NextHop::Pool));
        of_vrf.routes.extend(hosts);
        of_vrf.edge.pool = Some(Pool {
            addresses: pool.addresses.iter().map(|address| family_and_addr(*address)).collect(),
            ports: pool.ports,
            mapping: pool.mapping,
        });
    }
    let by_slot: BTreeMap<VifSlot, &Vif> = vifs.iter().map(|vif| (vif.slot, vif)).collect();
    for floating in &nat.floating_ips {
        let user = format_args!("floating IP {}", floating.address);
        let (id, slot) = ids.vif(user, &floating.vif)?;
        let of_vrf = compiled.entry(ids.vrf(user, &floating.vrf)?).or_default();
        let (family, public) = family_and_addr(floating.address);
        let inside = by_slot.get(&slot).and_then(|vif| vif.address(family));
        let inside = inside.ok_or_else(|| CompileError::FloatingFamily {
            vif: floating.vif.clone(),
            address: floating.address,
        })?;
        let pod = NextHop::Floating(vif_member(id, slot, 1), inside);
        of_vrf.routes.push((IpNet::from(floating.address), pod));
        of_vrf.edge.add_floating(slot, (family, inside), public);
    }
    Ok(compiled)
}
