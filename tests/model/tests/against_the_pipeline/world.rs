//! Small configurations, made to collide: addresses overlap between VRFs, routes cover each other.

use std::net::IpAddr;
use std::sync::Arc;

use dataplane::desired::{
    Affinity, Backend, BackendState, Broadcast, BroadcastNode, Desired, Hop, HopTarget, Link, MssClamp, Node,
    OnBackendGone, OuterOptions, Reach, Route, RouteTarget, Service, ServicePort, Transport, Underlay,
    Uplink, Vif, VifKind, Vrf,
};
use dataplane::ids::{Mac, VifName, VrfName};
use encap::{DontFragment, DscpMode, Label, Udp6Checksum};
use flow_table::Millis;
use model_router::lockstep::ROOM;
use model_router::node::Room;

use crate::dice::Dice;
use crate::rules;

/// Our Ethernet address on the underlay.
pub(crate) const UPLINK_MAC: Mac = Mac([2, 0, 0, 0, 1, 1]);
/// The next hop's.
pub(crate) const PEER_MAC: Mac = Mac([2, 0, 0, 0, 1, 2]);
/// Addresses of clients on other nodes.
pub(crate) const REMOTE: [&str; 6] = ["10.1.2.3", "10.1.2.4", "10.1.9.9", "10.2.0.5", "fd01::2", "fd01::3"];
/// Addresses of services.
pub(crate) const SERVICES: [&str; 3] = ["10.96.0.1", "10.96.0.2", "fd96::1"];
const PREFIXES: [&str; 9] = [
    "10.1.0.0/16",
    "fd01::/64",
    "10.1.2.0/24",
    "10.1.2.3/32",
    "10.2.0.0/16",
    "0.0.0.0/0",
    "fd01::2/128",
    "10.0.0.0/24",
    "10.0.0.3/32",
];
const AFFINITIES: [Affinity; 4] = [
    Affinity::None,
    Affinity::None,
    Affinity::ClientAddress(Millis(5_000)),
    Affinity::ClientAddress(Millis(3_600_000)),
];
/// Label of the first VRF for all its pods.
pub(crate) const ALL: u32 = 600;
/// Addresses that mean all pods, or would.
pub(crate) const GROUPS: [&str; 7] =
    ["255.255.255.255", "10.0.0.255", "224.0.0.251", "ff02::fb", "239.1.1.1", "ff05::1", "ff02::1"];
const VRFS: [&str; 3] = ["red", "blue", "green"];

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The other nodes, on an underlay of one family.
pub(crate) fn peers(desired: &Desired) -> [IpAddr; 3] {
    let v4 = ["172.30.0.2", "172.30.0.3", "172.30.0.4"];
    let v6 = ["fd0f::2", "fd0f::3", "fd0f::4"];
    (if desired.node.tunnel_address.is_ipv4() { v4 } else { v6 }).map(ip)
}

/// A first configuration.
pub(crate) fn build(bytes: &[u8]) -> Desired {
    let dice = &mut Dice(bytes);
    let v6 = dice.roll(4) == 3;
    let vrfs = 2 + dice.roll(2);
    let mut desired = Desired {
        node: node(v6, dice),
        vrfs: VRFS[..vrfs].iter().enumerate().map(|(n, name)| vrf(name, n)).collect(),
        vifs: Vec::new(),
        routes: Vec::new(),
        services: Vec::new(),
        policies: Vec::new(),
        nat: Default::default(),
        broadcasts: Vec::new(),
        underlay: Underlay {
            uplink: Some(Uplink {
                mac: UPLINK_MAC,
                mtu: dice.pick(&[1600, 700, 1500]),
                vlan: dice.pick(&[None, None, Some(7)]),
                link: Link::Up,
            }),
            ..Underlay::default()
        },
    };
    for peer in peers(&desired) {
        set_reach(&mut desired, peer, dice.pick(&[0, 0, 0, 1, 2]));
    }
    for _ in 0..1 + dice.roll(2) {
        turn_broadcast(&mut desired, dice);
    }
    for _ in 0..3 + dice.roll(4) {
        add_vif(&mut desired, dice);
    }
    for vrf in &VRFS[..2] {
        let vrf = VrfName::from(*vrf);
        for prefix in &PREFIXES[..2] {
            let target = RouteTarget::Hops(vec![tunnel_hop(&desired, dice)]);
            desired.routes.push(Route { vrf: vrf.clone(), prefix: prefix.parse().unwrap(), target });
        }
    }
    for _ in 0..1 + dice.roll(5) {
        add_route(&mut desired, dice);
    }
    for _ in 0..2 + dice.roll(3) {
        add_service(&mut desired, dice);
    }
    for row in 0..dice.roll(4) {
        rules::rewrite(&mut desired, dice);
        rules::attach(&mut desired, row, dice);
    }
    desired
}

/// Room in the flow table; sometimes so little that all vifs together meet its end.
pub(crate) fn room(bytes: &[u8]) -> Room {
    match bytes.last() {
        Some(1..=128) => Room { pairs: 4, per_vif: 3 },
        _ => ROOM,
    }
}

/// Most things happen in the first VRF, some in the second, so that things meet.
fn some_vrf(desired: &Desired, dice: &mut Dice<'_>) -> VrfName {
    let row = dice.pick(&[0, 0, 0, 1, 1, 2]);
    desired.vrfs[row % desired.vrfs.len()].name.clone()
}

fn node(v6: bool, dice: &mut Dice<'_>) -> Node {
    Node {
        tunnel_address: ip(if v6 { "fd0f::1" } else { "172.30.0.1" }),
        udp_port: 6635,
        legacy_udp_port: dice.pick(&[Some(51234), None]),
        outer: OuterOptions {
            dont_fragment: dice.pick(&[DontFragment::Clear, DontFragment::Set]),
            dscp: dice.pick(&[DscpMode::Copy, DscpMode::Fixed(46)]),
            udp6_checksum: dice.pick(&[Udp6Checksum::Compute, Udp6Checksum::Zero]),
        },
        mss_clamp: dice.pick(&[MssClamp::On, MssClamp::On, MssClamp::Off]),
        explicit_null_vrf: dice.pick(&[None, Some("red".into())]),
    }
}

fn vrf(name: &str, number: usize) -> Vrf {
    let label = if number == 2 { None } else { Label::new(500 + number as u32) };
    Vrf { name: name.into(), label }
}

pub(crate) fn set_reach(desired: &mut Desired, peer: IpAddr, state: usize) {
    let reach = [Reach::Via(PEER_MAC), Reach::Unresolved, Reach::NoRoute][state];
    desired.underlay.tunnels.insert(peer, reach);
}

/// Adds a vif under the first free name, with addresses that are free in its VRF.
pub(crate) fn add_vif(desired: &mut Desired, dice: &mut Dice<'_>) {
    let taken = |name: &VifName| desired.vifs.iter().any(|vif| vif.name == *name);
    let Some(number) = (0..6u8).find(|n| !taken(&format!("v{n}").as_str().into())) else { return };
    let vrf = some_vrf(desired, dice);
    let used: Vec<IpAddr> =
        desired.vifs.iter().filter(|vif| vif.vrf == vrf).flat_map(|vif| vif.addresses.clone()).collect();
    let pool = |prefix: &str| {
        let free = (1..=6).map(|n| ip(&format!("{prefix}{n}"))).filter(|address| !used.contains(address));
        free.collect::<Vec<_>>()
    };
    let mut addresses = vec![dice.pick(&pool("10.0.0."))];
    if dice.roll(3) < 2 {
        addresses.push(dice.pick(&pool("fd00::")));
    }
    desired.vifs.push(Vif {
        kind: if number == 5 { VifKind::Host } else { VifKind::Pod },
        name: format!("v{number}").as_str().into(),
        vrf,
        addresses,
        mac: Mac([2, 0, 0, 0, 0, number + 1]),
        policies: Vec::new(),
        gateway_v4: Vif::DEFAULT_GATEWAY_V4,
        gateway_v6: Vif::DEFAULT_GATEWAY_V6,
        label: Label::new(100 + u32::from(number)).unwrap(),
        mtu: dice.pick(&[1500, 1500, 1280, 600]),
        link: if dice.roll(8) == 7 { Link::Down("test".to_owned()) } else { Link::Up },
    });
}

/// Removes a vif and every hop that leads to it.
pub(crate) fn remove_vif(desired: &mut Desired, index: usize) {
    let name = desired.vifs.remove(index).name;
    let other = |hop: &Hop| hop.to != HopTarget::Vif(name.clone());
    for route in &mut desired.routes {
        if let RouteTarget::Hops(hops) = &mut route.target {
            hops.retain(other);
        }
    }
    desired.routes.retain(|route| route.target != RouteTarget::Hops(Vec::new()));
    for service in &mut desired.services {
        Arc::make_mut(service).backends.retain(|backend| backend.to != HopTarget::Vif(name.clone()));
    }
}

fn tunnel_hop(desired: &Desired, dice: &mut Dice<'_>) -> Hop {
    let label = Label::new(300 + dice.roll(3) as u32).unwrap();
    let to = HopTarget::Tunnel { node: dice.pick(&peers(desired)), label };
    Hop { to, weight: 1 + dice.roll(3) as u16 }
}

fn vif_hop(desired: &Desired, dice: &mut Dice<'_>, fits: impl Fn(&Vif) -> bool) -> Option<Hop> {
    let vifs: Vec<_> = desired.vifs.iter().filter(|vif| fits(vif)).collect();
    let vif = vifs.get(dice.roll(vifs.len()))?;
    Some(Hop { to: HopTarget::Vif(vif.name.clone()), weight: 1 })
}

/// Adds a route of any kind, or replaces the one with its prefix.
pub(crate) fn add_route(desired: &mut Desired, dice: &mut Dice<'_>) {
    let vrf = some_vrf(desired, dice);
    let prefix = dice.pick(&PREFIXES).parse().unwrap();
    let mut hops = Vec::new();
    let target = match dice.roll(8) {
        6 => RouteTarget::Vrf(dice.pick(&desired.vrfs).name),
        7 => RouteTarget::Discard,
        kind => {
            for _ in 0..[1, 1, 2, 3, 2, 1][kind] {
                hops.push(tunnel_hop(desired, dice));
            }
            if kind >= 4 {
                hops.extend(vif_hop(desired, dice, |_| true));
            }
            hops.sort();
            hops.dedup_by(|a, b| a.to == b.to);
            RouteTarget::Hops(hops)
        }
    };
    desired.routes.retain(|route| route.vrf != vrf || route.prefix != prefix);
    desired.routes.push(Route { vrf, prefix, target });
}

/// Adds a hop to a route that has hops, or takes one away.
fn add_or_remove_hop(desired: &mut Desired, row: usize, dice: &mut Dice<'_>) {
    let hop = tunnel_hop(desired, dice);
    let with_hops = desired.routes.iter_mut().filter_map(|route| match &mut route.target {
        RouteTarget::Hops(hops) => Some(hops),
        RouteTarget::Vrf(_) | RouteTarget::Discard => None,
    });
    let mut lists: Vec<_> = with_hops.collect();
    let count = lists.len().max(1);
    let Some(hops) = lists.get_mut(row % count) else { return };
    if hops.iter().all(|other| other.to != hop.to) {
        hops.push(hop);
    } else if hops.len() > 1 {
        hops.retain(|other| other.to != hop.to);
    }
}

/// Adds a service, or replaces the one with its address.
pub(crate) fn add_service(desired: &mut Desired, dice: &mut Dice<'_>) {
    let vrf = some_vrf(desired, dice);
    let address = ip(dice.pick(&SERVICES));
    let port = ServicePort::single;
    let ports = vec![
        port(Transport::Tcp, 80, 8080),
        port(Transport::Udp, 53, 5353),
        port(Transport::Udp, 80, 80),
        port(Transport::Sctp, 99, 99),
    ];
    let mut service = Service {
        vrf: vrf.clone(),
        address,
        ports,
        backends: Vec::new(),
        affinity: dice.pick(&AFFINITIES),
        on_backend_gone: dice.pick(&[OnBackendGone::Rechoose, OnBackendGone::Reset]),
    };
    for _ in 0..dice.pick(&[3, 4, 5, 6, 2, 1, 0]) {
        add_backend(desired, &mut service, dice);
    }
    desired.services.retain(|other| other.vrf != vrf || other.address != address);
    desired.services.push(Arc::new(service));
}

/// Adds a backend: a vif of the service's VRF with an address of its family, or a label on another node.
pub(crate) fn add_backend(desired: &Desired, service: &mut Service, dice: &mut Dice<'_>) {
    let v4 = service.address.is_ipv4();
    let fits =
        |vif: &Vif| vif.vrf == service.vrf && vif.addresses.iter().any(|address| address.is_ipv4() == v4);
    let hop = if dice.roll(3) == 2 { Some(tunnel_hop(desired, dice)) } else { vif_hop(desired, dice, fits) };
    if let Some(hop) = hop.filter(|hop| service.backends.iter().all(|other| other.to != hop.to)) {
        let state = dice.pick(&[BackendState::Ready, BackendState::Ready, BackendState::Terminating]);
        service.backends.push(Backend { state, ..hop.into() });
    }
}

/// Gives a VRF a broadcast domain, or takes it away.
pub(crate) fn turn_broadcast(desired: &mut Desired, dice: &mut Dice<'_>) {
    let vrf = some_vrf(desired, dice);
    let row = VRFS.iter().position(|name| *name == vrf.as_str()).unwrap();
    let before = desired.broadcasts.len();
    desired.broadcasts.retain(|broadcast| broadcast.vrf != vrf);
    if desired.broadcasts.len() < before {
        return;
    }
    let some: Vec<IpAddr> = peers(desired).into_iter().filter(|_| dice.roll(3) < 2).collect();
    let node = |node| BroadcastNode { node, label: Label::new(700).unwrap() };
    desired.broadcasts.push(Broadcast {
        vrf,
        label: dice.pick(&[Label::new(ALL + row as u32), Label::new(ALL + row as u32), None]),
        subnets: dice.pick(&[vec!["10.0.0.0/24".parse().unwrap()], Vec::new()]),
        nodes: some.into_iter().map(node).collect(),
    });
}

/// Changes one thing.
pub(crate) fn change(desired: &mut Desired, dice: &mut Dice<'_>) {
    let which = dice.roll(19);
    let row = usize::from(dice.byte());
    let toggle = |link: &Link| if *link == Link::Up { Link::Down("test".to_owned()) } else { Link::Up };
    match which {
        0 => add_vif(desired, dice),
        1 if desired.vifs.len() > 1 => remove_vif(desired, row % desired.vifs.len()),
        2 => add_route(desired, dice),
        11..=13 => add_or_remove_hop(desired, row, dice),
        3 if !desired.routes.is_empty() => drop(desired.routes.remove(row % desired.routes.len())),
        4 => add_service(desired, dice),
        14 => turn_broadcast(desired, dice),
        5 | 9 | 10 if !desired.services.is_empty() => {
            let at = row % desired.services.len();
            let mut service = Arc::unwrap_or_clone(desired.services.remove(at));
            match (dice.roll(3), service.backends.first_mut()) {
                (0, _) => add_backend(desired, &mut service, dice),
                (1, Some(backend)) => {
                    backend.state = dice.pick(&[BackendState::Terminating, BackendState::Ready])
                }
                _ => drop(service.backends.pop()),
            }
            desired.services.insert(at, Arc::new(service));
        }
        6 => {
            let at = row % desired.vifs.len();
            desired.vifs[at].link = toggle(&desired.vifs[at].link);
        }
        15 | 18 => rules::rewrite(desired, dice),
        16 | 17 => rules::attach(desired, row, dice),
        7 => {
            let peer = peers(desired)[row % 3];
            set_reach(desired, peer, dice.roll(3));
        }
        _ => {
            if let Some(uplink) = &mut desired.underlay.uplink {
                uplink.link = if dice.roll(2) == 0 { Link::Up } else { toggle(&uplink.link) };
                uplink.mtu = dice.pick(&[1600, 700, 1400]);
            }
        }
    }
}
