//! What can go wrong when loading, attaching or talking to the programs, and what to do about it.

use std::fmt;
use std::io;

use aya::maps::MapError;
use aya::programs::ProgramError;

use crate::{IfIndex, QUEUES, VlanId};

/// Why an operation of this crate failed. The text says what, where and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The thread's network namespace has no such device.
    #[error("no network device {device} in this network namespace; check the name and the namespace")]
    NoDevice {
        /// Name or index as given.
        device: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A capability is missing, or (before Linux 5.11) the limit on locked memory is too low.
    #[error(
        "{action}: the kernel says no; grant CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN; before Linux 5.11 also raise \
         `ulimit -l`"
    )]
    NotPermitted {
        /// What was tried.
        action: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel is older than what the programs need.
    #[error("kernel {running} lacks {feature}; run Linux {needed} or newer")]
    KernelTooOld {
        /// What is missing.
        feature: &'static str,
        /// The first kernel that has it.
        needed: &'static str,
        /// The kernel that runs, as `major.minor.patch`.
        running: String,
    },
    /// The embedded object was refused: maps could not be made, or the kernel lacks a map type.
    #[error("BPF object `{object}` cannot be opened; is the kernel built with CONFIG_XDP_SOCKETS?")]
    Open {
        /// Which of the two objects.
        object: &'static str,
        /// aya's reason.
        source: Box<aya::EbpfError>,
    },
    /// The embedded object lacks a map or program, so build and source do not match.
    #[error("BPF object `{object}` has no usable `{item}`; rebuild the crate")]
    Malformed {
        /// Which of the two objects.
        object: &'static str,
        /// The map or program.
        item: &'static str,
    },
    /// The verifier refused a program. Its log goes to `tracing` at debug level.
    #[error(
        "the kernel refused BPF program `{program}`; the verifier's log is logged at debug level \
         (an `unknown func` there means the kernel lacks that helper)"
    )]
    Load {
        /// The program.
        program: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Somebody else's XDP program is on the device. It is never replaced.
    #[error(
        "{device} already runs {foreign}; it is not replaced: end the program that owns it, or \
         `ip link set dev {device} xdp off` where it is not held by a link"
    )]
    ForeignProgram {
        /// Name of the device.
        device: String,
        /// The program found.
        foreign: ForeignProgram,
    },
    /// The kernel or the driver refused to attach.
    #[error("BPF program `{program}` cannot be attached to {device} as {hook}: {reason}")]
    Attach {
        /// The program.
        program: &'static str,
        /// Name and index of the device.
        device: String,
        /// Where it was to be attached.
        hook: &'static str,
        /// The reason in words, with the driver's own message where it gave one.
        reason: String,
        /// aya's reason.
        source: Box<ProgramError>,
    },
    /// The program is attached already; detach it first.
    #[error("BPF program `{program}` is already attached; detach it first")]
    AlreadyAttached {
        /// The program.
        program: &'static str,
    },
    /// A map operation failed.
    #[error("map `{map}` of BPF object `{object}`")]
    Map {
        /// Which of the two objects.
        object: &'static str,
        /// The map.
        map: &'static str,
        /// aya's reason.
        source: Box<MapError>,
    },
    /// The queue id is outside `0..QUEUES`.
    #[error("queue {queue} is out of range; ids are 0 to {}, set fewer channels with `ethtool -L`", QUEUES - 1)]
    QueueOutOfRange {
        /// The queue id.
        queue: u32,
    },
    /// A tunnel address that cannot be one.
    #[error("the tunnel address cannot be {address}; give an address of the uplink")]
    BadTunnelAddress {
        /// The address.
        address: std::net::IpAddr,
    },
    /// The slot belongs to another port.
    #[error("VLAN slot {slot} already names the port with ifindex {holder}; detach that one first")]
    SlotTaken {
        /// The slot.
        slot: VlanId,
        /// The port that has it.
        holder: IfIndex,
    },
    /// The port is attached already.
    #[error("the port with ifindex {port} is already attached as slot {slot}; detach it first")]
    PortTaken {
        /// The port.
        port: IfIndex,
        /// The slot it has.
        slot: VlanId,
    },
    /// The port is not attached.
    #[error("no port with ifindex {port} is attached")]
    NoSuchPort {
        /// The port.
        port: IfIndex,
    },
    /// The kernel's link list could not be read, so foreign programs cannot be told apart.
    #[error("rtnetlink request for {device} failed")]
    Netlink {
        /// Name and index of the device.
        device: String,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// A BPF program that is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignProgram {
    /// The kernel's program id, as in `bpftool prog show id <id>`.
    pub id: u32,
    /// Name and tag, where the process may read them (it needs CAP_SYS_ADMIN).
    pub name_and_tag: Option<(String, u64)>,
}

impl fmt::Display for ForeignProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "XDP program id {}", self.id)?;
        match &self.name_and_tag {
            Some((name, tag)) => write!(f, " (`{name}`, tag {tag:016x})"),
            None => Ok(()),
        }
    }
}

/// The kernel's error number behind aya's error, where there is one.
pub(crate) fn errno(error: &ProgramError) -> Option<i32> {
    use aya::programs::{tc::TcError, xdp::XdpError};
    match error {
        ProgramError::SyscallError(syscall) => syscall.io_error.raw_os_error(),
        ProgramError::LoadError { io_error, .. } => io_error.raw_os_error(),
        ProgramError::XdpError(XdpError::NetlinkError(netlink))
        | ProgramError::TcError(TcError::NetlinkError(netlink))
        | ProgramError::NetlinkError(netlink) => netlink.raw_os_error(),
        ProgramError::TcError(TcError::IoError(io)) | ProgramError::IOError(io) => io.raw_os_error(),
        _ => None,
    }
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}
