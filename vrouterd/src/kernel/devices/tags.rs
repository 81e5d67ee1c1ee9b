//! VLAN tags of the uplink.

use af_xdp::ethtool::Offload;

use super::Devices;
use crate::kernel::error::KernelError;

impl Devices {
    /// Makes the device leave VLAN tags in the frames: what it strips, XDP does not see. True if
    /// that had to be changed; it is not taken back.
    ///
    /// # Errors
    /// [`KernelError::Ethtool`], as when the driver always strips tags.
    pub fn keep_vlan_tags(&self, device: &str) -> Result<bool, KernelError> {
        let stripped = self.ethtool.is_on(device, Offload::RxVlan)?;
        if stripped {
            self.ethtool.switch_off(device, Offload::RxVlan)?;
        }
        Ok(stripped)
    }
}
