//! What can only be judged beside the machine: interfaces, addresses, MTUs, CPUs.

use core::net::IpAddr;
use std::collections::BTreeSet;

use ipnet::IpNet;

use super::model::Config;
use super::problem::{Problem, did_you_mean, quote};
use super::vif::{LEAST_MTU_V4, LEAST_MTU_V6};

/// What the kernel says about the machine, gathered by the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Every interface of the daemon's network namespace that the daemon has not made itself.
    pub links: Vec<LinkFacts>,
    /// CPUs that the daemon may run on.
    pub cpus: BTreeSet<u16>,
}

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkFacts {
    /// Its name.
    pub ifname: String,
    /// Its MTU, bytes.
    pub mtu: u32,
    /// Its addresses with the length of their subnet.
    pub addresses: Vec<IpNet>,
    /// Gateways of the host's routes that are reached by it.
    pub gateways: Vec<IpAddr>,
    /// The interface below, when this one is a VLAN.
    pub vlan_of: Option<String>,
}

/// Checks a configuration against the machine; empty when all is well.
pub fn check_against(config: &Config, facts: &HostFacts) -> Vec<Problem> {
    let mut problems = cpus(config, facts);
    match facts.links.iter().find(|link| link.ifname == config.node.uplink.value) {
        None => problems.push(no_uplink(config, facts)),
        Some(uplink) => match tunnel_link(config, uplink, facts) {
            Err(problem) => problems.push(problem),
            Ok(carrier) => {
                problems.extend(mtus(config, uplink.mtu.min(carrier.mtu)));
                problems.extend(host_routes(config, carrier, facts));
            }
        },
    }
    problems.sort_by_key(|problem| (problem.place.line, problem.place.column));
    problems
}

fn cpus(config: &Config, facts: &HostFacts) -> Vec<Problem> {
    let workers = &config.engine.workers;
    let have = facts.cpus.len();
    let mut problems = Vec::new();
    if usize::from(workers.value) > have {
        let what = format!("{} workers, but the daemon may use {have} CPUs", workers.value);
        problems.push(workers.problem(what, format_args!("set engine.workers to at most {have}")));
    }
    let absent = config.engine.cpus.iter().filter(|cpu| !facts.cpus.contains(&cpu.value));
    let list: Vec<String> = facts.cpus.iter().map(u16::to_string).collect();
    problems.extend(absent.map(|cpu| {
        let what = format!("CPU {} is not there, or not for the daemon", cpu.value);
        cpu.problem(what, format_args!("use some of {}", list.join(", ")))
    }));
    problems
}

fn no_uplink(config: &Config, facts: &HostFacts) -> Problem {
    let uplink = &config.node.uplink;
    let names: Vec<&str> =
        facts.links.iter().map(|link| link.ifname.as_str()).filter(|name| *name != "lo").collect();
    let what = format!(
        "there is no interface {}{}",
        quote(&uplink.value),
        did_you_mean(&uplink.value, names.clone())
    );
    uplink.problem(what, format_args!("use one of {}", names.join(", ")))
}

/// The link that has the tunnel address: the uplink, or a VLAN of it.
fn tunnel_link<'f>(
    config: &Config,
    uplink: &'f LinkFacts,
    facts: &'f HostFacts,
) -> Result<&'f LinkFacts, Problem> {
    let wanted = &config.node.tunnel_address;
    let vlans = facts.links.iter().filter(|link| link.vlan_of.as_ref() == Some(&uplink.ifname));
    let candidates: Vec<&LinkFacts> = core::iter::once(uplink).chain(vlans).collect();
    let has_it = |link: &&&LinkFacts| link.addresses.iter().any(|net| net.addr() == wanted.value);
    if let Some(link) = candidates.iter().find(has_it) {
        return Ok(link);
    }
    let found: Vec<String> = candidates
        .iter()
        .flat_map(|link| &link.addresses)
        .map(IpNet::addr)
        .filter(|address| address.is_ipv4() == wanted.value.is_ipv4())
        .map(|address| address.to_string())
        .collect();
    let addresses = if found.is_empty() { "no address of that family".to_owned() } else { found.join(", ") };
    let what = format!("{} is not on the uplink {}, which has {addresses}", wanted.value, uplink.ifname);
    let remedy = format!("add it (ip address add {} dev {}) or use one it has", wanted.value, uplink.ifname);
    Err(wanted.problem(what, remedy))
}

/// Refuses vifs whose packets would not fit into the uplink with the outer headers.
fn mtus(config: &Config, uplink_mtu: u32) -> Vec<Problem> {
    let overhead = u32::from(config.overhead());
    let room = uplink_mtu.saturating_sub(overhead);
    let has_v6 =
        |addresses: &[super::place::At<core::net::IpAddr>]| addresses.iter().any(|at| at.value.is_ipv6());
    let defaults = config.vifs.iter().filter(|vif| vif.mtu.is_none()).map(|vif| &vif.addresses);
    let any_v6 = defaults.chain(config.host.iter().map(|host| &host.addresses)).any(|list| has_v6(list));
    let least = u32::from(if any_v6 { LEAST_MTU_V6 } else { LEAST_MTU_V4 });
    let mut problems = Vec::new();
    if room < least {
        let family = if any_v6 { "IPv6" } else { "IPv4" };
        let what = format!(
            "the MTU {uplink_mtu} of {} leaves {room} bytes inside the tunnel (overhead {overhead}), {family} needs {least}",
            config.node.uplink.value
        );
        let remedy = format!("raise the uplink's MTU to at least {}", least + overhead);
        problems.push(config.node.uplink.problem(what, remedy));
    }
    for mtu in config.vifs.iter().filter_map(|vif| vif.mtu.as_ref()) {
        let needed = u32::from(mtu.value) + overhead;
        if needed > uplink_mtu {
            let what = format!(
                "{} bytes + {overhead} of outer headers are {needed}, more than the MTU {uplink_mtu} of {}",
                mtu.value, config.node.uplink.value
            );
            let remedy =
                format!("write at most {room}, leave `mtu` out, or raise the uplink's MTU to {needed}");
            problems.push(mtu.problem(what, remedy));
        }
    }
    problems
}

/// A host route must not take away what the host reaches by its other interfaces: the neighbours
/// in the uplink's own subnet, and the addresses and gateways of every link.
fn host_routes(config: &Config, carrier: &LinkFacts, facts: &HostFacts) -> Vec<Problem> {
    let routes = config.host.iter().flat_map(|host| &host.routes);
    routes
        .filter_map(|route| {
            let what = match carrier.addresses.iter().find(|net| net.contains(&route.value)) {
                Some(subnet) => {
                    format!("{} lies in {}, the subnet of {}", route.value, subnet.trunc(), carrier.ifname)
                }
                None => facts.links.iter().find_map(|link| taken_from(link, &route.value))?,
            };
            Some(route.problem(what, "list only prefixes of pods and services"))
        })
        .collect()
}

/// What a route would take away from a link.
fn taken_from(link: &LinkFacts, route: &IpNet) -> Option<String> {
    let address = link.addresses.iter().map(IpNet::addr).find(|address| route.contains(address));
    if let Some(address) = address {
        return Some(format!("{route} covers {address}, an address of {}", link.ifname));
    }
    let gateway = link.gateways.iter().find(|gateway| route.contains(*gateway))?;
    Some(format!("{route} covers {gateway}, a gateway on {}", link.ifname))
}
