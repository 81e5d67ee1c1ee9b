//! Which packets a tap takes, and what of them.

use flow_table::{Addr, Family, Tuple};

use crate::ids::VifSlot;

/// What a tap takes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Catch {
    /// How each packet ended, with its first bytes as it came.
    Ends,
    /// What vifs send and receive, as it is on their ends.
    Wire,
    /// That, and dropped packets with the reason.
    WireAndDrops,
}

/// Which packets. What is not said does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Sent or received by this vif, or dropped and laid to it.
    pub vif: Option<VifSlot>,
    /// IP protocol number.
    pub protocol: Option<u8>,
    /// Source address.
    pub src: Option<(Family, Addr)>,
    /// Destination address.
    pub dst: Option<(Family, Addr)>,
    /// Source or destination port, or echo identifier.
    pub port: Option<u16>,
}

impl Filter {
    /// All packets.
    pub const ALL: Filter = Filter { vif: None, protocol: None, src: None, dst: None, port: None };

    /// Whether a packet of these vifs is meant.
    pub(crate) fn takes_vif(&self, vifs: [Option<VifSlot>; 2]) -> bool {
        self.vif.is_none_or(|wanted| vifs.contains(&Some(wanted)))
    }

    /// Whether a packet with this tuple is meant; one without passes only where nothing is asked of it.
    pub(crate) fn takes_tuple(&self, tuple: Option<&Tuple>) -> bool {
        let Some(tuple) = tuple else {
            return !self.asks_for_tuple();
        };
        let family = tuple.family;
        self.protocol.is_none_or(|wanted| wanted == tuple.protocol)
            && self.src.is_none_or(|wanted| wanted == (family, tuple.src))
            && self.dst.is_none_or(|wanted| wanted == (family, tuple.dst))
            && self.port.is_none_or(|wanted| wanted == tuple.sport || wanted == tuple.dport)
    }

    /// Whether the tuple of a packet matters.
    pub(crate) fn asks_for_tuple(&self) -> bool {
        self.protocol.is_some() || self.src.is_some() || self.dst.is_some() || self.port.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_a_filter_counts() {
        let (src, dst) = (Addr(1), Addr(2));
        let tuple = Tuple { family: Family::V4, protocol: 6, src, dst, sport: 7, dport: 8 };
        let slot = VifSlot::new(3);
        let all = Filter::ALL;
        let taken = [
            all,
            Filter { protocol: Some(6), ..all },
            Filter { src: Some((Family::V4, src)), ..all },
            Filter { dst: Some((Family::V4, dst)), ..all },
            Filter { port: Some(7), ..all },
            Filter { port: Some(8), ..all },
        ];
        assert!(taken.iter().all(|filter| filter.takes_tuple(Some(&tuple))));
        let refused = [
            Filter { protocol: Some(17), ..all },
            Filter { src: Some((Family::V6, src)), ..all },
            Filter { src: Some((Family::V4, dst)), ..all },
            Filter { dst: Some((Family::V4, src)), ..all },
            Filter { port: Some(9), ..all },
        ];
        assert!(refused.iter().all(|filter| !filter.takes_tuple(Some(&tuple))));
        assert!(all.takes_tuple(None) && refused.iter().all(|filter| !filter.takes_tuple(None)));
        let of_vif = Filter { vif: slot, ..all };
        assert!(of_vif.takes_vif([None, slot]) && all.takes_vif([None, None]));
        assert!(!of_vif.takes_vif([VifSlot::new(4), None]));
    }
}
