//! VLAN ids.

use std::fmt;

/// A VLAN id that names a VLAN: 1 to 4094 (IEEE 802.1Q reserves 0 and 4095). On the trunk it names a vif.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VlanId(u16);

impl VlanId {
    /// The largest id.
    pub const MAX: Self = Self(4094);

    /// `None` outside 1..=4094.
    #[must_use]
    pub const fn new(id: u16) -> Option<Self> {
        if id >= 1 && id <= Self::MAX.0 { Some(Self(id)) } else { None }
    }

    /// The id, in host byte order.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for VlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_that_name_a_vlan_exist() {
        for (id, valid) in [(0, false), (1, true), (4094, true), (4095, false), (u16::MAX, false)] {
            assert_eq!(VlanId::new(id).map(VlanId::get), valid.then_some(id));
        }
    }
}
