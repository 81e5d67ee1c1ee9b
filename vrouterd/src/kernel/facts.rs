//! What the kernel has told: links, addresses, neighbours. Plain data, changed by [`Event`]s.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use dataplane::ids::Mac;
use ipnet::IpNet;

/// The kernel's number of a device, unique in a network namespace for as long as the device lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IfIndex(pub u32);

impl fmt::Display for IfIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkFacts {
    /// Its number.
    pub index: IfIndex,
    /// Its name.
    pub name: String,
    /// Its Ethernet address; absent on devices without one.
    pub mac: Option<Mac>,
    /// Largest IP packet, in bytes.
    pub mtu: u32,
    /// Whether it carries packets.
    pub state: LinkState,
    /// What it is.
    pub kind: LinkKind,
    /// `IFLA_GROUP`; 0 unless somebody has set it.
    pub group: u32,
    /// Receive queues allocated (`IFLA_NUM_RX_QUEUES`), not all of which need be in use.
    pub rx_queues: Option<u32>,
}

/// Whether a device carries packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// It carries packets.
    Up,
    /// It is set down (`ip link set DEV down`).
    AdminDown,
    /// It is set up, but there is no signal, or the device below is down.
    NoCarrier,
    /// It has a signal but waits for something, as 802.1X (RFC 2863, `dormant` and `testing`).
    NotReady,
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LinkState::Up => "up",
            LinkState::AdminDown => "set down",
            LinkState::NoCarrier => "without carrier",
            LinkState::NotReady => "not ready (dormant or testing)",
        })
    }
}

/// What a device is, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// One end of a veth pair.
    Veth {
        /// The other end, when it is in the same network namespace.
        peer: Option<IfIndex>,
    },
    /// An IEEE 802.1Q VLAN on a device of the same network namespace.
    Vlan {
        /// The device that carries the tagged frames.
        parent: IfIndex,
        /// VLAN id.
        id: u16,
    },
    /// Anything else.
    Other,
}

/// An address of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressFacts {
    /// The address with the length of its subnet's prefix.
    pub address: IpNet,
    /// Whether it may be used.
    pub state: AddressState,
}

/// Whether an address may be used (RFC 4862 section 5.4; IPv4 addresses always may).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressState {
    /// Assigned.
    Usable,
    /// Duplicate address detection is under way.
    Tentative,
    /// Somebody else has it.
    Duplicate,
}

/// A neighbour entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Its Ethernet address, when known.
    pub mac: Option<Mac>,
    /// State of the entry.
    pub state: Nud,
}

/// State of a neighbour entry (RFC 4861 section 7.3.2; `NUD_*` in include/uapi/linux/neighbour.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nud {
    /// No state.
    None,
    /// The address is being resolved.
    Incomplete,
    /// Confirmed a short time ago.
    Reachable,
    /// Not confirmed for some time; checked when used.
    Stale,
    /// Used while stale; a probe follows unless something confirms it.
    Delay,
    /// Probes are being sent.
    Probe,
    /// No answer.
    Failed,
    /// The device needs no resolution.
    NoArp,
    /// Set by the operator.
    Permanent,
}

/// Something the kernel has told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A device is there, new or changed.
    Link(LinkFacts),
    /// A device is gone.
    LinkGone(IfIndex),
    /// An address is there.
    Address(IfIndex, AddressFacts),
    /// An address is gone.
    AddressGone(IfIndex, IpAddr),
    /// A neighbour entry is there.
    Neighbour(IfIndex, IpAddr, Neighbour),
    /// A neighbour entry is gone.
    NeighbourGone(IfIndex, IpAddr),
    /// A route, a rule or a next hop object has changed; which one does not matter.
    RoutesChanged,
}

/// Whether an event told anything new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that was not known.
    Unchanged,
    /// The facts are others now.
    Changed,
}

/// Everything known about the kernel's tables.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct KernelFacts {
    /// Devices.
    pub links: BTreeMap<IfIndex, LinkFacts>,
    /// Addresses of devices.
    pub addresses: BTreeMap<(IfIndex, IpAddr), AddressFacts>,
    /// Neighbour entries.
    pub neighbours: BTreeMap<(IfIndex, IpAddr), Neighbour>,
    /// Counts what may change the kernel's choice of a route: while it stays, so do the answers.
    pub routing_epoch: u64,
}

impl KernelFacts {
    /// Folds one event in.
    pub fn apply(&mut self, event: Event) -> Effect {
        match event {
            Event::Link(link) => {
                if self.links.get(&link.index) == Some(&link) {
                    return Effect::Unchanged;
                }
                self.links.insert(link.index, link);
                self.routing_epoch += 1;
            }
            Event::LinkGone(index) => return self.forget_link(index),
            Event::Address(index, facts) => {
                if self.addresses.insert((index, facts.address.addr()), facts) == Some(facts) {
                    return Effect::Unchanged;
                }
                self.routing_epoch += 1;
            }
            Event::AddressGone(index, address) => {
                if self.addresses.remove(&(index, address)).is_none() {
                    return Effect::Unchanged;
                }
                self.routing_epoch += 1;
            }
            Event::Neighbour(index, address, neighbour) => {
                if self.neighbours.insert((index, address), neighbour) == Some(neighbour) {
                    return Effect::Unchanged;
                }
            }
            Event::NeighbourGone(index, address) => {
                if self.neighbours.remove(&(index, address)).is_none() {
                    return Effect::Unchanged;
                }
            }
            Event::RoutesChanged => self.routing_epoch += 1,
        }
        Effect::Changed
    }

    fn forget_link(&mut self, index: IfIndex) -> Effect {
        if self.links.remove(&index).is_none() {
            return Effect::Unchanged;
        }
        self.addresses.retain(|(of, _), _| *of != index);
        self.neighbours.retain(|(of, _), _| *of != index);
        self.routing_epoch += 1;
        Effect::Changed
    }

    /// The device of this name.
    pub fn link_named(&self, name: &str) -> Option<&LinkFacts> {
        self.links.values().find(|link| link.name == name)
    }

    /// The addresses of a device.
    pub fn addresses_of(&self, index: IfIndex) -> impl Iterator<Item = &AddressFacts> {
        self.addresses.iter().filter(move |((of, _), _)| *of == index).map(|(_, facts)| facts)
    }
}

#[cfg(test)]
mod tests;
