//! Services and their backends.

use serde_json::Value;

use crate::table::Column::{Left, Right, State};
use crate::table::{Table, details};
use crate::value::{Mismatch, at, cell, list, service_ports, state, target};

/// One line per backend, each complete.
pub(crate) fn services(document: &Value) -> Result<String, Mismatch> {
    let columns =
        [Left("VRF"), Left("ADDRESS"), Left("PORTS"), Left("BACKEND"), Right("WEIGHT"), State("STATE")];
    let mut table = Table::new(columns);
    for service in list(document, "")? {
        let service_cells =
            || Ok([cell(service, "/vrf")?, cell(service, "/address")?, service_ports(service)?]);
        let backends = list(service, "/backends")?;
        for backend in backends {
            let [vrf, address, ports] = service_cells()?;
            let weight = cell(backend, "/weight")?;
            table.row([vrf, address, ports, target(backend)?, weight, backend_state(backend)?]);
        }
        if backends.is_empty() {
            let [vrf, address, ports] = service_cells()?;
            let none = "-".to_owned();
            table.row([vrf, address, ports, none.clone(), none, "no backend".to_owned()]);
        }
    }
    Ok(table.to_string())
}

/// Whether packets reach it, and before that what it is unless ready for new flows.
fn backend_state(backend: &Value) -> Result<String, Mismatch> {
    let state = state(backend)?;
    match cell(backend, "/readiness")?.as_str() {
        "ready" => Ok(state),
        other => Ok(format!("{other}, {state}")),
    }
}

/// Services in full, a paragraph each.
pub(crate) fn in_full(document: &Value) -> Result<String, Mismatch> {
    let paragraphs: Result<Vec<_>, _> = list(document, "")?.iter().map(one).collect();
    Ok(paragraphs?.join("\n"))
}

fn one(service: &Value) -> Result<String, Mismatch> {
    let affinity = match at(service, "/affinity_seconds")? {
        Value::Null => "off".to_owned(),
        _ => format!("a client stays for {} s after its last new flow", cell(service, "/affinity_seconds")?),
    };
    let pairs = [
        ("address", cell(service, "/address")?),
        ("vrf", cell(service, "/vrf")?),
        ("ports", service_ports(service)?),
        ("affinity", affinity),
        ("when a backend is gone", cell(service, "/on_backend_gone")?),
    ];
    let mut table = Table::new([Left("BACKEND"), Right("WEIGHT"), State("STATE")]);
    for backend in list(service, "/backends")? {
        table.row([target(backend)?, cell(backend, "/weight")?, backend_state(backend)?]);
    }
    let backends = if table.is_empty() { "no backend\n".to_owned() } else { table.to_string() };
    Ok(format!("{}\n{backends}", details(&pairs)))
}
