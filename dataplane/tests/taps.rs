//! What taps see of real packets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it goes wrong")]

mod support;

use std::sync::Arc;

use dataplane::desired::{Desired, Policy, Transport};
use dataplane::drop::DropReason;
use dataplane::ids::VifSlot;
use dataplane::io::Side;
use dataplane::tap::{Catch, Filter, FlowFound, Order, RING, Record, Seen, Tap, Taps};
use dataplane::verdict::{Verdict, Way};
use flow_table::{Addr, Family, Millis};
use support::frames::{fabric, tagged, udp4};
use support::{Node, desired, route, service, to_tunnel, to_vif, vif, vrf};

const CLIENT: (u16, [u8; 6]) = (1, [2, 0, 0, 0, 0, 1]);

fn world() -> Desired {
    let mut state = desired("172.30.0.1", &["172.30.0.2"]);
    state.vrfs = vec![vrf("blue")];
    state.vifs = vec![
        vif("client", "blue", &["10.0.0.1"], "02:00:00:00:00:01", 17),
        vif("web", "blue", &["10.0.0.2"], "02:00:00:00:00:02", 18),
        vif("shut", "blue", &["10.0.0.3"], "02:00:00:00:00:03", 19),
    ];
    state.policies = vec![Policy { name: "closed".into(), ingress: Some(Vec::new()), egress: None }];
    state.vifs[2].policies = vec!["closed".into()];
    state.routes = vec![route("blue", "10.0.9.0/24", vec![to_tunnel("172.30.0.2", 40)])];
    state.services = vec![service("blue", "10.96.0.10", &[(Transport::Udp, 53, 5353)], vec![to_vif("web")])];
    state
}

fn armed(catch: Catch, filter: Filter) -> (Node, Arc<Taps>, Arc<Tap>) {
    let taps = Arc::new(Taps::new(1));
    let node = Node::new(&world()).watched(&taps);
    let tap = taps.arm(Order { filter, catch, count: 10_000, until: Millis(60_000) }).unwrap();
    (node, taps, tap)
}

fn of_vif(slot: u16) -> Filter {
    Filter { vif: VifSlot::new(slot), ..Filter::ALL }
}

fn frame(dst: [u8; 4], dport: u16) -> Vec<u8> {
    tagged(CLIENT.0, CLIENT.1, &udp4([10, 0, 0, 1], dst, (4000, dport), 64, 20))
}

fn records(tap: &Tap) -> Vec<Record> {
    std::iter::from_fn(|| tap.take()).collect()
}

#[test]
fn a_trace_tells_how_each_packet_ended_and_whether_its_flow_was_known() {
    let (mut node, _taps, tap) = armed(Catch::Ends, of_vif(1));
    let asked = frame([10, 96, 0, 10], 53);
    node.step(Side::Trunk, &asked);
    node.step(Side::Trunk, &asked);
    node.step(Side::Trunk, &frame([10, 0, 9, 9], 53));
    node.step(Side::Trunk, &frame([192, 0, 2, 1], 53));
    let back = tagged(2, [2, 0, 0, 0, 0, 2], &udp4([10, 0, 0, 2], [10, 0, 0, 1], (5353, 4000), 64, 20));
    node.step(Side::Trunk, &back);
    let told: Vec<_> = records(&tap)
        .into_iter()
        .map(|record| match record.seen {
            Seen::Ended { vif, key, flow, verdict, .. } => {
                (vif.unwrap().get(), key.map(|key| key.tuple.dport), flow, verdict, record.head)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let to_vif = |slot| Verdict::Send(Way::Vif(VifSlot::new(slot).unwrap()));
    assert_eq!(told.len(), 5);
    assert_eq!((told[0].2, told[0].3), (FlowFound::Miss, to_vif(2)));
    assert_eq!((told[1].2, told[1].3), (FlowFound::Hit, to_vif(2)));
    assert_eq!((told[0].0, told[0].1), (1, Some(53)));
    assert_eq!(told[0].4.bytes(), asked, "the frame as it came");
    assert!(matches!(told[2].3, Verdict::Send(Way::Tunnel(_))));
    let no_route = |verdict| matches!(verdict, Verdict::Reject { reason: DropReason::NoRoute, .. });
    assert!(no_route(told[3].3), "{:?}", told[3].3);
    // The answer is another vif's packet, and comes out at the one that is watched.
    assert_eq!((told[4].0, told[4].2, told[4].3), (2, FlowFound::Hit, to_vif(1)));
}

#[test]
fn a_capture_is_what_is_on_the_pod_s_end_before_and_after_translation() {
    let (mut node, _taps, tap) = armed(Catch::WireAndDrops, of_vif(2));
    let output = node.step(Side::Trunk, &frame([10, 96, 0, 10], 53));
    let back = tagged(2, [2, 0, 0, 0, 0, 2], &udp4([10, 0, 0, 2], [10, 0, 0, 1], (5353, 4000), 64, 20));
    node.step(Side::Trunk, &back);
    let seen = records(&tap);
    let web = VifSlot::new(2).unwrap();
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[0].seen, seen[0].head.bytes()), (Seen::Sent { vif: web }, &output.trunk[0][..]));
    assert_eq!(seen[1].seen, Seen::Received { vif: web, dropped: None });
    assert_eq!(seen[1].head.bytes(), back);
}

#[test]
fn a_dropped_packet_is_told_once_with_its_reason() {
    let refused = frame([10, 0, 0, 3], 80);
    let from_fabric = fabric(19, &udp4([10, 0, 9, 9], [10, 0, 0, 3], (1, 2), 64, 20));
    let (mut node, _taps, tap) = armed(Catch::WireAndDrops, Filter::ALL);
    node.step(Side::Trunk, &refused);
    node.step(Side::Uplink, &from_fabric);
    let seen = records(&tap);
    let slot = |n| VifSlot::new(n).unwrap();
    let dropped = Some(DropReason::PolicyDenied);
    assert_eq!(seen[0].seen, Seen::Received { vif: slot(1), dropped });
    assert_eq!(seen[1].seen, Seen::Lost { vif: Some(slot(3)), reason: DropReason::PolicyDenied });
    assert_eq!((seen.len(), seen[0].head.bytes(), seen[1].head.bytes()), (2, &refused[..], &from_fabric[..]));
    let (mut node, _taps, tap) = armed(Catch::Wire, Filter::ALL);
    node.step(Side::Trunk, &refused);
    node.step(Side::Uplink, &from_fabric);
    let seen: Vec<_> = records(&tap).iter().map(|record| record.seen).collect();
    assert_eq!(seen, [Seen::Received { vif: slot(1), dropped: None }]);
}

#[test]
fn a_filter_by_addresses_holds_on_both_ends() {
    let to_web = Filter { dst: Some((Family::V4, Addr::from_v4([10, 0, 0, 2]))), ..Filter::ALL };
    let (mut node, _taps, tap) = armed(Catch::Wire, to_web);
    node.step(Side::Trunk, &frame([10, 96, 0, 10], 53));
    node.step(Side::Trunk, &frame([10, 0, 9, 9], 53));
    // Only behind the translation is this the destination.
    let seen: Vec<_> = records(&tap).iter().map(|record| record.seen).collect();
    assert_eq!(seen, [Seen::Sent { vif: VifSlot::new(2).unwrap() }]);
}

#[test]
fn what_finds_a_full_ring_is_counted_and_nothing_waits() {
    let (mut node, taps, tap) = armed(Catch::Ends, of_vif(1));
    let frame = frame([10, 0, 9, 9], 53);
    for _ in 0..RING + 30 {
        assert_eq!(node.step(Side::Trunk, &frame).uplink.len(), 1);
    }
    assert_eq!(tap.missed(), 30);
    assert_eq!(records(&tap).len(), RING);
    taps.disarm(&tap);
    node.step(Side::Trunk, &frame);
    assert_eq!(records(&tap).len(), 0, "nothing is recorded after the end");
}
