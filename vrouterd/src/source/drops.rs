//! Drops by reason and port, and what the BPF programs count.

use dataplane::counters::PortTotals;
use dataplane::drop::DropReason;

use super::Reading;
use crate::state::ProgramCounters;
use crate::view::{DropView, PortDrops, PortName, ProgramView};

impl Reading<'_> {
    pub(super) fn drops(&self) -> Vec<DropView> {
        let readings = self.state.ports(&self.snapshot);
        let mut ports = vec![(PortName::Uplink, readings.uplink), (PortName::Trunk, readings.unknown)];
        ports.extend(readings.vifs.into_iter().map(|(vif, totals)| (PortName::Vif { vif }, totals)));
        ports.push((PortName::RemovedVifs, readings.removed));
        DropReason::ALL.iter().map(|reason| DropView::new(*reason, ports_with(*reason, &ports))).collect()
    }
}

fn ports_with(reason: DropReason, ports: &[(PortName, PortTotals)]) -> Vec<PortDrops> {
    let count = |totals: &PortTotals| totals.drops.get(reason.index()).copied().filter(|count| *count > 0);
    ports
        .iter()
        .filter_map(|(port, totals)| Some(PortDrops { port: port.clone(), count: count(totals)? }))
        .collect()
}

/// Every counter of the programs, by the name it has there.
pub(super) fn programs(counters: &ProgramCounters) -> Vec<ProgramView> {
    let ProgramCounters { fabric, trunk } = counters;
    let fabric = [
        ("redirected", fabric.redirected),
        ("no_socket", fabric.no_socket),
        ("passed", fabric.passed),
        ("outer_fragment", fabric.outer_fragment),
        ("too_short", fabric.too_short),
    ];
    let trunk = [
        ("port_redirected", trunk.port_redirected),
        ("port_unknown", trunk.port_unknown),
        ("port_tagged", trunk.port_tagged),
        ("port_failed", trunk.port_failed),
        ("trunk_redirected", trunk.trunk_redirected),
        ("trunk_untagged", trunk.trunk_untagged),
        ("trunk_unknown_slot", trunk.trunk_unknown_slot),
        ("trunk_failed", trunk.trunk_failed),
        ("engine_redirected", trunk.engine_redirected),
        ("engine_no_socket", trunk.engine_no_socket),
    ];
    let fabric = fabric.map(|(outcome, packets)| ProgramView { program: "fabric", outcome, packets });
    let trunk = trunk.map(|(outcome, packets)| ProgramView { program: "trunk", outcome, packets });
    fabric.into_iter().chain(trunk).collect()
}
