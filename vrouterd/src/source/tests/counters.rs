//! Views of what has been counted: ports, drops, workers, flows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use af_xdp::{FrameCounts, KernelStatistics, Mode, Statistics};
use dataplane::counters::TrafficTotals;
use dataplane::drop::DropReason;
use dataplane::droplog::DropLog;
use dataplane::ids::VifName;
use dataplane::io::Side;
use flow_table::Millis;

use super::{Node, vif_mut};
use crate::engine::SocketGauge;
use crate::state::MOST_DRAINED;
use crate::view::{
    CopyMode, DropCount, Endpoint, FlowFilter, FlowOrder, HopView, PortDrops, PortName, Protocol, QueueView,
    RingFrames, RingView, TranslatedField, Translation, UmemView, ViewSource,
};

fn end(address: &str, port: u16) -> Endpoint {
    Endpoint { address: address.parse().unwrap(), port }
}

fn to_vif(name: &str) -> HopView {
    HopView::Vif { vif: name.into() }
}

/// Where packets were dropped for a reason.
fn dropped(node: &Node, reason: DropReason) -> Vec<PortDrops> {
    node.state.drops().into_iter().find(|row| row.reason == reason.name()).unwrap().ports
}

fn at(port: PortName, count: u64) -> PortDrops {
    PortDrops { port, count }
}

#[test]
fn every_packet_is_explained_with_drops_on_every_kind_of_port() {
    let mut node = Node::new();
    let (client, gone) = (node.slot("client"), node.slot("other"));
    let counters = &node.counters;
    for port in [counters.uplink(), counters.trunk(), counters.vif(client), counters.vif(gone)] {
        port.rx.count(100);
        port.drop(DropReason::NoRoute);
    }
    counters.vif(client).rx.count(60);
    counters.uplink().tx.count(110);
    counters.vif(client).rx.count(42);
    counters.consumed.add(1);
    counters.generated.add(1);
    counters.vif(client).tx.count(42);
    node.change(|desired| desired.vifs.retain(|vif| vif.name.as_str() != "other"));

    let view = node.state.node();
    assert_eq!(view.unexplained(), 0);
    assert_eq!((view.generated, view.consumed), (1, 1));
    assert_eq!(view.trunk.rx, TrafficTotals { packets: 5, bytes: 402 });
    assert_eq!(view.trunk.tx, TrafficTotals { packets: 1, bytes: 42 });
    assert_eq!(view.trunk.drops, [DropCount::new(DropReason::NoRoute, 3)]);
    assert_eq!(view.uplink.traffic.dropped, 1);
    let expected = [
        at(PortName::Uplink, 1),
        at(PortName::Trunk, 1),
        at(PortName::Vif { vif: "client".into() }, 1),
        at(PortName::RemovedVifs, 1),
    ];
    assert_eq!(dropped(&node, DropReason::NoRoute), expected);
    let rows = node.state.drops();
    assert_eq!(rows.len(), DropReason::ALL.len());
    assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), node.counters.all_ports().dropped());

    node.counters.vif(client).rx.count(60);
    assert_eq!(node.state.node().unexplained(), 1, "a packet that ends nowhere shows");
}

/// Gives the slot of vif `client` away until it comes to another vif.
fn give_slot_of_client_to(node: &mut Node, heir: &str) {
    let slot = node.slot("client");
    node.change(|desired| desired.vifs.retain(|vif| vif.name.as_str() != "client"));
    // Slots are given in a circle: all others first.
    for round in 0..5000 {
        node.change(|desired| {
            let mut vif = desired.vifs[0].clone();
            vif.name = if round % 2 == 0 { heir.into() } else { "filler".into() };
            vif.addresses = vec!["10.0.1.77".parse().unwrap()];
            vif.label = encap::Label::new(17).unwrap();
            desired.vifs.retain(|vif| vif.label.get() != 17);
            desired.vifs.push(vif);
        });
        if round % 2 == 0 && node.slot(heir) == slot {
            return;
        }
    }
    panic!("the slot never came round");
}

#[test]
fn a_slot_that_is_used_again_starts_from_zero() {
    for heir in ["heir", "client"] {
        let mut node = Node::new();
        let slot = node.slot("client");
        node.send("client", [10, 9, 9, 9], ([10, 0, 1, 3], 80));
        let client = node.state.vif(&"client".into()).unwrap();
        assert_eq!((client.traffic.rx.packets, client.traffic.dropped), (1, 1));
        assert_eq!(client.last_drops.len(), 1);

        give_slot_of_client_to(&mut node, heir);
        let name = VifName::from(heir);
        let readings = node.state.ports(&node.publisher.current());
        let fresh = &readings.vifs.iter().find(|(vif, _)| *vif == name).unwrap().1;
        assert_eq!((fresh.rx.packets, fresh.dropped()), (0, 0), "{heir}");
        assert!(node.state.recent_drops(Some(slot)).is_empty(), "{heir}");
        assert_eq!(dropped(&node, DropReason::SpoofedSource), [at(PortName::RemovedVifs, 1)], "{heir}");
        assert_eq!(node.state.node().unexplained(), 0);

        node.counters.vif(slot).drop(DropReason::SpoofedSource);
        let expected = [at(PortName::Vif { vif: name }, 1), at(PortName::RemovedVifs, 1)];
        assert_eq!(dropped(&node, DropReason::SpoofedSource), expected, "{heir}");
    }
}

#[test]
fn the_last_drops_of_a_vif_are_shown_decoded() {
    let mut node = Node::new();
    node.send("client", [10, 9, 9, 9], ([10, 0, 1, 3], 80));
    let drops = node.state.vif(&"client".into()).unwrap().last_drops;
    assert_eq!(drops.len(), 1);
    assert_eq!(drops[0].reason, "spoofed_source");
    assert!(drops[0].decoded.contains("10.9.9.9"), "{}", drops[0].decoded);
    assert_eq!(drops[0].head.len(), 2 * (drops[0].length as usize).min(64));
}

#[test]
fn a_service_flow_shows_both_directions_and_the_translation() {
    let mut node = Node::new();
    node.send("client", [10, 0, 1, 2], ([10, 96, 0, 12], 53));
    node.send("client", [10, 0, 1, 2], ([10, 96, 0, 12], 53));
    let view = node.state.flows(&FlowFilter::default());
    assert_eq!((view.total, view.capacity, view.truncated, view.flows.len()), (1, 100, false, 1));
    let flow = &view.flows[0];
    assert_eq!((flow.vrf.as_str(), flow.protocol, flow.state), ("blue", Protocol(17), "stateless"));
    let (client, service, pod) = (end("10.0.1.2", 4000), end("10.96.0.12", 53), end("10.0.1.3", 5353));
    let (forward, reverse) = (&flow.forward, &flow.reverse);
    assert_eq!(forward.vif, Some("client".into()));
    assert_eq!((forward.source, forward.destination, &forward.to), (client, service, &to_vif("web-1")));
    assert_eq!(forward.traffic.packets, 2);
    assert_eq!(reverse.vif, Some("web-1".into()));
    assert_eq!((reverse.source, reverse.destination, &reverse.to), (pod, client, &to_vif("client")));
    assert_eq!(reverse.traffic, TrafficTotals::default());
    let expected = Translation { field: TranslatedField::Destination, from: service, to: pod };
    assert_eq!(flow.translations, [expected]);
    assert_eq!(node.state.vif(&"client".into()).unwrap().flows, 1);
}

#[test]
fn a_flow_to_another_node_has_no_vif_behind_its_answers() {
    let mut node = Node::new();
    node.send("client", [10, 0, 1, 2], ([10, 0, 2, 9], 7));
    let flow = node.state.flows(&FlowFilter::default()).flows.remove(0);
    assert_eq!(flow.forward.to, HopView::Tunnel { node: "172.30.0.2".parse().unwrap(), label: 33 });
    assert_eq!((flow.forward.vif, flow.reverse.vif), (Some("client".into()), None));
    assert_eq!(flow.reverse.to, to_vif("client"));
    assert_eq!(flow.translations, []);
}

#[test]
fn flows_are_filtered_and_limited() {
    let mut node = Node::new();
    for port in 1..=5 {
        node.send("client", [10, 0, 1, 2], ([10, 0, 1, 3], port));
    }
    let count = |filter: FlowFilter| {
        let view = node.state.flows(&filter);
        (view.flows.len(), view.truncated, view.total)
    };
    let all = FlowFilter::default();
    assert_eq!(count(all.clone()), (5, false, 5));
    assert_eq!(count(FlowFilter { limit: 5, ..all.clone() }), (5, false, 5));
    assert_eq!(count(FlowFilter { limit: 4, ..all.clone() }), (4, true, 5));
    assert_eq!(count(FlowFilter { port: Some(3), ..all.clone() }), (1, false, 5));
    assert_eq!(count(FlowFilter { vif: Some("other".into()), ..all.clone() }), (0, false, 5));
    assert_eq!(count(FlowFilter { limit: usize::MAX, ..all }), (5, false, 5));
}

#[test]
fn the_top_flows_are_those_with_the_most_packets() {
    let mut node = Node::new();
    for port in 1..=5u16 {
        for _ in 0..[3, 5, 1, 5, 2][usize::from(port) - 1] {
            node.send("client", [10, 0, 1, 2], ([10, 0, 1, 3], port));
        }
    }
    let top = |limit, order| {
        let view = node.state.flows(&FlowFilter { limit, order, ..FlowFilter::default() });
        let ports: Vec<u16> = view.flows.iter().map(|flow| flow.forward.destination.port).collect();
        (ports, view.truncated)
    };
    let (first, truncated) = top(3, FlowOrder::Packets);
    assert_eq!(
        (first[..2].contains(&2), first[..2].contains(&4), first[2], truncated),
        (true, true, 1, true)
    );
    assert_eq!(top(5, FlowOrder::Bytes).0[2..], [1, 5, 3]);
    assert!(!top(5, FlowOrder::Bytes).1);
}

#[test]
fn flows_that_match_are_flushed_and_counted() {
    let mut node = Node::new();
    for port in 1..=5 {
        node.send("client", [10, 0, 1, 2], ([10, 0, 1, 3], port));
    }
    let flush = |filter: FlowFilter| node.state.flush_flows(&FlowFilter { limit: 1, ..filter });
    assert_eq!(flush(FlowFilter { port: Some(3), ..FlowFilter::default() }), 1);
    assert_eq!(flush(FlowFilter { port: Some(3), ..FlowFilter::default() }), 0);
    assert_eq!(flush(FlowFilter::default()), 4);
    assert_eq!(node.state.flows(&FlowFilter::default()).total, 0);
}

#[test]
fn flows_of_a_vif_that_is_gone_are_left_out() {
    let mut node = Node::new();
    node.send("client", [10, 0, 1, 2], ([10, 0, 1, 3], 80));
    node.send("client", [10, 0, 1, 2], ([10, 0, 2, 9], 7));
    // The route keeps the vif's name in use, so it goes first.
    node.change(|desired| {
        desired.routes.retain(|route| route.prefix.to_string() != "10.0.3.0/24");
        desired.services.clear();
        desired.vifs.retain(|vif| vif.name.as_str() != "web-1");
    });
    let view = node.state.flows(&FlowFilter::default());
    assert_eq!((view.flows.len(), view.total), (1, 2));
    assert_eq!(view.flows[0].forward.destination, end("10.0.2.9", 7));
}

fn socket(side: Side, queue: u32, mode: Mode, frames: FrameCounts) -> SocketGauge {
    let kernel = KernelStatistics {
        rx_dropped: 1,
        rx_invalid_descriptors: 2,
        tx_invalid_descriptors: 3,
        rx_ring_full: 4,
        rx_fill_ring_empty: 5,
        tx_ring_empty: 6,
    };
    let statistics = Some(Statistics { kernel, frames, ..Statistics::default() });
    SocketGauge { side, ifindex: 9, queue, mode, statistics }
}

#[test]
fn workers_show_frames_rings_and_queues() {
    let node = Node::new();
    let trunk = FrameCounts { fill_ring: 10, receiving: 2, rx_ring: 3, spare: 1, ..FrameCounts::default() };
    let uplink =
        FrameCounts { fill_ring: 20, tx_ring: 4, sending: 5, completion_ring: 6, ..FrameCounts::default() };
    node.state.workers[0].gauges.try_write(|gauge| {
        (gauge.frames, gauge.free) = (100, 49);
        gauge.sockets =
            vec![socket(Side::Trunk, 0, Mode::Copy, trunk), socket(Side::Uplink, 1, Mode::ZeroCopy, uplink)];
    });
    node.counters.flow_hits.add(7);
    node.counters.busy_nanos.add(1_500_000_000);
    let worker = node.state.workers().remove(0);
    assert_eq!((worker.worker, worker.cpu, worker.flow_hits, worker.busy_seconds), (0, Some(1), 7, 1.5));
    assert_eq!(worker.umem, UmemView { total: 100, free: 50, fill: 32, rx: 3, tx: 9, completion: 6 });
    assert_eq!(worker.umem.missing(), 0);
    let ring = |interface: &str, queue, frames| RingView {
        interface: interface.to_owned(),
        queue,
        frames,
        rx_dropped: 1,
        rx_ring_full: 4,
        fill_ring_empty: 5,
        tx_ring_empty: 6,
        rx_invalid_descriptors: 2,
        tx_invalid_descriptors: 3,
    };
    let trunk = RingFrames { fill: 10, rx: 3, ..RingFrames::default() };
    let uplink = RingFrames { fill: 20, tx: 4, completion: 6, ..RingFrames::default() };
    assert_eq!(worker.rings, [ring("vr-trunk1", 0, trunk), ring("eth0", 1, uplink)]);
    let queues = [QueueView { queue: 1, worker: 0, copy: CopyMode::ZeroCopy }];
    assert_eq!(node.state.node().uplink.queues, queues);
}

#[test]
fn the_busy_share_is_that_of_the_last_interval() {
    let node = Node::new();
    let share = |at: Instant| {
        node.state.sample_load(at);
        node.state.workers()[0].busy_share
    };
    let start = Instant::now();
    node.state.sample_load(start);
    node.counters.busy_nanos.add(250_000_000);
    assert_eq!(share(start + Duration::from_secs(1)), 0.25);
    node.counters.busy_nanos.add(500_000_000);
    assert_eq!(share(start + Duration::from_secs(2)), 0.5);
    node.counters.busy_nanos.add(9_000_000_000);
    assert_eq!(share(start + Duration::from_secs(3)), 1.0);
    assert_eq!(share(start + Duration::from_secs(4)), 0.0);
}

#[test]
fn a_change_that_keeps_the_vif_keeps_its_counts() {
    let mut node = Node::new();
    node.counters.vif(node.slot("client")).rx.count(60);
    node.change(|desired| vif_mut(desired, "client").mtu = 1300);
    assert_eq!(node.state.vif(&"client".into()).unwrap().traffic.rx, TrafficTotals { packets: 1, bytes: 60 });
    assert_eq!(dropped(&node, DropReason::NoRoute), []);
    assert_eq!(node.state.ports(&node.publisher.current()).removed.rx.packets, 0);
}

#[test]
fn a_worker_that_drops_all_the_time_does_not_hold_up_the_drain() {
    let mut node = Node::new();
    let log = Arc::new(DropLog::new(2 * MOST_DRAINED));
    for n in 0..MOST_DRAINED + 5 {
        log.record(Millis(n as u64), None, DropReason::NoRoute, &[]);
    }
    node.state.workers[0].drops = Arc::clone(&log);
    node.state.drain_drops();
    assert_eq!(node.state.recent_drops(None)[0].at, Millis(MOST_DRAINED as u64 - 1));
    assert_eq!(log.take().map(|record| record.at), Some(Millis(MOST_DRAINED as u64)));
    node.state.drain_drops();
    assert_eq!(log.take(), None);
}
