//! Identifiers, each a type of its own so that one cannot be taken for another.

use core::fmt;
use core::str::FromStr;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as configured.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// Name of a VRF, unique on the node.
    VrfName
);
name!(
    /// Name of a vif, unique on the node; shown everywhere.
    VifName
);
name!(
    /// Name of a security policy, unique on the node.
    PolicyName
);

/// Where a vif sits in the tables of this node: its VLAN id on the trunk, 1..=4094.
/// A slot is used again after its vif is gone; see [`VifId`] for the identity that is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(transparent)]
pub struct VifSlot(u16);

impl VifSlot {
    /// First slot: VLAN 0 means "priority tag only" (IEEE 802.1Q), so it names no vif.
    pub const FIRST: u16 = 1;
    /// Last slot: VLAN 4095 is reserved by IEEE 802.1Q.
    pub const LAST: u16 = 4094;
    /// Length of a table that is indexed by slot.
    pub const TABLE: usize = 4095;

    /// The slot with this VLAN id, unless the id names none.
    pub const fn new(vlan: u16) -> Option<Self> {
        if vlan >= Self::FIRST && vlan <= Self::LAST { Some(Self(vlan)) } else { None }
    }

    /// The VLAN id.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whom the flow table counts a pair for that the pod has begun.
    pub const fn flow_owner(self) -> u16 {
        self.0
    }

    /// Whom the flow table counts a pair for that other nodes have begun towards the pod: not the
    /// pod itself, or a stranger could use up what it may have.
    pub const fn fabric_flow_owner(self) -> u16 {
        self.0 + Self::TABLE as u16
    }

    /// Flow owners: both kinds are below this.
    pub const FLOW_OWNERS: u16 = 2 * Self::TABLE as u16;

    /// Index into tables of [`VifSlot::TABLE`] rows.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Identity of a vif for as long as the daemon runs, never given twice.
/// Flow keys carry it, so that no flow of a removed vif can match its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(transparent)]
pub struct VifId(pub u32);

/// Index of a VRF in the snapshot; stable for as long as the VRF is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(transparent)]
pub struct VrfId(pub u16);

/// Index of a tunnel endpoint in the snapshot; stable for as long as the daemon runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(transparent)]
pub struct TunnelId(pub u16);

/// Index of an epoch in the snapshot: what a flow rests on, and when it was derived from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CellId(pub u32);

impl CellId {
    /// Moves with every snapshot: for the few flows that rest on the node as a whole.
    pub const NODE: CellId = CellId(0);
}

/// Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Address the vrouter has on every vif (the virtual router MAC of the OpenContrail vrouter).
    pub const GATEWAY: Mac = Mac([0x00, 0x00, 0x5e, 0x00, 0x01, 0x00]);
    /// All ones.
    pub const BROADCAST: Mac = Mac([0xff; 6]);

    /// Whether the group bit is set (broadcast included).
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// Whether all octets are zero.
    pub fn is_zero(self) -> bool {
        self.0 == [0; 6]
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Mac {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The text is not six octets in hexadecimal with colons between them.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an Ethernet address: write six octets like 02:00:00:00:0a:01")]
pub struct BadMac;

impl FromStr for Mac {
    type Err = BadMac;

    fn from_str(text: &str) -> Result<Self, BadMac> {
        let mut octets = [0u8; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            let part = parts.next().filter(|part| part.len() == 2).ok_or(BadMac)?;
            *octet = u8::from_str_radix(part, 16).map_err(|_| BadMac)?;
        }
        if parts.next().is_some() { Err(BadMac) } else { Ok(Mac(octets)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_the_usable_vlan_ids() {
        assert_eq!(VifSlot::new(0), None);
        assert_eq!(VifSlot::new(1).map(VifSlot::get), Some(1));
        assert_eq!(VifSlot::new(4094).map(VifSlot::index), Some(4094));
        assert_eq!(VifSlot::new(4095), None);
    }

    #[test]
    fn every_slot_has_two_flow_owners_of_its_own() {
        let slots: Vec<_> = (0..=u16::MAX).filter_map(VifSlot::new).collect();
        let owners = slots.iter().flat_map(|slot| [slot.flow_owner(), slot.fabric_flow_owner()]);
        let distinct: std::collections::HashSet<_> = owners.collect();
        assert_eq!(distinct.len(), 2 * slots.len());
        assert!(distinct.iter().all(|owner| *owner < VifSlot::FLOW_OWNERS));
    }

    #[test]
    fn macs_are_read_and_written() {
        let mac: Mac = "02:c2:23:4c:d0:55".parse().unwrap();
        assert_eq!(mac.to_string(), "02:c2:23:4c:d0:55");
        for bad in ["", "02:c2:23:4c:d0", "02:c2:23:4c:d0:55:66", "2:c2:23:4c:d0:55", "02:c2:23:4c:d0:5g"] {
            assert_eq!(bad.parse::<Mac>(), Err(BadMac), "{bad}");
        }
    }
}
