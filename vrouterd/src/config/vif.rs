//! `[[vrf]]`, `[[vif]]` and `[host]`: routing tables and what is plugged into them.

use core::net::IpAddr;

use dataplane::desired::{FloatingIp, SourcePool, Vrf};
use dataplane::ids::{Mac, VrfName};

use super::gateway::gateways;
use super::ledger::{Ledger, Owner};
use super::model::{Host, Vif};
use super::nat;
use super::place::At;
use super::policy;
use super::problem::{Reported, quote};
use super::scalar;
use super::section::{Item, Section};

/// Smallest MTU of a link that carries IPv6 (RFC 8200 section 5).
pub(super) const LEAST_MTU_V6: u16 = 1280;
/// Smallest MTU we take for IPv4: what every host must be able to receive (RFC 791 section 3.1).
pub(super) const LEAST_MTU_V4: u16 = 576;

/// Largest MTU of a vif. Native XDP on the trunk's veth wants a frame in one page
/// (drivers/net/veth.c, `veth_xdp_set`), and a frame of the UMEM is one chunk of 4 KiB.
pub const MOST_VIF_MTU: u16 = 3400;

pub(super) fn vrf(
    mut section: Section<'_>,
    ledger: &mut Ledger<'_>,
    pools: &mut Vec<SourcePool>,
) -> Result<Vrf, Reported> {
    let name = section.required("name", "name = \"blue\"", scalar::path_name);
    let label = section.optional("label", scalar::label);
    let source_nat = section.optional("source_nat", nat::source_nat);
    section.finish();
    let owner = Owner::new("VRF", &name, &section.place);
    if let Ok(name) = &name {
        ledger.claim_vrf(name);
    }
    if let Ok(Some(label)) = &label {
        ledger.claim_label(label, &owner);
    }
    let (name, source_nat) = (VrfName::from(name?.value.as_str()), source_nat?);
    pools.extend(source_nat.map(|pool| pool.value.of(name.clone(), &owner, ledger)));
    Ok(Vrf { name, label: label?.map(|at| at.value) })
}

pub(super) fn vif(
    mut section: Section<'_>,
    ledger: &mut Ledger<'_>,
    floating_ips: &mut Vec<FloatingIp>,
) -> Result<Vif, Reported> {
    let name = section.required("name", "name = \"client\"", scalar::path_name);
    let ifname =
        section.required("ifname", "ifname = \"veth1a\", the node's end of the pod's veth", scalar::ifname);
    let vrf = section.required("vrf", "vrf = \"blue\"", |item| ledger.vrf(item));
    let addresses = section.required("addresses", "addresses = [\"10.0.1.2\"]", addresses);
    let mac = section.required("mac", "mac = \"02:00:00:00:0a:01\"", scalar::mac);
    let gateways = gateways(&mut section, &addresses);
    let label = section.required("label", "label = 17", scalar::label);
    let mtu = section.optional("mtu", |item| mtu(item, addresses.as_ref().ok()));
    let policies = section.or_default("policies", Vec::new(), |item| policy::attached(item, ledger));
    let own = (vrf.as_ref().ok().map(|at| &at.value), addresses.as_ref().ok().map(|at| at.value.as_slice()));
    let floating =
        section.or_default("floating_ips", Vec::new(), |item| nat::floating_ips(item, ledger, own));
    section.finish();

    let owner = Owner::new("vif", &name, &section.place);
    if let Ok(name) = &name {
        ledger.claim_vif(name, &owner, vrf.as_ref().ok().map(|at| at.value.clone()), &addresses);
    }
    if let Ok(ifname) = &ifname {
        ledger.claim_ifname(ifname, &owner);
    }
    if let Ok(label) = &label {
        ledger.claim_label(label, &owner);
    }
    if let (Ok(vrf), Ok(addresses)) = (&vrf, &addresses) {
        addresses.value.iter().for_each(|address| ledger.claim_address(&vrf.value, address, &owner));
    }
    let name = name?.value;
    floating_ips.extend(floating?.into_iter().map(|floating| floating.of(&name, &owner, ledger)));
    Ok(Vif {
        name: name.as_str().into(),
        ifname: ifname?,
        vrf: vrf?.value,
        addresses: addresses?.value,
        mac: mac?.value,
        gateways: gateways?,
        label: label?,
        mtu: mtu?,
        policies: policies?,
    })
}

/// `node` is the node's name, from which the Ethernet address is derived when none is given.
pub(super) fn host(
    mut section: Section<'_>,
    ledger: &mut Ledger<'_>,
    node: Option<&str>,
) -> Result<Host, Reported> {
    let ifname = section.optional("ifname", scalar::ifname);
    let vrf = section.required("vrf", "vrf = \"blue\"", |item| ledger.vrf(item));
    let addresses = section.required("addresses", "addresses = [\"10.0.1.1\"]", |item| {
        host_addresses(item, ledger.tunnel_address)
    });
    let mac = section.optional("mac", scalar::mac);
    let gateways = gateways(&mut section, &addresses);
    let label = section.required("label", "label = 16", scalar::label);
    let routes = section.or_default("routes", Vec::new(), |item| item.list(scalar::prefix));
    section.finish();

    let ifname = ifname.map(|given| {
        given.unwrap_or_else(|| At { value: "vhost0".to_owned(), place: section.place.clone() })
    });
    let owner = Owner::new("host", &ifname, &section.place);
    if let Ok(ifname) = &ifname {
        ledger.claim_vif(ifname, &owner, vrf.as_ref().ok().map(|at| at.value.clone()), &addresses);
        ledger.claim_ifname(ifname, &owner);
    }
    if let Ok(label) = &label {
        ledger.claim_label(label, &owner);
    }
    if let (Ok(vrf), Ok(addresses)) = (&vrf, &addresses) {
        addresses.value.iter().for_each(|address| ledger.claim_address(&vrf.value, address, &owner));
    }
    let ifname = ifname?.value;
    Ok(Host {
        mac: mac?.map_or_else(|| derived_mac(node.unwrap_or_default(), &ifname), |at| at.value),
        gateways: gateways?,
        ifname,
        vrf: vrf?.value,
        addresses: addresses?.value,
        label: label?.value,
        routes: routes?,
    })
}

fn addresses(item: &Item<'_>) -> Result<Vec<At<IpAddr>>, Reported> {
    let list = item.list(scalar::address)?;
    if list.is_empty() {
        return Err(
            item.wrong("the list is empty", "give at least one address: others are dropped as spoofed")
        );
    }
    Ok(list)
}

fn host_addresses(item: &Item<'_>, tunnel_address: Option<IpAddr>) -> Result<Vec<At<IpAddr>>, Reported> {
    let list = addresses(item)?;
    match list.iter().find(|address| Some(address.value) == tunnel_address) {
        Some(clash) => Err(item.wrong(
            format_args!("{} is node.tunnel_address, which is on the uplink", clash.value),
            "give the host an address of the VRF",
        )),
        None => Ok(list),
    }
}

fn mtu(item: &Item<'_>, addresses: Option<&At<Vec<At<IpAddr>>>>) -> Result<u16, Reported> {
    let mtu = scalar::small(item, LEAST_MTU_V4..=MOST_VIF_MTU, " bytes")?;
    let v6 = addresses.and_then(|list| list.value.iter().find(|address| address.value.is_ipv6()));
    match v6 {
        Some(v6) if mtu < LEAST_MTU_V6 => Err(item.wrong(
            format_args!("{mtu} bytes are too few for the IPv6 address {}", quote(&v6.value.to_string())),
            "write at least 1280 bytes, or remove the IPv6 addresses",
        )),
        _ => Ok(mtu),
    }
}

/// A locally administered address that stays the same over restarts: FNV-1a of the names.
fn derived_mac(node: &str, ifname: &str) -> Mac {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let bytes = node.bytes().chain([0]).chain(ifname.bytes());
    let hash = bytes.fold(OFFSET_BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    let [_, _, _, a, b, c, d, e] = hash.to_be_bytes();
    Mac([0x02, a, b, c, d, e])
}
