//! What the vrouter shall reach on the wire, and what this run says of it.

use crate::course::{System, Way};
use crate::latency::RoundTrips;
use crate::results::Results;
use crate::tcp::WireGso;

/// One line of the table of targets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) wanted: String,
    pub(crate) measured: String,
    pub(crate) is_met: bool,
}

/// At 80 percent of the load the 99th percentile may be so many times that without load.
const CLIFF: f64 = 10.0;
/// Microseconds that the vrouter may add to the median of the kernel, without load.
const ADDED: f64 = 20.0;

/// Those that were measured.
pub(crate) fn targets(results: &Results) -> Vec<Target> {
    let mut all = Vec::new();
    for (way, system, wanted) in [
        (Way::Client, System::Forwarder, 0.95),
        (Way::Backend, System::Forwarder, 0.8),
        (Way::Client, System::Kernel, 2.0),
        (Way::Backend, System::Kernel, 2.0),
        (Way::Path, System::Kernel, 2.0),
    ] {
        all.extend(
            [1, 1_000, 60_000].into_iter().filter_map(|flows| rate(results, (way, system), flows, wanted)),
        );
    }
    all.extend([1, 8].into_iter().filter_map(|streams| tcp(results, streams)));
    all.extend(latency(results));
    all.extend(changes(results));
    all.extend(idle(results));
    all
}

fn rate(results: &Results, (way, other): (Way, System), flows: u64, wanted: f64) -> Option<Target> {
    let ours = results.no_loss(way, System::Vrouter, "64", flows)?;
    let ratio = ours / results.no_loss(way, other, "64", flows)?;
    Some(Target {
        name: format!("{way}, 64 bytes, {flows} flows, against the {other}"),
        wanted: format!("at least {wanted:.2}x"),
        measured: format!("{ratio:.2}x"),
        is_met: ratio >= wanted,
    })
}

fn tcp(results: &Results, streams: u32) -> Option<Target> {
    let of = |system| {
        let mut all = results.tcp.iter();
        all.find(|run| (run.system, run.wire_gso, run.streams) == (system, WireGso::Off, streams))
    };
    let ratio = of(System::Vrouter)?.gbit / of(System::Kernel)?.gbit;
    Some(Target {
        name: format!("TCP, {streams} streams, wire GSO off, against the kernel"),
        wanted: "at least 0.50x".to_owned(),
        measured: format!("{ratio:.2}x"),
        is_met: ratio >= 0.5,
    })
}

fn latency(results: &Results) -> Vec<Target> {
    let of = |system, load| -> Option<&RoundTrips> {
        results.latency.iter().find(|one| (one.system, one.load_percent) == (system, load))
    };
    let mut all = Vec::new();
    if let (Some(ours), Some(kernel)) = (of(System::Vrouter, 0), of(System::Kernel, 0)) {
        let added = ours.p50 - kernel.p50;
        all.push(Target {
            name: "round trip p50 over the kernel's, idle".to_owned(),
            wanted: format!("under {ADDED} us"),
            measured: format!("{added:.1} us"),
            is_met: added < ADDED,
        });
    }
    if let (Some(idle), Some(loaded)) = (of(System::Vrouter, 0), of(System::Vrouter, 80)) {
        let times = loaded.p99 / idle.p99;
        all.push(Target {
            name: "round trip p99 at 80% load over idle".to_owned(),
            wanted: format!("at most {CLIFF:.0}x"),
            measured: format!("{times:.1}x ({:.0} us over {:.0} us)", loaded.p99, idle.p99),
            is_met: times <= CLIFF,
        });
    }
    all
}

fn changes(results: &Results) -> Option<Target> {
    let changes = results.changes.as_ref()?;
    let cost = 100.0 * (1.0 - changes.with / changes.without);
    Some(Target {
        name: format!("{:.0} route changes per second under flood", changes.per_second),
        wanted: "cost under 5%".to_owned(),
        measured: format!("{cost:.1}%"),
        is_met: cost < 5.0,
    })
}

fn idle(results: &Results) -> Option<Target> {
    let idle = results.idle.as_ref()?;
    Some(Target {
        name: format!("idle CPU with {} vifs", idle.vifs),
        wanted: "under 1% of a core".to_owned(),
        measured: format!("{:.2}%", idle.cpu_percent),
        is_met: idle.cpu_percent < 1.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::pps::Cell;

    fn cell(way: Way, system: System, flows: u64, no_loss: f64) -> Cell {
        Cell { way, system, frame: "64".to_owned(), flows, no_loss, saturated: no_loss, trials: Vec::new() }
    }

    #[test]
    fn only_what_was_measured_is_judged_and_each_by_its_own_bar() {
        let mut results = Results::new(Machine::look());
        assert_eq!(targets(&results), []);
        results.pps = vec![
            cell(Way::Client, System::Vrouter, 1, 0.94e6),
            cell(Way::Client, System::Forwarder, 1, 1e6),
            cell(Way::Backend, System::Vrouter, 1_000, 0.81e6),
            cell(Way::Backend, System::Forwarder, 1_000, 1e6),
            // Nothing was without loss: there is nothing to compare with.
            cell(Way::Backend, System::Kernel, 1_000, 0.0),
        ];
        let judged: Vec<(String, bool)> =
            targets(&results).into_iter().map(|target| (target.measured, target.is_met)).collect();
        assert_eq!(judged, [("0.94x".to_owned(), false), ("0.81x".to_owned(), true)]);
    }
}
