//! `[[service]]`: ClusterIPs.

use core::net::IpAddr;

use dataplane::desired::{
    Affinity, Backend, BackendState, HopTarget, OnBackendGone, PortRange, ServicePort, TargetPort,
};
use flow_table::Millis;

use super::ledger::{Ledger, Owner};
use super::model::Service;
use super::place::At;
use super::problem::Reported;
use super::scalar;
use super::section::{Item, Section};

pub(super) fn service(mut section: Section<'_>, ledger: &mut Ledger<'_>) -> Result<Service, Reported> {
    let name = section.optional("name", scalar::path_name);
    let vrf = section.required("vrf", "vrf = \"blue\"", |item| ledger.vrf(item));
    let addresses = addresses(&mut section);
    let example = "ports = [{ protocol = \"tcp\", port = 80, target_port = 8080 }]";
    let ports = section.required("ports", example, ports);
    let example = "backends = [{ vif = \"web-1\" }], or [] for a service without backends";
    let backends = section.required("backends", example, |item| backends(item, ledger));
    let affinity = section.or_default("affinity", Affinity::None, affinity);
    let on_backend_gone = section.or_default("on_backend_gone", OnBackendGone::Rechoose, on_backend_gone);
    section.finish();

    let vrf_name = vrf.as_ref().ok().map(|at| &at.value);
    let known_addresses = addresses.as_ref().map_or(&[][..], Vec::as_slice);
    let known_ports = ports.as_ref().map_or(&[][..], |at| &at.value);
    if let Some(vrf) = vrf_name {
        let owner = owner(&name, known_addresses, &section);
        known_addresses.iter().for_each(|at| ledger.claim_service(vrf, at, known_ports, &owner));
    }
    for backend in backends.iter().flat_map(|at| &at.value) {
        if let HopTarget::Vif(vif) = &backend.value.to {
            let vif = At { value: vif.clone(), place: backend.place.clone() };
            ledger.check_backend(&vif, vrf_name, known_addresses);
        }
    }
    Ok(Service {
        name: name?.map(|at| at.value),
        vrf: vrf?.value,
        addresses: addresses?.into_iter().map(|at| at.value).collect(),
        ports: ports?.value.into_iter().map(|at| at.value).collect(),
        backends: backends?.value.into_iter().map(|at| at.value).collect(),
        affinity: affinity?,
        on_backend_gone: on_backend_gone?,
    })
}

/// The service as shown in messages: by name, else by its address.
fn owner(
    name: &Result<Option<At<String>>, Reported>,
    addresses: &[At<IpAddr>],
    section: &Section<'_>,
) -> Owner {
    let shown = match (name, addresses.first()) {
        (Ok(Some(name)), _) => name.value.clone(),
        (_, Some(address)) => address.value.to_string(),
        (_, None) => section.place.key.clone(),
    };
    Owner::new("service", &Ok(At { value: shown, place: section.place.clone() }), &section.place)
}

fn addresses(section: &mut Section<'_>) -> Result<Vec<At<IpAddr>>, Reported> {
    let single = section.item("address");
    let several = section.item("addresses");
    let remedy = "write address = \"10.96.0.10\", or addresses = [ ... ] with one of each family";
    match (single, several) {
        (Some(item), None) => {
            let value = scalar::address(&item)?;
            Ok(vec![At { value, place: item.place }])
        }
        (None, Some(item)) => {
            let list = item.list(scalar::address)?;
            let v4 = list.iter().filter(|at| at.value.is_ipv4()).count();
            if list.is_empty() || v4 > 1 || list.len() - v4 > 1 {
                let what = format!("{} IPv4 and {} IPv6 addresses are given", v4, list.len() - v4);
                return Err(item.wrong(what, remedy));
            }
            Ok(list)
        }
        (Some(_), Some(_)) => Err(section.wrong("both `address` and `addresses` are given", remedy)),
        (None, None) => Err(section.wrong("the service has no address", remedy)),
    }
}

fn backends(item: &Item<'_>, ledger: &mut Ledger<'_>) -> Result<Vec<At<Backend>>, Reported> {
    let states = [("ready", BackendState::Ready), ("terminating", BackendState::Terminating)];
    super::route::distinct(
        item,
        |backend: &Backend| &backend.to,
        |mut section| {
            let hop = super::route::hop(&mut section, ledger);
            let state =
                section.or_default("state", BackendState::Ready, |item| scalar::choice(item, &states));
            section.finish();
            Ok(Backend { state: state?, ..hop?.into() })
        },
    )
}

/// Kubernetes' default (`sessionAffinityConfig.clientIP.timeoutSeconds`): three hours.
const AFFINITY_TIMEOUT: Millis = Millis(10_800_000);

fn affinity(item: &Item<'_>) -> Result<Affinity, Reported> {
    let mut section = item.section()?;
    let timeout = section.or_default("timeout", AFFINITY_TIMEOUT, scalar::seconds);
    section.finish();
    timeout.map(Affinity::ClientAddress)
}

fn on_backend_gone(item: &Item<'_>) -> Result<OnBackendGone, Reported> {
    scalar::choice(item, &[("rechoose", OnBackendGone::Rechoose), ("reset", OnBackendGone::Reset)])
}

fn ports(item: &Item<'_>) -> Result<Vec<At<ServicePort>>, Reported> {
    let mut seen: Vec<ServicePort> = Vec::new();
    let list = item.list(|element| {
        let port = port(element.section()?)?;
        if let Some(twice) = seen.iter().find(|seen| seen.shares_a_port(&port)) {
            let what = if port.ports == twice.ports && port.ports.count() == 1 {
                format!("port {} is listed twice for one protocol", port.ports)
            } else {
                format!("ports {} and {} of one protocol overlap", twice.ports, port.ports)
            };
            return Err(element.wrong(what, "list each protocol and port once"));
        }
        seen.push(port);
        Ok(port)
    })?;
    if list.is_empty() {
        let remedy = "add at least one, like { protocol = \"tcp\", port = 80, target_port = 8080 }";
        return Err(item.wrong("the service has no ports", remedy));
    }
    Ok(list)
}

fn port(mut section: Section<'_>) -> Result<ServicePort, Reported> {
    let protocol = section.required("protocol", "protocol = \"tcp\"", scalar::transport);
    let ports = section.required("port", "port = 80", range);
    let target = section.item("target_port");
    section.finish();
    let ports = ports?.value;
    let target = match target {
        Some(item) => target_port(&item, ports)?,
        None => TargetPort::From(ports.first()),
    };
    Ok(ServicePort { protocol: protocol?.value, ports, target })
}

/// One port for all, or as many as there are in `ports`.
fn target_port(item: &Item<'_>, ports: PortRange) -> Result<TargetPort, Reported> {
    let target = range(item)?;
    if target.count() == 1 {
        return Ok(TargetPort::One(target.first()));
    }
    if target.count() != ports.count() {
        let what = format!("{} target ports stand behind {} ports", target.count(), ports.count());
        return Err(item.wrong(what, "give as many target ports as ports, or one for all"));
    }
    Ok(TargetPort::From(target.first()))
}

pub(super) fn range(item: &Item<'_>) -> Result<PortRange, Reported> {
    let ports = scalar::port_range(item)?;
    let range = PortRange::new(*ports.start(), *ports.end());
    range.ok_or_else(|| item.wrong("the range is empty", "give the lower port first"))
}
