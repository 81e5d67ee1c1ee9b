//! Security policy: who may begin what, what passes by state, and what a change of rules ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it goes wrong"
)]

mod support;

use core::ops::RangeInclusive;

use dataplane::desired::{Desired, IcmpVersion, Peers, Policy, Rule, RuleTraffic, Transport};
use dataplane::ids::VifSlot;
use dataplane::io::Side;
use encap::Label;
use etherparse::{IcmpEchoHeader, Icmpv4Type, PacketBuilder, PacketBuilderStep};
use support::frames::fabric;
use support::{Node, desired, hex, route, service, to_tunnel, to_vif, vif, vrf};

const GATEWAY: [u8; 6] = [0, 0, 0x5e, 0, 1, 0];
/// Pods by VLAN: 1 is the client, 2 the server, 3 a bystander of another VRF with its peer 4.
const CLIENT: u16 = 1;
const SERVER: u16 = 2;

/// An address with a port.
type Endpoint = ([u8; 4], u16);

const CLIENT_AT: [u8; 4] = [10, 1, 0, 1];
const SERVER_AT: [u8; 4] = [10, 1, 0, 2];
/// A pod of the other node, and the service.
const REMOTE_AT: [u8; 4] = [10, 1, 9, 9];
const SERVICE_AT: [u8; 4] = [10, 96, 0, 10];

fn state(client: &[Policy], server: &[Policy]) -> Desired {
    let mut state = desired("172.30.0.1", &["172.30.0.2"]);
    state.vrfs = vec![dataplane::desired::Vrf { label: Label::new(60), ..vrf("red") }, vrf("blue")];
    state.vifs = vec![
        vif("client", "red", &["10.1.0.1", "fd00::1"], "02:00:00:00:00:01", 101),
        vif("server", "red", &["10.1.0.2", "fd00::2"], "02:00:00:00:00:02", 102),
        vif("left", "blue", &["10.2.0.1"], "02:00:00:00:00:03", 103),
        vif("right", "blue", &["10.2.0.2"], "02:00:00:00:00:04", 104),
    ];
    state.routes = vec![route("red", "10.1.9.0/24", vec![to_tunnel("172.30.0.2", 30)])];
    state.services =
        vec![service("red", "10.96.0.10", &[(Transport::Udp, 80, 8080)], vec![to_vif("server")])];
    for (row, policies) in [(0, client), (1, server)] {
        state.vifs[row].policies = policies.iter().map(|policy| policy.name.clone()).collect();
        state.policies.extend(policies.iter().cloned());
    }
    state
}

fn ingress(name: &str, rules: &[Rule]) -> Policy {
    Policy { name: name.into(), ingress: Some(rules.to_vec()), egress: None }
}

fn egress(name: &str, rules: &[Rule]) -> Policy {
    Policy { name: name.into(), ingress: None, egress: Some(rules.to_vec()) }
}

fn rule(peers: &[&str], traffic: RuleTraffic) -> Rule {
    let peers = match peers {
        [] => Peers::Any,
        list => Peers::Within(list.iter().map(|prefix| prefix.parse().unwrap()).collect()),
    };
    Rule { name: None, peers, traffic }
}

fn udp(ports: RangeInclusive<u16>) -> RuleTraffic {
    RuleTraffic::Ports { transport: Transport::Udp, ports }
}

fn tagged(slot: u16) -> PacketBuilderStep<etherparse::VlanHeader> {
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, slot as u8], GATEWAY).single_vlan(slot.try_into().unwrap())
}

fn from_vif(slot: u16, src: Endpoint, dst: Endpoint) -> Vec<u8> {
    let mut frame = Vec::new();
    tagged(slot).ipv4(src.0, dst.0, 64).udp(src.1, dst.1).write(&mut frame, b"data").unwrap();
    frame
}

fn icmp(slot: u16, src: [u8; 4], dst: [u8; 4], kind: Icmpv4Type) -> Vec<u8> {
    let mut frame = Vec::new();
    tagged(slot).ipv4(src, dst, 64).icmpv4(kind).write(&mut frame, b"data").unwrap();
    frame
}

fn from_fabric(label: u32, src: Endpoint, dst: Endpoint) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4(src.0, dst.0, 63).udp(src.1, dst.1).write(&mut packet, b"data").unwrap();
    fabric(label, &packet)
}

const PASSES: [(&str, u64); 4] = [("client.rx", 1), ("server.tx", 1), ("misses", 1), ("pairs", 1)];
const IS_REFUSED: [(&str, u64); 4] =
    [("client.rx", 1), ("client.policy_denied", 1), ("misses", 1), ("pairs", 1)];

#[track_caller]
fn steps(node: &mut Node, side: Side, frame: &[u8], moved: &[(&str, u64)]) {
    node.step(side, frame).assert_moved(moved);
}

#[test]
fn ingress_is_open_until_there_are_rules_and_closed_by_an_empty_list() {
    let request = from_vif(CLIENT, (CLIENT_AT, 4000), (SERVER_AT, 53));
    let away = from_vif(SERVER, (SERVER_AT, 4000), (REMOTE_AT, 53));
    for (policy, passes) in [
        (Policy { name: "p".into(), ingress: None, egress: None }, true),
        (egress("p", &[]), true),
        (ingress("p", &[]), false),
        (ingress("p", &[rule(&[], RuleTraffic::Any)]), true),
    ] {
        let mut node = Node::new(&state(&[], std::slice::from_ref(&policy)));
        let moved = if passes { PASSES } else { IS_REFUSED };
        steps(&mut node, Side::Trunk, &request, &moved);
        let egress_is_open = policy.egress.is_none();
        let outcome = if egress_is_open { "uplink.tx" } else { "server.policy_denied" };
        let moved = [("server.rx", 1), (outcome, 1), ("misses", 1), ("pairs", 1)];
        steps(&mut node, Side::Trunk, &away, &moved);
    }
}

#[test]
fn rules_say_peer_protocol_and_port() {
    let rules = [
        rule(&["10.1.0.0/24", "192.0.2.0/24"], udp(53..=60)),
        rule(&["10.1.9.9/32"], RuleTraffic::Any),
        rule(&["10.1.9.8/32"], RuleTraffic::Protocol(17)),
        rule(&["10.1.9.7/32"], RuleTraffic::Ports { transport: Transport::Tcp, ports: 53..=53 }),
    ];
    let mut node = Node::new(&state(&[], &[ingress("dns", &rules)]));
    for (source, port, passes) in [
        (CLIENT_AT, 52, false),
        (CLIENT_AT, 53, true),
        (CLIENT_AT, 60, true),
        (CLIENT_AT, 61, false),
        (REMOTE_AT, 61, true),
        ([10, 1, 9, 8], 61, true),
        ([10, 1, 9, 7], 53, false),
    ] {
        let (side, frame, from) = if source == CLIENT_AT {
            (Side::Trunk, from_vif(CLIENT, (source, 4000), (SERVER_AT, port)), "client")
        } else {
            (Side::Uplink, from_fabric(102, (source, 4000), (SERVER_AT, port)), "uplink")
        };
        let rx = format!("{from}.rx");
        // What is refused is laid to the vif that sent it, or that its label names.
        let refused = if from == "client" { "client.policy_denied" } else { "server.policy_denied" };
        let outcome = if passes { "server.tx" } else { refused };
        steps(&mut node, side, &frame, &[(&rx, 1), (outcome, 1), ("misses", 1), ("pairs", 1)]);
    }
}

#[test]
fn ipv6_peers_are_held_against_ipv6_rules_alone() {
    let packet = |port| {
        let (src, dst) = ("fd00::1".parse::<core::net::Ipv6Addr>(), "fd00::2".parse::<core::net::Ipv6Addr>());
        let mut frame = Vec::new();
        let builder = tagged(CLIENT).ipv6(src.unwrap().octets(), dst.unwrap().octets(), 64);
        builder.udp(4000, port).write(&mut frame, b"data").unwrap();
        frame
    };
    let rules = [rule(&["0.0.0.0/0"], RuleTraffic::Any), rule(&["fd00::/64"], udp(53..=53))];
    let mut node = Node::new(&state(&[], &[ingress("dns", &rules)]));
    steps(&mut node, Side::Trunk, &packet(53), &PASSES);
    steps(&mut node, Side::Trunk, &packet(54), &IS_REFUSED);
}

#[test]
fn any_policy_of_a_direction_may_allow() {
    let dns = ingress("dns", &[rule(&[], udp(53..=53))]);
    let ntp = ingress("ntp", &[rule(&[], udp(123..=123))]);
    let mut node = Node::new(&state(&[], &[dns, egress("out", &[]), ntp]));
    for port in [53, 123] {
        steps(&mut node, Side::Trunk, &from_vif(CLIENT, (CLIENT_AT, 4000), (SERVER_AT, port)), &PASSES);
    }
    steps(&mut node, Side::Trunk, &from_vif(CLIENT, (CLIENT_AT, 4000), (SERVER_AT, 80)), &IS_REFUSED);
}

#[test]
fn answers_pass_by_state_where_nothing_may_be_begun() {
    let client = [ingress("in", &[]), egress("out", &[rule(&[], udp(53..=53))])];
    let server = [ingress("serve", &[rule(&["10.1.0.1/32"], RuleTraffic::Any)]), egress("quiet", &[])];
    let mut node = Node::new(&state(&client, &server));
    steps(&mut node, Side::Trunk, &from_vif(CLIENT, (CLIENT_AT, 4000), (SERVER_AT, 53)), &PASSES);
    let answer = from_vif(SERVER, (SERVER_AT, 53), (CLIENT_AT, 4000));
    steps(&mut node, Side::Trunk, &answer, &[("server.rx", 1), ("client.tx", 1), ("hits", 1)]);
    // The same from another port begins something.
    let question = from_vif(SERVER, (SERVER_AT, 54), (CLIENT_AT, 4000));
    let refused = [("server.rx", 1), ("server.policy_denied", 1), ("misses", 1), ("pairs", 1)];
    steps(&mut node, Side::Trunk, &question, &refused);
}

#[test]
fn answers_from_another_node_pass_by_either_label() {
    let client = [ingress("in", &[]), egress("out", &[rule(&["10.1.9.0/24"], RuleTraffic::Any)])];
    let mut node = Node::new(&state(&client, &[]));
    let request = from_vif(CLIENT, (CLIENT_AT, 4000), (REMOTE_AT, 53));
    let answer = |label, port| from_fabric(label, (REMOTE_AT, port), (CLIENT_AT, 4000));
    // A stranger at the label of the VRF is no vif's, so nothing is remembered.
    let refused = [("uplink.rx", 1), ("uplink.policy_denied", 1), ("misses", 1)];
    steps(&mut node, Side::Uplink, &answer(60, 53), &refused);
    let sent = [("client.rx", 1), ("uplink.tx", 1), ("misses", 1), ("pairs", 1)];
    steps(&mut node, Side::Trunk, &request, &sent);
    steps(&mut node, Side::Uplink, &answer(101, 53), &[("uplink.rx", 1), ("client.tx", 1), ("hits", 1)]);
    // It passes without a pair of its own, as that would look like the answers of the request.
    let by_vrf = [("uplink.rx", 1), ("client.tx", 1), ("misses", 1)];
    steps(&mut node, Side::Uplink, &answer(60, 53), &by_vrf);
    steps(&mut node, Side::Uplink, &answer(60, 54), &refused);
}

#[test]
fn a_refusal_is_remembered_and_does_not_stand_in_the_way_of_the_pods_own_flow() {
    let mut node = Node::new(&state(&[ingress("in", &[])], &[]));
    // As after a restart: the answer of a flow that is not known any more comes first.
    let answer = from_fabric(101, (REMOTE_AT, 53), (CLIENT_AT, 4000));
    let refused = [("uplink.rx", 1), ("client.policy_denied", 1)];
    steps(&mut node, Side::Uplink, &answer, &[&refused[..], &[("misses", 1), ("pairs", 1)]].concat());
    steps(&mut node, Side::Uplink, &answer, &[&refused[..], &[("hits", 1)]].concat());
    let request = from_vif(CLIENT, (CLIENT_AT, 4000), (REMOTE_AT, 53));
    let sent = [("client.rx", 1), ("uplink.tx", 1), ("misses", 1), ("pairs", 1), ("purged", 1)];
    steps(&mut node, Side::Trunk, &request, &sent);
    steps(&mut node, Side::Uplink, &answer, &[("uplink.rx", 1), ("client.tx", 1), ("hits", 1)]);
}

#[test]
fn refusals_leave_half_of_a_vifs_flows_to_what_is_allowed() {
    let policy = ingress("dns", &[rule(&[], udp(53..=53))]);
    let mut node = Node::with_flows(&state(&[], &[policy]), 1000, 20);
    for port in 1000..1020 {
        node.step(Side::Uplink, &from_fabric(102, (REMOTE_AT, port), (SERVER_AT, 80)));
    }
    let owner = VifSlot::new(SERVER).unwrap().fabric_flow_owner();
    assert_eq!(node.flows.owner_len(owner), 10);
    let allowed = from_fabric(102, (REMOTE_AT, 4000), (SERVER_AT, 53));
    let passes = [("uplink.rx", 1), ("server.tx", 1), ("misses", 1), ("pairs", 1)];
    steps(&mut node, Side::Uplink, &allowed, &passes);
}

#[test]
fn a_change_of_rules_ends_what_is_no_longer_allowed_in_both_directions() {
    let open = state(&[], &[ingress("dns", &[rule(&[], udp(53..=54))])]);
    let narrow = state(&[], &[ingress("dns", &[rule(&[], udp(54..=54))])]);
    let request = from_vif(CLIENT, (CLIENT_AT, 4000), (SERVER_AT, 53));
    let answer = from_vif(SERVER, (SERVER_AT, 53), (CLIENT_AT, 4000));
    let stays = from_vif(CLIENT, (CLIENT_AT, 4000), (SERVER_AT, 54));
    for (first, other, from, to) in
        [(&request, &answer, "client", "server"), (&answer, &request, "server", "client")]
    {
        let name = |vif: &str, what: &str| format!("{vif}.{what}");
        let mut node = Node::new(&open);
        steps(&mut node, Side::Trunk, &request, &PASSES);
        steps(&mut node, Side::Trunk, &stays, &PASSES);
        node.publish(&narrow);
        let revoked = [(name(from, "rx"), 1), (name(from, "policy_denied"), 1), ("hits".into(), 1)];
        let mut revoked: Vec<_> = revoked.iter().map(|(name, by)| (name.as_str(), *by)).collect();
        let later = revoked.clone();
        revoked.push(("revalidations", 1));
        steps(&mut node, Side::Trunk, first, &revoked);
        steps(&mut node, Side::Trunk, first, &later);
        let (rx, denied) = (name(to, "rx"), name(to, "policy_denied"));
        steps(&mut node, Side::Trunk, other, &[(&rx, 1), (&denied, 1), ("hits", 1)]);
        let kept = [("client.rx", 1), ("server.tx", 1), ("hits", 1), ("revalidations", 1)];
        steps(&mut node, Side::Trunk, &stays, &kept);
        // What is allowed again goes on as the flow it was.
        node.publish(&open);
        steps(&mut node, Side::Trunk, &request, &kept);
        let answered = [("server.rx", 1), ("client.tx", 1), ("hits", 1)];
        steps(&mut node, Side::Trunk, &answer, &answered);
    }
}

#[test]
fn a_change_of_rules_does_not_touch_the_flows_of_another_vrf() {
    let mut node = Node::new(&state(&[], &[]));
    let frame = from_vif(3, ([10, 2, 0, 1], 1), ([10, 2, 0, 2], 2));
    node.step(Side::Trunk, &frame);
    node.publish(&state(&[], &[ingress("none", &[])]));
    steps(&mut node, Side::Trunk, &frame, &[("left.rx", 1), ("right.tx", 1), ("hits", 1)]);
}

#[test]
fn a_flow_into_another_vrf_rests_on_the_policies_there() {
    let joined = |server: &[Policy]| {
        let mut state = state(&[], server);
        state.routes.push(route("blue", "10.1.0.2/32", vec![to_vif("server")]));
        state.routes.push(route("red", "10.2.0.1/32", vec![to_vif("left")]));
        state
    };
    let mut node = Node::new(&joined(&[]));
    let frame = from_vif(3, ([10, 2, 0, 1], 1), (SERVER_AT, 2));
    node.step(Side::Trunk, &frame);
    node.publish(&joined(&[ingress("none", &[])]));
    let revoked = [("left.rx", 1), ("left.policy_denied", 1), ("hits", 1), ("revalidations", 1)];
    steps(&mut node, Side::Trunk, &frame, &revoked);
}

#[test]
fn a_change_of_rules_reaches_the_flows_of_services_here_and_in_other_vrfs() {
    let joined = |server: &[Policy]| {
        let mut state = state(&[], server);
        let backends = vec![to_vif("server")];
        state.services.push(service("blue", "10.96.0.11", &[(Transport::Udp, 80, 8080)], backends));
        state.routes.push(route("red", "10.2.0.1/32", vec![to_vif("left")]));
        state
    };
    let mut node = Node::new(&joined(&[]));
    let here = from_vif(CLIENT, (CLIENT_AT, 4000), (SERVICE_AT, 80));
    let there = from_vif(3, ([10, 2, 0, 1], 4000), ([10, 96, 0, 11], 80));
    steps(&mut node, Side::Trunk, &here, &PASSES);
    let passes = [("left.rx", 1), ("server.tx", 1), ("misses", 1), ("pairs", 1)];
    steps(&mut node, Side::Trunk, &there, &passes);
    node.publish(&joined(&[ingress("none", &[])]));
    for (frame, vif) in [(&here, "client"), (&there, "left")] {
        let (rx, denied) = (format!("{vif}.rx"), format!("{vif}.policy_denied"));
        steps(&mut node, Side::Trunk, frame, &[(&rx, 1), (&denied, 1), ("hits", 1), ("revalidations", 1)]);
    }
}

#[test]
fn a_local_service_is_judged_at_both_ends() {
    let request = from_vif(CLIENT, (CLIENT_AT, 4000), (SERVICE_AT, 80));
    let served = |ports| ingress("serve", &[rule(&["10.1.0.1/32"], udp(ports))]);
    for (egress_rule, served, passes) in [
        // The ClusterIP, or the backend as it is known here.
        (rule(&["10.96.0.10/32"], udp(80..=80)), served(8080..=8080), true),
        (rule(&["10.1.0.2/32"], udp(8080..=8080)), served(8080..=8080), true),
        (rule(&["10.96.0.10/32"], udp(8080..=8080)), served(8080..=8080), false),
        (rule(&["10.1.0.2/32"], udp(80..=80)), served(8080..=8080), false),
        // The pod is asked about its own port, never about that of the service.
        (rule(&[], RuleTraffic::Any), served(80..=80), false),
    ] {
        let mut node = Node::new(&state(&[egress("out", &[egress_rule])], &[served]));
        let moved = if passes { PASSES } else { IS_REFUSED };
        steps(&mut node, Side::Trunk, &request, &moved);
    }
}

#[test]
fn a_service_of_another_node_is_judged_by_its_clusterip() {
    let request = from_vif(CLIENT, (CLIENT_AT, 4000), (SERVICE_AT, 80));
    for (peer, outcome) in [("10.96.0.10/32", "uplink.tx"), ("10.1.9.0/24", "client.policy_denied")] {
        let mut state = state(&[egress("out", &[rule(&[peer], RuleTraffic::Any)])], &[]);
        let elsewhere = vec![to_tunnel("172.30.0.2", 34)];
        state.services = vec![service("red", "10.96.0.10", &[(Transport::Udp, 80, 8080)], elsewhere)];
        let mut node = Node::new(&state);
        let moved = [("client.rx", 1), (outcome, 1), ("misses", 1), ("pairs", 1)];
        steps(&mut node, Side::Trunk, &request, &moved);
    }
}

#[test]
fn a_pod_that_reaches_itself_through_its_service_is_its_own_peer() {
    let request = from_vif(SERVER, (SERVER_AT, 4000), (SERVICE_AT, 80));
    for (peer, outcome) in [("10.1.0.2/32", "server.tx"), ("10.1.0.1/32", "server.policy_denied")] {
        let mut node = Node::new(&state(&[], &[ingress("in", &[rule(&[peer], RuleTraffic::Any)])]));
        let moved = [("server.rx", 1), (outcome, 1), ("misses", 1), ("pairs", 1)];
        steps(&mut node, Side::Trunk, &request, &moved);
    }
}

fn echo(kind: fn(IcmpEchoHeader) -> Icmpv4Type, id: u16) -> Icmpv4Type {
    kind(IcmpEchoHeader { id, seq: 1 })
}

#[test]
fn icmp_is_allowed_by_the_type_of_its_question() {
    let ping = RuleTraffic::Icmp { version: IcmpVersion::V4, kind: 8 };
    let mut node = Node::new(&state(&[], &[ingress("ping", &[rule(&[], ping)])]));
    let to_server = |kind| icmp(CLIENT, CLIENT_AT, SERVER_AT, kind);
    steps(&mut node, Side::Trunk, &to_server(echo(Icmpv4Type::EchoRequest, 13)), &PASSES);
    let reply = icmp(SERVER, SERVER_AT, CLIENT_AT, echo(Icmpv4Type::EchoReply, 13));
    steps(&mut node, Side::Trunk, &reply, &[("server.rx", 1), ("client.tx", 1), ("hits", 1)]);
    // A timestamp query (type 13) is not let in by an echo with the identifier 13.
    let timestamp = Icmpv4Type::Unknown { type_u8: 13, code_u8: 0, bytes5to8: [0; 4] };
    steps(&mut node, Side::Trunk, &to_server(timestamp), &IS_REFUSED);
}

#[test]
fn an_icmp_error_follows_the_flow_that_was_allowed() {
    let client = [ingress("in", &[]), egress("out", &[rule(&[], udp(53..=53))])];
    let mut node = Node::new(&state(&client, &[egress("quiet", &[])]));
    let request = from_vif(CLIENT, (CLIENT_AT, 4000), (SERVER_AT, 53));
    let delivered = node.step(Side::Trunk, &request);
    let mut error = Vec::new();
    let unreachable = Icmpv4Type::DestinationUnreachable(etherparse::icmpv4::DestUnreachableHeader::Port);
    let builder = tagged(SERVER).ipv4(SERVER_AT, CLIENT_AT, 64).icmpv4(unreachable);
    builder.write(&mut error, &delivered.trunk[0][18..]).unwrap();
    steps(&mut node, Side::Trunk, &error, &[("server.rx", 1), ("client.tx", 1)]);
}

#[test]
fn arp_is_no_flow() {
    let mut node = Node::new(&state(&[ingress("in", &[]), egress("out", &[])], &[]));
    let request = hex("ffffffffffff 020000000001 8100 0001 0806 0001 0800 06 04 0001
                       020000000001 0a010001 000000000000 a9fe0101");
    let answered = [("client.rx", 1), ("client.tx", 1), ("generated", 1), ("consumed", 1)];
    steps(&mut node, Side::Trunk, &request, &answered);
}
