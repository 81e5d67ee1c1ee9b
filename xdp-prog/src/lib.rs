//! The BPF programs of the vrouter, their loader and their typed maps.
//!
//! * [`Fabric`] runs on the uplink (XDP): MPLS over UDP for this node's tunnel address goes to the AF_XDP
//!   socket of its queue, everything else stays with the kernel.
//! * [`Trunk`] runs on the node's end of every pod's veth and on the trunk veth pair (TCX, XDP): it carries
//!   frames between the pods and the engine and names the vif by the VLAN id.
//!
//! Everything is attached with BPF links: dropping the value, or the death of the process, detaches. (The
//! exception is [`TcHook::Clsact`], see there.) There is no global state; an instance belongs to the network
//! namespace its thread was in when it attached, and must be dropped there. Calls are control-path calls: they make system
//! calls and may allocate.

mod counters;
mod device;
mod error;
mod fabric;
mod netlink;
mod object;
mod preflight;
mod sockets;
mod tc;
mod trunk;
mod vlan;
mod xdp;

pub use counters::{FabricCounters, TrunkCounters};
pub use device::IfIndex;
pub use error::{Error, ForeignProgram};
pub use fabric::{Fabric, FabricConfig};
pub use preflight::{Missing, preflight};
pub use tc::{TcHook, TcPreference};
pub use trunk::{PortKind, Trunk};
pub use vlan::VlanId;
pub use xdp::{XdpAttached, XdpMode, XdpPreference};

/// Queues a [`Fabric`] or a [`Trunk`] can hold sockets for: valid queue ids are `0..QUEUES`.
pub const QUEUES: u32 = 64;
