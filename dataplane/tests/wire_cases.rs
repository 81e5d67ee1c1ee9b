//! The cases of the wire specification on literal bytes, checksums included; every counter that
//! may move is named. The bytes were computed apart from this code.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it goes wrong"
)]

mod support;

use dataplane::desired::Transport;
use dataplane::io::Side;
use support::{Node, Output, desired, hex, route, service, to_tunnel, to_vif, vif, vrf};

/// Checks an encapsulated frame against `expected`, whose outer source port is 0 (it is a hash
/// under a random seed), and gives that port.
#[track_caller]
fn assert_tunnelled(frame: &[u8], expected: &str) -> u16 {
    let mut frame = frame.to_vec();
    let port = u16::from_be_bytes([frame[34], frame[35]]);
    assert!(port >= 49152, "entropy port {port}");
    frame[34..36].fill(0);
    assert_eq!(frame, hex(expected));
    port
}

#[track_caller]
fn only(frames: &[Vec<u8>]) -> &[u8] {
    assert_eq!(frames.len(), 1, "one frame expected");
    &frames[0]
}

fn assert_nothing_sent(output: &Output) {
    assert!(output.trunk.is_empty() && output.uplink.is_empty());
}

#[test]
fn case_1_a_route_into_a_tunnel() {
    let mut state = desired("1.1.2.2", &["2.2.1.1"]);
    state.vrfs = vec![vrf("zero")];
    state.vifs = vec![vif("pod", "zero", &["1.1.1.1"], "02:00:00:00:00:01", 20)];
    state.routes = vec![route("zero", "2.2.2.2/32", vec![to_tunnel("2.2.1.1", 48)])];
    let mut node = Node::new(&state);
    let frame = hex("00005e000100020000000001 \
         81000001 \
         0800 \
         4500002112344000401122930101010102020202 \
         1f001f00000d77fc68656c6c6f");
    let output = node.step(Side::Trunk, &frame);
    let expected = "0200000001020200000001010800 \
         4500004100010000401174a60101020202020101 \
         000019eb002d0000 \
         0003013f \
         45000021123440003f1123930101010102020202 \
         1f001f00000d77fc68656c6c6f";
    let port = assert_tunnelled(only(&output.uplink), expected);
    output.assert_moved(&[("pod.rx", 1), ("uplink.tx", 1), ("misses", 1), ("pairs", 1)]);
    let again = node.step(Side::Trunk, &frame);
    let expected = "0200000001020200000001010800 \
         4500004100020000401174a50101020202020101 \
         000019eb002d0000 \
         0003013f \
         45000021123440003f1123930101010102020202 \
         1f001f00000d77fc68656c6c6f";
    assert_eq!(assert_tunnelled(only(&again.uplink), expected), port);
    again.assert_moved(&[("pod.rx", 1), ("uplink.tx", 1), ("hits", 1)]);
}

fn case_2_node() -> Node {
    let mut state = desired("8.0.0.2", &["8.0.0.3", "8.0.0.9"]);
    state.vrfs = vec![vrf("two")];
    state.vifs = vec![vif("pod", "two", &["1.1.1.3"], "02:c2:23:4c:d0:55", 42)];
    state.routes = vec![
        route("two", "2.2.2.3/32", vec![to_tunnel("8.0.0.3", 77)]),
        route("two", "2.2.2.9/32", vec![to_tunnel("8.0.0.9", 78)]),
    ];
    Node::new(&state)
}

#[test]
fn case_2_a_label_to_a_pod() {
    let expected = hex("02c2234cd05500005e000100 \
         81000001 \
         0800 \
         45000020123440003f0123a10202020301010103 \
         0000211d0011000170696e67");
    let on_6635 = "0200000001010200000001020800 \
         450000400000000040116aa90800000308000002 \
         d07319eb002c0000 \
         0002a13f \
         45000020123440003f0123a10202020301010103 \
         0000211d0011000170696e67";
    let on_51234 = "0200000001010200000001020800 \
         450000400000000040116aa90800000308000002 \
         d073c822002c0000 \
         0002a13f \
         45000020123440003f0123a10202020301010103 \
         0000211d0011000170696e67";
    for frame in [on_6635, on_51234] {
        let output = case_2_node().step(Side::Uplink, &hex(frame));
        assert_eq!(only(&output.trunk), expected);
        output.assert_moved(&[("uplink.rx", 1), ("pod.tx", 1), ("misses", 1), ("pairs", 1)]);
    }
}

#[test]
fn case_2_from_a_node_that_the_route_does_not_name() {
    let known_peer = "0200000001010200000001020800 \
         450000400000000040116aa30800000908000002 \
         d07319eb002c0000 \
         0002a13f \
         45000020123440003f0123a10202020301010103 \
         0000211d0011000170696e67";
    let output = case_2_node().step(Side::Uplink, &hex(known_peer));
    assert_nothing_sent(&output);
    output.assert_moved(&[("uplink.rx", 1), ("pod.tunnel_source_mismatch", 1), ("misses", 1)]);
    let unknown_peer = "0200000001010200000001020800 \
         450000400000000040116aa20800000a08000002 \
         d07319eb002c0000 \
         0002a13f \
         45000020123440003f0123a10202020301010103 \
         0000211d0011000170696e67";
    let output = case_2_node().step(Side::Uplink, &hex(unknown_peer));
    assert_nothing_sent(&output);
    output.assert_moved(&[("uplink.rx", 1), ("pod.tunnel_source_mismatch", 1)]);
}

#[test]
fn case_2_a_live_flow_is_not_open_to_other_nodes() {
    let mut node = case_2_node();
    let right = "0200000001010200000001020800 \
         450000400000000040116aa90800000308000002 \
         d07319eb002c0000 \
         0002a13f \
         45000020123440003f0123a10202020301010103 \
         0000211d0011000170696e67";
    let wrong = "0200000001010200000001020800 \
         450000400000000040116aa30800000908000002 \
         d07319eb002c0000 \
         0002a13f \
         45000020123440003f0123a10202020301010103 \
         0000211d0011000170696e67";
    node.step(Side::Uplink, &hex(right));
    let output = node.step(Side::Uplink, &hex(wrong));
    assert_nothing_sent(&output);
    output.assert_moved(&[
        ("uplink.rx", 1),
        ("pod.tunnel_source_mismatch", 1),
        ("hits", 1),
        ("revalidations", 1),
    ]);
    let output = node.step(Side::Uplink, &hex(right));
    output.assert_moved(&[("uplink.rx", 1), ("pod.tx", 1), ("hits", 1)]);
}

#[test]
fn case_3_labels_that_lead_nowhere() {
    let mut state = desired("8.0.0.2", &["8.0.0.3"]);
    state.vrfs = vec![dataplane::desired::Vrf { label: encap::Label::new(60), ..vrf("two") }];
    state.vifs = vec![vif("pod", "two", &["1.1.1.3"], "02:c2:23:4c:d0:55", 42)];
    state.routes = vec![route("two", "2.2.2.3/32", vec![to_tunnel("8.0.0.3", 77)])];
    let rows = [
        (
            "uplink.invalid_label",
            "0200000001010200000001020800 \
         450000400000000040116aa90800000308000002 \
         d07319eb002c0000 \
         0138813f \
         45000020123440003f0123a10202020301010103 \
         0000211d0011000170696e67",
        ),
        (
            "uplink.ttl_exceeded",
            "0200000001010200000001020800 \
         450000400000000040116aa90800000308000002 \
         d07319eb002c0000 \
         0003c101 \
         45000020123440003f0123a10202020301010103 \
         0000211d0011000170696e67",
        ),
        (
            "uplink.malformed_mpls",
            "0200000001010200000001020800 \
         450000400000000040116aa90800000308000002 \
         d07319eb002c0000 \
         0002a13f \
         55000020123440003f0123a10202020301010103 \
         0000211d0011000170696e67",
        ),
        (
            "uplink.reserved_label",
            "0200000001010200000001020800 \
         450000400000000040116aa90800000308000002 \
         d07319eb002c0000 \
         0000313f \
         45000020123440003f0123a10202020301010103 \
         0000211d0011000170696e67",
        ),
    ];
    let mut node = Node::new(&state);
    for (counter, frame) in rows {
        let output = node.step(Side::Uplink, &hex(frame));
        assert_nothing_sent(&output);
        output.assert_moved(&[("uplink.rx", 1), (counter, 1)]);
    }
    let by_vrf_label = "0200000001010200000001020800 \
         450000400000000040116aa90800000308000002 \
         d07319eb002c0000 \
         0003c13f \
         45000020123440003f0123a10202020301010103 \
         0000211d0011000170696e67";
    let output = node.step(Side::Uplink, &hex(by_vrf_label));
    assert_eq!(
        only(&output.trunk),
        hex("02c2234cd05500005e000100 \
         81000001 \
         0800 \
         45000020123440003f0123a10202020301010103 \
         0000211d0011000170696e67",)
    );
    output.assert_moved(&[("uplink.rx", 1), ("pod.tx", 1), ("misses", 1), ("pairs", 1)]);
}

#[test]
fn case_4_routes_between_two_vrfs_of_one_node() {
    let mut state = desired("8.0.0.2", &[]);
    state.vrfs = vec![vrf("three"), vrf("four")];
    state.vifs = vec![
        vif("left", "three", &["1.1.1.4"], "02:00:00:00:00:03", 43),
        vif("right", "four", &["2.2.2.4"], "02:00:00:00:00:04", 44),
    ];
    state.routes = vec![
        route("three", "2.2.2.4/32", vec![to_vif("right")]),
        route("four", "1.1.1.4/32", vec![to_vif("left")]),
    ];
    let mut node = Node::new(&state);
    let request = "00005e000100020000000003 \
         81000001 \
         0800 \
         45000020123440004001229f0101010402020204 \
         080019270007000170696e67";
    let output = node.step(Side::Trunk, &hex(request));
    assert_eq!(
        only(&output.trunk),
        hex("02000000000400005e000100 \
         81000002 \
         0800 \
         45000020123440003f01239f0101010402020204 \
         080019270007000170696e67",)
    );
    output.assert_moved(&[("left.rx", 1), ("right.tx", 1), ("misses", 1), ("pairs", 1)]);
    let reply = "00005e000100020000000004 \
         81000002 \
         0800 \
         45000020123440004001229f0202020401010104 \
         000021270007000170696e67";
    let output = node.step(Side::Trunk, &hex(reply));
    assert_eq!(
        only(&output.trunk),
        hex("02000000000300005e000100 \
         81000001 \
         0800 \
         45000020123440003f01239f0202020401010104 \
         000021270007000170696e67",)
    );
    output.assert_moved(&[("right.rx", 1), ("left.tx", 1), ("hits", 1)]);
}

fn case_5_node() -> Node {
    let ports = [(Transport::Tcp, 80, 1080), (Transport::Udp, 80, 1080)];
    let mut state = desired("10.1.1.1", &["10.1.1.2"]);
    state.vrfs = vec![vrf("five")];
    state.vifs = vec![vif("pod", "five", &["11.1.1.1", "fd00:11::1"], "02:00:00:00:00:05", 25)];
    state.routes = vec![
        route("five", "12.1.1.3/32", vec![to_tunnel("10.1.1.2", 30)]),
        route("five", "fd00:12::3/128", vec![to_tunnel("10.1.1.2", 30)]),
    ];
    state.services = vec![
        service("five", "14.1.1.100", &ports, vec![to_vif("pod")]),
        service("five", "fd00:14::100", &ports, vec![to_vif("pod")]),
    ];
    Node::new(&state)
}

/// A request from the fabric and its answer from the pod, each with what must come out.
struct Exchange {
    request: &'static str,
    to_pod: &'static str,
    answer: &'static str,
    to_client: &'static str,
}

fn assert_served(exchange: &Exchange) {
    let mut node = case_5_node();
    let output = node.step(Side::Uplink, &hex(exchange.request));
    assert_eq!(only(&output.trunk), hex(exchange.to_pod));
    output.assert_moved(&[("uplink.rx", 1), ("pod.tx", 1), ("misses", 1), ("pairs", 1)]);
    let output = node.step(Side::Trunk, &hex(exchange.answer));
    assert_tunnelled(only(&output.uplink), exchange.to_client);
    output.assert_moved(&[("pod.rx", 1), ("uplink.tx", 1), ("hits", 1)]);
}

#[test]
fn case_5_a_service_at_the_backends_node() {
    assert_served(&Exchange {
        request: "0200000001010200000001020800 \
         4500004800000000401164a10a0101020a010101 \
         c35019eb00340000 \
         0001913e \
         45000028123440003e060e340c0101030e010164 \
         03e8005000000001000000005002ffff8f410000",
        to_pod: "02000000000500005e000100 \
         81000001 \
         0800 \
         45000028123440003e0611970c0101030b010101 \
         03e8043800000001000000005002ffff8ebc0000",
        answer: "00005e000100020000000005 \
         81000001 \
         0800 \
         4500002e1234400040060f910b0101010c010103 \
         043803e800000064000000025012ffff53e90000616e73776572",
        to_client: "0200000001020200000001010800 \
         4500004e00020000401164990a0101010a010102 \
         000019eb003a0000 \
         0001e13f \
         4500002e123440003f060d2e0e0101640c010103 \
         005003e800000064000000025012ffff546e0000616e73776572",
    });
    assert_served(&Exchange {
        request: "0200000001010200000001020800 \
         4500004300000000401164a60a0101020a010101 \
         c35019eb002f0000 \
         0001913e \
         45000023123440003e110e2e0c0101030e010164 \
         03e80050000f21e172657175657374",
        to_pod: "02000000000500005e000100 \
         81000001 \
         0800 \
         45000023123440003e1111910c0101030b010101 \
         03e80438000f215c72657175657374",
        answer: "00005e000100020000000005 \
         81000001 \
         0800 \
         450000221234400040110f920b0101010c010103 \
         043803e8000ea454616e73776572",
        to_client: "0200000001020200000001010800 \
         4500004200020000401164a50a0101010a010102 \
         000019eb002e0000 \
         0001e13f \
         45000022123440003f110d2f0e0101640c010103 \
         005003e8000ea4d9616e73776572",
    });
}

#[test]
fn case_5_a_udp_checksum_of_zero_stays_zero() {
    assert_served(&Exchange {
        request: "0200000001010200000001020800 \
         4500004300000000401164a60a0101020a010101 \
         c35019eb002f0000 \
         0001913e \
         45000023123440003e110e2e0c0101030e010164 \
         03e80050000f000072657175657374",
        to_pod: "02000000000500005e000100 \
         81000001 \
         0800 \
         45000023123440003e1111910c0101030b010101 \
         03e80438000f000072657175657374",
        answer: "00005e000100020000000005 \
         81000001 \
         0800 \
         450000221234400040110f920b0101010c010103 \
         043803e8000e0000616e73776572",
        to_client: "0200000001020200000001010800 \
         4500004200020000401164a50a0101010a010102 \
         000019eb002e0000 \
         0001e13f \
         45000022123440003f110d2f0e0101640c010103 \
         005003e8000e0000616e73776572",
    });
}

#[test]
fn case_5_a_corrupt_checksum_stays_corrupt() {
    let mut request = hex("0200000001010200000001020800 \
         4500004800000000401164a10a0101020a010101 \
         c35019eb00340000 \
         0001913e \
         45000028123440003e060e340c0101030e010164 \
         03e8005000000001000000005002ffff8f410000");
    let mut expected = hex("02000000000500005e000100 \
         81000001 \
         0800 \
         45000028123440003e0611970c0101030b010101 \
         03e8043800000001000000005002ffff8ebc0000");
    *request.last_mut().unwrap() ^= 0x5a;
    *expected.last_mut().unwrap() ^= 0x5a;
    let output = case_5_node().step(Side::Uplink, &request);
    assert_eq!(only(&output.trunk), expected);
}

/// The client is told with a reset, as a host with a closed port would.
#[track_caller]
fn assert_refused(output: &Output, reset: &str) {
    assert!(output.trunk.is_empty());
    assert_tunnelled(only(&output.uplink), reset);
    output.assert_moved(&[
        ("uplink.rx", 1),
        ("pod.service_port_unmapped", 1),
        ("misses", 1),
        ("pairs", 1),
        ("generated", 1),
        ("uplink.tx", 1),
    ]);
}

#[test]
fn case_5_a_port_that_is_not_mapped() {
    let frame = "0200000001010200000001020800 \
         4500004800000000401164a10a0101020a010101 \
         c35019eb00340000 \
         0001913e \
         45000028123440003e060e340c0101030e010164 \
         03e800b400000001000000005002ffff8edd0000";
    let reset = "0200000001020200000001010800 \
         45c0004800010000401163e00a0101010a010102 \
         000019eb00340000 \
         0001e140 \
         45c000280000400040061da80e0101640c010103 \
         00b403e80000000000000002501400008eca0000";
    assert_refused(&case_5_node().step(Side::Uplink, &hex(frame)), reset);
}

#[test]
fn case_6_the_ipv6_twin() {
    assert_served(&Exchange {
        request: "0200000001010200000001020800 \
         4500005c000000004011648d0a0101020a010101 \
         c35019eb00480000 \
         0001913e \
         600000000014063efd000012000000000000000000000003fd000014000000000000000000000100 \
         03e8005000000001000000005002ffffb07f0000",
        to_pod: "02000000000500005e000100 \
         81000001 \
         86dd \
         600000000014063efd000012000000000000000000000003fd000011000000000000000000000001 \
         03e8043800000001000000005002ffffad990000",
        answer: "00005e000100020000000005 \
         81000001 \
         86dd \
         60000000001a0640fd000011000000000000000000000001fd000012000000000000000000000003 \
         043803e800000064000000025012ffff72c60000616e73776572",
        to_client: "0200000001020200000001010800 \
         4500006200020000401164850a0101010a010102 \
         000019eb004e0000 \
         0001e13f \
         60000000001a063ffd000014000000000000000000000100fd000012000000000000000000000003 \
         005003e800000064000000025012ffff75ac0000616e73776572",
    });
    assert_served(&Exchange {
        request: "0200000001010200000001020800 \
         4500005700000000401164920a0101020a010101 \
         c35019eb00430000 \
         0001913e \
         60000000000f113efd000012000000000000000000000003fd000014000000000000000000000100 \
         03e80050000f431f72657175657374",
        to_pod: "02000000000500005e000100 \
         81000001 \
         86dd \
         60000000000f113efd000012000000000000000000000003fd000011000000000000000000000001 \
         03e80438000f403972657175657374",
        answer: "00005e000100020000000005 \
         81000001 \
         86dd \
         60000000000e1140fd000011000000000000000000000001fd000012000000000000000000000003 \
         043803e8000ec331616e73776572",
        to_client: "0200000001020200000001010800 \
         4500005600020000401164910a0101010a010102 \
         000019eb00420000 \
         0001e13f \
         60000000000e113ffd000014000000000000000000000100fd000012000000000000000000000003 \
         005003e8000ec617616e73776572",
    });
    let unmapped = "0200000001010200000001020800 \
         4500005c000000004011648d0a0101020a010101 \
         c35019eb00480000 \
         0001913e \
         600000000014063efd000012000000000000000000000003fd000014000000000000000000000100 \
         03e800b400000001000000005002ffffb01b0000";
    let reset = "0200000001020200000001010800 \
         45c0005c00010000401163cc0a0101010a010102 \
         000019eb00480000 \
         0001e140 \
         6c00000000140640fd000014000000000000000000000100fd000012000000000000000000000003 \
         00b403e8000000000000000250140000b0080000";
    assert_refused(&case_5_node().step(Side::Uplink, &hex(unmapped)), reset);
}

#[test]
fn case_7_arp() {
    let mut state = desired("8.0.0.2", &[]);
    state.vrfs = vec![vrf("seven")];
    state.vifs = vec![vif("pod", "seven", &["10.0.0.2"], "02:00:00:00:00:07", 47)];
    let mut node = Node::new(&state);
    let bad = "ffffffffffff020000000007 \
         81000001 \
         0806 \
         0001080006000001 \
         0200000000070a000002 \
         000000000000a9fe0101";
    let output = node.step(Side::Trunk, &hex(bad));
    assert_nothing_sent(&output);
    output.assert_moved(&[("pod.rx", 1), ("pod.malformed_arp", 1)]);
    let for_gateway = "ffffffffffff020000000007 \
         81000001 \
         0806 \
         0001080006040001 \
         0200000000070a000002 \
         000000000000a9fe0101";
    let output = node.step(Side::Trunk, &hex(for_gateway));
    assert_eq!(
        only(&output.trunk),
        hex("02000000000700005e000100 \
         81000001 \
         0806 \
         0001080006040002 \
         00005e000100a9fe0101 \
         0200000000070a000002",)
    );
    output.assert_moved(&[("pod.rx", 1), ("pod.tx", 1), ("generated", 1), ("consumed", 1)]);
    let probe_for_own = "ffffffffffff020000000007 \
         81000001 \
         0806 \
         0001080006040001 \
         02000000000700000000 \
         0000000000000a000002";
    let output = node.step(Side::Trunk, &hex(probe_for_own));
    assert_nothing_sent(&output);
    output.assert_moved(&[("pod.rx", 1), ("consumed", 1)]);
    let not_routed = "ffffffffffff020000000007 \
         81000001 \
         0806 \
         0001080006040001 \
         0200000000070a000002 \
         000000000000c0000201";
    let output = node.step(Side::Trunk, &hex(not_routed));
    assert_nothing_sent(&output);
    output.assert_moved(&[("pod.rx", 1), ("pod.no_route", 1)]);
    let claims_another = "ffffffffffff020000000007 \
         81000001 \
         0806 \
         0001080006040001 \
         0200000000070a000003 \
         000000000000a9fe0101";
    let output = node.step(Side::Trunk, &hex(claims_another));
    assert_nothing_sent(&output);
    output.assert_moved(&[("pod.rx", 1), ("pod.spoofed_source", 1)]);
}
