//! The uplink's XDP program.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;
use std::os::fd::BorrowedFd;

use aya::maps::{Array, MapData, PerCpuArray};
use aya::programs::xdp::XdpLink;

use crate::device::Device;
use crate::object::Object;
use crate::sockets::Sockets;
use crate::{Error, FabricCounters, IfIndex, VlanId, XdpAttached, XdpPreference, counters, xdp};

const PROGRAM: &str = "fabric";
/// `struct fabric_config` in `bpf/fabric.bpf.c`.
const CONFIG_BYTES: usize = 28;
/// The IANA port of MPLS over UDP (RFC 7510 section 5).
const MPLS_UDP: NonZeroU16 = NonZeroU16::new(6635).unwrap();

/// Which frames of the uplink belong to the vrouter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FabricConfig {
    /// This node's IPv4 tunnel address; `None` takes no IPv4.
    pub v4: Option<Ipv4Addr>,
    /// This node's IPv6 tunnel address; `None` takes no IPv6.
    pub v6: Option<Ipv6Addr>,
    /// The UDP destination port, 6635 by default.
    pub port: NonZeroU16,
    /// A second UDP destination port, 51234 for peers of old releases.
    pub legacy_port: Option<NonZeroU16>,
    /// The VLAN of the tunnel address; `None` for an untagged uplink (a priority tag counts as untagged). The
    /// tag must be in the packet: a device that strips it hides it from XDP (`ethtool -K <uplink> rxvlan off`).
    pub vlan: Option<VlanId>,
}

impl FabricConfig {
    /// Port 6635, no legacy port, untagged.
    #[must_use]
    pub const fn new(tunnel: IpAddr) -> Self {
        let (v4, v6) = match tunnel {
            IpAddr::V4(address) => (Some(address), None),
            IpAddr::V6(address) => (None, Some(address)),
        };
        Self { v4, v6, port: MPLS_UDP, legacy_port: None, vlan: None }
    }

    fn checked(&self) -> Result<[u8; CONFIG_BYTES], Error> {
        // The program reads the zero address as "family off".
        let given = [self.v4.map(IpAddr::V4), self.v6.map(IpAddr::V6)];
        match given.into_iter().flatten().find(|address| address.is_unspecified() || address.is_multicast()) {
            Some(address) => Err(Error::BadTunnelAddress { address }),
            None => Ok(self.bytes()),
        }
    }

    fn bytes(&self) -> [u8; CONFIG_BYTES] {
        let v4 = self.v4.map_or([0; 4], |address| address.octets());
        let v6 = self.v6.map_or([0; 16], |address| address.octets());
        let port = self.port.get().to_be_bytes();
        let legacy_port = self.legacy_port.map_or([0; 2], |port| port.get().to_be_bytes());
        let vlan = self.vlan.map_or([0; 2], |vlan| vlan.get().to_be_bytes());

        let mut bytes = [0; CONFIG_BYTES];
        let fields = v4.into_iter().chain(v6).chain(port).chain(legacy_port).chain(vlan);
        bytes.iter_mut().zip(fields).for_each(|(byte, field)| *byte = field);
        bytes
    }
}

/// The loaded `fabric` program and its maps. Dropping it detaches.
///
/// Until [`Fabric::set_config`] is called the program passes every frame to the kernel.
pub struct Fabric {
    // The link goes first, so that no frame meets a half-dropped program.
    link: Option<XdpLink>,
    object: Object,
    config: Array<MapData, [u8; CONFIG_BYTES]>,
    counters: PerCpuArray<MapData, u64>,
    sockets: Sockets,
}

impl Fabric {
    /// Makes the maps and loads the program; attaches nothing.
    ///
    /// # Errors
    /// [`Error::NotPermitted`], [`Error::Open`] or [`Error::Load`].
    pub fn load() -> Result<Self, Error> {
        let mut object = Object::fabric()?;
        object.load_xdp(PROGRAM)?;
        let config = object.map("config")?;
        let counters = object.map("counters")?;
        let sockets = Sockets::of(&mut object)?;
        Ok(Self { link: None, object, config, counters, sockets })
    }

    /// Attaches to the uplink.
    ///
    /// # Errors
    /// [`Error::ForeignProgram`] if the device runs a program already, [`Error::AlreadyAttached`],
    /// [`Error::NoDevice`], [`Error::NotPermitted`], [`Error::KernelTooOld`] or [`Error::Attach`].
    pub fn attach(&mut self, uplink: IfIndex, preference: XdpPreference) -> Result<XdpAttached, Error> {
        if self.link.is_some() {
            return Err(Error::AlreadyAttached { program: PROGRAM });
        }
        let device = Device::by_index(uplink)?;
        let program = self.object.xdp(PROGRAM)?;
        let (link, attached) = xdp::attach(program, PROGRAM, &device, preference)?;
        self.link = Some(link);
        Ok(attached)
    }

    /// Detaches; does nothing if not attached. Do this before closing the sockets.
    ///
    /// The link lives as long as its descriptor: a child process forked by another thread holds a copy until it
    /// executes its program, and an attach in that moment finds our own program as a foreign one.
    pub fn detach(&mut self) {
        self.link = None;
    }

    /// Changes what is taken. The kernel copies the value while packets are read, so a frame in that instant may
    /// be judged by a mix of old and new fields.
    ///
    /// # Errors
    /// [`Error::BadTunnelAddress`] or [`Error::Map`].
    pub fn set_config(&mut self, config: &FabricConfig) -> Result<(), Error> {
        let set = self.config.set(0, config.checked()?, 0);
        set.map_err(|source| self.object.map_error("config", source))
    }

    /// Hands a queue's tunnel frames to an AF_XDP socket, which must be bound to that queue of the uplink.
    ///
    /// # Errors
    /// [`Error::QueueOutOfRange`] or [`Error::Map`].
    pub fn set_socket(&mut self, queue: u32, socket: BorrowedFd<'_>) -> Result<(), Error> {
        self.sockets.set(queue, socket)
    }

    /// Leaves a queue's tunnel frames to the kernel; does nothing if it had no socket.
    ///
    /// # Errors
    /// [`Error::QueueOutOfRange`] or [`Error::Map`].
    pub fn clear_socket(&mut self, queue: u32) -> Result<(), Error> {
        self.sockets.clear(queue)
    }

    /// The counts since load.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn counters(&self) -> Result<FabricCounters, Error> {
        counters::fabric(&self.counters).map_err(|source| self.object.map_error("counters", source))
    }
}

#[cfg(test)]
mod tests;
