//! Attaching a classifier to the ingress of a device: TCX where the kernel has it, clsact elsewhere.

use std::fmt;
use std::io;

use aya::programs::tc::{
    NlOptions, SchedClassifierLink, TcAttachOptions, TcError, qdisc_add_clsact, qdisc_detach_program,
};
use aya::programs::{LinkOrder, ProgramError, SchedClassifier, TcAttachType};
use rustix::io::Errno;
use tracing::debug;

use crate::device::Device;
use crate::error::{chain, errno};
use crate::{Error, netlink};

/// How a classifier is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcHook {
    /// A TCX link (Linux 6.6), before every other TCX program of the device: a foreign one behind ours sees no
    /// frame of a port, and none can let a pod's frame into the host's stack first. It dies with the process.
    Tcx,
    /// A filter of a clsact qdisc, before the filters found there. The kernel keeps it when the process is
    /// killed; the next attach to the same device clears it away. A qdisc made for it goes with it unless
    /// others have put filters there.
    Clsact,
}

impl fmt::Display for TcHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
        })
    }
}

/// Which hook to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TcPreference {
    /// TCX, and clsact where the kernel has no TCX.
    #[default]
    PreferTcx,
    /// clsact, whatever the kernel has.
    ClsactOnly,
}

impl fmt::Display for TcPreference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PreferTcx => "prefer tcx",
            Self::ClsactOnly => "clsact only",
        })
    }
}

/// An attached classifier; dropping it detaches.
#[derive(Debug)]
pub(crate) struct TcLink {
    link: Option<SchedClassifierLink>,
    hook: TcHook,
    /// The device whose clsact qdisc we made.
    made_clsact: Option<Device>,
}

impl TcLink {
    pub(crate) const fn hook(&self) -> TcHook {
        self.hook
    }
}

impl Drop for TcLink {
    fn drop(&mut self) {
        drop(self.link.take());
        if let Some(device) = self.made_clsact.take()
            && let Err(error) = netlink::remove_unused_clsact(&device)
        {
            // Mostly the device is gone, and the qdisc with it.
            debug!(%device, %error, "clsact qdisc not removed");
        }
    }
}

/// Attaches to the ingress of the device, as the first program there.
pub(crate) fn attach(
    program: &mut SchedClassifier,
    name: &'static str,
    device: &Device,
    preference: TcPreference,
) -> Result<TcLink, Error> {
    match preference {
        TcPreference::ClsactOnly => attach_clsact(program, name, device),
        TcPreference::PreferTcx => match attach_tcx(program, device) {
            Ok(link) => Ok(TcLink { link: Some(link), hook: TcHook::Tcx, made_clsact: None }),
            Err(error) if lacks_tcx(&error) => attach_clsact(program, name, device),
            Err(error) => Err(attach_error(name, device, TcHook::Tcx, error)),
        },
    }
}

fn attach_tcx(program: &mut SchedClassifier, device: &Device) -> Result<SchedClassifierLink, ProgramError> {
    let order = TcAttachOptions::TcxOrder(LinkOrder::first());
    let id = program.attach_with_options(&device.name, TcAttachType::Ingress, order)?;
    program.take_link(id)
}

/// A kernel before 6.6 does not know the attach type.
fn lacks_tcx(error: &ProgramError) -> bool {
    let unknown = [Errno::INVAL, Errno::OPNOTSUPP].map(Errno::raw_os_error);
    errno(error).is_some_and(|code| unknown.contains(&code))
}

fn attach_clsact(
    program: &mut SchedClassifier,
    name: &'static str,
    device: &Device,
) -> Result<TcLink, Error> {
    let failed = |error: ProgramError| attach_error(name, device, TcHook::Clsact, error);
    let made_clsact = match qdisc_add_clsact(&device.name) {
        Ok(()) => Some(device.clone()),
        Err(error) if is_errno(&error, Errno::EXIST) => {
            clear_left_over(name, device).map_err(|error| failed(error.into()))?;
            None
        }
        Err(error) => return Err(failed(error.into())),
    };
    let mut attached = TcLink { link: None, hook: TcHook::Clsact, made_clsact };
    let options = TcAttachOptions::Netlink(NlOptions::default());
    let id = program.attach_with_options(&device.name, TcAttachType::Ingress, options).map_err(failed)?;
    attached.link = Some(program.take_link(id).map_err(failed)?);
    Ok(attached)
}

/// Removes what an instance that was killed has left on the device; its maps are gone, so it only drops.
fn clear_left_over(name: &str, device: &Device) -> Result<(), TcError> {
    match qdisc_detach_program(&device.name, TcAttachType::Ingress, name) {
        Err(TcError::IoError(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

fn is_errno(error: &TcError, expected: Errno) -> bool {
    match error {
        TcError::NetlinkError(netlink) => netlink.raw_os_error() == Some(expected.raw_os_error()),
        _ => false,
    }
}

fn attach_error(program: &'static str, device: &Device, hook: TcHook, error: ProgramError) -> Error {
    if let Some(code) = errno(&error)
        && code == Errno::PERM.raw_os_error()
    {
        let action = format!("attaching BPF program `{program}` to {device}");
        return Error::NotPermitted { action, source: io::Error::from_raw_os_error(code) };
    }
    let hook = match hook {
        TcHook::Tcx => "tcx ingress",
        TcHook::Clsact => "clsact ingress",
    };
    let reason = chain(&error);
    Error::Attach { program, device: device.to_string(), hook, reason, source: Box::new(error) }
}
