//! Which devices the uplink is made of.

use std::net::IpAddr;

use super::facts::{AddressState, IfIndex, KernelFacts, LinkFacts, LinkKind, LinkState};

/// The devices between the tunnel address and the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UplinkDevices {
    /// Where frames come in as they are on the wire: XDP is attached here.
    pub physical: IfIndex,
    /// The device that has the tunnel address: the kernel's routes and neighbours name this one.
    pub layer3: IfIndex,
    /// VLAN between the two, when they are not the same.
    pub vlan: Option<u16>,
}

/// Why the uplink carries no tunnels. Each text is shown to the operator as the link's reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UplinkFault {
    /// No device of this name.
    #[error("there is no device {0}")]
    Missing(String),
    /// The VLAN's lower device is a VLAN again.
    #[error("{0} is a VLAN on a VLAN; use a VLAN on a device without tags")]
    StackedVlan(String),
    /// The VLAN's lower device is not (or no longer) known.
    #[error("the device below VLAN {0} is not in this network namespace")]
    NoParent(String),
    /// The tunnel address is nowhere on the uplink.
    #[error("tunnel address {address} is not on {device} or on a VLAN of it")]
    NoAddress {
        /// The address.
        address: IpAddr,
        /// The uplink.
        device: String,
    },
    /// The tunnel address cannot be used yet.
    #[error("tunnel address {0} is being checked for duplicates (RFC 4862); wait a second")]
    Tentative(IpAddr),
    /// The tunnel address is taken.
    #[error("tunnel address {0} is in use by another node (duplicate address detection failed)")]
    Duplicate(IpAddr),
    /// A device does not carry packets.
    #[error("{device} is {state}")]
    Down {
        /// Its name.
        device: String,
        /// Its state.
        state: LinkState,
    },
}

/// Finds the devices of the uplink `name` with the tunnel address on it. `name` is the device on
/// the wire, or the VLAN device that has the address.
///
/// # Errors
/// [`UplinkFault`], other than [`UplinkFault::Down`]: devices that are down are found.
pub fn find_uplink(
    facts: &KernelFacts,
    name: &str,
    tunnel_address: IpAddr,
) -> Result<UplinkDevices, UplinkFault> {
    let link = facts.link_named(name).ok_or_else(|| UplinkFault::Missing(name.to_owned()))?;
    let candidates = match link.kind {
        LinkKind::Vlan { parent, id } => vec![on_vlan(facts, link, parent, id)?],
        LinkKind::Veth { .. } | LinkKind::Other => on_wire(facts, link.index),
    };
    for devices in candidates {
        let Some(address) = facts.addresses.get(&(devices.layer3, tunnel_address)) else { continue };
        return match address.state {
            AddressState::Usable => Ok(devices),
            AddressState::Tentative => Err(UplinkFault::Tentative(tunnel_address)),
            AddressState::Duplicate => Err(UplinkFault::Duplicate(tunnel_address)),
        };
    }
    Err(UplinkFault::NoAddress { address: tunnel_address, device: name.to_owned() })
}

/// Whether both devices carry packets.
///
/// # Errors
/// [`UplinkFault::Down`] with the first one that does not, from the wire upwards.
pub fn check_up(facts: &KernelFacts, devices: UplinkDevices) -> Result<(), UplinkFault> {
    for index in [devices.physical, devices.layer3] {
        match facts.links.get(&index) {
            Some(link) if link.state == LinkState::Up => {}
            Some(link) => return Err(UplinkFault::Down { device: link.name.clone(), state: link.state }),
            None => return Err(UplinkFault::Missing(format!("with number {index}"))),
        }
    }
    Ok(())
}

fn on_vlan(
    facts: &KernelFacts,
    link: &LinkFacts,
    parent: IfIndex,
    id: u16,
) -> Result<UplinkDevices, UplinkFault> {
    let below = facts.links.get(&parent).ok_or_else(|| UplinkFault::NoParent(link.name.clone()))?;
    if matches!(below.kind, LinkKind::Vlan { .. }) {
        return Err(UplinkFault::StackedVlan(link.name.clone()));
    }
    Ok(UplinkDevices { physical: parent, layer3: link.index, vlan: Some(id) })
}

/// The device itself, then the VLANs on it.
fn on_wire(facts: &KernelFacts, wire: IfIndex) -> Vec<UplinkDevices> {
    let itself = UplinkDevices { physical: wire, layer3: wire, vlan: None };
    let vlans = facts.links.values().filter_map(|link| match link.kind {
        LinkKind::Vlan { parent, id } if parent == wire => {
            Some(UplinkDevices { physical: wire, layer3: link.index, vlan: Some(id) })
        }
        _ => None,
    });
    std::iter::once(itself).chain(vlans).collect()
}

#[cfg(test)]
mod tests;
