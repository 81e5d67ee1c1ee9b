//! From rtnetlink messages to [`Event`]s.

use std::net::IpAddr;

use dataplane::ids::Mac;
use ipnet::IpNet;
use rtnetlink::packet_core::{NetlinkBuffer, NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use rtnetlink::packet_route::link::{
    InfoData, InfoKind, InfoVlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, State, VlanProtocol,
};
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use super::facts::{
    AddressFacts, AddressState, Event, IfIndex, LinkFacts, LinkKind, LinkState, Neighbour, Nud,
};

/// Message types that only say "routing has changed" (include/uapi/linux/rtnetlink.h): new and
/// deleted routes, rules and next hop objects. They are not looked into.
const ROUTING: [u16; 6] = [24, 25, 32, 33, 104, 105];

/// Bytes that are no netlink messages, or a message that cannot be understood: something may
/// have been missed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a netlink message cannot be read: {0}")]
pub struct Gap(String);

/// Reads all messages of one datagram of a multicast socket and hands their events on.
///
/// # Errors
/// [`Gap`] at the first message that cannot be read; the events before it have been handed on.
pub fn events_of(datagram: &[u8], mut each: impl FnMut(Event)) -> Result<(), Gap> {
    let mut rest = datagram;
    while !rest.is_empty() {
        let header = NetlinkBuffer::new_checked(rest).map_err(|error| Gap(error.to_string()))?;
        let length = header.length() as usize;
        let (message, _) = rest.split_at_checked(length).ok_or_else(|| Gap("cut off".to_owned()))?;
        if ROUTING.contains(&header.message_type()) {
            each(Event::RoutesChanged);
        } else if let Some(event) = event_of_bytes(message)? {
            each(event);
        }
        // Messages start at multiples of four (NLMSG_ALIGN); the last one need not be filled up.
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(())
}

fn event_of_bytes(message: &[u8]) -> Result<Option<Event>, Gap> {
    let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(message)
        .map_err(|error| Gap(error.to_string()))?;
    match message.payload {
        NetlinkPayload::InnerMessage(inner) => Ok(event_of(&inner)),
        NetlinkPayload::Overrun(_) => Err(Gap("the kernel reports an overrun".to_owned())),
        _ => Ok(None),
    }
}

/// The event that a message tells; none for messages that do not matter here.
pub fn event_of(message: &RouteNetlinkMessage) -> Option<Event> {
    match message {
        RouteNetlinkMessage::NewLink(link) if is_device(link) => link_facts(link).map(Event::Link),
        RouteNetlinkMessage::DelLink(link) if is_device(link) => {
            Some(Event::LinkGone(IfIndex(link.header.index)))
        }
        RouteNetlinkMessage::NewAddress(address) => address_event(address, Event::Address),
        RouteNetlinkMessage::DelAddress(address) => {
            address_event(address, |index, facts| Event::AddressGone(index, facts.address.addr()))
        }
        RouteNetlinkMessage::NewNeighbour(entry) => neighbour_event(entry),
        RouteNetlinkMessage::DelNeighbour(entry) => {
            neighbour_key(entry).map(|(index, address)| Event::NeighbourGone(index, address))
        }
        RouteNetlinkMessage::NewRoute(_)
        | RouteNetlinkMessage::DelRoute(_)
        | RouteNetlinkMessage::NewRule(_)
        | RouteNetlinkMessage::DelRule(_) => Some(Event::RoutesChanged),
        _ => None,
    }
}

/// Bridges and IPv6 speak about their part of a link under the same types: "deleted" from them
/// means that a port has left a bridge, not that the device is gone.
fn is_device(link: &LinkMessage) -> bool {
    link.header.interface_family == AddressFamily::Unspec
}

/// What a link message tells; none when it has no name.
pub fn link_facts(link: &LinkMessage) -> Option<LinkFacts> {
    let mut name = None;
    let mut facts = LinkFacts {
        index: IfIndex(link.header.index),
        name: String::new(),
        mac: None,
        mtu: 0,
        state: LinkState::AdminDown,
        kind: kind(&link.attributes),
        group: 0,
        rx_queues: None,
    };
    let mut oper = State::Unknown;
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = Some(text.clone()),
            LinkAttribute::Address(bytes) => facts.mac = mac(bytes),
            LinkAttribute::Mtu(mtu) => facts.mtu = *mtu,
            LinkAttribute::OperState(state) => oper = *state,
            LinkAttribute::Group(group) => facts.group = *group,
            LinkAttribute::NumRxQueues(count) => facts.rx_queues = Some(*count),
            _ => {}
        }
    }
    facts.state = state(link.header.flags, oper);
    name.map(|name| LinkFacts { name, ..facts })
}

fn state(flags: LinkFlags, oper: State) -> LinkState {
    if !flags.contains(LinkFlags::Up) {
        return LinkState::AdminDown;
    }
    match oper {
        _ if !flags.contains(LinkFlags::LowerUp) => LinkState::NoCarrier,
        State::Down | State::LowerLayerDown | State::NotPresent => LinkState::NoCarrier,
        State::Dormant | State::Testing => LinkState::NotReady,
        // Devices without a notion of it (loopback, tun) stay "unknown" and work.
        _ => LinkState::Up,
    }
}

fn kind(attributes: &[LinkAttribute]) -> LinkKind {
    let mut below = None;
    let mut elsewhere = false;
    let mut info: &[LinkInfo] = &[];
    for attribute in attributes {
        match attribute {
            LinkAttribute::Link(index) => below = Some(IfIndex(*index)),
            // The index before is one of another namespace.
            LinkAttribute::LinkNetNsId(_) => elsewhere = true,
            LinkAttribute::LinkInfo(infos) => info = infos,
            _ => {}
        }
    }
    let below = below.filter(|_| !elsewhere);
    if info.contains(&LinkInfo::Kind(InfoKind::Veth)) {
        return LinkKind::Veth { peer: below };
    }
    match (vlan_id(info), below) {
        (Some(id), Some(parent)) => LinkKind::Vlan { parent, id },
        _ => LinkKind::Other,
    }
}

/// The id of an 802.1Q VLAN; none for other devices and for 802.1ad, which has another tag.
fn vlan_id(info: &[LinkInfo]) -> Option<u16> {
    let data = info.iter().find_map(|info| match info {
        LinkInfo::Data(InfoData::Vlan(data)) => Some(data),
        _ => None,
    })?;
    if data.contains(&InfoVlan::Protocol(VlanProtocol::Ieee8021Ad)) {
        return None;
    }
    data.iter().find_map(|data| match data {
        InfoVlan::Id(id) => Some(*id),
        _ => None,
    })
}

fn mac(bytes: &[u8]) -> Option<Mac> {
    <[u8; 6]>::try_from(bytes).ok().map(Mac)
}

fn address_event(message: &AddressMessage, make: impl Fn(IfIndex, AddressFacts) -> Event) -> Option<Event> {
    let mut address = None;
    let mut local = None;
    let mut flags = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(of) => address = Some(*of),
            AddressAttribute::Local(of) => local = Some(*of),
            AddressAttribute::Flags(all) => flags = *all,
            _ => {}
        }
    }
    // On a point-to-point link IFA_ADDRESS is the other end (include/uapi/linux/if_addr.h).
    let address = IpNet::new(local.or(address)?, message.header.prefix_len).ok()?;
    let state = if flags.contains(AddressFlags::Dadfailed) {
        AddressState::Duplicate
    } else if flags.contains(AddressFlags::Tentative) && !flags.contains(AddressFlags::Optimistic) {
        AddressState::Tentative
    } else {
        AddressState::Usable
    };
    Some(make(IfIndex(message.header.index), AddressFacts { address, state }))
}

fn neighbour_key(entry: &NeighbourMessage) -> Option<(IfIndex, IpAddr)> {
    // Proxy entries are addresses that we answer for, not neighbours.
    if entry.header.flags.contains(NeighbourFlags::Proxy) {
        return None;
    }
    let address = entry.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => Some(IpAddr::V4(*address)),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    })?;
    Some((IfIndex(entry.header.ifindex), address))
}

fn neighbour_event(entry: &NeighbourMessage) -> Option<Event> {
    let (index, address) = neighbour_key(entry)?;
    let mac = entry.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(bytes) => mac(bytes),
        _ => None,
    });
    let state = match entry.header.state {
        NeighbourState::Incomplete => Nud::Incomplete,
        NeighbourState::Reachable => Nud::Reachable,
        NeighbourState::Stale => Nud::Stale,
        NeighbourState::Delay => Nud::Delay,
        NeighbourState::Probe => Nud::Probe,
        NeighbourState::Failed => Nud::Failed,
        NeighbourState::Noarp => Nud::NoArp,
        NeighbourState::Permanent => Nud::Permanent,
        _ => Nud::None,
    };
    Some(Event::Neighbour(index, address, Neighbour { mac, state }))
}

#[cfg(test)]
mod tests;
