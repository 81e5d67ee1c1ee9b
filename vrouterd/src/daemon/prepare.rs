//! What a start can do while another daemon still forwards.

use std::sync::Arc;

use dataplane::ids::VifSlot;
use flow_table::{FlowTable, TableConfig};
use xdp_prog::{Fabric, TcPreference, Trunk};

use super::check_machine_by;
use super::error::DaemonError;
use super::handover::Beginning;
use crate::config::Config;
use crate::kernel::Netlink;
use crate::kernel::devices::Devices;

/// Loaded programs and memory, attached to nothing.
pub(super) struct Prepared {
    pub(super) netlink: Netlink,
    pub(super) devices: Devices,
    pub(super) loaded: Loaded,
}

/// Programs and tables that nothing uses yet.
pub(super) struct Loaded {
    pub(super) trunk: Trunk,
    pub(super) fabric: Fabric,
    pub(super) flows: Arc<FlowTable>,
}

/// Judges machine and configuration, loads the programs and takes the memory of the flow table.
///
/// # Errors
/// [`DaemonError`]; nothing has been changed then.
pub(super) async fn prepare(config: &Config, beginning: Beginning) -> Result<Prepared, DaemonError> {
    if let Err(missing) = xdp_prog::preflight() {
        let list: Vec<_> =
            missing.iter().map(|missing| format!("{}: {}", missing.what, missing.remedy)).collect();
        return Err(DaemonError::KernelFeature(list.join("; ")));
    }
    let netlink = Netlink::connect()?;
    if beginning == Beginning::Replacing {
        // Later it would be too late for the one that runs.
        check_machine_by(&netlink, config).await?;
    }
    let devices = Devices::open(netlink.clone())?;
    let flows = Arc::new(FlowTable::new(table_config(config), seeds()));
    move_to_huge_pages(&flows);
    let loaded = Loaded { trunk: Trunk::load(TcPreference::PreferTcx)?, fabric: Fabric::load()?, flows };
    Ok(Prepared { netlink, devices, loaded })
}

fn table_config(config: &Config) -> TableConfig {
    TableConfig {
        max_pairs: config.engine.flows,
        max_per_owner: config.engine.flows_per_vif,
        max_owners: VifSlot::FLOW_OWNERS,
        timeouts: config.timeouts.clone(),
    }
}

/// Packets read the flow table at random, so the fewer pages it has the fewer translations are missing.
fn move_to_huge_pages(flows: &FlowTable) {
    for memory in flows.memory() {
        if let Err(reason) = af_xdp::move_to_huge_pages(memory) {
            tracing::info!(%reason, "the flow table stays in small pages, which is slower with many flows");
        }
    }
}

/// Seeds for a hash, drawn by the hasher of the standard library.
pub(super) fn seeds() -> [u64; 4] {
    use std::hash::BuildHasher;
    [0u8, 1, 2, 3].map(|n| std::hash::RandomState::new().hash_one(n))
}
