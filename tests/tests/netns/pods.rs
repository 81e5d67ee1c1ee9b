//! Pods reach each other by the routes of their own VRF.

use std::time::Duration;

use tests::{Lab, Plan, eventually, tcp_greeting};

use crate::TARGET;

#[test]
fn ping_between_nodes_costs_one_hop() {
    let lab = Lab::start("ping", Plan::two_nodes().pod("left", "node-a").pod("right", "node-b"));
    assert_eq!(lab.pod("left").ping("10.0.2.2").ttl(), 63);
    assert_eq!(lab.pod("right").ping("10.0.1.2").ttl(), 63);
    assert_eq!(lab.pod("left").ping("fd00:2::2").ttl(), 63);
    assert_eq!(lab.pod("right").ping("fd00:1::2").ttl(), 63);
}

#[test]
fn ping_between_pods_of_one_node_costs_one_hop() {
    let lab = Lab::start("ping-local", Plan::two_nodes().pod("left", "node-a").pod("right", "node-a"));
    assert_eq!(lab.pod("left").ping("10.0.1.3").ttl(), 63);
    assert_eq!(lab.pod("right").ping("fd00:1::2").ttl(), 63);
}

#[test]
fn tunnels_over_ipv6_carry_both_families() {
    let plan = Plan::two_nodes().ipv6_underlay().pod("left", "node-a").pod("right", "node-b");
    let lab = Lab::start("underlay6", plan);
    let _server = lab.pod("right").serve_tcp(TARGET);
    assert_eq!(lab.pod("left").ping("10.0.2.2").ttl(), 63);
    assert_eq!(lab.pod("left").ping("fd00:2::2").ttl(), 63);
    for address in ["10.0.2.2:8080", "[fd00:2::2]:8080"] {
        let stream = lab.pod("left").namespace.connect(address).unwrap();
        tests::transfer(stream, 1_000_000).unwrap();
    }
}

#[test]
fn vrfs_with_equal_addresses_stay_apart() {
    let plan = Plan::two_nodes()
        .pod_in("blue", "blue-1", "node-a")
        .pod_in("blue", "blue-2", "node-b")
        .pod_in("green", "green-1", "node-a")
        .pod_in("green", "green-2", "node-b")
        .pod_in("red", "red-1", "node-a");
    let lab = Lab::start("vrfs", plan);
    let _servers = ["blue-2", "green-2"].map(|name| lab.pod(name).serve_tcp(TARGET));
    for (client, server) in [("blue-1", "blue-2"), ("green-1", "green-2")] {
        let stream = lab.pod(client).namespace.connect("10.0.2.2:8080").unwrap();
        let greeting = tcp_greeting(&stream).unwrap();
        assert_eq!((greeting.backend.as_str(), greeting.client), (server, stream.local_addr().unwrap()));
    }

    // The red VRF has the same client address, but nobody to talk to.
    let red = lab.pod("red-1");
    assert_eq!(red.ping("10.0.2.2").answers(), 0);
    assert!(red.namespace.connect_within("10.0.2.2:8080", Duration::from_secs(1)).is_err());
    eventually(2, "the drops are counted", || lab.node("node-a").metrics().drops("no_route") >= 3.0);
}

#[test]
fn a_ping_that_may_take_one_hop_only_is_told_so_by_the_gateway() {
    let lab = Lab::start("ttl", Plan::two_nodes().pod("left", "node-a").pod("right", "node-b"));
    for (to, says) in [("10.0.2.2", "Time to live exceeded"), ("fd00:2::2", "Time exceeded: Hop limit")] {
        let output = lab.pod("left").namespace.attempt(&format!("ping -n -c 1 -t 1 -W 1 {to}"));
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(shown.contains(says), "{shown}");
        assert!(lab.pod("left").ping(to).ttl() == 63);
    }
    assert_eq!(lab.node("node-a").metrics().drops("ttl_exceeded"), 2.0);
}
