//! Offloads and queue counts of a device through the ethtool ioctl.
//!
//! `SIOCETHTOOL`, include/uapi/linux/ethtool.h. It is in this crate because an ioctl takes a raw
//! pointer. Devices are found in the network namespace of the thread that opened the socket.

use std::ffi::c_char;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// include/uapi/linux/sockios.h.
const SIOCETHTOOL: libc::c_ulong = 0x8946;
const ETHTOOL_GTXCSUM: u32 = 0x16;
const ETHTOOL_STXCSUM: u32 = 0x17;
const ETHTOOL_GTSO: u32 = 0x1e;
const ETHTOOL_STSO: u32 = 0x1f;
const ETHTOOL_GGSO: u32 = 0x23;
const ETHTOOL_SGSO: u32 = 0x24;
const ETHTOOL_GFLAGS: u32 = 0x25;
const ETHTOOL_SFLAGS: u32 = 0x26;
const ETHTOOL_GCHANNELS: u32 = 0x3c;
/// Bit of the transmit VLAN offload in the word of `ETHTOOL_GFLAGS`.
const ETH_FLAG_TXVLAN: u32 = 1 << 7;
/// Bit of the receive VLAN offload in the word of `ETHTOOL_GFLAGS`.
const ETH_FLAG_RXVLAN: u32 = 1 << 8;

/// An offload that a device can do for the stack above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offload {
    /// Transport checksums left to the device (`tx`), SCTP's included.
    TxChecksum,
    /// TCP segments made by the device (`tso`).
    TcpSegmentation,
    /// Segmentation put off until just before the driver (`gso`).
    GenericSegmentation,
    /// VLAN tags inserted by the device (`txvlan`).
    TxVlan,
    /// VLAN tags taken off by the device (`rxvlan`), and handed over beside the frame.
    RxVlan,
}

impl Offload {
    /// Those that a frame can be sent with.
    pub const TRANSMIT: [Offload; 4] =
        [Offload::TxChecksum, Offload::TcpSegmentation, Offload::GenericSegmentation, Offload::TxVlan];

    /// The commands to get and to set, and the bit that stands for the offload in the value.
    const fn commands(self) -> (u32, u32, u32) {
        match self {
            Offload::TxChecksum => (ETHTOOL_GTXCSUM, ETHTOOL_STXCSUM, 1),
            Offload::TcpSegmentation => (ETHTOOL_GTSO, ETHTOOL_STSO, 1),
            Offload::GenericSegmentation => (ETHTOOL_GGSO, ETHTOOL_SGSO, 1),
            Offload::TxVlan => (ETHTOOL_GFLAGS, ETHTOOL_SFLAGS, ETH_FLAG_TXVLAN),
            Offload::RxVlan => (ETHTOOL_GFLAGS, ETHTOOL_SFLAGS, ETH_FLAG_RXVLAN),
        }
    }
}

impl fmt::Display for Offload {
    /// The short name that `ethtool -K` takes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Offload::TxChecksum => "tx",
            Offload::TcpSegmentation => "tso",
            Offload::GenericSegmentation => "gso",
            Offload::TxVlan => "txvlan",
            Offload::RxVlan => "rxvlan",
        })
    }
}

/// Why a device could not be asked or changed.
#[derive(Debug, thiserror::Error)]
pub enum EthtoolError {
    /// No socket for the ioctl.
    #[error("cannot open a socket for ethtool: {0}")]
    Socket(#[source] io::Error),
    /// The name does not fit `struct ifreq`.
    #[error("\"{device}\" is no interface name: it must have 1 to 15 bytes and none of them zero")]
    BadName {
        /// The name as given.
        device: String,
    },
    /// The kernel refused.
    #[error("cannot {operation} of {device}: {source}{}", remedy(source))]
    Refused {
        /// Name of the device.
        device: String,
        /// What was tried, as "switch off offload tx".
        operation: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel agreed but the offload is still on.
    #[error("offload {offload} of {device} stays on: its driver does not let it be switched off")]
    StaysOn {
        /// Name of the device.
        device: String,
        /// The offload.
        offload: Offload,
    },
}

fn remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM) => "; give the process CAP_NET_ADMIN",
        Some(libc::ENODEV) => "; there is no such device in this network namespace",
        Some(libc::EOPNOTSUPP) => "; its driver does not offer this",
        _ => "",
    }
}

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    cmd: u32,
    data: u32,
}

/// `struct ethtool_channels`.
#[repr(C)]
#[derive(Default)]
struct RawChannels {
    cmd: u32,
    max_rx: u32,
    max_tx: u32,
    max_other: u32,
    max_combined: u32,
    rx_count: u32,
    tx_count: u32,
    other_count: u32,
    combined_count: u32,
}

/// Numbers of queues in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// Receive queues.
    pub rx: u32,
    /// Transmit queues.
    pub tx: u32,
}

/// Speaks to devices of one network namespace.
#[derive(Debug)]
pub struct Ethtool {
    socket: OwnedFd,
}

impl Ethtool {
    /// Opens the socket that the ioctls go through.
    ///
    /// # Errors
    /// [`EthtoolError::Socket`], as when no file descriptor is left.
    pub fn open() -> Result<Self, EthtoolError> {
        // SAFETY: socket(2) takes no pointers.
        let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(EthtoolError::Socket(io::Error::last_os_error()));
        }
        // SAFETY: the descriptor is open, new and owned by nobody else.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { socket })
    }

    /// Whether the offload is on.
    ///
    /// # Errors
    /// [`EthtoolError::BadName`] or [`EthtoolError::Refused`].
    pub fn is_on(&self, device: &str, offload: Offload) -> Result<bool, EthtoolError> {
        let (_, _, bit) = offload.commands();
        Ok(self.word(device, offload)? & bit != 0)
    }

    /// Switches the offload off and makes sure that it is.
    ///
    /// # Errors
    /// [`EthtoolError::BadName`], [`EthtoolError::Refused`] or [`EthtoolError::StaysOn`].
    pub fn switch_off(&self, device: &str, offload: Offload) -> Result<(), EthtoolError> {
        let (_, set, bit) = offload.commands();
        let word = self.word(device, offload)?;
        let mut request = request_for(device)?;
        let mut value = Value { cmd: set, data: word & !bit };
        // What is off now may be off only for as long as another offload is, so it is told too.
        match self.value(&mut request, &mut value) {
            Ok(()) => {}
            // A device without the feature answers this to "off" as well.
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) && word & bit == 0 => {}
            Err(source) => {
                let operation = format!("switch off offload {offload}");
                return Err(EthtoolError::Refused { device: device.to_owned(), operation, source });
            }
        }
        if self.is_on(device, offload)? {
            return Err(EthtoolError::StaysOn { device: device.to_owned(), offload });
        }
        Ok(())
    }

    /// Numbers of queues the driver uses now; absent when it does not say (no `get_channels`).
    ///
    /// # Errors
    /// [`EthtoolError::BadName`] or [`EthtoolError::Refused`].
    pub fn channels(&self, device: &str) -> Result<Option<Channels>, EthtoolError> {
        let mut request = request_for(device)?;
        let mut raw = RawChannels { cmd: ETHTOOL_GCHANNELS, ..RawChannels::default() };
        let data: *mut RawChannels = &mut raw;
        // SAFETY: `data` is valid for `struct ethtool_channels`, what the command reads and writes.
        match unsafe { self.ioctl(&mut request, data.cast()) } {
            Ok(()) => Ok(Some(Channels {
                rx: raw.rx_count.saturating_add(raw.combined_count),
                tx: raw.tx_count.saturating_add(raw.combined_count),
            })),
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(None),
            Err(source) => Err(EthtoolError::Refused {
                device: device.to_owned(),
                operation: "read the number of queues".to_owned(),
                source,
            }),
        }
    }

    fn word(&self, device: &str, offload: Offload) -> Result<u32, EthtoolError> {
        let mut request = request_for(device)?;
        let (get, _, _) = offload.commands();
        let mut value = Value { cmd: get, data: 0 };
        self.value(&mut request, &mut value).map_err(|source| EthtoolError::Refused {
            device: device.to_owned(),
            operation: format!("read offload {offload}"),
            source,
        })?;
        Ok(value.data)
    }

    fn value(&self, request: &mut libc::ifreq, value: &mut Value) -> io::Result<()> {
        let data: *mut Value = value;
        // SAFETY: `data` is valid for `struct ethtool_value`, what the get and set commands use.
        unsafe { self.ioctl(request, data.cast()) }
    }

    /// # Safety
    /// `data` must be valid for reads and writes of the structure that its command word names.
    unsafe fn ioctl(&self, request: &mut libc::ifreq, data: *mut c_char) -> io::Result<()> {
        request.ifr_ifru.ifru_data = data;
        let request: *mut libc::ifreq = request;
        // SAFETY: `request` is a whole `struct ifreq`; the caller vouches for what it points to.
        let answer = unsafe { libc::ioctl(self.socket.as_raw_fd(), SIOCETHTOOL, request) };
        if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

fn request_for(device: &str) -> Result<libc::ifreq, EthtoolError> {
    let bytes = device.as_bytes();
    if bytes.is_empty() || bytes.len() >= libc::IFNAMSIZ || bytes.contains(&0) {
        return Err(EthtoolError::BadName { device: device.to_owned() });
    }
    let mut ifr_name = [0; libc::IFNAMSIZ];
    for (to, from) in ifr_name.iter_mut().zip(bytes) {
        *to = *from as c_char;
    }
    let ifr_ifru = libc::__c_anonymous_ifr_ifru { ifru_data: std::ptr::null_mut() };
    Ok(libc::ifreq { ifr_name, ifr_ifru })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_do_not_fit_are_refused_before_the_kernel_is_asked() {
        let ethtool = Ethtool::open().unwrap();
        for bad in ["", "sixteen-bytes-xx", "a\0b"] {
            let error = ethtool.is_on(bad, Offload::TxChecksum).unwrap_err();
            assert!(matches!(error, EthtoolError::BadName { .. }), "{bad:?}: {error}");
        }
    }

    #[test]
    fn a_missing_device_is_named() {
        let error = Ethtool::open().unwrap().switch_off("vxk-none", Offload::TcpSegmentation).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("read offload tso of vxk-none"), "{text}");
        assert!(text.contains("no such device in this network namespace"), "{text}");
    }

    #[test]
    fn loopback_answers_and_has_no_channels() {
        let ethtool = Ethtool::open().unwrap();
        assert_eq!(ethtool.channels("lo").unwrap(), None);
        assert!(!ethtool.is_on("lo", Offload::TxVlan).unwrap());
        ethtool.switch_off("lo", Offload::TxVlan).unwrap();
    }
}
