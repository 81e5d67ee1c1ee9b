//! Interfaces.

use std::collections::HashMap;
use std::time::Duration;

use dataplane::desired::{FloatingIp, Policy, Rule};
use dataplane::droplog::DropRecord;
use dataplane::fib::ip_addr;
use dataplane::ids::{VifName, VifSlot};
use dataplane::snapshot::Vif;

use super::Reading;
use crate::view::{DroppedPacket, PortView, RatesView, State, VifFloatingIp, VifPolicy, VifService, VifView};

/// What the configuration knows about vifs, by name.
struct Known<'a> {
    ifnames: HashMap<VifName, &'a str>,
    services: HashMap<&'a VifName, Vec<VifService>>,
    floating_ips: HashMap<&'a VifName, Vec<VifFloatingIp>>,
}

impl Reading<'_> {
    pub(super) fn vifs(&self) -> Vec<VifView> {
        let known = self.known();
        let mut vifs: Vec<_> = self.snapshot.vifs().filter_map(|vif| self.vif_view(vif, &known)).collect();
        vifs.sort_by(|one, other| one.name.cmp(&other.name));
        vifs
    }

    pub(super) fn vif(&self, name: &VifName) -> Option<VifView> {
        let vif = self.snapshot.vifs().find(|vif| vif.name == *name)?;
        self.vif_view(vif, &self.known())
    }

    pub(super) fn rates(&self, name: &VifName) -> RatesView {
        let vif = self.snapshot.vifs().find(|vif| vif.name == *name);
        vif.map_or_else(RatesView::default, |vif| self.state.rates(vif.id))
    }

    fn known(&self) -> Known<'_> {
        let config = &self.control.config;
        let mut floating_ips = HashMap::<_, Vec<_>>::new();
        for FloatingIp { vif, vrf, address } in &config.nat.floating_ips {
            let view = VifFloatingIp { address: *address, vrf: vrf.clone() };
            floating_ips.entry(vif).or_default().push(view);
        }
        Known { ifnames: config.interfaces().collect(), services: self.services_by_vif(), floating_ips }
    }

    /// None for a vif that is being removed: the configuration does not know it any more.
    fn vif_view(&self, vif: &Vif, known: &Known<'_>) -> Option<VifView> {
        Some(VifView {
            name: vif.name.clone(),
            ifname: (*known.ifnames.get(&vif.name)?).to_owned(),
            slot: Some(vif.slot),
            vrf: self.vrf_name(vif.vrf)?,
            addresses: vif.addresses.iter().map(|(family, addr)| ip_addr(*family, *addr)).collect(),
            floating_ips: known.floating_ips.get(&vif.name).cloned().unwrap_or_default(),
            mac: vif.mac,
            label: vif.label.get(),
            mtu: u16::try_from(vif.mtu).unwrap_or(u16::MAX),
            state: State::from(&vif.link),
            traffic: PortView::from(&self.state.vif_totals(vif)),
            last_drops: self.last_drops(vif),
            services: known.services.get(&vif.name).cloned().unwrap_or_default(),
            policies: vif.policies.iter().map(|policy| policy_view(policy.wanted())).collect(),
            flows: self.flows_of(vif.slot),
        })
    }

    /// Pairs that the pod has begun, and those that other nodes have begun towards it.
    fn flows_of(&self, slot: VifSlot) -> u64 {
        let owners = [slot.flow_owner(), slot.fabric_flow_owner()];
        owners.iter().map(|owner| u64::from(self.state.flows.owner_len(*owner))).sum()
    }

    fn last_drops(&self, vif: &Vif) -> Vec<DroppedPacket> {
        let now = self.now();
        let view = |record: &DropRecord| {
            let age = Duration::from_millis(now.since(record.at).0);
            let head = record.head.get(..record.len).unwrap_or(&record.head);
            DroppedPacket::new(age, record.reason, u32::try_from(record.len).unwrap_or(u32::MAX), head)
        };
        self.state.recent_drops(Some(vif.slot)).iter().map(view).collect()
    }
}

fn policy_view(policy: &Policy) -> VifPolicy {
    let count = |rules: &Option<Vec<Rule>>| rules.as_ref().map(Vec::len);
    VifPolicy { name: policy.name.clone(), ingress: count(&policy.ingress), egress: count(&policy.egress) }
}
