//! Attaching an XDP program to a device with a BPF link.

use std::fmt;
use std::io;

use aya::programs::xdp::XdpLink;
use aya::programs::{ProgramError, Xdp};
use aya::util::KernelVersion;
use rustix::io::Errno;

use crate::device::Device;
use crate::error::{chain, errno};
use crate::{Error, netlink};

/// Where in the receive path an XDP program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdpMode {
    /// In the driver.
    Native,
    /// In the kernel's stack, on a socket buffer: works on every device, costs a copy, no zero-copy AF_XDP.
    Generic,
}

impl fmt::Display for XdpMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "native",
            Self::Generic => "generic",
        })
    }
}

/// Which mode to attach in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum XdpPreference {
    /// Native, and generic where the driver refuses.
    #[default]
    PreferNative,
    /// Native or an error.
    NativeOnly,
    /// Generic, whatever the driver can do.
    GenericOnly,
}

impl fmt::Display for XdpPreference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PreferNative => "prefer native",
            Self::NativeOnly => "native only",
            Self::GenericOnly => "generic only",
        })
    }
}

/// How an XDP program got attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XdpAttached {
    /// The mode in use.
    pub mode: XdpMode,
    /// Why it is not native although native was preferred, with the driver's message where it gave one.
    pub fallback_reason: Option<String>,
}

/// Attaches, refusing a device that runs a program already. Dropping the link detaches.
pub(crate) fn attach(
    program: &mut Xdp,
    name: &'static str,
    device: &Device,
    preference: XdpPreference,
) -> Result<(XdpLink, XdpAttached), Error> {
    require_links()?;
    refuse_foreign(device)?;
    let mut attempt = |mode| try_mode(program, device, mode);
    let (mode, outcome, fallback_reason) = match preference {
        XdpPreference::NativeOnly => (XdpMode::Native, attempt(XdpMode::Native), None),
        XdpPreference::GenericOnly => (XdpMode::Generic, attempt(XdpMode::Generic), None),
        XdpPreference::PreferNative => match attempt(XdpMode::Native) {
            Err(error) if is_refusal(&error) => {
                (XdpMode::Generic, attempt(XdpMode::Generic), Some(reason(&error)))
            }
            outcome => (XdpMode::Native, outcome, None),
        },
    };
    match outcome {
        Ok(link) => Ok((link, XdpAttached { mode, fallback_reason })),
        Err(error) => {
            // Somebody may have come between the look and the attempt; the kernel never lets a link replace.
            refuse_foreign(device)?;
            Err(attach_error(name, device, mode, error))
        }
    }
}

/// aya silently attaches by netlink where the kernel has no XDP links, and such a program would outlive us.
fn require_links() -> Result<(), Error> {
    let running = KernelVersion::current().map_err(|error| Error::KernelTooOld {
        feature: "a readable version",
        needed: "5.9",
        running: error.to_string(),
    })?;
    if running >= KernelVersion::new(5, 9, 0) {
        return Ok(());
    }
    Err(Error::KernelTooOld {
        feature: "XDP links (BPF_LINK_TYPE_XDP)",
        needed: "5.9",
        running: crate::preflight::dotted(running),
    })
}

fn refuse_foreign(device: &Device) -> Result<(), Error> {
    match netlink::xdp_program(device)? {
        Some(foreign) => Err(Error::ForeignProgram { device: device.name.clone(), foreign }),
        None => Ok(()),
    }
}

fn try_mode(program: &mut Xdp, device: &Device, mode: XdpMode) -> Result<XdpLink, ProgramError> {
    let flags = match mode {
        XdpMode::Native => aya::programs::XdpMode::Driver,
        XdpMode::Generic => aya::programs::XdpMode::Skb,
    };
    let id = program.attach_to_if_index(device.index.get(), flags)?;
    program.take_link(id)
}

/// True where the driver said no to native mode; false where generic mode would fare no better.
fn is_refusal(error: &ProgramError) -> bool {
    let hopeless = [Errno::PERM, Errno::ACCESS, Errno::NODEV, Errno::BUSY, Errno::EXIST];
    errno(error).is_some_and(|code| !hopeless.iter().any(|errno| errno.raw_os_error() == code))
}

fn reason(error: &ProgramError) -> String {
    match errno(error).map(Errno::from_raw_os_error) {
        Some(Errno::OPNOTSUPP) => "the driver has no native XDP".to_owned(),
        Some(Errno::RANGE) => "the MTU is too large for native XDP on this driver".to_owned(),
        Some(Errno::NOSPC) => {
            "the device has fewer receive queues than its peer has transmit queues (`ethtool -L`)".to_owned()
        }
        _ => chain(error),
    }
}

fn attach_error(program: &'static str, device: &Device, mode: XdpMode, error: ProgramError) -> Error {
    if let Some(code) = errno(&error)
        && code == Errno::PERM.raw_os_error()
    {
        let action = format!("attaching BPF program `{program}` to {device}");
        return Error::NotPermitted { action, source: io::Error::from_raw_os_error(code) };
    }
    let hook = match mode {
        XdpMode::Native => "native XDP",
        XdpMode::Generic => "generic XDP",
    };
    let reason = reason(&error);
    Error::Attach { program, device: device.to_string(), hook, reason, source: Box::new(error) }
}
