//! Replacing the host's interface while the node runs.

use super::{Devices, VhostPlan};
use crate::kernel::error::KernelError;

/// Why the host's interface is not the wanted one, and what there is instead.
#[derive(Debug, thiserror::Error)]
pub enum SwapError {
    /// The former one is untouched.
    #[error("the former interface stays: {0}")]
    Kept(#[source] KernelError),
    /// The new one could not be made; the former one was made again, without its connections.
    #[error("the new interface could not be made, and the former one was put back: {0}")]
    Restored(#[source] KernelError),
    /// Neither could be made.
    #[error("the host has no interface now: {reason}; nor could the former one be put back: {restore}")]
    Lost {
        /// Why the new one could not be made.
        reason: KernelError,
        /// Why the former one could not be made again.
        restore: KernelError,
    },
    /// There was none before.
    #[error("the host has no interface: {0}")]
    NotMade(#[source] KernelError),
}

impl Devices {
    /// Makes the host's interface as wanted in the place of the one that was `made`, which is kept
    /// up to date. Does nothing when it is the wanted one and is there.
    ///
    /// # Errors
    /// [`SwapError`]; a later call tries again.
    pub async fn swap_vhost(
        &self,
        made: &mut Option<VhostPlan>,
        wanted: Option<VhostPlan>,
    ) -> Result<(), SwapError> {
        if *made == wanted && self.has_vhost(made.as_ref()).await.map_err(SwapError::Kept)? {
            return Ok(());
        }
        if let Some(former) = made {
            self.remove(&former.host_end).await.map_err(SwapError::Kept)?;
        }
        let former = made.take();
        let Some(wanted) = wanted else { return Ok(()) };
        let Err(reason) = self.create_vhost(&wanted).await else {
            *made = Some(wanted);
            return Ok(());
        };
        let Some(former) = former else { return Err(SwapError::NotMade(reason)) };
        match self.create_vhost(&former).await {
            Ok(_) => {
                *made = Some(former);
                Err(SwapError::Restored(reason))
            }
            Err(restore) => Err(SwapError::Lost { reason, restore }),
        }
    }

    async fn has_vhost(&self, plan: Option<&VhostPlan>) -> Result<bool, KernelError> {
        match plan {
            Some(plan) => Ok(self.find(&plan.host_end).await?.is_some()),
            None => Ok(true),
        }
    }
}
