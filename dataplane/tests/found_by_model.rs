//! Cases in which the pipeline once differed from the model router, each as short as it was found.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it goes wrong"
)]

mod support;

use dataplane::desired::Desired;
use dataplane::io::Side;
use encap::Sum;
use etherparse::PacketBuilder;
use support::{Node, PEER_MAC, UPLINK_MAC, desired, hex, route, to_tunnel, vif, vrf};

/// Two pods, the first (slot 1) with a small MTU.
fn state() -> Desired {
    let mut state = desired("172.30.0.1", &["172.30.0.2"]);
    state.vrfs = vec![vrf("blue")];
    state.vifs = vec![
        vif("a", "blue", &["10.0.0.1", "fd00::1"], "02:00:00:00:00:01", 17),
        vif("b", "blue", &["10.0.0.2"], "02:00:00:00:00:02", 18),
    ];
    state.vifs[0].mtu = 600;
    state
}

fn tagged(slot: u16, packet: &[u8]) -> Vec<u8> {
    let mut frame = hex("00005e000100 0200000000ff 8100 00ff 0800");
    frame[11] = slot as u8;
    frame[15] = slot as u8;
    if packet[0] >> 4 == 6 {
        frame[16..18].copy_from_slice(&[0x86, 0xdd]);
    }
    [frame, packet.to_vec()].concat()
}

/// RFC 4861 section 4.3: the option is a must only in multicast solicitations.
#[test]
fn a_unicast_solicitation_without_link_layer_address_is_answered() {
    let mut node = Node::new(&state());
    let solicitation = hex("60000000 0018 3a ff fd000000000000000000000000000001
        fe800000000000000000000000000001 8700 7ea7 00000000 fe800000000000000000000000000001");
    let output = node.step(Side::Trunk, &tagged(1, &solicitation));
    output.assert_moved(&[("a.rx", 1), ("a.tx", 1), ("consumed", 1), ("generated", 1)]);
    let expected = hex("020000000001 00005e000100 8100 0001 86dd
        60000000 0020 3a ff fe800000000000000000000000000001 fd000000000000000000000000000001
        8800 3c9d e0000000 fe800000000000000000000000000001 0201 00005e000100");
    assert_eq!(output.trunk, [expected]);
}

/// The quote is what the sender sent, not the reply that was begun.
#[test]
fn an_echo_that_is_too_big_to_be_answered_is_quoted_as_it_came() {
    let mut node = Node::new(&state());
    let mut echo = Vec::new();
    let builder = PacketBuilder::ipv4([10, 0, 0, 1], [169, 254, 1, 1], 64).icmpv4_echo_request(7, 1);
    builder.write(&mut echo, &[0; 1000]).unwrap();
    let output = node.step(Side::Trunk, &tagged(1, &echo));
    output.assert_moved(&[("a.rx", 1), ("a.tx", 1), ("a.frame_too_big", 1), ("generated", 1)]);
    assert_eq!(output.trunk[0][18 + 28..], echo[..548]);
}

/// RFC 792: an error goes to the source of the packet it quotes; anywhere else it is a packet past the routes.
#[test]
fn an_icmp_error_for_another_than_the_quoted_sender_is_a_drop() {
    let mut node = Node::new(&state());
    let mut sent = Vec::new();
    PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .udp(1000, 53)
        .write(&mut sent, b"question")
        .unwrap();
    let delivered = node.step(Side::Trunk, &tagged(1, &sent)).trunk[0][18..].to_vec();
    let error_to = |destination: [u8; 4]| {
        let mut message = [&[3, 3, 0, 0, 0, 0, 0, 0], &delivered[..]].concat();
        let sum = Sum::of(&message).finish();
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        let mut packet = Vec::new();
        let builder = PacketBuilder::ipv4([10, 0, 0, 2], destination, 64);
        builder.icmpv4_raw(3, 3, [0; 4]).write(&mut packet, &message[8..]).unwrap();
        tagged(2, &packet)
    };
    let astray = node.step(Side::Trunk, &error_to([10, 9, 9, 9]));
    astray.assert_moved(&[("b.rx", 1), ("b.icmp_error_unmatched", 1)]);
    node.step(Side::Trunk, &error_to([10, 0, 0, 1])).assert_moved(&[("b.rx", 1), ("a.tx", 1)]);
}

/// Bytes 14 and 15 are a VLAN only behind the type of a tag, and in a whole header.
#[test]
fn a_frame_without_a_whole_tag_is_counted_for_no_vif() {
    let mut node = Node::new(&state());
    for frame in
        [&hex("00005e000100 020000000001 0800 0001 0000")[..], &hex("00005e000100 020000000001 8100 0001")]
    {
        node.step(Side::Trunk, frame).assert_moved(&[("trunk.rx", 1), ("trunk.malformed_ethernet", 1)]);
    }
}

/// A member that comes moves no flow, the answers of one included.
#[test]
fn answers_keep_their_label_when_another_of_the_same_node_comes() {
    let mut state = state();
    state.routes = vec![route("blue", "10.9.0.0/16", vec![to_tunnel("172.30.0.2", 40)])];
    let mut node = Node::new(&state);
    for port in 0..32 {
        assert_eq!(node.step(Side::Uplink, &from_client(port)).trunk.len(), 1);
    }
    let hops = [40, 41, 42].map(|label| to_tunnel("172.30.0.2", label));
    state.routes = vec![route("blue", "10.9.0.0/16", hops.to_vec())];
    node.publish(&state);
    for port in 0..32 {
        let mut answer = Vec::new();
        let builder = PacketBuilder::ipv4([10, 0, 0, 2], [10, 9, 0, 9], 64).udp(2000, 1000 + port);
        builder.write(&mut answer, b"answer").unwrap();
        let sent = node.step(Side::Trunk, &tagged(2, &answer)).uplink;
        let entry = u32::from_be_bytes(sent[0][42..46].try_into().unwrap());
        assert_eq!(entry >> 12, 40, "flow {port}");
    }
}

/// UDP from a client behind the other node to pod b.
fn from_client(port: u16) -> Vec<u8> {
    let mut inner = Vec::new();
    let builder = PacketBuilder::ipv4([10, 9, 0, 9], [10, 0, 0, 2], 63).udp(1000 + port, 2000);
    builder.write(&mut inner, b"question").unwrap();
    let payload = [&(18u32 << 12 | 0x100 | 63).to_be_bytes()[..], &inner].concat();
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2(PEER_MAC.0, UPLINK_MAC.0);
    builder.ipv4([172, 30, 0, 2], [172, 30, 0, 1], 64).udp(50000, 6635).write(&mut frame, &payload).unwrap();
    frame
}
