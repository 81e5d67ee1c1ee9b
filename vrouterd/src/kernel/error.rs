//! Why the kernel could not be asked or changed.

use std::io;
use std::path::PathBuf;

use af_xdp::ethtool::EthtoolError;

/// A failed request, told so that an operator can act on it.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// A netlink socket could not be opened.
    #[error("cannot open a netlink socket: {0}")]
    Socket(#[source] io::Error),
    /// The connection task is gone: its socket broke, or the runtime shuts down.
    #[error("the netlink connection is closed; restart the daemon")]
    Closed,
    /// The kernel did not answer in time.
    #[error("the kernel did not answer in {seconds} s when asked to {operation}")]
    NoAnswer {
        /// What was asked, as "list links".
        operation: String,
        /// How long the answer was waited for.
        seconds: u64,
    },
    /// Objects changed while the kernel listed them (`NLM_F_DUMP_INTR`), so the list has holes.
    #[error("the kernel's tables changed while it was asked to {operation}; ask again")]
    Interrupted {
        /// What was asked.
        operation: String,
    },
    /// The kernel refused.
    #[error("cannot {operation}: {source}{}", remedy(source))]
    Refused {
        /// What was asked, with the name of the device.
        operation: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The device is not there.
    #[error("there is no device {device} in this network namespace")]
    NoSuchDevice {
        /// Its name.
        device: String,
    },
    /// A device has the name we need, but we did not make it.
    #[error(
        "device {device} exists and was not made by vrouterd, so it is left alone; \
         remove or rename it, or configure another name"
    )]
    ForeignDevice {
        /// Its name.
        device: String,
    },
    /// A second daemon in one network namespace.
    #[error(
        "another vrouterd runs in this network namespace; stop it first, or start this one in a \
         namespace of its own"
    )]
    AlreadyRunning,
    /// A setting under /proc/sys could not be read or written.
    #[error("cannot set {} to {value}: {source}; mount /proc/sys so that it can be written, or make that setting yourself", path.display())]
    Setting {
        /// The file of the setting.
        path: PathBuf,
        /// What it was to be.
        value: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// An offload or the number of queues.
    #[error(transparent)]
    Ethtool(#[from] EthtoolError),
}

impl KernelError {
    /// The kernel's error number, if the kernel has answered with one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            KernelError::Refused { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

/// Linux error numbers that are told apart (include/uapi/asm-generic/errno*.h, all of our targets).
pub(crate) mod errno {
    pub(crate) const EPERM: i32 = 1;
    pub(crate) const EEXIST: i32 = 17;
    pub(crate) const ENODEV: i32 = 19;
    pub(crate) const EINVAL: i32 = 22;
    pub(crate) const ERANGE: i32 = 34;
    pub(crate) const EADDRINUSE: i32 = 98;
    pub(crate) const EADDRNOTAVAIL: i32 = 99;
    pub(crate) const EOPNOTSUPP: i32 = 95;
    pub(crate) const EAFNOSUPPORT: i32 = 97;
    pub(crate) const ENOBUFS: i32 = 105;
}

fn remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(errno::EPERM) => "; give the process CAP_NET_ADMIN in its network namespace",
        Some(errno::EEXIST) => "; remove what has this name or address",
        Some(errno::ENODEV) => "; there is no such device in this network namespace",
        Some(errno::ERANGE) => "; a device name has at most 15 bytes",
        Some(errno::EINVAL) => "; the kernel finds a value wrong: check names, MTU and addresses",
        Some(errno::EOPNOTSUPP) => "; the kernel lacks the feature: load or build its module",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_privilege_is_named_with_the_device() {
        let error = KernelError::Refused {
            operation: "create veth pair vr-trunk0, vr-trunk1".to_owned(),
            source: io::Error::from_raw_os_error(errno::EPERM),
        };
        let text = error.to_string();
        assert!(text.contains("vr-trunk0") && text.contains("CAP_NET_ADMIN"), "{text}");
        assert_eq!(error.errno(), Some(errno::EPERM));
    }
}
