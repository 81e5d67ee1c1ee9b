//! The ports (node ends of the pods' veths) and the trunk veth pair that joins them to the engine.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::os::fd::BorrowedFd;

use aya::maps::{Array, HashMap as BpfHashMap, MapData, PerCpuArray};
use aya::programs::xdp::XdpLink;
use tracing::warn;

use crate::device::Device;
use crate::object::Object;
use crate::sockets::Sockets;
use crate::tc::TcLink;
use crate::{
    Error, IfIndex, TcHook, TcPreference, TrunkCounters, VlanId, XdpAttached, XdpPreference, counters, tc,
    xdp,
};

const PORT_IN: &str = "port_in";
const TRUNK_IN: &str = "trunk_in";
const TRUNK_XDP: &str = "trunk_xdp";
/// `SLOT_EMPTY` in `bpf/trunk.bpf.c`.
const EMPTY_SLOT: [u32; 2] = [0, 0];

/// Where the other end of a port's veth lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortKind {
    /// In a pod's network namespace: frames skip the node's end (`bpf_redirect_peer`).
    Pod,
    /// In the node's own namespace (the host vif): a plain `bpf_redirect`, for the kernel drops the other kind
    /// within one namespace.
    Host,
}

impl PortKind {
    /// `enum slot_kind` in `bpf/trunk.bpf.c`.
    const fn code(self) -> u32 {
        match self {
            Self::Pod => 1,
            Self::Host => 2,
        }
    }
}

impl fmt::Display for PortKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pod => "pod",
            Self::Host => "host",
        })
    }
}

struct Port {
    slot: VlanId,
    link: TcLink,
}

/// The loaded trunk programs, their maps and attachments. Dropping it detaches everything.
///
/// Only the ingress of the devices is touched: what the node's kernel itself sends out of a port's device goes
/// to the pod unseen.
pub struct Trunk {
    attached: HashMap<IfIndex, Port>,
    trunk0: Option<TcLink>,
    trunk1: Option<XdpLink>,
    object: Object,
    preference: TcPreference,
    config: Array<MapData, [u32; 2]>,
    ports: BpfHashMap<MapData, u32, u32>,
    slots: Array<MapData, [u32; 2]>,
    counters: PerCpuArray<MapData, u64>,
    sockets: Sockets,
}

impl Trunk {
    /// Makes the maps and loads the three programs; attaches nothing.
    ///
    /// # Errors
    /// [`Error::NotPermitted`], [`Error::Open`] or [`Error::Load`].
    pub fn load(preference: TcPreference) -> Result<Self, Error> {
        let mut object = Object::trunk()?;
        object.load_classifier(PORT_IN)?;
        object.load_classifier(TRUNK_IN)?;
        object.load_xdp(TRUNK_XDP)?;
        Ok(Self {
            attached: HashMap::new(),
            trunk0: None,
            trunk1: None,
            preference,
            config: object.map("config")?,
            ports: object.map("ports")?,
            slots: object.map("slots")?,
            counters: object.map("counters")?,
            sockets: Sockets::of(&mut object)?,
            object,
        })
    }

    /// Attaches `trunk_in` to the kernel's end of the trunk and spreads the ports' flows over `queues` of its
    /// transmit queues (queue *n* of `trunk0` is receive queue *n* of `trunk1`).
    ///
    /// The device must have `tx off tso off gso off txvlan off` (ethtool), so that the frames reach `trunk1`
    /// with finished checksums, in single segments and with the slot in the packet.
    ///
    /// # Errors
    /// [`Error::AlreadyAttached`], [`Error::NoDevice`], [`Error::NotPermitted`], [`Error::Attach`] or
    /// [`Error::Map`].
    pub fn attach_trunk0(&mut self, trunk0: IfIndex, queues: NonZeroU32) -> Result<TcHook, Error> {
        if self.trunk0.is_some() {
            return Err(Error::AlreadyAttached { program: TRUNK_IN });
        }
        let device = Device::by_index(trunk0)?;
        let program = self.object.classifier(TRUNK_IN)?;
        let link = tc::attach(program, TRUNK_IN, &device, self.preference)?;
        let set = self.config.set(0, [trunk0.get(), queues.get()], 0);
        set.map_err(|source| self.object.map_error("config", source))?;
        let hook = link.hook();
        self.trunk0 = Some(link);
        Ok(hook)
    }

    /// Attaches `trunk_xdp` to the engine's end of the trunk. From then on every frame that arrives there goes
    /// to the AF_XDP socket of its queue or is dropped.
    ///
    /// # Errors
    /// As [`crate::Fabric::attach`].
    pub fn attach_trunk1(
        &mut self,
        trunk1: IfIndex,
        preference: XdpPreference,
    ) -> Result<XdpAttached, Error> {
        if self.trunk1.is_some() {
            return Err(Error::AlreadyAttached { program: TRUNK_XDP });
        }
        let device = Device::by_index(trunk1)?;
        let program = self.object.xdp(TRUNK_XDP)?;
        let (link, attached) = xdp::attach(program, TRUNK_XDP, &device, preference)?;
        self.trunk1 = Some(link);
        Ok(attached)
    }

    /// Detaches both ends of the trunk; the ports stay attached and their frames are dropped. Do this before
    /// closing the sockets.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn detach_trunk(&mut self) -> Result<(), Error> {
        self.trunk1 = None;
        self.trunk0 = None;
        self.config.set(0, EMPTY_SLOT, 0).map_err(|source| self.object.map_error("config", source))
    }

    /// Hands the frames of a queue of `trunk1` to an AF_XDP socket, which must be bound to that queue.
    ///
    /// # Errors
    /// [`Error::QueueOutOfRange`] or [`Error::Map`].
    pub fn set_socket(&mut self, queue: u32, socket: BorrowedFd<'_>) -> Result<(), Error> {
        self.sockets.set(queue, socket)
    }

    /// Drops the frames of a queue of `trunk1` from now on; does nothing if it had no socket.
    ///
    /// # Errors
    /// [`Error::QueueOutOfRange`] or [`Error::Map`].
    pub fn clear_socket(&mut self, queue: u32) -> Result<(), Error> {
        self.sockets.clear(queue)
    }

    /// Joins a port to the trunk under a slot. `port` is the node's end of the veth.
    ///
    /// # Errors
    /// [`Error::PortTaken`], [`Error::SlotTaken`], [`Error::NoDevice`], [`Error::NotPermitted`],
    /// [`Error::Attach`] or [`Error::Map`]; the port is then not attached.
    pub fn attach_port(&mut self, port: IfIndex, slot: VlanId, kind: PortKind) -> Result<TcHook, Error> {
        if let Some(holder) = self.attached.get(&port) {
            return Err(Error::PortTaken { port, slot: holder.slot });
        }
        if let Some((&holder, _)) = self.attached.iter().find(|(_, other)| other.slot == slot) {
            return Err(Error::SlotTaken { slot, holder });
        }
        let device = Device::by_index(port)?;
        let joined = self.join(&device, slot, kind);
        match joined {
            Ok(link) => {
                let hook = link.hook();
                self.attached.insert(port, Port { slot, link });
                Ok(hook)
            }
            Err(error) => {
                if let Err(left_over) = self.forget(port, slot) {
                    warn!(%port, %slot, %left_over, "map entries of a port that failed to attach stay behind");
                }
                Err(error)
            }
        }
    }

    /// The maps come before the program: a frame is never dropped for want of an entry.
    fn join(&mut self, device: &Device, slot: VlanId, kind: PortKind) -> Result<TcLink, Error> {
        let (ifindex, id) = (device.index.get(), u32::from(slot.get()));
        let set = self.slots.set(id, [ifindex, kind.code()], 0);
        set.map_err(|source| self.object.map_error("slots", source))?;
        let inserted = self.ports.insert(ifindex, id, 0);
        inserted.map_err(|source| self.object.map_error("ports", source))?;
        let program = self.object.classifier(PORT_IN)?;
        tc::attach(program, PORT_IN, device, self.preference)
    }

    /// Takes a port off the trunk; its device may be gone already. Its slot can be used again at once.
    ///
    /// # Errors
    /// [`Error::NoSuchPort`] or [`Error::Map`].
    pub fn detach_port(&mut self, port: IfIndex) -> Result<(), Error> {
        let Port { slot, link } = self.attached.remove(&port).ok_or(Error::NoSuchPort { port })?;
        drop(link);
        self.forget(port, slot)
    }

    fn forget(&mut self, port: IfIndex, slot: VlanId) -> Result<(), Error> {
        let emptied = self.slots.set(u32::from(slot.get()), EMPTY_SLOT, 0);
        // A port that never got its entry has none to lose.
        let removed = match self.ports.remove(&port.get()) {
            Err(aya::maps::MapError::SyscallError(error))
                if error.io_error.kind() == std::io::ErrorKind::NotFound =>
            {
                Ok(())
            }
            outcome => outcome,
        };
        emptied.map_err(|source| self.object.map_error("slots", source))?;
        removed.map_err(|source| self.object.map_error("ports", source))
    }

    /// The counts since load.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn counters(&self) -> Result<TrunkCounters, Error> {
        counters::trunk(&self.counters).map_err(|source| self.object.map_error("counters", source))
    }
}

#[cfg(test)]
mod tests;
