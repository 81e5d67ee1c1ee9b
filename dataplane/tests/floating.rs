//! Floating IPs: a public address that stands for a pod, in both directions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it goes wrong"
)]

mod support;

use dataplane::desired::{Desired, Mapping, Transport};
use dataplane::io::Side;
use support::frames::{error4, tagged};
use support::realm::{BLUE, HOST, ONE, PUBLIC, TWO, floating, plain, pooled, read, to_pod};
use support::{Node, route, service, to_tunnel, to_vif};

/// Pod `one` is 192.0.2.10 and 2001:db8::10 to the public; there is no pool.
fn usual() -> Desired {
    let mut state = plain();
    state.nat.floating_ips = vec![floating("one", "192.0.2.10"), floating("one", "2001:db8::10")];
    state
}

/// The same, `two` being 192.0.2.20 and everybody else 192.0.2.1.
fn with_two_and_pool() -> Desired {
    let mut state = pooled(&["192.0.2.1"], (1024, 65535), Mapping::AddressAndPortDependent);
    state.nat.floating_ips = vec![floating("one", "192.0.2.10"), floating("two", "192.0.2.20")];
    state
}

#[test]
fn the_pod_begins_and_is_answered() {
    let table = [
        ("syn", "ack", "10.0.0.1:40", "192.0.2.10:40", "198.51.100.9:80"),
        ("udp", "udp", "10.0.0.1:40", "192.0.2.10:40", "198.51.100.9:80"),
        ("ping", "pong", "10.0.0.1:40", "192.0.2.10:40", "198.51.100.9:40"),
        ("gre", "gre", "10.0.0.1:0", "192.0.2.10:0", "198.51.100.9:0"),
        ("udp", "udp", "[fd00::1]:40", "[2001:db8::10]:40", "[2001:db8:9::9]:80"),
        ("ping", "pong", "[fd00::1]:40", "[2001:db8::10]:40", "[2001:db8:9::9]:40"),
    ];
    for (ask, answer, pod, public, server) in table {
        let mut node = Node::new(&usual());
        assert_eq!(
            node.send(ONE, &format!("{ask} {pod} > {server}")).at(HOST),
            format!("{ask} {public} > {server}")
        );
        let back = node.send(HOST, &format!("{answer} {server} > {public}"));
        assert_eq!(back.at(ONE), format!("{answer} {server} > {pod}"));
        assert_eq!(back.moved["hits"], 1);
    }
}

#[test]
fn others_begin_and_are_answered() {
    let table = [
        ("syn", "ack", "198.51.100.9:4000", "192.0.2.10:80", "10.0.0.1:80"),
        ("udp", "udp", "198.51.100.9:4000", "192.0.2.10:80", "10.0.0.1:80"),
        ("ping", "pong", "198.51.100.9:40", "192.0.2.10:40", "10.0.0.1:40"),
        ("gre", "gre", "198.51.100.9:0", "192.0.2.10:0", "10.0.0.1:0"),
        ("syn", "ack", "[2001:db8:9::9]:4000", "[2001:db8::10]:80", "[fd00::1]:80"),
        ("ping", "pong", "[2001:db8:9::9]:40", "[2001:db8::10]:40", "[fd00::1]:40"),
    ];
    for (ask, answer, client, public, pod) in table {
        let mut node = Node::new(&usual());
        let output = node.send(HOST, &format!("{ask} {client} > {public}"));
        assert_eq!(output.at(ONE), format!("{ask} {client} > {pod}"));
        output.assert_moved(&[("vhost0.rx", 1), ("one.tx", 1), ("misses", 1), ("pairs", 1)]);
        let output = node.send(ONE, &format!("{answer} {pod} > {client}"));
        assert_eq!(output.at(HOST), format!("{answer} {public} > {client}"));
        assert_eq!(output.moved["hits"], 1);
        // From another node, which names the public VRF.
        let client =
            client.replace("198.51.100.9", "203.0.113.5").replace("2001:db8:9::9", "2001:db8:113::5");
        let output = node.arrive(PUBLIC, &format!("{ask} {client} > {public}"));
        assert_eq!(output.at(ONE), format!("{ask} {client} > {pod}"));
        let output = node.send(ONE, &format!("{answer} {pod} > {client}"));
        assert_eq!(output.at_node("172.30.0.2", 70), format!("{answer} {public} > {client}"));
    }
}

#[test]
fn the_first_floating_ip_is_the_source_and_all_are_destinations() {
    let mut state = usual();
    state.nat.floating_ips.push(floating("one", "192.0.2.11"));
    let mut node = Node::new(&state);
    let out = node.send(ONE, "udp 10.0.0.1:40 > 198.51.100.9:80").at(HOST);
    assert_eq!(out, "udp 192.0.2.10:40 > 198.51.100.9:80");
    let into = node.send(HOST, "udp 198.51.100.9:9000 > 192.0.2.11:80").at(ONE);
    assert_eq!(into, "udp 198.51.100.9:9000 > 10.0.0.1:80");
    let back = node.send(ONE, "udp 10.0.0.1:80 > 198.51.100.9:9000").at(HOST);
    assert_eq!(back, "udp 192.0.2.11:80 > 198.51.100.9:9000");
}

#[test]
fn a_floating_ip_comes_before_the_pool() {
    let mut state = with_two_and_pool();
    state.nat.floating_ips.pop();
    let mut node = Node::new(&state);
    let one = node.send(ONE, "udp 10.0.0.1:4000 > 198.51.100.9:80").at(HOST);
    assert_eq!(one, "udp 192.0.2.10:4000 > 198.51.100.9:80");
    let two = node.send(TWO, "udp 10.0.0.2:4000 > 198.51.100.9:80").at(HOST);
    assert_eq!(two, "udp 192.0.2.1:4000 > 198.51.100.9:80");
}

#[test]
fn without_a_pool_nobody_else_shows_its_own_address() {
    let mut node = Node::new(&usual());
    node.send(TWO, "udp 10.0.0.2:4000 > 198.51.100.9:80").dropped("two.nat_no_address");
    node.arrive(BLUE, "udp 10.0.9.7:4000 > 198.51.100.9:80").dropped("uplink.nat_no_address");
}

#[test]
fn a_pod_reaches_the_floating_ip_of_another_pod() {
    let mut node = Node::new(&with_two_and_pool());
    let there = node.send(ONE, "syn 10.0.0.1:4000 > 192.0.2.20:80").at(TWO);
    assert_eq!(there, "syn 192.0.2.10:4000 > 10.0.0.2:80");
    let back = node.send(TWO, "ack 10.0.0.2:80 > 192.0.2.10:4000").at(ONE);
    assert_eq!(back, "ack 192.0.2.20:80 > 10.0.0.1:4000");

    // From behind the pool.
    let mut state = with_two_and_pool();
    state.nat.floating_ips.remove(0);
    let mut node = Node::new(&state);
    let there = node.send(ONE, "syn 10.0.0.1:4000 > 192.0.2.20:80").at(TWO);
    assert_eq!(there, "syn 192.0.2.1:4000 > 10.0.0.2:80");
    let back = node.send(TWO, "ack 10.0.0.2:80 > 192.0.2.1:4000").at(ONE);
    assert_eq!(back, "ack 192.0.2.20:80 > 10.0.0.1:4000");
}

#[test]
fn a_pod_reaches_itself_by_its_floating_ip() {
    let mut node = Node::new(&usual());
    for (kind, port, back) in
        [("syn", 80, "ack"), ("udp", 80, "udp"), ("udp", 4000, "udp"), ("ping", 4000, "pong")]
    {
        let there = node.send(ONE, &format!("{kind} 10.0.0.1:4000 > 192.0.2.10:{port}")).at(ONE);
        assert_eq!(there, format!("{kind} 192.0.2.10:4000 > 10.0.0.1:{port}"));
        let answer = node.send(ONE, &format!("{back} 10.0.0.1:{port} > 192.0.2.10:4000")).at(ONE);
        assert_eq!(answer, format!("{back} 192.0.2.10:{port} > 10.0.0.1:4000"));
    }
}

#[test]
fn a_service_of_the_public_vrf_sees_public_clients() {
    let mut state = with_two_and_pool();
    let mut web = support::vif("web", "public", &["192.0.2.30"], "02:00:00:00:00:04", 20);
    web.mtu = 1400;
    state.vifs.push(web);
    state.services =
        vec![service("public", "192.0.2.40", &[(Transport::Tcp, 80, 8080)], vec![to_vif("web")])];
    let mut node = Node::new(&state);
    let there = node.send(ONE, "syn 10.0.0.1:4000 > 192.0.2.40:80").at((4, [2, 0, 0, 0, 0, 4]));
    assert_eq!(there, "syn 192.0.2.10:4000 > 192.0.2.30:8080");
    let back = node.send((4, [2, 0, 0, 0, 0, 4]), "ack 192.0.2.30:8080 > 192.0.2.10:4000").at(ONE);
    assert_eq!(back, "ack 192.0.2.40:80 > 10.0.0.1:4000");
}

#[test]
fn errors_are_translated_inside_and_out() {
    // About what came to the floating IP, from the pod: the far end sees the address it has called.
    let mut node = Node::new(&usual());
    let asked = "udp 198.51.100.9:4000 > 192.0.2.10:80";
    let output = node.send(HOST, asked);
    let error = error4([10, 0, 0, 1], [198, 51, 100, 9], (3, 3), to_pod(&output.trunk[0]).1);
    let output = node.step(Side::Trunk, &tagged(ONE.0, ONE.1, &error));
    assert_eq!(output.at(HOST), "error 192.0.2.10:3 > 198.51.100.9:3");
    assert_eq!(read(&to_pod(&output.trunk[0]).1[28..]), asked);

    // About the pod's own packets, from a router on the way.
    let output = node.send(ONE, "ping 10.0.0.1:7 > 198.51.100.9:7");
    let error = error4([198, 51, 100, 1], [192, 0, 2, 10], (11, 0), to_pod(&output.trunk[0]).1);
    let output = node.step(Side::Trunk, &tagged(HOST.0, HOST.1, &error));
    assert_eq!(output.at(ONE), "error 198.51.100.1:11 > 10.0.0.1:0");
    assert_eq!(read(&to_pod(&output.trunk[0]).1[28..]), "ping 10.0.0.1:7 > 198.51.100.9:7");

    // About GRE, which has no checksum to mend.
    let output = node.send(ONE, "gre 10.0.0.1:0 > 198.51.100.9:0");
    let mut quote = to_pod(&output.trunk[0]).1.to_vec();
    quote.extend([0; 4]);
    let error = error4([198, 51, 100, 1], [192, 0, 2, 10], (11, 0), &quote);
    let output = node.step(Side::Trunk, &tagged(HOST.0, HOST.1, &error));
    assert_eq!(read(&to_pod(&output.trunk[0]).1[28..]), "gre 10.0.0.1:0 > 198.51.100.9:0");
}

#[test]
fn the_label_of_the_pod_does_not_lead_to_its_floating_ip() {
    let mut node = Node::new(&usual());
    node.arrive(17, "udp 203.0.113.5:1 > 192.0.2.10:80").dropped("one.label_destination_mismatch");
}

#[test]
fn nobody_speaks_for_a_floating_ip_but_its_pod() {
    let mut node = Node::new(&with_two_and_pool());
    for spoofed in ["192.0.2.10", "192.0.2.1"] {
        node.send(HOST, &format!("udp {spoofed}:1 > 192.0.2.20:80")).dropped("vhost0.spoofed_source");
        node.send(ONE, &format!("udp {spoofed}:1 > 198.51.100.9:80")).dropped("one.spoofed_source");
        node.arrive(PUBLIC, &format!("udp {spoofed}:1 > 192.0.2.20:80"))
            .dropped("uplink.tunnel_source_mismatch");
    }
}

#[test]
fn a_floating_ip_that_goes_takes_its_flows_along() {
    let mut node = Node::new(&with_two_and_pool());
    let sent = "ack 10.0.0.1:4000 > 198.51.100.9:80";
    node.send(ONE, sent).at(HOST);
    node.send(HOST, "syn 198.51.100.9:5000 > 192.0.2.10:22").at(ONE);
    let mut without = with_two_and_pool();
    without.nat.floating_ips.remove(0);
    node.publish(&without);
    let output = node.send(ONE, sent);
    assert_eq!(output.at(ONE), "rst 198.51.100.9:80 > 10.0.0.1:4000");
    // The address is nobody's now. The route of all that is not known leads back to the host.
    node.send(HOST, "ack 198.51.100.9:5000 > 192.0.2.10:22").dropped("vhost0.route_loop");
    let fresh = node.send(ONE, "syn 10.0.0.1:4001 > 198.51.100.9:80").at(HOST);
    assert_eq!(fresh, "syn 192.0.2.1:4001 > 198.51.100.9:80");
}

#[test]
fn a_floating_ip_that_moves_leads_to_the_other_pod() {
    let mut node = Node::new(&with_two_and_pool());
    let asked = "udp 198.51.100.9:5000 > 192.0.2.10:5353";
    assert_eq!(node.send(HOST, asked).at(ONE), "udp 198.51.100.9:5000 > 10.0.0.1:5353");
    let mut moved = with_two_and_pool();
    moved.nat.floating_ips = vec![floating("two", "192.0.2.10")];
    node.publish(&moved);
    assert_eq!(node.send(HOST, asked).at(TWO), "udp 198.51.100.9:5000 > 10.0.0.2:5353");
    // The old pod does not answer in its name.
    let late = node.send(ONE, "udp 10.0.0.1:5353 > 198.51.100.9:5000").at(HOST);
    assert_eq!(late, "udp 192.0.2.1:5353 > 198.51.100.9:5000");
}

#[test]
fn a_change_in_the_public_vrf_leaves_flows_within_a_private_one_alone() {
    let mut state = usual();
    // Only `blue` looks up in `public`; `red` does not.
    state.vrfs.push(support::vrf("red"));
    state.vifs.push(support::vif("three", "red", &["10.7.0.1"], "02:00:00:00:00:04", 21));
    state.vifs.push(support::vif("four", "red", &["10.7.0.2"], "02:00:00:00:00:05", 22));
    let mut node = Node::new(&state);
    let (three, four) = ((4, [2, 0, 0, 0, 0, 4]), (5, [2, 0, 0, 0, 0, 5]));
    node.send(three, "udp 10.7.0.1:1 > 10.7.0.2:2").at(four);
    state.nat.floating_ips.push(floating("two", "192.0.2.20"));
    state.routes.push(route("public", "100.64.0.0/10", vec![to_tunnel("172.30.0.3", 71)]));
    node.publish(&state);
    let output = node.send(three, "udp 10.7.0.1:1 > 10.7.0.2:2");
    output.assert_moved(&[("three.rx", 1), ("four.tx", 1), ("hits", 1)]);
}

#[test]
fn the_host_and_a_pod_find_the_address_by_arp() {
    let mut node = Node::new(&with_two_and_pool());
    for (vif, sender, target) in [
        (HOST, [192, 0, 2, 254], [192, 0, 2, 10]),
        (HOST, [192, 0, 2, 254], [192, 0, 2, 1]),
        (ONE, [10, 0, 0, 1], [192, 0, 2, 20]),
    ] {
        let (slot, mac) = vif;
        let question = [&[0, 1, 8, 0, 6, 4, 0, 1][..], &mac, &sender, &[0; 6], &target].concat();
        let frame = [&[0xff; 6][..], &mac, &[0x81, 0, 0, slot as u8, 8, 6], &question].concat();
        let output = node.step(Side::Trunk, &frame);
        let answer = &output.trunk[0];
        assert_eq!((&answer[24..26], &answer[26..32]), (&[0, 2][..], &[0, 0, 0x5e, 0, 1, 0][..]));
    }
}
