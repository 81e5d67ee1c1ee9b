use super::*;
use crate::kernel::facts::{AddressFacts, AddressState, Event, LinkFacts, LinkKind, LinkState};

const OURS: Mac = Mac([2, 0, 0, 0, 0, 1]);
const THEIRS: Mac = Mac([2, 0, 0, 0, 0, 9]);
const ETH0: IfIndex = IfIndex(2);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn eth0(state: LinkState) -> LinkFacts {
    LinkFacts {
        index: ETH0,
        name: "eth0".to_owned(),
        mac: Some(OURS),
        mtu: 1500,
        state,
        kind: LinkKind::Other,
        group: 0,
        rx_queues: None,
    }
}

fn facts() -> KernelFacts {
    let mut facts = KernelFacts::default();
    facts.apply(Event::Link(eth0(LinkState::Up)));
    let address = AddressFacts { address: "172.30.0.1/24".parse().unwrap(), state: AddressState::Usable };
    facts.apply(Event::Address(ETH0, address));
    facts
}

fn query(endpoints: &[&str]) -> UnderlayQuery {
    UnderlayQuery {
        uplink: "eth0".to_owned(),
        tunnel_address: ip("172.30.0.1"),
        endpoints: endpoints.iter().map(|text| ip(text)).collect(),
    }
}

fn route(device: u32, next_hop: &str) -> RouteAnswer {
    RouteAnswer::Hop { device: IfIndex(device), next_hop: ip(next_hop) }
}

#[test]
fn every_neighbour_state_has_its_reach() {
    let with_mac = [
        (Nud::Reachable, Reach::Via(THEIRS)),
        (Nud::Stale, Reach::Via(THEIRS)),
        (Nud::Delay, Reach::Via(THEIRS)),
        (Nud::Probe, Reach::Via(THEIRS)),
        (Nud::Permanent, Reach::Via(THEIRS)),
        (Nud::NoArp, Reach::Via(THEIRS)),
        (Nud::Failed, Reach::Failed),
        (Nud::Incomplete, Reach::Unresolved),
        (Nud::None, Reach::Unresolved),
    ];
    for (state, expected) in with_mac {
        let neighbour = Neighbour { mac: Some(THEIRS), state };
        assert_eq!(reach(Some(&neighbour), false), expected, "{state:?}");
    }
    for mac in [None, Some(Mac([0; 6]))] {
        assert_eq!(reach(Some(&Neighbour { mac, state: Nud::NoArp }), false), Reach::Unresolved);
    }
    assert_eq!(reach(None, false), Reach::Unresolved);
    assert_eq!(reach(None, true), Reach::Failed);
    let trying = Neighbour { mac: None, state: Nud::Incomplete };
    assert_eq!(reach(Some(&trying), true), Reach::Failed, "tried again, but no answer yet");
}

#[test]
fn endpoints_share_the_gateways_neighbour_and_leave_by_the_uplink_only() {
    let mut facts = facts();
    facts.apply(Event::Neighbour(
        ETH0,
        ip("172.30.0.254"),
        Neighbour { mac: Some(THEIRS), state: Nud::Stale },
    ));
    let query = query(&["172.31.0.1", "172.31.0.2", "172.30.0.7", "10.9.9.9", "10.9.9.8", "10.9.9.7"]);
    let routes = Routes::from([
        (ip("172.31.0.1"), route(2, "172.30.0.254")),
        (ip("172.31.0.2"), route(2, "172.30.0.254")),
        (ip("172.30.0.7"), route(2, "172.30.0.7")),
        (ip("10.9.9.9"), route(5, "10.9.9.9")),
        (ip("10.9.9.8"), RouteAnswer::None),
    ]);
    let hops = next_hops(&facts, &query, &routes);
    assert_eq!(hops, [(ETH0, ip("172.30.0.7")), (ETH0, ip("172.30.0.254"))].into());
    let failed = [(ETH0, ip("172.30.0.7"))].into();
    let expected = [
        (ip("172.31.0.1"), Reach::Via(THEIRS)),
        (ip("172.31.0.2"), Reach::Via(THEIRS)),
        (ip("172.30.0.7"), Reach::Failed),
        (ip("10.9.9.9"), Reach::NoRoute),
        (ip("10.9.9.8"), Reach::NoRoute),
        (ip("10.9.9.7"), Reach::NoRoute),
    ];
    assert_eq!(underlay(&facts, &query, &routes, &failed).tunnels, expected.into());
}

#[test]
fn the_uplink_is_told_with_its_reason() {
    let mut facts = facts();
    let query = query(&[]);
    let told = |facts: &KernelFacts| underlay(facts, &query, &Routes::new(), &BTreeSet::new()).uplink;
    let up = Uplink { mac: OURS, mtu: 1500, vlan: None, link: Link::Up };
    let down = |reason: &str| Some(Uplink { link: Link::Down(reason.to_owned()), ..up.clone() });
    assert_eq!(told(&facts), Some(up.clone()));
    facts.apply(Event::Link(eth0(LinkState::NoCarrier)));
    assert_eq!(told(&facts), down("eth0 is without carrier"));
    facts.apply(Event::Link(eth0(LinkState::AdminDown)));
    assert_eq!(told(&facts), down("eth0 is set down"));
    facts.apply(Event::Link(eth0(LinkState::Up)));
    facts.apply(Event::AddressGone(ETH0, ip("172.30.0.1")));
    assert_eq!(told(&facts), down("tunnel address 172.30.0.1 is not on eth0 or on a VLAN of it"));
    facts.apply(Event::Link(LinkFacts { mac: None, ..eth0(LinkState::Up) }));
    facts.apply(Event::LinkGone(ETH0));
    assert_eq!(told(&facts), None);
}

#[test]
fn a_vlan_has_its_own_address_and_follows_the_device_below() {
    let mut facts = KernelFacts::default();
    facts.apply(Event::Link(eth0(LinkState::Up)));
    let vlan = LinkFacts {
        index: IfIndex(3),
        name: "eth0.7".to_owned(),
        mac: Some(THEIRS),
        mtu: 1400,
        kind: LinkKind::Vlan { parent: ETH0, id: 7 },
        ..eth0(LinkState::Up)
    };
    facts.apply(Event::Link(vlan));
    let address = AddressFacts { address: "172.30.0.1/24".parse().unwrap(), state: AddressState::Usable };
    facts.apply(Event::Address(IfIndex(3), address));
    let routes = Routes::from([
        (ip("172.30.0.2"), route(3, "172.30.0.2")),
        (ip("172.30.9.9"), route(2, "172.30.9.9")),
    ]);
    let told = underlay(&facts, &query(&["172.30.0.2", "172.30.9.9"]), &routes, &BTreeSet::new());
    assert_eq!(told.uplink, Some(Uplink { mac: THEIRS, mtu: 1400, vlan: Some(7), link: Link::Up }));
    let expected = [(ip("172.30.0.2"), Reach::Unresolved), (ip("172.30.9.9"), Reach::NoRoute)];
    assert_eq!(told.tunnels, expected.into());
    facts.apply(Event::Link(eth0(LinkState::AdminDown)));
    let told = underlay(&facts, &query(&[]), &routes, &BTreeSet::new());
    assert_eq!(told.uplink.map(|uplink| uplink.link), Some(Link::Down("eth0 is set down".to_owned())));
}
