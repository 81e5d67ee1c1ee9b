use super::*;

/// A message with its header: length, type, no flags, sequence 0, port 0.
fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + payload.len()).unwrap();
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend([0; 10]);
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap();
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// `struct ndmsg` of device 3 with NDA_DST (1) and NDA_LLADDR (2).
fn neighbour(family: u8, state: u16, flags: u8) -> Vec<u8> {
    let mut bytes = vec![family, 0, 0, 0];
    bytes.extend(3u32.to_ne_bytes());
    bytes.extend(state.to_ne_bytes());
    bytes.extend([flags, 0]);
    bytes.extend(attribute(1, &[10, 0, 0, 2]));
    bytes.extend(attribute(2, &[2, 0, 0, 0, 0, 9]));
    bytes
}

/// `struct ifinfomsg` of device 3 with the attributes given.
fn link(family: u8, flags: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![family, 0, 1, 0];
    bytes.extend(3u32.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(attributes.concat());
    bytes
}

/// `struct ifaddrmsg` of device 3 with the attributes given.
fn address(family: u8, prefix: u8, attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![family, prefix, 0, 0];
    bytes.extend(3u32.to_ne_bytes());
    bytes.extend(attributes.concat());
    bytes
}

fn read(datagram: &[u8]) -> (Vec<Event>, Result<(), Gap>) {
    let mut events = Vec::new();
    let result = events_of(datagram, |event| events.push(event));
    (events, result)
}

fn told(kind: u16, payload: &[u8]) -> Vec<Event> {
    let (events, result) = read(&message(kind, payload));
    result.unwrap();
    events
}

const NEWLINK: u16 = 16;
const DELLINK: u16 = 17;
const UP: u32 = 1;
const LOWER_UP: u32 = 1 << 16;

#[test]
fn neighbours() {
    let address = IpAddr::from([10, 0, 0, 2]);
    let mac = Some(Mac([2, 0, 0, 0, 0, 9]));
    let states = [
        (0, Nud::None),
        (1, Nud::Incomplete),
        (2, Nud::Reachable),
        (4, Nud::Stale),
        (8, Nud::Delay),
        (16, Nud::Probe),
        (32, Nud::Failed),
        (64, Nud::NoArp),
        (128, Nud::Permanent),
    ];
    for (number, state) in states {
        let expected = Event::Neighbour(IfIndex(3), address, Neighbour { mac, state });
        assert_eq!(told(28, &neighbour(2, number, 0)), [expected], "{state:?}");
    }
    assert_eq!(told(29, &neighbour(2, 2, 0)), [Event::NeighbourGone(IfIndex(3), address)]);
    assert_eq!(told(28, &neighbour(2, 128, 8)), [], "a proxy entry is no neighbour");
    assert_eq!(told(28, &neighbour(7, 2, 0)), [], "a bridge's forwarding entry is no neighbour");
}

#[test]
fn links_and_their_states() {
    let table = [
        (0, 2, LinkState::AdminDown),
        (UP, 2, LinkState::NoCarrier),
        (UP, 7, LinkState::NoCarrier),
        (UP | LOWER_UP, 3, LinkState::NoCarrier),
        (UP | LOWER_UP, 5, LinkState::NotReady),
        (UP | LOWER_UP, 6, LinkState::Up),
        (UP | LOWER_UP, 0, LinkState::Up),
    ];
    for (flags, oper, state) in table {
        let attributes = [
            attribute(3, b"eth0\0"),
            attribute(1, &[2, 0, 0, 0, 0, 1]),
            attribute(4, &1500u32.to_ne_bytes()),
            attribute(16, &[oper]),
            attribute(27, &5u32.to_ne_bytes()),
            attribute(32, &4u32.to_ne_bytes()),
        ];
        let expected = LinkFacts {
            index: IfIndex(3),
            name: "eth0".to_owned(),
            mac: Some(Mac([2, 0, 0, 0, 0, 1])),
            mtu: 1500,
            state,
            kind: LinkKind::Other,
            group: 5,
            rx_queues: Some(4),
        };
        assert_eq!(told(NEWLINK, &link(0, flags, &attributes)), [Event::Link(expected)], "{flags} {oper}");
    }
}

#[test]
fn kinds_of_links() {
    let vlan = |protocol: [u8; 2]| {
        let data = [attribute(1, &7u16.to_ne_bytes()), attribute(5, &protocol)].concat();
        attribute(18, &[attribute(1, b"vlan\0"), attribute(2, &data)].concat())
    };
    let veth = attribute(18, &attribute(1, b"veth\0"));
    let below = attribute(5, &2u32.to_ne_bytes());
    let elsewhere = attribute(37, &0i32.to_ne_bytes());
    let table = [
        (vec![vlan([0x81, 0]), below.clone()], LinkKind::Vlan { parent: IfIndex(2), id: 7 }),
        (vec![vlan([0x81, 0]), below.clone(), elsewhere.clone()], LinkKind::Other),
        (vec![vlan([0x88, 0xa8]), below.clone()], LinkKind::Other),
        (vec![veth.clone(), below.clone()], LinkKind::Veth { peer: Some(IfIndex(2)) }),
        (vec![veth, below, elsewhere], LinkKind::Veth { peer: None }),
        (vec![], LinkKind::Other),
    ];
    for (attributes, expected) in table {
        let attributes = [vec![attribute(3, b"eth0\0")], attributes].concat();
        let events = told(NEWLINK, &link(0, UP, &attributes));
        let [Event::Link(facts)] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(facts.kind, expected, "{attributes:?}");
    }
}

#[test]
fn a_port_that_leaves_a_bridge_is_not_gone() {
    assert_eq!(told(DELLINK, &link(0, 0, &[])), [Event::LinkGone(IfIndex(3))]);
    assert_eq!(told(DELLINK, &link(7, 0, &[])), []);
    assert_eq!(told(NEWLINK, &link(7, UP, &[attribute(3, b"eth0\0")])), []);
}

#[test]
fn addresses() {
    let local = attribute(2, &[10, 0, 0, 1]);
    let other_end = attribute(1, &[10, 0, 0, 9]);
    let v6 = attribute(1, &[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    let flags = |flags: u32| attribute(8, &flags.to_ne_bytes());
    let event = |text: &str, state| {
        Event::Address(IfIndex(3), AddressFacts { address: text.parse().unwrap(), state })
    };
    let table = [
        (address(2, 24, &[local.clone(), other_end.clone()]), event("10.0.0.1/24", AddressState::Usable)),
        (address(10, 64, std::slice::from_ref(&v6)), event("fd00::1/64", AddressState::Usable)),
        (address(10, 64, &[v6.clone(), flags(0xc0)]), event("fd00::1/64", AddressState::Tentative)),
        (address(10, 64, &[v6.clone(), flags(0xc4)]), event("fd00::1/64", AddressState::Usable)),
        (address(10, 64, &[v6, flags(0xc8)]), event("fd00::1/64", AddressState::Duplicate)),
    ];
    for (payload, expected) in table {
        assert_eq!(told(20, &payload), [expected]);
    }
    let gone = address(2, 24, &[local, other_end]);
    assert_eq!(told(21, &gone), [Event::AddressGone(IfIndex(3), IpAddr::from([10, 0, 0, 1]))]);
}

#[test]
fn routing_messages_are_counted_without_being_read() {
    for kind in ROUTING {
        assert_eq!(told(kind, &[0xff; 3]), [Event::RoutesChanged], "{kind}");
    }
}

#[test]
fn messages_share_a_datagram() {
    let datagram =
        [message(DELLINK, &link(0, 0, &[])), message(24, &[1, 2, 3]), message(29, &neighbour(2, 2, 0))];
    let (events, result) = read(&datagram.concat());
    assert_eq!((events.len(), result), (3, Ok(())));
}

#[test]
fn what_cannot_be_read_is_a_gap_after_the_events_before_it() {
    let good = message(24, &[]);
    let mut too_long = message(DELLINK, &link(0, 0, &[]));
    too_long[0] += 4;
    let mut too_short = message(DELLINK, &link(0, 0, &[]));
    too_short[0] = 15;
    let bad = [
        too_long,
        too_short,
        vec![1, 2, 3],
        message(NEWLINK, &[0; 3]),
        message(28, &neighbour(2, 2, 0)[..17]),
        message(4, &[]),
        message(9999, &[]),
    ];
    for bytes in bad {
        let (events, result) = read(&[good.clone(), bytes.clone()].concat());
        assert_eq!(events, [Event::RoutesChanged], "{bytes:?}");
        assert!(result.is_err(), "{bytes:?}");
    }
}
