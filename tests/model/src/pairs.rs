//! Flow pairs: a list that is searched from end to end.

use std::net::IpAddr;

use dataplane::drop::DropReason;

use crate::packet::Tuple;

/// Whose packets a key is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Context {
    /// From the vif with this identity, or to its label.
    Vif(u32),
    /// To the label of the VRF with this number.
    Vrf(u16),
    /// Nobody's: the answers to a refused flow of a vif with this identity, which never come.
    Unanswered(u32),
}

/// What packets of a direction look like on arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Namespace.
    pub context: Context,
    /// Five-tuple.
    pub tuple: Tuple,
}

/// Where packets of a direction go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Output {
    /// To the vif with this identity.
    Vif(u32),
    /// To a label on a node.
    Tunnel(IpAddr, u32),
    /// Nowhere: the flow is refused.
    Drop(DropReason),
}

/// Where packets of a direction come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The vif of the key.
    Vif,
    /// A node.
    Node(IpAddr),
    /// Anywhere.
    Any,
}

impl Origin {
    /// Whether a packet that comes from `origin` is one of these.
    pub fn admits(self, origin: Origin) -> bool {
        self == Origin::Any || self == origin
    }
}

/// Whether this node routes the packets or only delivers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// One TTL less.
    Routed,
    /// As it came.
    Delivered,
}

/// One direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Half {
    /// What it is found by.
    pub key: Key,
    /// Where to.
    pub output: Output,
    /// Where from.
    pub origin: Origin,
    /// TTL.
    pub step: Step,
}

/// Whom a pair counts for: the slot of the pod, and who began it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// The pod.
    Pod(u16),
    /// Other nodes, towards the pod.
    Fabric(u16),
}

/// Two directions of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Plan {
    /// Of the packet that made it.
    pub forward: Half,
    /// Of the answers.
    pub reverse: Half,
    /// Whom it counts for.
    pub owner: Owner,
}

/// Which direction of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The first packet's.
    Forward,
    /// The answers'.
    Reverse,
}

/// What is known of a live pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Its directions.
    pub plan: Plan,
    /// Packets of the two directions.
    pub packets: [u64; 2],
    /// Bytes of the two directions, from the IP header on.
    pub bytes: [u64; 2],
    /// Time of the last packet, in milliseconds.
    pub last: u64,
    /// All TCP flags ever seen.
    pub flags: u8,
    /// Generation of the configuration under which it was found right last.
    pub checked: u64,
    /// Whether policies allow it only as the answer to another.
    pub is_answer: bool,
}

impl Pair {
    /// A pair without packets.
    pub fn new(plan: Plan, now: u64, generation: u64) -> Self {
        Self {
            plan,
            packets: [0; 2],
            bytes: [0; 2],
            last: now,
            flags: 0,
            checked: generation,
            is_answer: false,
        }
    }

    /// A direction and the one that answers it.
    pub fn halves(&self, direction: Direction) -> (Half, Half) {
        match direction {
            Direction::Forward => (self.plan.forward, self.plan.reverse),
            Direction::Reverse => (self.plan.reverse, self.plan.forward),
        }
    }

    /// The tuple that packets of a direction leave with.
    pub fn leaves_as(&self, direction: Direction) -> Tuple {
        self.halves(direction).1.key.tuple.reversed()
    }

    /// Counts a packet.
    pub fn touch(&mut self, direction: Direction, len: usize, now: u64, flags: u8) {
        let row = match direction {
            Direction::Forward => 0,
            Direction::Reverse => 1,
        };
        self.packets[row] += 1;
        self.bytes[row] += len as u64;
        self.last = self.last.max(now);
        self.flags |= flags;
    }
}

/// The pair with a key, and which of its keys that is; a pair with two equal keys counts as forward.
pub fn find(pairs: &[Pair], key: &Key) -> Option<(usize, Direction)> {
    pairs.iter().enumerate().find_map(|(at, pair)| {
        if pair.plan.forward.key == *key {
            Some((at, Direction::Forward))
        } else if pair.plan.reverse.key == *key {
            Some((at, Direction::Reverse))
        } else {
            None
        }
    })
}
