//! What a trace says, and that it changes nothing. That it says what really comes of a packet is tested with random
//! packets and configurations beside the model (`tests/model`).

#![allow(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

mod support;

use std::sync::Arc;

use ahash::RandomState;
use dataplane::affinity::AffinityTable;
use dataplane::desired::{Desired, Peers, Policy, Rule, RuleTraffic, Transport};
use dataplane::trace::{Origin, Probe, ProbeError, Question, TraceStep, Tracer};
use dataplane::verdict::{Verdict, Way};
use encap::Label;
use flow_table::Millis;
use support::frames::tagged;
use support::{Node, desired, route, service, to_tunnel, to_vif, vif, vrf};

/// Ethernet address of the client.
const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// A client and a pod behind a service that another node serves too.
fn world() -> Desired {
    let mut state = desired("172.30.0.1", &["172.30.0.2"]);
    state.vrfs = vec![vrf("blue")];
    state.vifs = vec![
        vif("client", "blue", &["10.0.0.1", "fd00::1"], "02:00:00:00:00:01", 17),
        vif("web", "blue", &["10.0.0.2", "fd00::2"], "02:00:00:00:00:02", 18),
    ];
    state.routes = vec![route("blue", "10.0.9.0/24", vec![to_tunnel("172.30.0.2", 40)])];
    let backends = vec![to_vif("web"), to_tunnel("172.30.0.2", 41)];
    state.services = vec![service("blue", "10.96.0.10", &[(Transport::Tcp, 80, 8080)], backends)];
    state
}

fn tracer(node: &Node) -> Tracer {
    Tracer {
        flows: Arc::clone(&node.flows),
        spread: RandomState::with_seeds(5, 6, 7, 8),
        affinity: Arc::new(AffinityTable::new(16, RandomState::new())),
    }
}

fn probe(question: Question, src: &str, dst: &str) -> Probe {
    let (src, dst) = (src.parse().unwrap(), dst.parse().unwrap());
    Probe { origin: Origin::Vif("client".into()), question, src, dst, size: 0 }
}

fn lines(steps: &[TraceStep]) -> Vec<String> {
    steps.iter().map(|step| format!("{}: {step}", step.name())).collect()
}

#[test]
fn a_packet_to_another_node_is_told_step_by_step_and_goes_so() {
    let mut node = Node::new(&world());
    let snapshot = node.publisher.current();
    let asked = probe(Question::Udp { sport: 4000, dport: 53 }, "10.0.0.1", "10.0.9.7");
    let trace = tracer(&node).trace(&snapshot, &asked, Millis(1000)).unwrap();
    let told = lines(&trace.steps);
    let port = u16::from_be_bytes([trace.bytes[34], trace.bytes[35]]);
    assert_eq!(
        told,
        [
            "parse: udp 10.0.0.1:4000 > 10.0.9.7:53 from vif client, 46 bytes",
            "flow: not known: the packet begins one",
            "route: VRF blue: 10.0.9.0/24 -> node 172.30.0.2 label 40",
            "member: node 172.30.0.2 label 40, weight 1, chosen",
            "policy: egress of vif client: no policy restricts it",
            "ttl: 64 becomes 63",
            "mtu: 28 bytes fit the 1568 of the way out",
            "tunnel: to node 172.30.0.2, label 40; its neighbour is 02:00:00:00:01:02",
            &format!("underlay: 172.30.0.1 > 172.30.0.2, UDP source port {port}, next hop 02:00:00:00:01:02"),
        ]
    );
    assert_eq!((node.flows.len(), node.counters.flow_misses.get()), (0, 0), "the trace left something");

    let (_, frame) = asked.frame(&snapshot).unwrap();
    let output = node.step(dataplane::io::Side::Trunk, &frame);
    // All but the identification of the outer header and its checksum.
    let mut sent = output.uplink[0].clone();
    let mut foretold = trace.bytes;
    for frame in [&mut sent, &mut foretold] {
        frame[18..20].fill(0);
        frame[24..26].fill(0);
    }
    assert_eq!(sent, foretold);
}

#[test]
fn the_backend_of_a_service_is_the_one_that_the_flow_gets_and_keeps() {
    let mut node = Node::new(&world());
    let snapshot = node.publisher.current();
    let mut seen = [0; 2];
    for sport in 1000..1040 {
        let asked = probe(Question::Tcp { sport, dport: 80 }, "10.0.0.1", "10.96.0.10");
        let foretold = tracer(&node).trace(&snapshot, &asked, Millis(1000)).unwrap();
        let (_, frame) = asked.frame(&snapshot).unwrap();
        let output = node.step(dataplane::io::Side::Trunk, &frame);
        let told = lines(&foretold.steps);
        match foretold.verdict {
            Verdict::Send(Way::Vif(_)) => {
                seen[0] += 1;
                assert_eq!(output.trunk, [foretold.bytes]);
                assert!(told.contains(&"member: vif web, weight 1, chosen".to_owned()), "{told:#?}");
                let translated = format!(
                    "translate: tcp 10.0.0.1:{sport} > 10.96.0.10:80 becomes tcp 10.0.0.1:{sport} > 10.0.0.2:8080"
                );
                assert!(told.contains(&translated), "{told:#?}");
            }
            Verdict::Send(Way::Tunnel(_)) => {
                seen[1] += 1;
                assert_eq!((output.trunk.len(), output.uplink.len()), (0, 1));
            }
            other => panic!("{other:?} {told:#?}"),
        }
        // Now the flow is known, and goes where it went.
        let again = tracer(&node).trace(&snapshot, &asked, Millis(1001)).unwrap();
        assert_eq!(again.verdict, foretold.verdict);
        assert_eq!(lines(&again.steps)[1], "flow: of a known flow, tcp_opening, 1 packets so far");
    }
    assert!(seen.iter().all(|times| *times > 5), "{seen:?}");
}

#[test]
fn a_refusal_names_the_policy_and_the_reason() {
    let mut state = world();
    state.policies = vec![Policy {
        name: "dns-only".into(),
        ingress: None,
        egress: Some(vec![Rule {
            name: Some("dns".into()),
            peers: Peers::Any,
            traffic: RuleTraffic::Ports { transport: Transport::Udp, ports: 53..=53 },
        }]),
    }];
    state.vifs[0].policies = vec!["dns-only".into()];
    let node = Node::new(&state);
    let snapshot = node.publisher.current();
    let denied = probe(Question::Tcp { sport: 4000, dport: 22 }, "10.0.0.1", "10.0.0.2");
    let trace = tracer(&node).trace(&snapshot, &denied, Millis(1000)).unwrap();
    let told = lines(&trace.steps);
    assert!(
        told.contains(
            &"policy: egress of vif client: denied: no egress rule of dns-only allows it".to_owned()
        ),
        "{told:#?}"
    );
    assert!(told.last().unwrap().starts_with("drop: policy_denied: "), "{told:#?}");
    let allowed = probe(Question::Udp { sport: 4000, dport: 53 }, "10.0.0.1", "10.0.0.2");
    let trace = tracer(&node).trace(&snapshot, &allowed, Millis(1000)).unwrap();
    let told = lines(&trace.steps);
    assert!(
        told.contains(
            &"policy: egress of vif client: allowed by dns-only, dns: udp 53 with anyone".to_owned()
        ),
        "{told:#?}"
    );
}

#[test]
fn every_kind_of_question_is_a_packet_that_the_node_takes() {
    let mut node = Node::new(&world());
    let snapshot = node.publisher.current();
    let (sport, dport) = (4000, 53);
    for (src, dst) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
        for question in [
            Question::Tcp { sport, dport },
            Question::Udp { sport, dport },
            Question::Sctp { sport, dport },
            Question::Echo { id: 7 },
        ] {
            for size in [0, 33, 1500] {
                let asked = Probe { size, ..probe(question, src, dst) };
                let trace = tracer(&node).trace(&snapshot, &asked, Millis(1000)).unwrap();
                let (side, frame) = asked.frame(&snapshot).unwrap();
                assert_eq!(node.step(side, &frame).trunk, [trace.bytes], "{asked:?}");
            }
        }
    }
    let too_big = Probe { size: 1501, ..probe(Question::Echo { id: 8 }, "10.0.0.1", "10.0.0.2") };
    let trace = tracer(&node).trace(&snapshot, &too_big, Millis(1000)).unwrap();
    let told = lines(&trace.steps);
    assert!(told.contains(&"mtu: 1501 bytes do not fit the 1500 of the way out".to_owned()), "{told:#?}");
    assert!(told.last().unwrap().ends_with("; the sender is told"), "{told:#?}");
}

#[test]
fn a_packet_from_another_node_goes_by_its_label() {
    let mut node = Node::new(&world());
    let snapshot = node.publisher.current();
    let origin =
        |label| Origin::Node { tunnel: "172.30.0.2".parse().unwrap(), label: Label::new(label).unwrap() };
    let question = Question::Tcp { sport: 4000, dport: 80 };
    let asked = Probe { origin: origin(18), ..probe(question, "10.0.9.7", "10.96.0.10") };
    let trace = tracer(&node).trace(&snapshot, &asked, Millis(1000)).unwrap();
    let told = lines(&trace.steps);
    assert_eq!(told[1], "label: names vif web of VRF blue");
    assert!(told.contains(&"service: port 80 is port 8080 of the backends".to_owned()), "{told:#?}");
    let (side, frame) = asked.frame(&snapshot).unwrap();
    assert_eq!(node.step(side, &frame).trunk, [trace.bytes]);
    let unknown = Probe { origin: origin(999), ..asked };
    let trace = tracer(&node).trace(&snapshot, &unknown, Millis(1000)).unwrap();
    assert!(lines(&trace.steps).last().unwrap().starts_with("drop: invalid_label: "));
}

#[test]
fn what_can_not_be_sent_is_refused() {
    let node = Node::new(&world());
    let snapshot = node.publisher.current();
    let question = Question::Echo { id: 1 };
    let refused = |probe: Probe| tracer(&node).trace(&snapshot, &probe, Millis(1000)).unwrap_err();
    let good = probe(question, "10.0.0.1", "10.0.0.2");
    let nobody = Probe { origin: Origin::Vif("nobody".into()), ..good.clone() };
    assert_eq!(refused(nobody), ProbeError::NoVif("nobody".into()));
    assert!(matches!(refused(probe(question, "10.0.0.1", "fd00::2")), ProbeError::TwoFamilies { .. }));
    assert_eq!(refused(Probe { size: 65536, ..good }), ProbeError::TooLong);
    // Any frame gives an answer, and so does none.
    let tagged = tagged(1, CLIENT_MAC, &[0x45; 20]);
    for len in 0..tagged.len() {
        let trace =
            tracer(&node).trace_frame(&snapshot, (dataplane::io::Side::Trunk, &tagged[..len]), Millis(1000));
        assert!(matches!(trace.verdict, Verdict::Drop { .. }), "{len}");
    }
}
