//! Vifs and the interfaces they wait for: attaching, detaching, up or down with the reason.

use std::collections::{BTreeMap, HashMap};

use dataplane::desired::{Desired, Link};
use dataplane::ids::{VifName, VifSlot};
use dataplane::snapshot::Snapshot;
use xdp_prog::{IfIndex, PortKind, Trunk, VlanId};

use crate::kernel::devices::Devices;
use crate::kernel::facts::{KernelFacts, LinkState};

/// Where a vif is plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plug {
    pub(super) ifname: String,
    pub(super) kind: PortKind,
}

#[derive(Clone, Debug)]
struct Attached {
    index: IfIndex,
    slot: VifSlot,
}

/// The ports that are attached, and what stands in the way of the others.
#[derive(Debug, Default)]
pub(super) struct Ports {
    plugs: BTreeMap<VifName, Plug>,
    attached: BTreeMap<VifName, Attached>,
    refused: BTreeMap<VifName, (IfIndex, String)>,
}

impl Ports {
    /// Takes over which vif is plugged in where, and detaches what is not wanted any more.
    pub(super) fn set_plugs(&mut self, plugs: BTreeMap<VifName, Plug>, trunk: &mut Trunk) {
        let moved: Vec<_> =
            self.attached.keys().filter(|name| plugs.get(name) != self.plugs.get(name)).cloned().collect();
        for name in moved {
            self.detach(&name, trunk);
        }
        self.refused.clear();
        self.plugs = plugs;
    }

    /// Follows the kernel: attaches what has appeared, forgets what has gone, and writes the
    /// state of every vif into `desired`.
    pub(super) async fn follow(
        &mut self,
        desired: &mut Desired,
        snapshot: &Snapshot,
        facts: &KernelFacts,
        devices: &Devices,
        trunk: &mut Trunk,
    ) {
        let slots: HashMap<_, _> = snapshot.vifs().map(|vif| (&vif.name, vif.slot)).collect();
        for vif in &mut desired.vifs {
            let Some(plug) = self.plugs.get(&vif.name).cloned() else { continue };
            vif.link = match slots.get(&vif.name).copied() {
                Some(slot) => self.follow_one(&vif.name, &plug, slot, facts, devices, trunk).await,
                None => Link::Down("being set up".to_owned()),
            };
        }
    }

    async fn follow_one(
        &mut self,
        name: &VifName,
        plug: &Plug,
        slot: VifSlot,
        facts: &KernelFacts,
        devices: &Devices,
        trunk: &mut Trunk,
    ) -> Link {
        let link = facts.link_named(&plug.ifname);
        let index = link.and_then(|link| IfIndex::new(link.index.0));
        if self.attached.get(name).is_some_and(|port| Some(port.index) != index || port.slot != slot) {
            self.detach(name, trunk);
        }
        let (Some(link), Some(index)) = (link, index) else {
            self.refused.remove(name);
            return Link::Down(format!("waiting for interface {}", plug.ifname));
        };
        if !self.attached.contains_key(name) {
            if let Some((_, why)) = self.refused.get(name).filter(|(refused, _)| *refused == index) {
                return Link::Down(why.clone());
            }
            if let Err(why) = attach(plug, index, slot, devices, trunk).await {
                tracing::warn!(vif = %name, interface = plug.ifname, why, "vif not attached");
                self.refused.insert(name.clone(), (index, why.clone()));
                return Link::Down(why);
            }
            tracing::info!(vif = %name, interface = plug.ifname, slot = slot.get(), "vif attached");
            self.attached.insert(name.clone(), Attached { index, slot });
        }
        match link.state {
            LinkState::Up => Link::Up,
            state => Link::Down(format!("interface {} is {state}", plug.ifname)),
        }
    }

    fn detach(&mut self, name: &VifName, trunk: &mut Trunk) {
        let Some(port) = self.attached.remove(name) else { return };
        if let Err(error) = trunk.detach_port(port.index) {
            tracing::warn!(vif = %name, %error, "vif not detached cleanly");
        }
        tracing::info!(vif = %name, "vif detached");
    }

    /// Forgets what could not be attached, so that it is tried again. True if there was any.
    pub(super) fn forget_refusals(&mut self) -> bool {
        let any = !self.refused.is_empty();
        self.refused.clear();
        any
    }

    /// Detaches everything.
    pub(super) fn detach_all(&mut self, trunk: &mut Trunk) {
        for name in self.attached.keys().cloned().collect::<Vec<_>>() {
            self.detach(&name, trunk);
        }
    }
}

/// Sets the vifs up whose interfaces are, before anything is attached: the first packets must not find their
/// backends down.
pub(super) fn foresee(desired: &mut Desired, plugs: &BTreeMap<VifName, Plug>, facts: &KernelFacts) {
    for vif in &mut desired.vifs {
        let Some(plug) = plugs.get(&vif.name) else { continue };
        let is_up = facts.link_named(&plug.ifname).is_some_and(|link| link.state == LinkState::Up);
        if is_up || plug.kind == PortKind::Host {
            vif.link = Link::Up;
        }
    }
}

async fn attach(
    plug: &Plug,
    index: IfIndex,
    slot: VifSlot,
    devices: &Devices,
    trunk: &mut Trunk,
) -> Result<(), String> {
    let vlan = VlanId::new(slot.get()).ok_or("its slot is no VLAN id")?;
    devices.prepare_port(&plug.ifname).await.map_err(|error| error.to_string())?;
    trunk.attach_port(index, vlan, plug.kind).map_err(|error| error.to_string())?;
    Ok(())
}
