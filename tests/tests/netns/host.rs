//! The node itself as a member of a VRF, by `vhost0`.

use tests::{Lab, tcp_greeting};

use crate::{TARGET, remote_backend};

#[test]
fn the_node_reaches_pods_and_pods_reach_the_node() {
    let lab = Lab::start("host", remote_backend().host("node-a"));
    let node = lab.node("node-a");
    assert_eq!(node.ping("10.0.1.2").ttl(), 63, "node to its own pod");
    assert_eq!(node.ping("10.0.2.2").ttl(), 63, "node to a pod of the other node");
    assert_eq!(lab.pod("client").ping("10.0.1.1").ttl(), 63, "pod to its own node");
    assert_eq!(lab.pod("web").ping("10.0.1.1").ttl(), 63, "pod to the other node");

    let _server = lab.pod("web").serve_tcp(TARGET);
    let stream = node.namespace.connect("10.96.0.10:80").unwrap();
    let greeting = tcp_greeting(&stream).unwrap();
    assert_eq!((greeting.backend.as_str(), greeting.client), ("web", stream.local_addr().unwrap()));
    tests::transfer(node.namespace.connect("10.0.2.2:8080").unwrap(), 1_000_000).unwrap();
}
