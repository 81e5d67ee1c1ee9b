//! Devices that the daemon makes and removes, and pods' ports that it prepares.
//!
//! What is made here carries the group number [`MARK`] from its first moment on (the group goes
//! with the request that creates it), so that a start after SIGKILL recognises it.

mod keep;
mod leftovers;
mod link;
mod port;
mod queues;
mod seal;
mod swap;
mod tags;
mod trunk;
mod vhost;

use dataplane::ids::Mac;

use super::client::Netlink;
use super::error::KernelError;
use super::facts::IfIndex;
use af_xdp::ethtool::Ethtool;

pub use keep::Signature;
pub use port::PreparedPort;
pub use queues::RxQueues;
pub use swap::SwapError;
pub use trunk::TrunkPlan;
pub use vhost::{HostRoute, VhostPlan, link_local};

/// Group (`IFLA_GROUP`, `ip link show group 1987211125`) of devices made by the daemon: "vrou".
pub const MARK: u32 = 0x7672_6f75;

/// A device as it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its number.
    pub index: IfIndex,
    /// Its Ethernet address.
    pub mac: Mac,
}

/// Both ends of a veth pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VethPair {
    /// The first end: the trunk's kernel side (`vr-trunk0`), or the host's side (`vhost0`).
    pub near: Device,
    /// The other end: the trunk's engine side (`vr-trunk1`), or the node's side (`vr-vhost1`).
    pub far: Device,
}

/// Makes, changes and removes devices of one network namespace.
#[derive(Debug)]
pub struct Devices {
    netlink: Netlink,
    ethtool: Ethtool,
}

impl Devices {
    /// Works in the network namespace of the calling thread, which must be that of `netlink`.
    ///
    /// # Errors
    /// [`KernelError::Ethtool`] when no socket can be had.
    pub fn open(netlink: Netlink) -> Result<Self, KernelError> {
        Ok(Self { netlink, ethtool: Ethtool::open()? })
    }
}
