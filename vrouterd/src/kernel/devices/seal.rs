//! Keeping what comes in by a pod's port out of the host's own stack.

use std::io;
use std::path::Path;

use crate::kernel::error::KernelError;

/// Family, key and value of the settings under `/proc/sys/net/FAMILY/conf/DEVICE/KEY`
/// (Documentation/networking/ip-sysctl.rst).
const SETTINGS: [(&str, &str, &str); 4] = [
    // No route of the host leads to a pod by its port, so no source passes the strict check (RFC 3704).
    ("ipv4", "rp_filter", "1"),
    ("ipv4", "arp_ignore", "8"),
    ("ipv4", "forwarding", "0"),
    ("ipv6", "disable_ipv6", "1"),
];

/// Makes the host's stack deaf to a port.
///
/// An attached program takes every frame before the stack sees it. Without one (before the first
/// attach, after the daemon has ended in whatever way, after the vif has been removed from the
/// configuration) the port would be like any other interface of the host, and a pod could reach
/// the host's addresses and be routed by it. So the settings are made before the program is
/// attached and are not taken back.
///
/// The kernel takes the larger of a device's and the `all` value for `rp_filter` and `arp_ignore`:
/// with `net.ipv4.conf.all.rp_filter = 2` sources that the host can route pass after all.
///
/// # Errors
/// [`KernelError::Setting`].
pub(super) fn seal(device: &str) -> Result<(), KernelError> {
    for (family, key, value) in SETTINGS {
        let path = Path::new("/proc/sys/net").join(family).join("conf").join(device).join(key);
        let failed = |source| KernelError::Setting { path: path.clone(), value, source };
        match std::fs::read_to_string(&path) {
            // Also where /proc/sys can only be read.
            Ok(now) if now.trim_end() == value => {}
            Ok(_) => std::fs::write(&path, value).map_err(failed)?,
            // A device or kernel without IPv6 (as after ipv6.disable=1) takes no IPv6 packets.
            Err(error) if error.kind() == io::ErrorKind::NotFound && family == "ipv6" => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}
