//! What the host must have, checked without attaching anything.

use std::fmt;

use aya::maps::MapType;
use aya::programs::ProgramType;
use aya::sys::{BpfHelper, is_helper_supported, is_map_supported, is_program_supported};
use aya::util::KernelVersion;
use caps::{CapSet, Capability};

use crate::error::chain;

/// One thing the host lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What is missing.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "missing {}: {}", self.what, self.remedy)
    }
}

/// Checks capabilities, kernel version and kernel features that the programs need.
///
/// # Errors
/// Everything that is missing. Features are not probed while a capability is missing, because the kernel
/// would refuse to answer.
pub fn preflight() -> Result<(), Vec<Missing>> {
    let mut missing = capabilities();
    missing.extend(kernel_version());
    if missing.is_empty() {
        missing.extend(features());
    }
    if missing.is_empty() { Ok(()) } else { Err(missing) }
}

/// CAP_SYS_ADMIN stands for the two of BPF, as capabilities(7) says.
fn capabilities() -> Vec<Missing> {
    let needed = [
        (Capability::CAP_BPF, Some(Capability::CAP_SYS_ADMIN)),
        (Capability::CAP_PERFMON, Some(Capability::CAP_SYS_ADMIN)),
        (Capability::CAP_NET_ADMIN, None),
    ];
    let remedy = "run as root, or grant it (systemd: AmbientCapabilities=; container: securityContext)";
    needed
        .into_iter()
        .filter(|&(capability, instead)| !has(capability) && !instead.is_some_and(has))
        .map(|(capability, _)| Missing { what: capability.to_string(), remedy: remedy.to_owned() })
        .collect()
}

/// The verifier lets a program add a variable to a packet pointer (the IPv4 header length) only with
/// CAP_PERFMON; without it the load fails with EACCES, as it would for an unsafe program.
pub(crate) fn may_compute_packet_offsets() -> bool {
    has(Capability::CAP_PERFMON) || has(Capability::CAP_SYS_ADMIN)
}

fn has(capability: Capability) -> bool {
    caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false)
}

/// bpf_redirect_peer came with 5.10, after XDP links (5.9).
fn kernel_version() -> Option<Missing> {
    let what = match KernelVersion::current() {
        Ok(running) if running >= KernelVersion::new(5, 10, 0) => return None,
        Ok(running) => format!("Linux 5.10 (this is {})", dotted(running)),
        Err(error) => format!("a readable kernel version ({error})"),
    };
    Some(Missing { what, remedy: "run a newer kernel".to_owned() })
}

fn features() -> Vec<Missing> {
    let network = "the kernel needs CONFIG_BPF_SYSCALL and CONFIG_NET_CLS_ACT";
    let sockets = "the kernel needs CONFIG_XDP_SOCKETS";
    let peer = "bpf_redirect_peer needs Linux 5.10";
    let xdp = is_program_supported(ProgramType::Xdp).map_err(|error| chain(&error));
    let classifier = is_program_supported(ProgramType::SchedClassifier).map_err(|error| chain(&error));
    let xskmap = is_map_supported(MapType::XskMap).map_err(|error| chain(&error));
    let redirect_peer = is_helper_supported(ProgramType::SchedClassifier, BpfHelper::BPF_FUNC_redirect_peer)
        .map_err(|error| chain(&error));
    [
        ("XDP programs", network, xdp),
        ("TC classifier programs", network, classifier),
        ("XSKMAP", sockets, xskmap),
        ("helper bpf_redirect_peer", peer, redirect_peer),
    ]
    .into_iter()
    .filter_map(|(what, remedy, probed)| match probed {
        Ok(true) => None,
        Ok(false) => Some(Missing { what: what.to_owned(), remedy: remedy.to_owned() }),
        Err(error) => {
            Some(Missing { what: format!("{what} (probe failed: {error})"), remedy: remedy.to_owned() })
        }
    })
    .collect()
}

/// aya keeps the version as the kernel's KERNEL_VERSION() number.
pub(crate) fn dotted(version: KernelVersion) -> String {
    let code = version.code();
    format!("{}.{}.{}", code >> 16, (code >> 8) & 0xff, code & 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_read_like_uname() {
        assert_eq!(dotted(KernelVersion::new(5, 10, 7)), "5.10.7");
    }

    #[test]
    fn a_missing_thing_names_itself_and_the_remedy() {
        let missing = Missing { what: "XSKMAP".into(), remedy: "rebuild".into() };
        assert_eq!(missing.to_string(), "missing XSKMAP: rebuild");
    }
}
