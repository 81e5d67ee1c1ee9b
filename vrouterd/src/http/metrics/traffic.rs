//! Series of the traffic between networks.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family};
use prometheus_client::registry::Registry;

use crate::view::{PairTotals, TrafficView};

/// The rest has empty names and the origin `other`.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Pair {
    from: String,
    to: String,
    service: String,
    origin: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PairDirection {
    from: String,
    to: String,
    service: String,
    origin: &'static str,
    direction: &'static str,
}

pub(super) fn register(registry: &mut Registry, view: &TrafficView) {
    let flows = Family::<Pair, Counter>::default();
    let packets = Family::<PairDirection, Counter>::default();
    let bytes = Family::<PairDirection, Counter>::default();
    let add = |pair: Pair, totals: &PairTotals| {
        flows.get_or_create(&pair).inc_by(totals.flows);
        for (direction, count) in [("forward", totals.forward), ("reverse", totals.reverse)] {
            let Pair { from, to, service, origin } = pair.clone();
            let labels = PairDirection { from, to, service, origin, direction };
            packets.get_or_create(&labels).inc_by(count.packets);
            bytes.get_or_create(&labels).inc_by(count.bytes);
        }
    };
    for pair in &view.pairs {
        let labels = Pair {
            from: pair.from.to_string(),
            to: pair.to.to_string(),
            service: pair.service.map(|address| address.to_string()).unwrap_or_default(),
            origin: pair.origin.name(),
        };
        add(labels, &pair.totals);
    }
    let rest = Pair { from: String::new(), to: String::new(), service: String::new(), origin: "other" };
    add(rest, &view.other);
    registry.register("traffic_flows", "Flow pairs between networks or to a service", flows);
    let help = "Packets of flows between networks or to a service; reverse are the answers";
    registry.register("traffic_packets", help, packets);
    let help = "Bytes of flows between networks or to a service; reverse are the answers";
    registry.register("traffic_bytes", help, bytes);
}
