//! Interfaces and neighbours that come, go and change while the daemon runs.

use serde_json::Value;
use tests::{Lab, Node, Plan, eventually};

use crate::remote_backend;

fn vif(node: &Node, name: &str) -> Value {
    node.json(&format!("/vif/{name}"))
}

/// Waits until pings of the client reach the other node again.
fn heals(lab: &Lab, seconds: u64) {
    eventually(seconds, "pings get through", || lab.pod("client").ping("10.0.2.2").answers() == 3);
    assert_eq!(lab.pod("client").ping("10.0.2.2").ttl(), 63);
}

#[test]
fn a_vif_waits_for_its_interface() {
    let lab = Lab::start("later", Plan::two_nodes().pod("left", "node-a").later("right", "node-a"));
    let node = lab.node("node-a");
    let down = || {
        let view = vif(node, "right");
        view["state"] == "down" && view["reason"].as_str().is_some_and(|reason| reason.contains("veth-right"))
    };
    eventually(2, "the vif is down because of its interface", down);
    lab.plug("right");
    eventually(5, "the vif comes up", || vif(node, "right")["state"] == "up");
    assert_eq!(lab.pod("left").ping("10.0.1.3").ttl(), 63);

    node.namespace.ip("link del veth-right\n");
    eventually(5, "the vif goes down with its interface", down);
    lab.plug("right");
    eventually(5, "the vif comes up again", || vif(node, "right")["state"] == "up");
    assert_eq!(lab.pod("right").ping("10.0.1.2").ttl(), 63);
}

#[test]
fn the_uplink_goes_down_and_comes_back() {
    let lab = Lab::start("uplink-down", remote_backend());
    let node = lab.node("node-a");
    heals(&lab, 5);
    node.namespace.ip("link set eth0 down\n");
    eventually(5, "the index page says that the uplink is down", || {
        node.json("/")["uplink"]["link"]["state"] == "down"
    });
    assert_eq!(lab.pod("client").ping("10.0.2.2").answers(), 0);
    node.namespace.ip("link set eth0 up\n");
    heals(&lab, 15);
    assert_eq!(node.json("/")["uplink"]["link"]["state"], "up");
}

#[test]
fn the_carrier_of_the_uplink_goes_and_comes_back() {
    let lab = Lab::start("carrier", remote_backend());
    let node = lab.node("node-a");
    heals(&lab, 5);
    lab.fabric().ip("link set node-a down\n");
    eventually(5, "the index page says that the uplink is down", || {
        node.json("/")["uplink"]["link"]["state"] == "down"
    });
    lab.fabric().ip("link set node-a up\n");
    heals(&lab, 15);
}

#[test]
fn a_new_mac_of_the_uplink_is_followed_by_both_nodes() {
    let lab = Lab::start("mac", remote_backend());
    heals(&lab, 5);
    let node = lab.node("node-b");
    node.namespace.ip("link set eth0 address 02:00:00:00:fe:02\n");
    eventually(5, "node B knows its own address", || node.json("/")["uplink"]["mac"] == "02:00:00:00:fe:02");
    // Node A learns it as its kernel does: the neighbour is confirmed or asked again within some seconds.
    heals(&lab, 30);
    let tunnels = lab.node("node-a").json("/tunnels");
    assert_eq!(tunnels[0]["mac"], "02:00:00:00:fe:02", "{tunnels}");
}

#[test]
fn the_tunnel_address_goes_and_comes_back() {
    let lab = Lab::start("address", remote_backend());
    heals(&lab, 5);
    let node = lab.node("node-b");
    node.namespace.ip("address del 172.30.0.2/24 dev eth0\n");
    eventually(5, "the index page says that the address is missing", || {
        node.json("/")["uplink"]["link"]["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("172.30.0.2"))
    });
    node.namespace.ip("address add 172.30.0.2/24 dev eth0\n");
    heals(&lab, 15);
}

#[test]
fn an_unresolved_neighbour_is_counted_and_healed() {
    let mut lab = Lab::new("neighbour", remote_backend());
    lab.fabric().ip("link set node-b nomaster\n");
    lab.node_mut("node-a").spawn();
    lab.node_mut("node-b").spawn();
    let node = lab.node("node-a");
    eventually(20, "the daemon answers", || node.get("/healthz").is_ok_and(|answer| answer.status == 200));
    eventually(10, "the tunnel endpoint is not reached", || {
        let tunnels = node.json("/tunnels");
        ["unresolved", "failed"].iter().any(|reach| tunnels[0]["reach"] == *reach)
    });
    assert_eq!(lab.pod("client").ping("10.0.2.2").answers(), 0);
    eventually(2, "the drops are counted", || node.metrics().drops("no_neighbour") >= 3.0);
    lab.fabric().ip("link set node-b master bridge\n");
    heals(&lab, 15);
}

/// Sockets and programs are bound to devices; one that is made again under the same name is another.
#[test]
fn a_removed_device_ends_the_daemon_with_a_word_and_a_start_heals() {
    let mut lab = Lab::start("device-gone", remote_backend());
    heals(&lab, 5);
    lab.node("node-a").namespace.ip("link del vr-trunk0\n");
    let (status, log) = lab.node_mut("node-a").ends();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("vr-trunk0 has been removed"), "{log}");
    lab.node_mut("node-a").spawn();
    lab.node_mut("node-a").wait_ready();
    heals(&lab, 15);

    lab.fabric().ip("link del node-b\n");
    let (status, log) = lab.node_mut("node-b").ends();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("eth0 has been removed"), "{log}");
}
