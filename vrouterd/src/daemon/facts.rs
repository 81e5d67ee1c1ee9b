//! What the check of a configuration asks about the machine.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::config::{HostFacts, LinkFacts};
use crate::kernel::devices::MARK;
use crate::kernel::facts::{KernelFacts, LinkKind};
use crate::kernel::gateways::Gateway;

/// The machine as the kernel tells it, without the devices that daemons like us have made.
pub fn host_facts(kernel: &KernelFacts, gateways: &BTreeSet<Gateway>) -> HostFacts {
    let gateways_of = |index| gateways.iter().filter(move |(device, _)| *device == index);
    let links = kernel.links.values().filter(|link| link.group != MARK).map(|link| LinkFacts {
        ifname: link.name.clone(),
        mtu: link.mtu,
        addresses: kernel.addresses_of(link.index).map(|address| address.address).collect::<Vec<IpNet>>(),
        gateways: gateways_of(link.index).map(|(_, gateway)| *gateway).collect::<Vec<IpAddr>>(),
        vlan_of: match link.kind {
            LinkKind::Vlan { parent, .. } => kernel.links.get(&parent).map(|parent| parent.name.clone()),
            LinkKind::Veth { .. } | LinkKind::Other => None,
        },
    });
    HostFacts { links: links.collect(), cpus: allowed_cpus() }
}

/// CPUs this process may run on.
fn allowed_cpus() -> BTreeSet<u16> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or("0");
    list.trim().split(',').filter_map(range).flatten().collect()
}

fn range(text: &str) -> Option<std::ops::RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists_are_read() {
        assert_eq!(range("3"), Some(3..=3));
        assert_eq!(range("0-7"), Some(0..=7));
        assert_eq!(range("x"), None);
        assert!(!allowed_cpus().is_empty());
    }
}
