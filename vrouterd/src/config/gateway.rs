//! `gateway` of `[[vif]]` and `[host]`: the addresses of the vrouter towards a pod.

use core::net::IpAddr;

use dataplane::desired::Vif;

use super::model::Gateways;
use super::place::At;
use super::problem::Reported;
use super::scalar;
use super::section::Section;

/// `addresses` are those of the vif itself, of which the vrouter can have none.
pub(super) fn gateways(
    section: &mut Section<'_>,
    addresses: &Result<At<Vec<At<IpAddr>>>, Reported>,
) -> Result<Gateways, Reported> {
    let mut gateways = Gateways { v4: Vif::DEFAULT_GATEWAY_V4, v6: Vif::DEFAULT_GATEWAY_V6 };
    let own = addresses.as_ref().map_or(&[][..], |at| at.value.as_slice());
    let clash = |gateway: IpAddr| own.iter().any(|address| address.value == gateway);
    if let Some(item) = section.item("gateway") {
        let list = item.list(|element| {
            let gateway = scalar::gateway(element)?;
            if clash(gateway) {
                let what = format!("{gateway} is an address of the vif itself");
                return Err(element.wrong(what, "give the vrouter another one"));
            }
            Ok(gateway)
        })?;
        let v4 = list.iter().filter(|at| at.value.is_ipv4()).count();
        if v4 > 1 || list.len() - v4 > 1 {
            let what = format!("{} IPv4 and {} IPv6 gateways are given", v4, list.len() - v4);
            return Err(item.wrong(what, "give at most one of each family"));
        }
        for gateway in list {
            match gateway.value {
                IpAddr::V4(address) => gateways.v4 = address,
                IpAddr::V6(address) => gateways.v6 = address,
            }
        }
    }
    if clash(gateways.v4.into()) {
        let what = format!("the address {} is also that of the gateway if none is given", gateways.v4);
        return Err(section.wrong(what, "give the vif another address, or add a `gateway`"));
    }
    Ok(gateways)
}
