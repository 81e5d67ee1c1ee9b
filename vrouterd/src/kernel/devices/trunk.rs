//! The trunk: the veth pair between the pods' ports and the engine.

use af_xdp::ethtool::Offload;

use super::link::VethSpec;
use super::{Devices, Signature, VethPair};
use crate::kernel::error::KernelError;

/// How the trunk shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkPlan {
    /// Name of the end that pods' frames are redirected to.
    pub kernel_end: String,
    /// Name of the end that the engine's sockets are bound to.
    pub engine_end: String,
    /// Largest IP packet in bytes. XDP on veth without fragments takes about 3,498 with pages of
    /// 4 KiB (drivers/net/veth.c, `veth_xdp_set`).
    pub mtu: u32,
    /// Queues of either direction: one for each socket.
    pub queues: u32,
}

impl TrunkPlan {
    /// Usual name of the end that the engine's sockets are bound to.
    pub const ENGINE_END: &str = "vr-trunk1";

    /// The usual names.
    pub fn new(mtu: u32, queues: u32) -> Self {
        Self { kernel_end: "vr-trunk0".to_owned(), engine_end: Self::ENGINE_END.to_owned(), mtu, queues }
    }

    /// What a trunk that was made by this plan carries.
    pub fn signature(&self) -> Signature {
        Signature::of(self)
    }
}

impl Devices {
    /// Makes the trunk, or keeps the one that an earlier daemon has made by the same plan, and sets it up. Transmit offloads are off on the kernel's end: the kernel
    /// finishes checksums and segments when a frame leaves it, before the engine sees it.
    ///
    /// # Errors
    /// [`KernelError::ForeignDevice`] when a name is taken, or what a request meets. Nothing is
    /// left behind then.
    pub async fn create_trunk(&self, plan: &TrunkPlan) -> Result<VethPair, KernelError> {
        let spec = VethSpec {
            near: &plan.kernel_end,
            far: &plan.engine_end,
            mtu: plan.mtu,
            queues: plan.queues,
            near_mac: None,
        };
        let signature = plan.signature();
        if let Some(pair) = self.kept(&spec, &signature).await? {
            self.finish_trunk(&pair).await?;
            return Ok(pair);
        }
        let pair = self.create_veth(&spec).await?;
        let finished = async {
            self.finish_trunk(&pair).await?;
            self.sign(&pair, &signature).await
        };
        match finished.await {
            Ok(()) => Ok(pair),
            Err(error) => Err(self.undo(&pair, error).await),
        }
    }

    async fn finish_trunk(&self, pair: &VethPair) -> Result<(), KernelError> {
        for offload in Offload::TRANSMIT {
            self.ethtool.switch_off(&pair.near.name, offload)?;
        }
        for device in [&pair.near, &pair.far] {
            self.set_up(&device.name, device.index).await?;
        }
        Ok(())
    }
}
