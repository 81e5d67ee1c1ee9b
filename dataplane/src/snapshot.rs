//! What the workers forward by: one immutable value, replaced as a whole.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use ahash::RandomState;
use encap::{Label, Ports, Template, ZeroChecksum6};
use flow_table::{Addr, Context, Dependency, Family};

use crate::broadcast::Broadcast;
use crate::desired::{Link, MssClamp, Reach, VifKind};
use crate::ecmp::{Member, Target};
use crate::fib::{NextHop, Vrf};
use crate::ids::{CellId, Mac, TunnelId, VifId, VifName, VifSlot, VrfId};
use crate::labels::Labels;
use crate::peers::Peers;
use crate::policy::Policy;
use crate::verdict::{ContextOwner, context_owner};

/// The compiled state of the node.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts the publications.
    pub generation: u64,
    /// What is accepted from the fabric.
    pub fabric: Fabric,
    pub(crate) vifs: Box<[Option<Vif>]>,
    pub(crate) slot_of: HashMap<VifId, VifSlot, RandomState>,
    pub(crate) labels: Labels,
    pub(crate) quarantined: BTreeSet<Label>,
    pub(crate) broadcasts: Box<[Option<Broadcast>]>,
    pub(crate) broadcast_labels: HashMap<Label, VrfId, RandomState>,
    pub(crate) vrfs: Box<[Option<Arc<Vrf>>]>,
    pub(crate) epochs: Box<[u32]>,
    pub(crate) tunnels: Box<[Option<Tunnel>]>,
    pub(crate) peers: Peers,
}

/// Settings of the fabric side.
#[derive(Clone, Debug)]
pub struct Fabric {
    /// Our tunnel address.
    pub address: IpAddr,
    /// Ethernet address of the uplink.
    pub mac: Option<Mac>,
    /// UDP ports taken.
    pub ports: Ports,
    /// Whether a zero UDP checksum is taken over IPv6.
    pub zero_checksum6: ZeroChecksum6,
    /// VRF for explicit null labels.
    pub explicit_null: Option<VrfId>,
    /// State of the uplink.
    pub link: Link,
    /// Largest inner IP packet, in bytes: the uplink's MTU without the outer headers.
    pub inner_mtu: usize,
    /// Whether SYN segments are made to announce no more than fits.
    pub mss_clamp: MssClamp,
}

impl Fabric {
    /// Whether the uplink carries packets.
    pub fn is_up(&self) -> bool {
        self.link == Link::Up
    }
}

/// A vif as the pipeline needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vif {
    /// Its identity.
    pub id: VifId,
    /// Its VLAN on the trunk.
    pub slot: VifSlot,
    /// Whose it is.
    pub kind: VifKind,
    /// Its name.
    pub name: VifName,
    /// Its routing table.
    pub vrf: VrfId,
    /// The pod's Ethernet address.
    pub mac: Mac,
    /// Our addresses towards the pod.
    pub gateways: [(Family, Addr); 2],
    /// Its interface label.
    pub label: Label,
    /// Largest IP packet, in bytes.
    pub mtu: usize,
    /// Whether it takes packets.
    pub link: Link,
    /// Addresses the pod may use.
    pub addresses: Box<[(Family, Addr)]>,
    /// Policies attached to it.
    pub policies: Box<[Arc<Policy>]>,
}

impl Vif {
    /// Whether the pod may use this address.
    pub fn has_address(&self, family: Family, addr: Addr) -> bool {
        self.addresses.contains(&(family, addr))
    }

    /// Whether packets reach the pod.
    pub fn is_up(&self) -> bool {
        self.link == Link::Up
    }

    /// Whether this is our own address towards the pod.
    pub fn is_gateway(&self, family: Family, addr: Addr) -> bool {
        self.gateways.contains(&(family, addr))
    }

    /// Our own address towards the pod.
    pub fn gateway(&self, family: Family) -> Addr {
        let own = self.gateways.iter().find(|(of, _)| *of == family);
        own.map_or(Addr(0), |(_, addr)| *addr)
    }

    /// The pod's first address of a family.
    pub fn address(&self, family: Family) -> Option<Addr> {
        self.addresses.iter().find(|(own, _)| *own == family).map(|(_, addr)| *addr)
    }
}

/// What a label means here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelTarget {
    /// This pod.
    Vif(VifSlot),
    /// Look the inner destination up in this VRF.
    Vrf(VrfId),
}

/// A tunnel endpoint: another node.
#[derive(Clone, Debug)]
pub struct Tunnel {
    /// Its tunnel address.
    pub address: IpAddr,
    /// The way to it.
    pub reach: Reach,
    /// Largest inner IP packet that gets there, in bytes.
    pub inner_mtu: usize,
    /// The outer headers, when the way is known.
    pub template: Option<Template>,
}

impl Snapshot {
    /// The vif in a slot.
    pub fn vif(&self, slot: VifSlot) -> Option<&Vif> {
        self.vifs.get(slot.index())?.as_ref()
    }

    /// Whether packets with this source may come from a vif: its own addresses, and from the host
    /// all that are reached through it, as it forwards for others (RFC 3704 section 2.2).
    pub fn may_send(&self, vif: &Vif, family: Family, src: Addr) -> bool {
        let is_behind = || {
            let next_hop = self.vrf(vif.vrf).and_then(|vrf| vrf.lookup(family, src));
            let leads = |member: &Member| member.target == Target::Vif(vif.slot);
            matches!(next_hop, Some(NextHop::Group(group)) if group.members().iter().any(leads))
        };
        vif.has_address(family, src) || vif.kind == VifKind::Host && is_behind()
    }

    /// The vif with an identity, if it is still there.
    pub fn vif_by_id(&self, id: VifId) -> Option<&Vif> {
        self.vif(*self.slot_of.get(&id)?)
    }

    /// All vifs in the order of their slots.
    pub fn vifs(&self) -> impl Iterator<Item = &Vif> + '_ {
        self.vifs.iter().flatten()
    }

    /// A routing table.
    pub fn vrf(&self, id: VrfId) -> Option<&Vrf> {
        self.vrfs.get(usize::from(id.0))?.as_deref()
    }

    /// All routing tables.
    pub fn vrfs(&self) -> impl Iterator<Item = &Vrf> + '_ {
        self.vrfs.iter().flatten().map(Arc::as_ref)
    }

    /// Whether packets can still come with flow keys of this context: its vif or VRF is there.
    pub fn has_context(&self, context: Context) -> bool {
        match context_owner(context) {
            ContextOwner::Vif(id) => self.vif_by_id(id).is_some(),
            ContextOwner::Vrf(id) => self.vrf(id).is_some(),
        }
    }

    /// What something rests on that is derived from a cell's owner now.
    pub fn dependency(&self, CellId(cell): CellId) -> Dependency {
        Dependency { cell, epoch: self.epochs.get(cell as usize).copied().unwrap_or_default() }
    }

    /// Whether nothing has changed since something was derived.
    pub fn is_current(&self, rests_on: &Dependency) -> bool {
        self.epochs.get(rests_on.cell as usize) == Some(&rests_on.epoch)
    }

    /// What a label means.
    #[inline(always)]
    pub fn label(&self, label: Label) -> Option<LabelTarget> {
        self.labels.get(label)
    }

    /// All labels in their order.
    pub fn labels(&self) -> impl Iterator<Item = (Label, LabelTarget)> + '_ {
        self.labels.iter()
    }

    /// Whether a label has an owner that gets nothing yet, because the label was another's.
    pub fn is_quarantined(&self, label: Label) -> bool {
        self.quarantined.contains(&label)
    }

    /// All such labels.
    pub fn quarantined(&self) -> impl Iterator<Item = Label> + '_ {
        self.quarantined.iter().copied()
    }

    /// The broadcast domain of a VRF, if it has one.
    pub fn broadcast(&self, vrf: VrfId) -> Option<&Broadcast> {
        self.broadcasts.get(usize::from(vrf.0))?.as_ref()
    }

    /// The broadcast domain that a label stands for.
    pub fn broadcast_by_label(&self, label: Label) -> Option<&Broadcast> {
        self.broadcast(*self.broadcast_labels.get(&label)?)
    }

    /// All broadcast domains in the order of their VRFs.
    pub fn broadcasts(&self) -> impl Iterator<Item = &Broadcast> + '_ {
        self.broadcasts.iter().flatten()
    }

    /// A tunnel endpoint.
    pub fn tunnel(&self, id: TunnelId) -> Option<&Tunnel> {
        self.tunnels.get(usize::from(id.0))?.as_ref()
    }

    /// All tunnel endpoints in the order of their ids.
    pub fn tunnels(&self) -> impl Iterator<Item = &Tunnel> + '_ {
        self.tunnels.iter().flatten()
    }

    /// All tunnel endpoints with their ids.
    pub fn tunnel_ids(&self) -> impl Iterator<Item = (TunnelId, &Tunnel)> + '_ {
        let id = |index: usize| TunnelId(index as u16);
        self.tunnels.iter().enumerate().filter_map(move |(index, tunnel)| Some((id(index), tunnel.as_ref()?)))
    }

    /// The endpoint with this tunnel address.
    #[inline(always)]
    pub fn tunnel_by_address(&self, family: Family, address: Addr) -> Option<TunnelId> {
        self.peers.get(family, address)
    }
}
