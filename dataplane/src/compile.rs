//! Desired state in, snapshot out. Slow and careful, so that the workers need not be.
//!
//! The compiler remembers what ids it has given, so that slots, VRF ids and tunnel ids stay what
//! they are from one snapshot to the next, and it takes over what has not changed: routes, services,
//! whole VRFs. Flows rest on epochs as narrow as one service, so those of other services and VRFs are
//! never looked at again.

mod broadcast;
mod cells;
mod ends;
mod ids;
mod nat;
mod policies;
mod routes;
mod services;
mod tables;

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use encap::{Label, OuterHeader, Ports, Template, Udp6Checksum, ZeroChecksum6};
use flow_table::Dependency;

use crate::desired::{Desired, Link, Reach, Uplink};
use crate::fib;
use crate::ids::{PolicyName, TunnelId, VifName, VifSlot, VrfId, VrfName};
use crate::labels::Labels;
use crate::peers::Peers;
use crate::snapshot::{Fabric, LabelTarget, Snapshot, Tunnel, Vif};
use ids::Ids;
use policies::Policies;
use tables::Tables;

/// TTL of the outer header (WIRE: 64).
const OUTER_TTL: u8 = 64;

/// Compiles one desired state after the other.
#[derive(Debug, Default)]
pub struct Compiler {
    ids: Ids,
    policies: Policies,
    generation: u64,
    tables: Tables,
    quarantined: BTreeSet<Label>,
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
    /// The label for all pods of a VRF is that of something else.
    #[error("label {} of a broadcast is in use already: give every vif, VRF and broadcast a label of its own", label.get())]
    BroadcastLabelTaken {
        /// The label.
        label: Label,
    },
    /// More than 4094 vifs, 65536 VRFs, 65536 tunnel endpoints or four million services, or more
    /// than a broadcast reaches.
    #[error("too many {what}: at most {most} fit")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        most: usize,
    },
    /// A floating IP stands for a pod that has no address of its family.
    #[error("floating IP {address}: vif \"{vif}\" has no address of that family: give it one")]
    FloatingFamily {
        /// The pod.
        vif: VifName,
        /// The public address.
        address: IpAddr,
    },
    /// A tunnel endpoint is IPv4 while the node's tunnel address is IPv6, or the other way round.
    #[error("tunnel endpoint {0} is not of the address family of this node's tunnel address")]
    TunnelFamily(IpAddr),
}

impl Compiler {
    /// From the next compilation on these labels lead nowhere, whoever has them: packets that
    /// other nodes have sent to a label's former owner must not reach the new one.
    pub fn quarantine(&mut self, labels: BTreeSet<Label>) {
        self.quarantined = labels;
    }

    /// Compiles `desired`. On an error nothing has changed but ids that were given already.
    ///
    /// # Errors
    /// See [`CompileError`].
    pub fn compile(&mut self, desired: &Desired) -> Result<Snapshot, CompileError> {
        self.ids.assign(desired)?;
        self.policies.compile(&desired.policies);
        let vifs = self.vifs(desired)?;
        let mut labels = self.labels(desired, &vifs)?;
        let tunnels = self.tunnels(desired)?;
        let broadcasts = broadcast::compile(desired, &vifs, &self.ids)?;
        let mut broadcast_labels = broadcast::labels(&broadcasts, &labels)?;
        labels.retain(|label, _| !self.quarantined.contains(label));
        broadcast_labels.retain(|label, _| !self.quarantined.contains(label));
        let explicit_null = match &desired.node.explicit_null_vrf {
            Some(name) => Some(self.ids.vrf("node.explicit_null_vrf", name)?),
            None => None,
        };
        check_room(desired)?;
        // The generation to come: a cell given to another owner never repeats an epoch.
        self.tables.follow(desired, &vifs, &self.ids, (self.generation + 1) as u32)?;
        self.generation += 1;
        let mut by_slot: Box<[Option<Vif>]> = (0..VifSlot::TABLE).map(|_| None).collect();
        let slot_of = vifs.iter().map(|vif| (vif.id, vif.slot)).collect();
        for vif in vifs {
            let row = vif.slot.index();
            by_slot[row] = Some(vif);
        }
        let peers: Vec<_> = (0..=u16::MAX)
            .map(TunnelId)
            .zip(&tunnels)
            .filter_map(|(id, tunnel)| Some((fib::family_and_addr(tunnel.as_ref()?.address), id)))
            .collect();
        Ok(Snapshot {
            generation: self.generation,
            fabric: fabric(desired, explicit_null),
            vifs: by_slot,
            slot_of,
            labels: Labels::new(&labels),
            quarantined: self.quarantined.clone(),
            broadcasts: broadcast::table(broadcasts),
            broadcast_labels,
            vrfs: self.tables.vrfs(),
            epochs: self.tables.epochs(),
            peers: Peers::new(peers.into_iter()),
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
                vrf: self.ids.vrf(format_args!("vif \"{}\"", vif.name), &vif.vrf)?,
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
            Ok(Tunnel { address, reach, inner_mtu: inner_mtu(desired, Some(address)), template })
        };
        self.ids.tunnels().into_iter().map(|address| address.map(tunnel).transpose()).collect()
    }
}

/// Every service address and VRF needs epochs of its own; twice as many while they are replaced.
fn check_room(desired: &Desired) -> Result<(), CompileError> {
    let most = Dependency::MAX_CELL as usize / 4;
    if desired.services.len() + 2 * desired.vrfs.len() > most {
        return Err(CompileError::TooMany { what: "services", most });
    }
    Ok(())
}

fn fabric(desired: &Desired, explicit_null: Option<VrfId>) -> Fabric {
    let link = match &desired.underlay.uplink {
        Some(uplink) => uplink.link.clone(),
        None => Link::Down("the uplink does not exist".to_owned()),
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
        inner_mtu: inner_mtu(desired, None),
        mss_clamp: desired.node.mss_clamp,
    }
}

/// What the uplink, and the way to an endpoint, leave an inner packet.
fn inner_mtu(desired: &Desired, endpoint: Option<IpAddr>) -> usize {
    let uplink = desired.underlay.uplink.as_ref().map_or(0, |uplink| uplink.mtu);
    let path = endpoint.and_then(|endpoint| desired.underlay.path_mtus.get(&endpoint).copied());
    let mtu = usize::from(path.map_or(uplink, |path| path.min(uplink)));
    mtu.saturating_sub(match desired.node.tunnel_address {
        IpAddr::V4(_) => encap::OVERHEAD_V4,
        IpAddr::V6(_) => encap::OVERHEAD_V6,
    })
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

#[cfg(test)]
mod tests;
