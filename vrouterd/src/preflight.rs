//! Whether this process may do what the daemon does, asked before anything is attached.

use std::collections::HashSet;

use caps::{CapSet, Capability};

/// What the daemon cannot do without: links and XDP, raw and AF_XDP sockets, loading BPF
/// programs, and the BPF helpers that need tracing rights (capabilities(7)).
pub const NEEDED: [Capability; 4] =
    [Capability::CAP_NET_ADMIN, Capability::CAP_NET_RAW, Capability::CAP_BPF, Capability::CAP_PERFMON];

/// Why the daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    /// The process lacks capabilities.
    #[error(
        "missing {}: start vrouterd as root, or in its systemd unit write AmbientCapabilities={}",
        names(missing, ", "),
        names(&NEEDED, " ")
    )]
    Missing {
        /// Those it lacks, in the order of [`NEEDED`].
        missing: Vec<Capability>,
    },
    /// The kernel does not tell the capabilities.
    #[error(
        "cannot read the capabilities of this process ({0}): start vrouterd as root, on Linux 5.8 or newer"
    )]
    Unreadable(caps::errors::CapsError),
}

/// Checks the effective capabilities of this thread.
///
/// # Errors
///
/// [`PreflightError`] naming every capability that is missing.
pub fn check_capabilities() -> Result<(), PreflightError> {
    let effective = caps::read(None, CapSet::Effective).map_err(PreflightError::Unreadable)?;
    let missing = missing(&effective);
    if missing.is_empty() { Ok(()) } else { Err(PreflightError::Missing { missing }) }
}

/// Those of [`NEEDED`] that `effective` does not grant. CAP_SYS_ADMIN still grants CAP_BPF and
/// CAP_PERFMON (capabilities(7)).
fn missing(effective: &HashSet<Capability>) -> Vec<Capability> {
    let granted = |capability: &Capability| match capability {
        Capability::CAP_BPF | Capability::CAP_PERFMON => {
            effective.contains(capability) || effective.contains(&Capability::CAP_SYS_ADMIN)
        }
        other => effective.contains(other),
    };
    NEEDED.into_iter().filter(|capability| !granted(capability)).collect()
}

fn names(capabilities: &[Capability], separator: &str) -> String {
    capabilities.iter().map(Capability::to_string).collect::<Vec<_>>().join(separator)
}

#[cfg(test)]
mod tests {
    use super::*;
    use caps::Capability::{CAP_BPF, CAP_NET_ADMIN, CAP_NET_RAW, CAP_PERFMON, CAP_SYS_ADMIN};

    #[test]
    fn missing_capabilities_by_what_is_effective() {
        let table: [(&[Capability], &[Capability]); 5] = [
            (&[], &NEEDED),
            (&NEEDED, &[]),
            (&[CAP_NET_ADMIN, CAP_NET_RAW], &[CAP_BPF, CAP_PERFMON]),
            (&[CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN], &[]),
            (&[CAP_SYS_ADMIN], &[CAP_NET_ADMIN, CAP_NET_RAW]),
        ];
        for (effective, expected) in table {
            let effective = effective.iter().copied().collect();
            assert_eq!(missing(&effective), expected, "{effective:?}");
        }
    }

    #[test]
    fn the_message_names_what_is_missing_and_what_to_write() {
        let error = PreflightError::Missing { missing: vec![CAP_BPF, CAP_PERFMON] };
        assert_eq!(
            error.to_string(),
            "missing CAP_BPF, CAP_PERFMON: start vrouterd as root, or in its systemd unit write \
             AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW CAP_BPF CAP_PERFMON"
        );
    }
}
