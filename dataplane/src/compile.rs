//! Desired state in, snapshot out. Slow and careful, so that the workers need not be.
//!
//! The compiler remembers what ids it has given, so that slots, VRF ids and tunnel ids stay what
//! they are from one snapshot to the next, and it takes a VRF over as it was when nothing in it
//! has changed: flows of other VRFs keep their epoch and are never looked at again.

mod ids;
mod policies;
mod vrf;

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use encap::{Label, OuterHeader, Ports, Template, Udp6Checksum, ZeroChecksum6};

use crate::desired::{Desired, HopTarget, Link, Reach, RouteTarget, Uplink};
use crate::fib::{self, Vrf};
use crate::ids::{PolicyName, TunnelId, VifName, VifSlot, VrfId, VrfName};
use crate::snapshot::{Fabric, LabelTarget, Snapshot, Tunnel, Vif};
use ids::Ids;
use policies::Policies;
use vrf::VrfInput;

/// TTL of the outer header (WIRE: 64).
const OUTER_TTL: u8 = 64;

/// Compiles one desired state after the other.
#[derive(Debug, Default)]
pub struct Compiler {
    ids: Ids,
    policies: Policies,
    generation: u64,
    compiled: BTreeMap<VrfId, (VrfInput, Arc<Vrf>)>,
}

/// The desired state contradicts itself. The configuration check refuses it earlier and with
/// the place; this is the second line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// A VRF is named that is not there.
    #[error("{user} names VRF \"{vrf}\", which is not configured: add it or correct the name")]
    UnknownVrf {
        /// Who names it.
        user: String,
        /// The name.
        vrf: VrfName,
    },
    /// A vif is named that is not there.
    #[error("{user} names vif \"{vif}\", which is not configured: add it or correct the name")]
    UnknownVif {
        /// Who names it.
        user: String,
        /// The name.
        vif: VifName,
    },
    /// A policy is named that is not there.
    #[error("vif \"{vif}\" names policy \"{policy}\", which is not configured: add it or correct the name")]
    UnknownPolicy {
        /// Who names it.
        vif: VifName,
        /// The name.
        policy: PolicyName,
    },
    /// Two things have the same label.
    #[error("label {} of vif \"{vif}\" is in use already: give every vif a label of its own", label.get())]
    LabelTaken {
        /// The label.
        label: Label,
        /// The second user.
        vif: VifName,
    },
    /// More than 4094 vifs, 65536 VRFs or 65536 tunnel endpoints.
    #[error("too many {what}: at most {most} fit")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        most: usize,
    },
    /// A tunnel endpoint is IPv4 while the node's tunnel address is IPv6, or the other way round.
    #[error("tunnel endpoint {0} is not of the address family of this node's tunnel address")]
    TunnelFamily(IpAddr),
}

impl Compiler {
    /// Compiles `desired`. On an error nothing has changed but ids that were given already.
    ///
    /// # Errors
    /// See [`CompileError`].
    pub fn compile(&mut self, desired: &Desired) -> Result<Snapshot, CompileError> {
        self.ids.assign(desired)?;
        self.policies.compile(&desired.policies);
        let vifs = self.vifs(desired)?;
        let labels = self.labels(desired, &vifs)?;
        let tunnels = self.tunnels(desired)?;
        let vrfs = self.vrfs(desired, &vifs)?;
        let explicit_null = match &desired.node.explicit_null_vrf {
            Some(name) => Some(self.ids.vrf("node.explicit_null_vrf", name)?),
            None => None,
        };
        self.generation += 1;
        let mut by_slot: Box<[Option<Vif>]> = (0..VifSlot::TABLE).map(|_| None).collect();
        let slot_of = vifs.iter().map(|vif| (vif.id, vif.slot)).collect();
        for vif in vifs {
            let row = vif.slot.index();
            by_slot[row] = Some(vif);
        }
        Ok(Snapshot {
            generation: self.generation,
            fabric: fabric(desired, explicit_null),
            vifs: by_slot,
            slot_of,
            labels,
            vrfs,
            tunnel_of: (0..=u16::MAX)
                .map(TunnelId)
                .zip(&tunnels)
                .filter_map(|(id, tunnel)| Some((fib::family_and_addr(tunnel.as_ref()?.address), id)))
                .collect(),
            tunnels,
        })
    }

    fn vifs(&self, desired: &Desired) -> Result<Vec<Vif>, CompileError> {
        let vif = |vif: &crate::desired::Vif| {
            let (id, slot) = self.ids.vif("a vif", &vif.name)?;
            Ok(Vif {
                id,
                slot,
                kind: vif.kind,
                name: vif.name.clone(),
                vrf: self.ids.vrf(&format!("vif \"{}\"", vif.name), &vif.vrf)?,
                mac: vif.mac,
                gateways: [IpAddr::V4(vif.gateway_v4), IpAddr::V6(vif.gateway_v6)].map(fib::family_and_addr),
                label: vif.label,
                mtu: usize::from(vif.mtu),
                link: vif.link.clone(),
                addresses: vif.addresses.iter().map(|address| fib::family_and_addr(*address)).collect(),
                policies: self.policies.of(vif)?,
            })
        };
        desired.vifs.iter().map(vif).collect()
    }

    fn labels(
        &self,
        desired: &Desired,
        vifs: &[Vif],
    ) -> Result<HashMap<Label, LabelTarget, ahash::RandomState>, CompileError> {
        let mut labels = HashMap::default();
        for vrf in &desired.vrfs {
            if let Some(label) = vrf.label {
                let id = self.ids.vrf("a label", &vrf.name)?;
                labels.insert(label, LabelTarget::Vrf(id));
            }
        }
        for vif in vifs {
            if labels.insert(vif.label, LabelTarget::Vif(vif.slot)).is_some() {
                return Err(CompileError::LabelTaken { label: vif.label, vif: vif.name.clone() });
            }
        }
        Ok(labels)
    }

    fn tunnels(&self, desired: &Desired) -> Result<Box<[Option<Tunnel>]>, CompileError> {
        let tunnel = |address: IpAddr| {
            let reach = desired.underlay.tunnels.get(&address).copied().unwrap_or(Reach::Unresolved);
            let template = match (&desired.underlay.uplink, reach) {
                (Some(uplink), Reach::Via(mac)) => Some(template(desired, uplink, address, mac.0)?),
                _ => None,
            };
            Ok(Tunnel { address, reach, template })
        };
        self.ids.tunnels().into_iter().map(|address| address.map(tunnel).transpose()).collect()
    }

    /// Compiles the VRFs whose input has changed and everything that looks up in them.
    fn vrfs(&mut self, desired: &Desired, vifs: &[Vif]) -> Result<Box<[Option<Arc<Vrf>>]>, CompileError> {
        let inputs = vrf::inputs(desired, vifs, &self.ids)?;
        let mut changed: Vec<VrfId> = inputs
            .iter()
            .filter(|(id, input)| self.compiled.get(id).is_none_or(|(old, _)| old != *input))
            .map(|(id, _)| *id)
            .collect();
        let mut next = 0;
        while let Some(id) = changed.get(next).copied() {
            let users = inputs.iter().filter(|(_, input)| input.looks_up_in(id)).map(|(user, _)| *user);
            let new: Vec<_> = users.filter(|user| !changed.contains(user)).collect();
            changed.extend(new);
            next += 1;
        }
        self.compiled.retain(|id, _| inputs.contains_key(id));
        // The generation to come: an id given to another VRF never repeats an epoch.
        let epoch = (self.generation + 1) as u32;
        for (id, input) in inputs {
            if changed.contains(&id) {
                let vrf = Arc::new(input.build(id, epoch));
                self.compiled.insert(id, (input, vrf));
            }
        }
        let rows = self.compiled.keys().next_back().map_or(0, |id| usize::from(id.0) + 1);
        let row = |n: usize| {
            let id = VrfId(u16::try_from(n).ok()?);
            self.compiled.get(&id).map(|(_, vrf)| Arc::clone(vrf))
        };
        Ok((0..rows).map(row).collect())
    }
}

fn fabric(desired: &Desired, explicit_null: Option<VrfId>) -> Fabric {
    let (link, mtu) = match &desired.underlay.uplink {
        Some(uplink) => (uplink.link.clone(), usize::from(uplink.mtu)),
        None => (Link::Down("the uplink does not exist".to_owned()), 0),
    };
    Fabric {
        address: desired.node.tunnel_address,
        mac: desired.underlay.uplink.as_ref().map(|uplink| uplink.mac),
        ports: Ports { current: desired.node.udp_port, legacy: desired.node.legacy_udp_port },
        zero_checksum6: match desired.node.outer.udp6_checksum {
            Udp6Checksum::Compute => ZeroChecksum6::Refuse,
            Udp6Checksum::Zero => ZeroChecksum6::Accept,
        },
        explicit_null,
        link,
        inner_mtu: mtu.saturating_sub(match desired.node.tunnel_address {
            IpAddr::V4(_) => encap::OVERHEAD_V4,
            IpAddr::V6(_) => encap::OVERHEAD_V6,
        }),
        mss_clamp: desired.node.mss_clamp,
    }
}

fn template(
    desired: &Desired,
    uplink: &Uplink,
    endpoint: IpAddr,
    dst_mac: [u8; 6],
) -> Result<Template, CompileError> {
    Template::new(&OuterHeader {
        src_mac: uplink.mac.0,
        dst_mac,
        vlan: uplink.vlan,
        src: desired.node.tunnel_address,
        dst: endpoint,
        udp_port: desired.node.udp_port,
        ttl: OUTER_TTL,
        df: desired.node.outer.dont_fragment,
        dscp: desired.node.outer.dscp,
        udp6_checksum: desired.node.outer.udp6_checksum,
    })
    .map_err(|_| CompileError::TunnelFamily(endpoint))
}

/// Every tunnel endpoint that `desired` names, for the daemon to ask the kernel about.
pub fn tunnel_endpoints(desired: &Desired) -> impl Iterator<Item = IpAddr> + '_ {
    let routes = desired.routes.iter().flat_map(|route| match &route.target {
        RouteTarget::Hops(hops) => hops.as_slice(),
        RouteTarget::Vrf(_) | RouteTarget::Discard => &[],
    });
    let backends = desired.services.iter().flat_map(|service| service.backends.as_slice());
    routes.chain(backends).filter_map(|hop| match &hop.to {
        HopTarget::Tunnel { node, .. } => Some(*node),
        HopTarget::Vif(_) => None,
    })
}

#[cfg(test)]
mod tests;
