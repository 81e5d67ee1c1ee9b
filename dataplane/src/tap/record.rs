//! What is recorded of a packet.

use flow_table::{FlowKey, Millis};

use crate::drop::DropReason;
use crate::ids::VifSlot;
use crate::io::Side;
use crate::verdict::Verdict;

/// Most bytes kept of a packet: a whole frame of an Ethernet with the usual MTU, tunnel headers included.
pub const SNAP: usize = 1664;

/// The beginning of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Length of the whole frame.
    pub len: usize,
    bytes: [u8; SNAP],
}

impl Head {
    /// As much of a frame as is kept.
    pub fn of(frame: &[u8]) -> Self {
        let mut bytes = [0; SNAP];
        bytes.iter_mut().zip(frame).for_each(|(to, from)| *to = *from);
        Self { len: frame.len(), bytes }
    }

    /// The bytes that were kept.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }
}

/// Whether the flow of a packet was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowFound {
    /// It was.
    Hit,
    /// It was, and had to be derived again after a change.
    Stale,
    /// It was not.
    Miss,
    /// It was not asked for.
    NotAsked,
}

/// A packet and what is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Time of the batch.
    pub at: Millis,
    /// What happened.
    pub seen: Seen,
    /// The frame: with the VLAN tag of the trunk where it was or will be on it.
    pub head: Head,
}

/// What happened to a recorded packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It was received, and this came of it.
    Ended {
        /// Where it came in.
        side: Side,
        /// The vif that sent it, or that its label names.
        vif: Option<VifSlot>,
        /// The key of its flow, as it came.
        key: Option<FlowKey>,
        /// Whether the flow was known.
        flow: FlowFound,
        /// How it ended.
        verdict: Verdict,
    },
    /// A vif has sent it.
    Received {
        /// The vif.
        vif: VifSlot,
        /// Why it was dropped, if it was.
        dropped: Option<DropReason>,
    },
    /// It was sent to a vif.
    Sent {
        /// The vif.
        vif: VifSlot,
    },
    /// It was dropped on its way to a vif, or belongs to none.
    Lost {
        /// The vif.
        vif: Option<VifSlot>,
        /// Why.
        reason: DropReason,
    },
}
