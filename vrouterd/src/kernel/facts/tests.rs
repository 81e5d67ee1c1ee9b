use super::*;

fn link(index: u32, state: LinkState) -> LinkFacts {
    LinkFacts {
        index: IfIndex(index),
        name: format!("eth{index}"),
        mac: Some(Mac([2, 0, 0, 0, 0, 1])),
        mtu: 1500,
        state,
        kind: LinkKind::Other,
        group: 0,
        rx_queues: Some(1),
    }
}

fn address(text: &str) -> AddressFacts {
    AddressFacts { address: text.parse().unwrap(), state: AddressState::Usable }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

const NEIGHBOUR: Neighbour = Neighbour { mac: Some(Mac([2, 0, 0, 0, 0, 9])), state: Nud::Reachable };

#[test]
fn each_event_changes_what_it_names_and_says_so_once() {
    let table: [(Event, u64); 6] = [
        (Event::Link(link(1, LinkState::Up)), 1),
        (Event::Address(IfIndex(1), address("10.0.0.1/24")), 2),
        (Event::Neighbour(IfIndex(1), ip("10.0.0.2"), NEIGHBOUR), 2),
        (Event::NeighbourGone(IfIndex(1), ip("10.0.0.2")), 2),
        (Event::AddressGone(IfIndex(1), ip("10.0.0.1")), 3),
        (Event::LinkGone(IfIndex(1)), 4),
    ];
    let mut facts = KernelFacts::default();
    for (event, epoch) in table {
        assert_eq!(facts.apply(event.clone()), Effect::Changed, "{event:?}");
        assert_eq!(facts.routing_epoch, epoch, "{event:?}");
        assert_eq!(facts.apply(event.clone()), Effect::Unchanged, "again {event:?}");
        assert_eq!(facts.routing_epoch, epoch, "again {event:?}");
    }
    assert_eq!(facts, KernelFacts { routing_epoch: 4, ..KernelFacts::default() });
}

#[test]
fn a_route_event_is_always_news() {
    let mut facts = KernelFacts::default();
    assert_eq!(facts.apply(Event::RoutesChanged), Effect::Changed);
    assert_eq!(facts.apply(Event::RoutesChanged), Effect::Changed);
    assert_eq!(facts.routing_epoch, 2);
}

#[test]
fn a_link_takes_its_own_addresses_and_neighbours_with_it() {
    let mut facts = KernelFacts::default();
    for index in [1, 2] {
        facts.apply(Event::Link(link(index, LinkState::Up)));
        facts.apply(Event::Address(IfIndex(index), address("10.0.0.1/24")));
        facts.apply(Event::Neighbour(IfIndex(index), ip("10.0.0.2"), NEIGHBOUR));
    }
    facts.apply(Event::LinkGone(IfIndex(1)));
    assert_eq!(facts.links.keys().copied().collect::<Vec<_>>(), [IfIndex(2)]);
    assert_eq!(facts.addresses_of(IfIndex(1)).count(), 0);
    assert_eq!(facts.addresses_of(IfIndex(2)).count(), 1);
    assert_eq!(facts.neighbours.keys().copied().collect::<Vec<_>>(), [(IfIndex(2), ip("10.0.0.2"))]);
}

#[test]
fn a_renamed_link_is_found_by_its_new_name_only() {
    let mut facts = KernelFacts::default();
    facts.apply(Event::Link(link(1, LinkState::Up)));
    facts.apply(Event::Link(LinkFacts { name: "uplink".to_owned(), ..link(1, LinkState::Up) }));
    assert!(facts.link_named("eth1").is_none());
    assert_eq!(facts.link_named("uplink").map(|link| link.index), Some(IfIndex(1)));
}
