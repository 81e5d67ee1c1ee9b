//! Traces and captures: what `vrctl` says about packets beside what becomes of them.

use std::fs::File;
use std::thread;
use std::time::Duration;

use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use tests::{Lab, Plan, udp_greeting};

use crate::{PORT, TARGET, remote_backend, three_backends};

/// Time for a command to be at work.
const A_MOMENT: Duration = Duration::from_millis(1500);

#[test]
fn a_trace_to_the_service_names_the_backend_that_the_flow_then_gets() {
    let lab = Lab::start("trace-service", three_backends());
    let _servers = ["web-1", "web-2", "web-3"].map(|pod| lab.pod(pod).serve_udp(TARGET));
    let (client, node) = (lab.pod("client"), lab.node("node-a"));
    let service = format!("10.96.0.10:{PORT}");
    let flows = || node.metrics().sum("vrouter_flows", &[]);
    for sport in 4000..4009 {
        let source = format!("{}:{sport}", client.plan.ip);
        let before = flows();
        let told = node.vrctl(&["trace", "--vif", "client", "udp", &source, &service]);
        assert_eq!(flows(), before, "a trace makes no flow");
        let chosen = told.lines().find(|line| line.starts_with("member") && line.ends_with(", chosen"));
        let chosen = chosen.unwrap_or_else(|| panic!("{told}"));
        let backend = ["web-1", "web-2", "web-3"].into_iter().find(|pod| {
            let label = format!(" label {},", lab.pod(pod).plan.label);
            chosen.contains(&format!("vif {pod},")) || *pod != "web-1" && chosen.contains(&label)
        });
        let socket = client.namespace.udp(&source);
        let greeting = udp_greeting(&socket, &service, b"who is there").unwrap();
        assert_eq!(Some(greeting.backend.as_str()), backend, "{told}");
        let again = node.vrctl(&["trace", "--vif", "client", "udp", &source, &service]);
        assert!(again.contains("of a known flow"), "{again}");
        assert!(again.contains(chosen), "{again}");
    }
}

fn guarded() -> Plan {
    remote_backend().pod("stranger", "node-b").policy("guard", &["web"], "ingress = []")
}

#[test]
fn a_trace_of_a_denied_flow_names_the_policy_and_one_from_another_node_goes_by_its_label() {
    let lab = Lab::start("trace-denied", guarded());
    let node = lab.node("node-b");
    let source = format!("{}:4000", lab.pod("stranger").plan.ip);
    let told = node.vrctl(&["trace", "--vif", "stranger", "tcp", &source, "10.0.2.2:8080"]);
    assert!(told.contains("ingress of vif web: denied: no ingress rule of guard allows it"), "{told}");
    assert!(told.ends_with("=> dropped, policy_denied\n"), "{told}");

    let (tunnel, label) = (node.json("/tunnels"), lab.pod("web").plan.label.to_string());
    let tunnel = tunnel[0]["peer"].as_str().unwrap();
    let from = ["trace", "--from-node", tunnel, "--label", &label];
    let told = node.vrctl(&[&from[..], &["icmp", &lab.pod("client").plan.ip, "10.0.2.2"]].concat());
    assert!(told.contains("names vif web of VRF blue"), "{told}");
    assert!(told.ends_with("=> dropped, policy_denied\n"), "{told}");

    let nobody = node.attempt_vrctl(&["trace", "--vif", "nobody", "icmp", "10.0.2.3", "10.0.2.2"]);
    let words = String::from_utf8_lossy(&nobody.stderr);
    assert!(nobody.status.code() == Some(2) && words.contains("there is no vif \"nobody\""), "{words}");
}

#[test]
fn a_live_trace_sees_a_ping_both_ways() {
    let lab = Lab::start("trace-live", remote_backend());
    let node = lab.node("node-a");
    let told = thread::scope(|scope| {
        let live =
            ["trace", "--live", "--vif", "client", "--proto", "icmp", "--count", "4", "--seconds", "20"];
        let trace = scope.spawn(move || node.vrctl(&live));
        thread::sleep(A_MOMENT);
        assert_eq!(lab.pod("client").ping("10.0.2.2").ttl(), 63);
        trace.join().unwrap()
    });
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 4, "{told}");
    let sent = |line: &&&str| line.contains("trunk client") && line.contains("=> sent, to node ");
    let back = |line: &&&str| line.contains("uplink client") && line.ends_with("=> sent, to vif client");
    assert_eq!(lines.iter().filter(sent).count(), 2, "{told}");
    assert_eq!(lines.iter().filter(back).count(), 2, "{told}");
    assert_eq!(lines.iter().filter(|line| line.contains("flow miss")).count(), 1, "{told}");
}

#[test]
fn a_capture_has_the_packets_of_the_pod_and_says_why_one_was_dropped() {
    let lab = Lab::start("capture", remote_backend());
    let (node, client) = (lab.node("node-a"), lab.pod("client"));
    let path = node.config().with_file_name("client.pcapng");
    let file = path.to_str().unwrap();
    thread::scope(|scope| {
        let capture =
            ["capture", "--vif", "client", "--drops", "--proto", "icmp", "--seconds", "6", "-w", file];
        let capture = scope.spawn(move || node.vrctl(&capture));
        thread::sleep(A_MOMENT);
        assert_eq!(client.ping("10.0.2.2").ttl(), 63);
        assert_eq!(client.ping("192.0.2.1").answers(), 0);
        capture.join().unwrap()
    });
    let (mut requests, mut replies, mut dropped) = (0, 0, 0);
    let mut reader = PcapNgReader::new(File::open(&path).unwrap()).unwrap();
    while let Some(block) = reader.next_block() {
        let Block::EnhancedPacket(packet) = block.unwrap() else { continue };
        let frame = etherparse::SlicedPacket::from_ethernet(&packet.data).unwrap();
        let Some(etherparse::TransportSlice::Icmpv4(icmp)) = frame.transport else { panic!("{packet:?}") };
        let comment = packet.options.iter().find_map(|option| match option {
            EnhancedPacketOption::Comment(comment) => Some(comment.to_string()),
            _ => None,
        });
        match (icmp.type_u8(), comment) {
            (8, None) => requests += 1,
            (0, None) => replies += 1,
            (8, Some(comment)) => {
                assert!(comment.starts_with("dropped, no_route: "), "{comment}");
                dropped += 1;
            }
            // What the vrouter says about the drop.
            (3, None) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((requests, replies, dropped), (3, 3, 3));
    let read = node.namespace.run(&format!("tcpdump -n -r {file}"));
    assert_eq!(read.matches("ICMP echo request").count(), 6, "{read}");
}
