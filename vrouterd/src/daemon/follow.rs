//! What the kernel says, folded into the desired state.

use std::sync::Arc;
use std::time::Duration;

use dataplane::desired::Desired;

use super::control::{Control, Parts};
use super::error::DaemonError;
use super::start::{fabric_config, uplink_mtu};
use crate::kernel::KernelFacts;
use crate::kernel::uplink::find_uplink;

/// How long the first packets wait for the kernel to tell the ways to the other nodes.
const UNDERLAY: Duration = Duration::from_millis(200);

/// How long the kernel may take to tell of a device that it has made.
const DEVICES: Duration = Duration::from_secs(5);

impl Control {
    /// Waits for news from the kernel.
    pub(super) async fn kernel_changed(&mut self) -> Result<(), DaemonError> {
        let changed = tokio::select! {
            changed = self.facts.changed() => changed,
            changed = self.underlay.changed() => changed,
            changed = self.path_mtus.changed() => changed,
        };
        changed.map_err(|_| DaemonError::KernelGone)
    }

    /// Lets packets in, from the pods and last from the other nodes; before, it waits a moment for the ways to
    /// the other nodes, or the first packets would be lost.
    ///
    /// # Errors
    /// [`DaemonError::DeviceGone`].
    pub(super) async fn open(&mut self) -> Result<(), DaemonError> {
        let trunk = self.parts.trunk_index;
        // Devices that were made just now are not among the facts yet.
        let known = self.facts.wait_for(|facts| facts.links.contains_key(&trunk));
        let is_known = tokio::time::timeout(DEVICES, known).await.is_ok();
        if !is_known {
            return Err(DaemonError::DeviceGone(self.parts.trunk_name.clone()));
        }
        // Neither an uplink without a way nor a slow kernel keeps the pods of this node apart.
        drop(tokio::time::timeout(UNDERLAY, self.underlay.wait_for(|known| known.uplink.is_some())).await);
        let desired = Desired { underlay: self.underlay.borrow().clone(), ..self.parts.desired.clone() };
        if let Err(error) = self.publish(Arc::clone(&self.parts.config), desired) {
            tracing::error!(%error, "the running state is kept");
        }
        self.follow().await?;
        self.configure_fabric();
        Ok(())
    }

    /// Folds what the kernel says now into the desired state and publishes it if that changed.
    ///
    /// # Errors
    /// [`DaemonError::DeviceGone`].
    pub(super) async fn follow(&mut self) -> Result<(), DaemonError> {
        let facts = Arc::clone(&self.facts.borrow_and_update());
        let mut desired = self.parts.desired.clone();
        desired.underlay = self.underlay.borrow_and_update().clone();
        desired.underlay.path_mtus = self.path_mtus.borrow_and_update().clone();
        self.follow_mtu(&facts, &mut desired);
        self.follow_uplink(&facts)?;
        let snapshot = self.parts.publisher.current();
        let Parts { ports, trunk, .. } = &mut self.parts;
        ports.follow(&mut desired, &snapshot, &facts, &self.devices, trunk).await;
        if desired != self.parts.desired
            && let Err(error) = self.publish(Arc::clone(&self.parts.config), desired)
        {
            tracing::error!(%error, "the running state is kept");
        }
        Ok(())
    }

    /// Vifs without an MTU of their own get what the uplink leaves them.
    fn follow_mtu(&self, facts: &KernelFacts, desired: &mut Desired) {
        let node = &self.parts.config.node;
        let Ok(uplink) = find_uplink(facts, &node.uplink.value, node.tunnel_address.value) else { return };
        let mtus = self.parts.config.vif_mtus(uplink_mtu(facts, uplink));
        for (vif, mtu) in desired.vifs.iter_mut().zip(mtus) {
            vif.mtu = mtu;
        }
    }

    /// The VLAN of the tunnel address may change; the devices may not: programs and sockets are
    /// bound to them, and a device that is made again under the same name is another.
    fn follow_uplink(&mut self, facts: &KernelFacts) -> Result<(), DaemonError> {
        let bound = self.parts.uplink;
        let name = match (
            facts.links.contains_key(&bound.physical),
            facts.links.contains_key(&self.parts.trunk_index),
        ) {
            (false, _) => Some(self.parts.config.node.uplink.value.clone()),
            (true, false) => Some(self.parts.trunk_name.clone()),
            (true, true) => None,
        };
        if let Some(name) = name {
            return Err(DaemonError::DeviceGone(name));
        }
        let node = &self.parts.config.node;
        match find_uplink(facts, &node.uplink.value, node.tunnel_address.value) {
            Ok(uplink) if uplink.vlan != bound.vlan => {
                self.parts.uplink.vlan = uplink.vlan;
                self.configure_fabric();
                Ok(())
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    pub(super) fn configure_fabric(&mut self) {
        let config = fabric_config(&self.parts.config, self.parts.uplink.vlan);
        if let Err(error) = self.parts.fabric.set_config(&config) {
            tracing::error!(%error, "the uplink's program keeps its old settings");
        }
    }
}
