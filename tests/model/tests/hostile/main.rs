//! A corpus of hostile packets with what each must come to.
//!
//! `hostile/packets.txt` has one packet a line: the row of the project's list of hostile input, a name, the side,
//! the counter, the frame. `hostile/good.txt` has good frames, of which every beginning is tried too. Each goes
//! through the real pipeline and the model at once.
//!
//! Rows of the list that have no line here, or more than a line can show. Paths are from the root of the repository;
//! `netns` is `tests/tests/netns`, the model is `against_the_pipeline` beside this test.
//!
//! | row | what | where, or why not |
//! |---|---|---|
//! | 7 | multi-buffer chains | `af-xdp/src/memory/tests.rs`: `a_multi_buffer_packet_is_refused_whole` |
//! | 10 | ARP flood | `dataplane/tests/link.rs` |
//! | 14, 24 | rate of ICMP errors, path MTU | `netns/icmp.rs`, the model |
//! | 19 to 23, 28 | fragments in any order, tiny, overlapping, never complete, many ids | `dataplane/tests/fragments.rs`, the model, `netns/fragments.rs`, `netns/hostile_fragments.rs` |
//! | 25 | larger than the way out, DF clear | `dataplane/tests/fragments.rs`, the model, `netns/fragments.rs` |
//! | 26 | fragmentation needed from the underlay | `netns/path_mtu.rs`, tests of `vrouterd/src/kernel/path_mtu/report.rs` |
//! | 35 to 38, 41, 43, 45 | translation | the model, fuzz target `nat_there_and_back`, `dataplane/tests/icmp.rs`, `netns/services.rs`. The ten million packets of row 38 are what fuzzing adds up to, no single test |
//! | 44 | a pool that is used up | `dataplane/tests/source_nat.rs` |
//! | 49 | blind RST and SYN | `flow-table/src/tcp/tests.rs` |
//! | 60 | outer fragments | counted by the XDP program: `xdp-prog/src/fabric/tests.rs`, `xdp-prog/tests/netns/uplink.rs` |
//! | 62 | label used again too soon | `netns/reload.rs`: `a_label_that_changes_hands_leads_nowhere_for_a_while` |
//! | 64, 65, 67 | full table, a vif at its limit, SYN flood | `dataplane/tests/floods.rs`, `netns/floods.rs`, the model |
//! | 66 | keys that collide | `flow-table/tests/collisions.rs`; a lookup reads two buckets, whatever is in them |
//! | 68, 69, 74 | members leave and come, spread | tests of `dataplane/src/ecmp.rs` |
//! | 70, 72 | backends that go, affinity | `dataplane/tests/backends.rs`, the model, `netns/backends.rs` |
//! | 71 | a pod's address used again | flow keys name the vif, not the address: the model gives addresses again; `dataplane/tests/services.rs`: `the_flows_of_a_removed_vif_go_in_the_next_sweep_and_no_others` |
//! | 73 | idle times | tests of `flow-table/src/sweep.rs` |
//! | 75 | a stopped worker | `netns/endurance.rs` (three seconds); full and empty rings in `af-xdp/src/memory/tests.rs` |
//! | 76, 77 | rings that stand still, descriptors that lie | `af-xdp/src/memory/tests.rs`, also under AddressSanitizer |
//! | 78 | a device that goes while polled | `af-xdp/tests/veth/main.rs`, `netns/faults.rs` |
//! | 79 | uplink down and up, another MAC or address | `netns/faults.rs`, `vrouterd/tests/kernel/underlay.rs`; no test changes rings or queues, or detaches the program from outside |
//! | 80 | native mode or zero copy refused, a foreign program | `xdp-prog/tests/netns/uplink.rs`, `af-xdp/tests/veth/main.rs` |
//! | 81 | 500 pods come and go | `netns/endurance.rs`: 25 at a time, twenty rounds |
//! | 82 | what the kernel lacks | `af-xdp/tests/veth/main.rs`, tests of `vrouterd/src/preflight.rs` |
//! | 83 | killed, ended, started again | `netns/lifecycle.rs`, without load |
//! | 84, 87 | API server, CNI | not part of this program |
//! | 85 | bad configuration | `vrouterd/src/config/tests/bad.rs`, `netns/reload.rs` |
//! | 86 | state file cut, disk that takes no more | `netns/api_restart.rs`
//! | 88 | events lost by the kernel | tests of `vrouterd/src/kernel/decode.rs`; no test floods the kernel |
//! | 89 | hostile HTTP | `vrouterd/tests/http_limits.rs`, `vrouterd/tests/diagnostics.rs` |
//! | 90 | flipped bits, long runs | the model's `Mutate`, fuzz targets, and lines here |

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it goes wrong")]

use std::fmt::Write as _;
use std::sync::Arc;

use dataplane::desired::{
    Affinity, Backend, Broadcast, BroadcastNode, Desired, Hop, HopTarget, Link, MssClamp,
    Node as NodeSettings, OnBackendGone, OuterOptions, Reach, Route, RouteTarget, Service, ServicePort,
    Transport, Underlay, Uplink, Vif, VifKind, Vrf,
};
use dataplane::ids::Mac;
use encap::Label;
use model_router::bytes::{checksum, put, u16_at};
use model_router::lockstep::{Lockstep, ROOM};
use model_router::node::{Moment, Node, Observed};
use model_router::pairs::Output;
use model_router::router::Side;

/// When all frames come.
const NOW: Moment = Moment { now: 1000, worker: 0 };

fn label(value: u32) -> Label {
    Label::new(value).unwrap()
}

fn vif(name: &str, number: u8) -> Vif {
    Vif {
        name: name.into(),
        kind: VifKind::Pod,
        vrf: "blue".into(),
        addresses: vec![
            format!("10.0.0.{number}").parse().unwrap(),
            format!("fd00::{number}").parse().unwrap(),
        ],
        mac: Mac([2, 0, 0, 0, 0, number]),
        gateway_v4: Vif::DEFAULT_GATEWAY_V4,
        gateway_v6: Vif::DEFAULT_GATEWAY_V6,
        label: label(16 + u32::from(number)),
        mtu: 1500,
        link: Link::Up,
        policies: Vec::new(),
    }
}

fn via(node: &str) -> RouteTarget {
    let to = HopTarget::Tunnel { node: node.parse().unwrap(), label: label(40) };
    RouteTarget::Hops(vec![Hop { to, weight: 1 }])
}

fn route(vrf: &str, prefix: &str, target: RouteTarget) -> Route {
    Route { vrf: vrf.into(), prefix: prefix.parse().unwrap(), target }
}

/// Two pods in one VRF, clients behind another node; a pod and clients in another VRF, which carries broadcasts; two
/// services, one without backends.
fn desired() -> Desired {
    let service = |address: &str, backends: Vec<Hop>| {
        Arc::new(Service {
            vrf: "blue".into(),
            address: address.parse().unwrap(),
            ports: vec![ServicePort::single(Transport::Tcp, 80, 8080)],
            backends: backends.into_iter().map(Backend::from).collect(),
            affinity: Affinity::None,
            on_backend_gone: OnBackendGone::Rechoose,
        })
    };
    let peers =
        ["172.30.0.2", "172.30.0.3"].map(|peer| (peer.parse().unwrap(), Reach::Via(Mac([2, 0, 0, 0, 1, 2]))));
    Desired {
        node: NodeSettings {
            tunnel_address: "172.30.0.1".parse().unwrap(),
            udp_port: 6635,
            legacy_udp_port: None,
            outer: OuterOptions::default(),
            mss_clamp: MssClamp::On,
            explicit_null_vrf: None,
        },
        vrfs: vec![
            Vrf { name: "blue".into(), label: Some(label(500)) },
            Vrf { name: "red".into(), label: None },
        ],
        vifs: vec![vif("pod", 1), vif("other", 2), Vif { vrf: "red".into(), ..vif("crowd", 5) }],
        routes: vec![
            route("blue", "10.9.0.0/16", via("172.30.0.2")),
            route("blue", "10.10.0.0/16", via("172.30.0.3")),
            route("blue", "fd09::/64", via("172.30.0.2")),
            route("red", "10.8.0.0/16", via("172.30.0.2")),
            route("blue", "172.30.0.0/24", via("172.30.0.3")),
        ],
        services: vec![
            service("10.96.0.1", vec![Hop { to: HopTarget::Vif("other".into()), weight: 1 }]),
            service("10.96.0.2", Vec::new()),
        ],
        policies: Vec::new(),
        nat: Default::default(),
        broadcasts: vec![Broadcast {
            vrf: "red".into(),
            label: Some(label(600)),
            subnets: vec!["10.0.0.0/24".parse().unwrap()],
            nodes: vec![BroadcastNode { node: "172.30.0.2".parse().unwrap(), label: label(601) }],
        }],
        underlay: Underlay {
            uplink: Some(Uplink { mac: Mac([2, 0, 0, 0, 1, 1]), mtu: 1400, vlan: None, link: Link::Up }),
            tunnels: peers.into(),
            ..Underlay::default()
        },
    }
}

fn bytes(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "odd number of digits: {text}");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn side(text: &str) -> Side {
    match text {
        "trunk" => Side::Trunk,
        "uplink" => Side::Uplink,
        other => panic!("{other} is no side"),
    }
}

fn fields<const N: usize>(file: &str) -> Vec<[String; N]> {
    let lines = file.lines().filter(|line| !line.starts_with('#'));
    let row = |line: &str| {
        let fields: Vec<_> = line.split('|').map(|field| field.trim().to_owned()).collect();
        fields.try_into().unwrap_or_else(|_| panic!("not {N} fields: {line}"))
    };
    lines.map(row).collect()
}

/// What a frame comes to on a fresh node: the drop counter that has moved, or "sent". The model must agree.
fn verdict(side: Side, frame: &[u8]) -> Result<String, String> {
    Lockstep::new(&desired())?.step(side, frame)?;
    let Observed { sent, moved } = node().step(side, frame, NOW)?;
    let is_traffic = |name: &str| name.contains(".rx") || name.contains(".tx") || !name.contains('.');
    let mut drops = moved.iter().filter(|(name, _)| !is_traffic(name));
    match (drops.next(), drops.next()) {
        (Some((name, 1)), None) => Ok(name.clone()),
        (None, None) if sent.len() == 1 => Ok("sent".to_owned()),
        _ => Err(format!("{} sent, moved {moved:?}", sent.len())),
    }
}

fn node() -> Node {
    Node::new(&desired(), ROOM).unwrap()
}

/// Whether a frame leaves a flow pair behind that lets packets through.
fn makes_flow(side: Side, frame: &[u8]) -> bool {
    let mut node = node();
    node.step(side, frame, NOW).unwrap();
    node.pairs(NOW.now).iter().any(|pair| !matches!(pair.plan.forward.output, Output::Drop(_)))
}

#[test]
fn every_hostile_packet_has_its_counter() {
    let mut wrong = String::new();
    let rows = fields::<5>(include_str!("../../hostile/packets.txt"));
    assert!(rows.len() > 150, "the corpus has shrunk");
    for [row, name, from, counter, frame] in rows {
        let (side, frame) = (side(&from), bytes(&frame));
        match verdict(side, &frame) {
            Ok(seen) if seen == counter => {}
            Ok(seen) => writeln!(wrong, "{row} {name}: {seen}, not {counter}").unwrap(),
            Err(error) => writeln!(wrong, "{row} {name}: {error}").unwrap(),
        }
        // What is dropped makes no flow.
        if counter != "sent" && makes_flow(side, &frame) {
            writeln!(wrong, "{row} {name}: made a flow").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn no_beginning_of_a_good_frame_is_good() {
    for [name, from, frame] in fields::<3>(include_str!("../../hostile/good.txt")) {
        let (side, frame) = (side(&from), bytes(&frame));
        assert_eq!(verdict(side, &frame).as_deref(), Ok("sent"), "{name}");
        for len in 0..frame.len() {
            let seen = verdict(side, &frame[..len]);
            let seen = seen.unwrap_or_else(|error| panic!("{name}, {len} bytes: {error}"));
            assert!(seen.contains(".malformed_"), "{name}, {len} bytes: {seen}");
        }
    }
}

/// The same with a total length that agrees: now the transport header alone can say what is missing.
#[test]
fn a_transport_header_cut_short_is_malformed_whatever_the_ip_header_says() {
    for [name, from, frame] in fields::<3>(include_str!("../../hostile/good.txt")) {
        let frame = bytes(&frame);
        if side(&from) == Side::Uplink || u16_at(&frame, 16) == Some(0x0806) {
            continue;
        }
        let header = if frame[18] >> 4 == 4 { usize::from(frame[18] & 15) * 4 } else { 40 };
        for len in header + 1..frame.len() - 18 {
            let mut cut = frame[..18 + len].to_vec();
            if cut[18] >> 4 == 4 {
                put(&mut cut, 20, &(len as u16).to_be_bytes());
                put(&mut cut, 28, &[0, 0]);
                let sum = checksum(&[&cut[18..18 + header]]);
                put(&mut cut, 28, &sum.to_be_bytes());
            } else {
                put(&mut cut, 22, &(len as u16 - 40).to_be_bytes());
            }
            let seen = verdict(Side::Trunk, &cut);
            let seen = seen.unwrap_or_else(|error| panic!("{name}, {len} bytes: {error}"));
            assert!(seen.starts_with("pod.malformed_"), "{name}, {len} bytes: {seen}");
        }
    }
}
