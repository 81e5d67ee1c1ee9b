//! ClusterIPs, over TCP and UDP, from the client's own node and from another.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use tests::{Greeting, Lab, Pod, Server, echo, tcp, tcp_greeting, udp, udp_greeting};

use crate::{PORT, TARGET, remote_backend, three_backends};

const CONNECTIONS: usize = 60;

/// Fails unless the kernel leaves segmentation and checksums to the device, as it does by default.
fn assert_offloads_are_on(pod: &Pod) {
    let features = pod.namespace.run("ethtool -k eth0");
    for feature in ["tx-checksumming: on", "tcp-segmentation-offload: on", "generic-segmentation-offload: on"]
    {
        assert!(features.contains(feature), "{}: no `{feature}` in\n{features}", pod.plan.name);
    }
}

/// One TCP connection: the backend sees the client itself, and 64 KiB go there and back.
fn tcp_visit(client: &Pod, service: &str) -> Greeting {
    let mut stream = client.namespace.connect(service).unwrap();
    let greeting = tcp_greeting(&stream).unwrap();
    assert_eq!(greeting.client, stream.local_addr().unwrap());
    echo(&mut stream, &[0x5a; 0x10000]).unwrap();
    greeting
}

/// One UDP socket, two datagrams: the same backend answers both, and sees the client itself.
fn udp_visit(client: &Pod, service: &str, own: &str) -> Greeting {
    let socket = client.namespace.udp(&format!("{own}:0"));
    let greeting = udp_greeting(&socket, service, b"question").unwrap();
    assert_eq!(greeting.client, socket.local_addr().unwrap());
    assert_eq!(udp_greeting(&socket, service, &[0xa5; 1200]).unwrap(), greeting);
    greeting
}

/// How many visits each backend got; every one of the three must get some.
fn spread(visit: impl Fn() -> Greeting) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    (0..CONNECTIONS).for_each(|_| *counts.entry(visit().backend).or_insert(0) += 1);
    assert_eq!(counts.keys().collect::<Vec<_>>(), ["web-1", "web-2", "web-3"], "{counts:?}");
    assert_eq!(counts.values().sum::<usize>(), CONNECTIONS);
    counts
}

fn serve(lab: &Lab, pods: &[&str]) -> Vec<Server> {
    pods.iter().flat_map(|name| [lab.pod(name).serve_tcp(TARGET), lab.pod(name).serve_udp(TARGET)]).collect()
}

#[test]
fn tcp_spreads_over_local_and_remote_backends() {
    let lab = Lab::start("service-tcp", three_backends().pod("client-b", "node-b"));
    let _servers = serve(&lab, &["web-1", "web-2", "web-3"]);
    for name in ["client", "client-b", "web-1", "web-2", "web-3"] {
        assert_offloads_are_on(lab.pod(name));
    }
    for client in ["client", "client-b"] {
        spread(|| tcp_visit(lab.pod(client), &format!("10.96.0.10:{PORT}")));
        spread(|| tcp_visit(lab.pod(client), &format!("[fd00:96::10]:{PORT}")));
    }
}

#[test]
fn udp_spreads_over_local_and_remote_backends() {
    let lab = Lab::start("service-udp", three_backends());
    let _servers = serve(&lab, &["web-1", "web-2", "web-3"]);
    let client = lab.pod("client");
    spread(|| udp_visit(client, &format!("10.96.0.10:{PORT}"), "10.0.1.2"));
    spread(|| udp_visit(client, &format!("[fd00:96::10]:{PORT}"), "[fd00:1::2]"));
}

#[test]
fn a_backend_on_the_clients_node_needs_no_tunnel() {
    let mut plan = three_backends();
    *plan.backends("web") = vec!["web-1".to_owned()];
    let lab = Lab::start("service-local", plan);
    let _servers = serve(&lab, &["web-1"]);
    let uplink = |lab: &Lab| lab.node("node-a").metrics().sum("vrouter_packets_total", &["uplink"]);
    let before = uplink(&lab);
    for _ in 0..10 {
        assert_eq!(tcp_visit(lab.pod("client"), "10.96.0.10:80").backend, "web-1");
        assert_eq!(udp_visit(lab.pod("client"), "[fd00:96::10]:80", "[fd00:1::2]").backend, "web-1");
    }
    assert_eq!(uplink(&lab), before, "packets of one node went over the uplink");
}

#[test]
fn a_pod_reaches_itself_through_its_service() {
    let mut plan = three_backends();
    *plan.backends("web") = vec!["web-2".to_owned()];
    let lab = Lab::start("hairpin", plan);
    let _servers = serve(&lab, &["web-2"]);
    let pod = lab.pod("web-2");
    for service in ["10.96.0.10:80", "[fd00:96::10]:80"] {
        for _ in 0..20 {
            let mut stream = pod.namespace.connect(service).unwrap();
            let greeting = tcp_greeting(&stream).unwrap();
            assert_eq!(greeting.backend, "web-2");
            // Else the pod would answer itself directly, past the vrouter.
            assert_ne!(greeting.client.ip(), stream.local_addr().unwrap().ip());
            echo(&mut stream, &[7; 20_000]).unwrap();
        }
    }
    for (service, own) in [("10.96.0.10:80", "10.0.2.2:0"), ("[fd00:96::10]:80", "[fd00:2::2]:0")] {
        for _ in 0..20 {
            let socket = pod.namespace.udp(own);
            let greeting = udp_greeting(&socket, service, b"to myself").unwrap();
            assert_eq!(greeting.backend, "web-2");
            assert_ne!(greeting.client.ip(), socket.local_addr().unwrap().ip());
        }
    }
}

/// Asserts that `address` answers TCP and UDP as a closed port does: at once, and by a refusal.
fn assert_refused(client: &Pod, address: &str) {
    let error = client.namespace.connect(address).expect_err("a closed port takes no connection");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "TCP to {address}: {error}");
    let own = if address.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
    let socket = client.namespace.udp(own);
    socket.connect(address).unwrap();
    socket.send(b"anybody?").unwrap();
    let error = socket.recv(&mut [0; 16]).expect_err("nobody answers");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "UDP to {address}: {error}");
}

#[test]
fn ports_that_nothing_is_behind_are_closed_ports() {
    let plan = remote_backend().service("empty", &[tcp(PORT, TARGET), udp(PORT, TARGET)], &[]);
    let lab = Lab::start("service-closed", plan);
    let client = lab.pod("client");
    let node = lab.node("node-a");
    for (unmapped, empty) in [("10.96.0.10:81", "10.96.0.11:80"), ("[fd00:96::10]:81", "[fd00:96::11]:80")] {
        assert_refused(client, unmapped);
        assert_refused(client, empty);
    }
    assert_eq!(node.metrics().drops("service_port_unmapped"), 4.0);
    assert_eq!(node.metrics().drops("service_no_backend"), 4.0);
}
