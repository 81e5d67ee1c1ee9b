//! Traffic between networks, from flows that a worker forwards.

use flow_table::Millis;

use super::Node;
use crate::view::{FlowOrigin, PairTrafficView, ViewSource as _};

/// Ethernet, IPv4 and UDP headers and five bytes.
const FRAME: u64 = 14 + 20 + 8 + 5;

fn pair(node: &Node, service: Option<&str>) -> PairTrafficView {
    let service = service.map(|address| address.parse().unwrap());
    node.state.traffic().pairs.into_iter().find(|pair| pair.service == service).unwrap()
}

#[test]
fn flows_count_for_their_service_or_network_and_once() {
    let mut node = Node::new();
    for port in [53, 53] {
        node.send("client", [10, 0, 1, 2], ([10, 96, 0, 12], port));
    }
    for port in [7, 8] {
        node.send("client", [10, 0, 1, 2], ([10, 0, 1, 3], port));
    }
    // One that is refused: it is no traffic.
    node.send("client", [10, 0, 1, 2], ([10, 96, 0, 12], 54));
    for _ in 0..3 {
        // More than the table has, in two goes.
        node.state.account(Millis(0), 60);
        node.state.account(Millis(0), 60);
    }
    assert_eq!(node.state.traffic().pairs.len(), 2);
    let service = pair(&node, Some("10.96.0.12"));
    assert_eq!(
        (service.from.as_str(), service.to.as_str(), service.origin),
        ("blue", "blue", FlowOrigin::Pod)
    );
    assert_eq!((service.totals.flows, service.totals.forward.packets), (1, 2));
    let network = pair(&node, None);
    assert_eq!((network.totals.flows, network.totals.forward.packets), (2, 2));
    assert_eq!(network.totals.reverse.packets, 0);
    assert!(network.totals.forward.bytes >= 2 * (FRAME - 14), "{network:?}");

    node.send("client", [10, 0, 1, 2], ([10, 96, 0, 12], 53));
    node.state.account(Millis(0), 100);
    let service = pair(&node, Some("10.96.0.12"));
    assert_eq!((service.totals.flows, service.totals.forward.packets), (1, 3));
}

#[test]
fn a_service_that_is_gone_counts_for_the_rest() {
    let mut node = Node::new();
    node.send("client", [10, 0, 1, 2], ([10, 96, 0, 12], 53));
    node.state.account(Millis(0), 100);
    node.change(|desired| desired.services.clear());
    node.state.forget_networks();
    let view = node.state.traffic();
    assert_eq!((view.pairs.len(), view.other.flows, view.other.forward.packets), (0, 1, 1));
}
