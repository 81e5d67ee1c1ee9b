//! What is done to the packets of one direction, decided by the slow path and stored in the pair.

/// What an action was derived from. The caller compares it on each hit and revalidates a stale one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Dependency {
    /// Which of the caller's epochs; at most [`Dependency::MAX_CELL`].
    pub cell: u32,
    /// That epoch at the time.
    pub epoch: u32,
}

impl Dependency {
    /// Largest cell there is room for.
    pub const MAX_CELL: u32 = (1 << 24) - 1;
}

/// Where packets go.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Output {
    /// To the pod behind a vif.
    Vif {
        /// Slot of the vif.
        slot: u16,
    },
    /// Into MPLS over UDP.
    Tunnel {
        /// Index of the tunnel.
        tunnel: u16,
        /// MPLS label, 20 bits.
        label: u32,
    },
    /// Nowhere; counted under a reason.
    Drop {
        /// Index of the drop reason.
        reason: u8,
    },
}

/// Whether this node is the one that routes the packet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ttl {
    /// Delivered by label: the TTL stays.
    Keep,
    /// Routed here: one less.
    Decrement,
}

/// Where packets of this direction must come from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Source {
    /// From anywhere.
    Any,
    /// From a vif; which one is settled by the key's context.
    Vif,
    /// From the tunnel with this index.
    Tunnel(u16),
}

/// What is done to every packet of one direction of a flow.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Action {
    /// Where to.
    pub output: Output,
    /// TTL or hop limit.
    pub ttl: Ttl,
    /// Where from.
    pub source: Source,
    /// What this was derived from.
    pub depends: Dependency,
}

// First word: label (32) | vif slot, tunnel or reason (16) | cell, high (8) | zero (3) | source kind (2) | ttl (1)
// | output kind (2). Second word: epoch (32) | cell, low (16) | source tunnel (16).
impl Action {
    /// The words a slot holds.
    pub(crate) fn pack(self) -> [u64; 2] {
        let (kind, id, label) = match self.output {
            Output::Vif { slot } => (0, slot, 0),
            Output::Tunnel { tunnel, label } => (1, tunnel, label),
            Output::Drop { reason } => (2, u16::from(reason), 0),
        };
        let ttl = match self.ttl {
            Ttl::Keep => 0,
            Ttl::Decrement => 1,
        };
        let (source, from) = match self.source {
            Source::Any => (0, 0),
            Source::Vif => (1, 0),
            Source::Tunnel(tunnel) => (2, tunnel),
        };
        let Dependency { cell, epoch } = self.depends;
        let (cell_high, cell_low) = (u64::from(cell >> 16 & 0xff), u64::from(cell & 0xffff));
        [
            u64::from(label) << 32 | u64::from(id) << 16 | cell_high << 8 | source << 3 | ttl << 2 | kind,
            u64::from(epoch) << 32 | cell_low << 16 | u64::from(from),
        ]
    }

    /// Total, because a reader may decode words that are being written; it then throws the result away.
    #[inline(always)]
    pub(crate) fn unpack([first, second]: [u64; 2]) -> Action {
        let id = (first >> 16) as u16;
        let output = match first & 3 {
            0 => Output::Vif { slot: id },
            1 => Output::Tunnel { tunnel: id, label: (first >> 32) as u32 },
            _ => Output::Drop { reason: id as u8 },
        };
        let source = match first >> 3 & 3 {
            0 => Source::Any,
            1 => Source::Vif,
            _ => Source::Tunnel(second as u16),
        };
        let cell = (first >> 8 & 0xff) << 16 | second >> 16 & 0xffff;
        Action {
            output,
            ttl: if first & 4 == 0 { Ttl::Keep } else { Ttl::Decrement },
            source,
            depends: Dependency { cell: cell as u32, epoch: (second >> 32) as u32 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUTS: [Output; 6] = [
        Output::Vif { slot: 0 },
        Output::Vif { slot: u16::MAX },
        Output::Tunnel { tunnel: 0, label: 16 },
        Output::Tunnel { tunnel: u16::MAX, label: u32::MAX },
        Output::Drop { reason: 0 },
        Output::Drop { reason: u8::MAX },
    ];
    const SOURCES: [Source; 4] = [Source::Any, Source::Vif, Source::Tunnel(0), Source::Tunnel(u16::MAX)];

    #[test]
    fn packing_loses_nothing() {
        for output in OUTPUTS {
            for source in SOURCES {
                for ttl in [Ttl::Keep, Ttl::Decrement] {
                    for (cell, epoch) in [(0, 0), (Dependency::MAX_CELL, u32::MAX), (0x12_3456, 0x1234_5678)]
                    {
                        let action = Action { output, ttl, source, depends: Dependency { cell, epoch } };
                        assert_eq!(Action::unpack(action.pack()), action);
                    }
                }
            }
        }
    }
}
