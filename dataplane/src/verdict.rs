//! What is known of a packet on its way, and how it ends.

use flow_table::{Context, Family, FlowHash, FlowKey};

use crate::drop::DropReason;
use crate::fragment::{Split, Waiting};
use crate::ids::{TunnelId, VifId, VifSlot, VrfId};
use crate::packet::ip::Ip;
use crate::packet::l4::Discovery;
use crate::snapshot::LabelTarget;

/// Where a packet came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// From a pod.
    Vif(VifSlot),
    /// From another node.
    Fabric {
        /// What its label says.
        target: LabelTarget,
        /// The node.
        peer: TunnelId,
    },
}

impl Ingress {
    /// The vif of this node that sent the packet.
    pub(crate) fn own_vif(self) -> Option<VifSlot> {
        match self {
            Ingress::Vif(slot) => Some(slot),
            Ingress::Fabric { .. } => None,
        }
    }

    /// The vif that sent the packet, or that its label names.
    pub(crate) fn vif(self) -> Option<VifSlot> {
        match self {
            Ingress::Vif(slot) | Ingress::Fabric { target: LabelTarget::Vif(slot), .. } => Some(slot),
            Ingress::Fabric { target: LabelTarget::Vrf(_), .. } => None,
        }
    }
}

/// An IP packet that wants a flow.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// Where it came in.
    pub ingress: Ingress,
    /// Its headers.
    pub ip: Ip,
    /// Context of its key.
    pub context: Context,
}

impl Flow {
    /// What it is looked up by.
    #[inline(always)]
    pub fn key(&self) -> FlowKey {
        FlowKey { context: self.context, tuple: self.ip.tuple }
    }
}

/// A message that does not leave its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkMessage {
    /// Neighbour discovery (RFC 4861).
    Discovery(Discovery),
    /// IGMP or MLD to a group.
    GroupMembership,
}

/// A packet between `prepare` and `finish`.
#[derive(Clone, Copy, Debug)]
pub enum Prepared {
    /// An IP packet.
    Flow(Flow),
    /// An IP packet for all pods of its VRF.
    Broadcast(Flow),
    /// A fragment that is to wait for the first one of its datagram.
    Wait(Waiting),
    /// ARP from a vif.
    Arp {
        /// The vif.
        vif: VifSlot,
    },
    /// A message between a vif and its router alone.
    Link {
        /// The vif.
        vif: VifSlot,
        /// What it is.
        message: LinkMessage,
        /// Its IP header.
        ip: Ip,
    },
    /// Nothing more to do.
    Drop {
        /// The vif it is laid to, if one is known.
        vif: Option<VifSlot>,
        /// Why.
        reason: DropReason,
    },
}

impl Prepared {
    /// What stands where a frame has not been looked at.
    pub(crate) const UNKNOWN: Prepared = Prepared::Drop { vif: None, reason: DropReason::MalformedEthernet };

    /// The vif that a drop is laid to.
    pub(crate) fn vif(&self) -> Option<VifSlot> {
        match self {
            Prepared::Flow(flow) | Prepared::Broadcast(flow) | Prepared::Wait(Waiting { flow, .. }) => {
                flow.ingress.vif()
            }
            Prepared::Arp { vif } | Prepared::Link { vif, .. } => Some(*vif),
            Prepared::Drop { vif, .. } => *vif,
        }
    }
}

/// Where a frame leaves the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To a vif over the trunk.
    Vif(VifSlot),
    /// To another node over the uplink.
    Tunnel(TunnelId),
}

/// How a packet ends: exactly one of these for each that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Sent on.
    Send(Way),
    /// Sent on in pieces, each through [`crate::pipeline::Pipeline::piece`].
    Split(Split),
    /// Sent on in a copy for each that hears it, through [`crate::pipeline::Pipeline::copy`]. All
    /// copies but one count as generated, and each of them has an end of its own.
    Replicate(Replica),
    /// Consumed; the frame now holds the vrouter's own answer.
    Answer(Way),
    /// Dropped; the frame now holds the vrouter's own message about it to the sender.
    Reject {
        /// The vif the drop is laid to; none when the packet named no vif.
        vif: Option<VifSlot>,
        /// Why.
        reason: DropReason,
        /// Where the message goes.
        answer: Way,
    },
    /// Consumed: it was for the vrouter and asks for no answer.
    Consumed,
    /// Dropped.
    Drop {
        /// The vif it is laid to; none when the packet named no vif.
        vif: Option<VifSlot>,
        /// Why.
        reason: DropReason,
    },
}

/// A broadcast or multicast packet that may go to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Where it came in: it does not go back there.
    pub(crate) ingress: Ingress,
    /// Where it is heard.
    pub(crate) vrf: VrfId,
    /// Its family.
    pub(crate) family: Family,
    /// Hash for the outer source port of all copies.
    pub(crate) hash: FlowHash,
}

/// What stops a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// A drop.
    Drop(DropReason),
    /// It is larger than the way out takes.
    TooBig {
        /// What would fit, in bytes.
        mtu: usize,
    },
}

impl From<DropReason> for Halt {
    fn from(reason: DropReason) -> Self {
        Halt::Drop(reason)
    }
}

impl Halt {
    pub(crate) fn reason(self) -> DropReason {
        match self {
            Halt::Drop(reason) => reason,
            Halt::TooBig { .. } => DropReason::FrameTooBig,
        }
    }
}

/// Flow key context of packets that are looked up in a VRF; vif ids stay below it.
pub(crate) fn vrf_context(vrf: VrfId) -> Context {
    Context(VRF_CONTEXT | u32::from(vrf.0))
}

/// Whose packets the flow keys of a context are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContextOwner {
    /// Packets from this vif, and those that other nodes send to its label.
    Vif(VifId),
    /// Packets that other nodes send to the label of this VRF.
    Vrf(VrfId),
}

/// Reads the context of a flow key.
pub fn context_owner(Context(context): Context) -> ContextOwner {
    match context & VRF_CONTEXT {
        0 => ContextOwner::Vif(VifId(context & !UNANSWERED)),
        _ => ContextOwner::Vrf(VrfId(context as u16)),
    }
}

/// The VRF of which a pair remembers a translated source, told from the context of its answers.
pub fn mapping_vrf(Context(context): Context) -> Option<VrfId> {
    let both = VRF_CONTEXT | UNANSWERED;
    (context & both == both).then_some(VrfId(context as u16))
}

/// The context of a key that no packet has: the answers to a flow that gets none.
pub(crate) fn unanswered(Context(context): Context) -> Context {
    Context(context | UNANSWERED)
}

/// The context that `owner` has for what `context` is to its own owner.
pub(crate) fn same_kind(Context(context): Context, owner: ContextOwner) -> Context {
    let Context(owner) = match owner {
        ContextOwner::Vif(VifId(id)) => Context(id),
        ContextOwner::Vrf(vrf) => vrf_context(vrf),
    };
    Context(context & UNANSWERED | owner)
}

const VRF_CONTEXT: u32 = 1 << 31;
/// Vif ids stay below this too.
const UNANSWERED: u32 = 1 << 30;
