//! How many receive queues a device has.

use super::Devices;
use crate::kernel::error::KernelError;

/// Receive queues of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RxQueues {
    /// The driver says that it uses this many.
    Exactly(u32),
    /// The driver does not say; this many are allocated, and the first is always in use.
    AtMost(u32),
}

impl Devices {
    /// The receive queues that sockets can be bound to.
    ///
    /// # Errors
    /// [`KernelError::NoSuchDevice`], or what a request meets.
    pub async fn rx_queues(&self, name: &str) -> Result<RxQueues, KernelError> {
        let link = self.get(name).await?;
        let allocated = link.rx_queues.unwrap_or(1).max(1);
        Ok(match self.ethtool.channels(name)? {
            Some(channels) if channels.rx > 0 => RxQueues::Exactly(channels.rx),
            _ if allocated == 1 => RxQueues::Exactly(1),
            _ => RxQueues::AtMost(allocated),
        })
    }
}
