//! VRFs, routes, next hops and labels.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use dataplane::broadcast::Broadcast;
use dataplane::desired::Reach;
use dataplane::ecmp::{Member, Target};
use dataplane::fib::{NextHop, Vrf, family_and_addr, ip_addr};
use dataplane::ids::{VifName, VrfId, VrfName};
use dataplane::nat::Pool;
use dataplane::snapshot::{self, Snapshot};
use encap::Label;
use ipnet::IpNet;

use super::Reading;
use crate::view::{
    HopView, LabelTarget, LabelView, NextHopView, ReachView, RouteHop, RouteOrigin, RouteView, SourceNatView,
    State, VrfView,
};

/// A next hop in the numbers of the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hop {
    To(Target),
    Vrf(VrfId),
    Pool,
    Discard,
}

/// All next hops of a snapshot with the number of routes that use each; the index is the id.
pub(super) struct Hops(Vec<(Hop, u64)>);

impl Hops {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let mut routes = BTreeMap::<Hop, u64>::new();
        for vrf in snapshot.vrfs() {
            for (prefix, next_hop) in vrf.routes() {
                let mut hops: Vec<_> =
                    members(vrf, prefix, next_hop).into_iter().map(|(hop, _)| hop).collect();
                hops.sort_unstable();
                hops.dedup();
                hops.into_iter().for_each(|hop| *routes.entry(hop).or_default() += 1);
            }
        }
        Self(routes.into_iter().collect())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// How many lead to the node with this tunnel address.
    pub(super) fn through(&self, snapshot: &Snapshot, peer: IpAddr) -> u64 {
        let (family, address) = family_and_addr(peer);
        let wanted = snapshot.tunnel_by_address(family, address);
        let leads = |hop: &Hop| match hop {
            Hop::To(Target::Tunnel { tunnel, .. }) => Some(*tunnel) == wanted,
            Hop::To(Target::Vif(_)) | Hop::Vrf(_) | Hop::Pool | Hop::Discard => false,
        };
        self.0.iter().filter(|(hop, _)| leads(hop)).count() as u64
    }

    fn id(&self, hop: Hop) -> Option<u32> {
        let index = self.0.binary_search_by_key(&hop, |(hop, _)| *hop).ok()?;
        u32::try_from(index).ok()
    }
}

fn source_nat(pool: &Pool) -> SourceNatView {
    SourceNatView {
        addresses: pool.addresses.iter().map(|(family, addr)| ip_addr(*family, *addr)).collect(),
        ports: pool.ports,
        mapping: pool.mapping,
    }
}

/// Where a route leads, with weights. A service address leads to the backends of all its ports.
fn members(vrf: &Vrf, prefix: IpNet, next_hop: &NextHop) -> Vec<(Hop, u16)> {
    let hop = |member: &Member| (Hop::To(member.target), member.weight);
    match next_hop {
        NextHop::Group(group) => group.members().iter().map(hop).collect(),
        NextHop::Service => {
            let (family, address) = family_and_addr(prefix.addr());
            let ports = vrf.service(family, address).into_iter().flat_map(|service| service.ports());
            let backends = ports.flat_map(|mapped| mapped.backends.members()).map(hop);
            backends.collect::<BTreeMap<_, _>>().into_iter().collect()
        }
        NextHop::Floating(pod, _) => vec![hop(pod)],
        NextHop::Pool => vec![(Hop::Pool, 1)],
        NextHop::Vrf(id) => vec![(Hop::Vrf(*id), 1)],
        NextHop::Discard => vec![(Hop::Discard, 1)],
    }
}

impl Reading<'_> {
    pub(super) fn vrfs(&self) -> Vec<VrfView> {
        let mut vifs = BTreeMap::<VrfId, Vec<VifName>>::new();
        for vif in self.snapshot.vifs() {
            vifs.entry(vif.vrf).or_default().push(vif.name.clone());
        }
        let view = |vrf: &Vrf| {
            let mut vifs = vifs.remove(&vrf.id).unwrap_or_default();
            vifs.sort();
            VrfView {
                name: vrf.name.clone(),
                vifs,
                routes: vrf.routes().count() as u64,
                services: vrf.services().count() as u64,
                source_nat: vrf.edge().pool.as_ref().map(source_nat),
                broadcast: self.snapshot.broadcast(vrf.id).map(|broadcast| self.broadcast(broadcast)),
            }
        };
        let mut vrfs: Vec<_> = self.snapshot.vrfs().map(view).collect();
        vrfs.sort_by(|one, other| one.name.cmp(&other.name));
        vrfs
    }

    pub(super) fn routes(&self, wanted: Option<&VrfName>) -> Vec<RouteView> {
        let (hops, hosts) = (Hops::of(&self.snapshot), self.hosts());
        let mut vrfs: Vec<_> =
            self.snapshot.vrfs().filter(|vrf| wanted.is_none_or(|name| vrf.name == *name)).collect();
        vrfs.sort_by(|one, other| one.name.cmp(&other.name));
        let mut views = Vec::new();
        for vrf in vrfs {
            views.extend(vrf.routes().map(|(prefix, next_hop)| RouteView {
                vrf: vrf.name.clone(),
                prefix,
                origin: match next_hop {
                    NextHop::Service => RouteOrigin::Service,
                    NextHop::Floating(..) => RouteOrigin::FloatingIp,
                    NextHop::Pool => RouteOrigin::SourceNat,
                    _ if hosts.contains(&(vrf.id, prefix)) => RouteOrigin::Vif,
                    NextHop::Group(_) | NextHop::Vrf(_) | NextHop::Discard => RouteOrigin::Declared,
                },
                next_hops: self.route_hops(&hops, members(vrf, prefix, next_hop)),
            }));
        }
        views
    }

    /// The host routes that the addresses of vifs bring.
    fn hosts(&self) -> HashSet<(VrfId, IpNet)> {
        let of_vif = |vif: &snapshot::Vif| {
            let vrf = vif.vrf;
            let hosts = vif.addresses.iter();
            hosts.map(move |(family, addr)| (vrf, IpNet::from(ip_addr(*family, *addr)))).collect::<Vec<_>>()
        };
        self.snapshot.vifs().flat_map(of_vif).collect()
    }

    fn route_hops(&self, hops: &Hops, members: Vec<(Hop, u16)>) -> Vec<RouteHop> {
        let view = |(hop, weight)| Some(RouteHop { next_hop: hops.id(hop)?, weight, to: self.hop(hop)? });
        members.into_iter().filter_map(view).collect()
    }

    pub(super) fn next_hops(&self) -> Vec<NextHopView> {
        let hops = Hops::of(&self.snapshot);
        let view = |(id, (hop, routes)): (u32, &(Hop, u64))| {
            Some(NextHopView { id, to: self.hop(*hop)?, state: self.hop_state(*hop), routes: *routes })
        };
        (0..).zip(&hops.0).filter_map(view).collect()
    }

    pub(super) fn labels(&self) -> Vec<LabelView> {
        let view = |(label, target): (encap::Label, snapshot::LabelTarget)| {
            let target = match target {
                snapshot::LabelTarget::Vif(slot) => {
                    let vif = self.snapshot.vif(slot)?;
                    LabelTarget::Vif { vif: vif.name.clone(), vrf: self.vrf_name(vif.vrf)? }
                }
                snapshot::LabelTarget::Vrf(id) => LabelTarget::Vrf { vrf: self.vrf_name(id)? },
            };
            Some(LabelView { label: label.get(), target })
        };
        let all = |broadcast: &Broadcast| {
            let label = broadcast.label().filter(|label| !self.snapshot.is_quarantined(*label))?;
            let target = LabelTarget::Broadcast { vrf: self.vrf_name(broadcast.vrf())? };
            Some(LabelView { label: label.get(), target })
        };
        let labels = self.snapshot.labels().filter_map(view);
        let mut labels: Vec<_> = labels.chain(self.snapshot.broadcasts().filter_map(all)).collect();
        let quarantined = |label: Label| LabelView { label: label.get(), target: LabelTarget::Quarantined };
        labels.extend(self.snapshot.quarantined().map(quarantined));
        labels.sort_by_key(|label| label.label);
        labels
    }

    pub(super) fn vrf_name(&self, id: VrfId) -> Option<VrfName> {
        Some(self.snapshot.vrf(id)?.name.clone())
    }

    fn hop(&self, hop: Hop) -> Option<HopView> {
        match hop {
            Hop::To(Target::Vif(slot)) => Some(HopView::Vif { vif: self.snapshot.vif(slot)?.name.clone() }),
            Hop::To(Target::Tunnel { tunnel, label }) => {
                let node = self.snapshot.tunnel(tunnel)?.address;
                Some(HopView::Tunnel { node, label: label.get() })
            }
            Hop::Vrf(id) => Some(HopView::Vrf { vrf: self.vrf_name(id)? }),
            Hop::Pool => Some(HopView::Pool),
            Hop::Discard => Some(HopView::Discard),
        }
    }

    fn hop_state(&self, hop: Hop) -> State {
        match hop {
            Hop::To(Target::Vif(slot)) => self.vif_state(self.snapshot.vif(slot)),
            Hop::To(Target::Tunnel { tunnel, .. }) => self.tunnel_state(self.snapshot.tunnel(tunnel)),
            Hop::Vrf(_) | Hop::Pool | Hop::Discard => State::Up,
        }
    }

    pub(super) fn vif_state(&self, vif: Option<&snapshot::Vif>) -> State {
        match vif {
            Some(vif) => State::from(&vif.link),
            None => State::Down { reason: "The vif is gone.".to_owned() },
        }
    }

    /// Whether packets for this endpoint leave the node.
    pub(super) fn tunnel_state(&self, tunnel: Option<&snapshot::Tunnel>) -> State {
        if let State::Down { reason } = State::from(&self.snapshot.fabric.link) {
            return State::Down { reason: format!("The uplink is down: {reason}.") };
        }
        let reach = tunnel.map_or(Reach::Unresolved, |tunnel| tunnel.reach);
        match ReachView::from(reach).problem() {
            None => State::Up,
            Some(problem) => State::Down { reason: problem.to_owned() },
        }
    }
}
