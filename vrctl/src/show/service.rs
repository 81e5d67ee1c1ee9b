//! Services and their backends.

use serde_json::Value;

use crate::table::Column::{Left, Right};
use crate::table::Table;
use crate::value::{Mismatch, cell, list, service_ports, state, target};

/// One line per backend, each complete.
pub(super) fn services(document: &Value) -> Result<String, Mismatch> {
    let columns =
        [Left("VRF"), Left("ADDRESS"), Left("PORTS"), Left("BACKEND"), Right("WEIGHT"), Left("STATE")];
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
