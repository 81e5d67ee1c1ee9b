//! Source NAT and floating IPs, between pods and a host outside that knows public addresses only.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::SocketAddr;

use tests::{Lab, Outside, Plan, Pod, echo, eventually, tcp_greeting, transfer, udp_greeting};

use crate::TARGET;

/// The host outside, and the pool of node A, by family.
const FAMILIES: [(&str, &str); 2] = [("198.51.100.9", "192.0.2.17"), ("[2001:db8:99::9]", "[2001:db8:1::1]")];
/// The floating IPs that the pod `named` has, by family.
const NAMED: [&str; 2] = ["192.0.2.26", "[2001:db8:1::a]"];

/// Two pods on node A without an address of their own, one with; one on node B.
fn plan() -> Plan {
    Plan::two_nodes()
        .pod("one", "node-a")
        .pod("two", "node-a")
        .pod("named", "node-a")
        .pod("far", "node-b")
        .public()
        .floating("named", 10)
}

fn bare(address: &str) -> &str {
    address.trim_matches(['[', ']'])
}

/// The address from which a UDP server sees a socket of the pod that is bound to a port.
fn seen_by_udp(pod: &Pod, port: u16, server: &str) -> SocketAddr {
    let own = if server.starts_with('[') { "[::]" } else { "0.0.0.0" };
    let socket = pod.namespace.udp(&format!("{own}:{port}"));
    udp_greeting(&socket, server, b"who am I?").unwrap().client
}

/// The same over TCP; the connection stays open with the value.
fn seen_by_tcp(pod: &Pod, server: &str) -> (SocketAddr, std::net::TcpStream) {
    let mut stream = pod.namespace.connect(server).unwrap();
    let greeting = tcp_greeting(&stream).unwrap();
    echo(&mut stream, &[0x5a; 100_000]).unwrap();
    (greeting.client, stream)
}

fn serve(outside: &Outside) -> [tests::Server; 2] {
    [outside.serve_tcp(TARGET), outside.serve_udp(TARGET)]
}

#[test]
fn pods_reach_the_outside_with_the_address_of_the_pool() {
    let lab = Lab::start("nat-pool", plan());
    let outside = lab.outside("node-a");
    let _servers = serve(&outside);
    for (host, pool) in FAMILIES {
        let server = format!("{host}:{TARGET}");
        let pool: SocketAddr = format!("{pool}:0").parse().unwrap();
        for pod in ["one", "two"] {
            let pod = lab.pod(pod);
            // The pod's gateway, and the node's own kernel.
            assert_eq!(pod.ping(bare(host)).ttl(), 62);
            let (client, stream) = seen_by_tcp(pod, &server);
            assert_eq!((client.ip(), client.port()), (pool.ip(), stream.local_addr().unwrap().port()));
            transfer(pod.namespace.connect(&server).unwrap(), 3_000_000).unwrap();
        }
        // Both pods from one port, one after the other and at once.
        let seen = ["one", "two"].map(|pod| seen_by_udp(lab.pod(pod), 40_000, &server));
        assert!(seen.iter().all(|client| client.ip() == pool.ip()), "{seen:?}");
        assert!(seen[0].port() == 40_000 && seen[1].port() != 40_000, "{seen:?}");
    }
    let (came, went) = lab.node("node-a").metrics().sides();
    assert_eq!(came, went);
}

#[test]
fn the_host_can_masquerade_the_pool() {
    let lab = Lab::start("nat-host", plan());
    let outside = lab.outside("node-a");
    let _servers = serve(&outside);
    outside.namespace.ip("route del 192.0.2.16/28\nroute del 2001:db8:1::/64\n");
    let node = lab.node("node-a");
    for command in [
        "add table inet nat",
        "add chain inet nat postrouting { type nat hook postrouting priority 100 ; }",
        "add rule inet nat postrouting iifname vhost0 oifname out0 masquerade",
    ] {
        node.namespace.run(&format!("nft {command}"));
    }
    for (server, own) in [("198.51.100.9", "198.51.100.1"), ("[2001:db8:99::9]", "2001:db8:99::1")] {
        for pod in ["one", "two"].map(|pod| lab.pod(pod)) {
            let (client, _) = seen_by_tcp(pod, &format!("{server}:{TARGET}"));
            assert_eq!(client.ip().to_string(), own);
            assert_eq!(seen_by_udp(pod, 40_000, &format!("{server}:{TARGET}")).ip().to_string(), own);
            assert_eq!(pod.ping(bare(server)).answers(), 3);
        }
    }
}

#[test]
fn errors_come_back_through_the_pool() {
    let lab = Lab::start("nat-errors", plan());
    let outside = lab.outside("node-a");
    let pod = lab.pod("one");
    for (host, own) in [("198.51.100.9", "0.0.0.0:0"), ("[2001:db8:99::9]", "[::]:0")] {
        let socket = pod.namespace.udp(own);
        socket.connect(format!("{host}:9")).unwrap();
        socket.send(b"anybody?").unwrap();
        let error = socket.recv(&mut [0; 16]).expect_err("nobody listens");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{host}: {error}");
        let how = ["-U", "-I"];
        for how in how {
            let printed = pod.namespace.run(&format!("traceroute -n -q 1 -w 2 -m 5 {how} {}", bare(host)));
            let last = printed.lines().last().unwrap();
            assert!(last.contains(bare(host)) && last.trim_start().starts_with('3'), "{how}: {printed}");
        }
    }
    // A link outside that takes less than the pods send.
    outside.namespace.ip("link set eth0 mtu 1300\n");
    lab.node("node-a").namespace.ip("link set out0 mtu 1300\n");
    let _server = outside.serve_tcp(TARGET);
    for (host, _) in FAMILIES {
        transfer(pod.namespace.connect(&format!("{host}:{TARGET}")).unwrap(), 1_000_000).unwrap();
    }
}

#[test]
fn one_mapping_holds_for_all_destinations_where_that_is_asked_for() {
    let plan = plan().pool_key("mapping = \"endpoint-independent\"").pool_key("ports = \"5000-5999\"");
    let lab = Lab::start("nat-mapping", plan);
    let outside = lab.outside("node-a");
    let _servers = [TARGET, 9090].map(|port| outside.serve_udp(port));
    let seen_by = |port| seen_by_udp(lab.pod("one"), 40_000, &format!("198.51.100.9:{port}"));
    let seen: BTreeSet<_> = [TARGET, 9090, TARGET].map(seen_by).into();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(seen.iter().all(|client| (5000..6000).contains(&client.port())), "{seen:?}");
    let flows = lab.node("node-a").json("/flows");
    let mut states = flows["flows"].as_array().unwrap().iter().map(|flow| &flow["state"]);
    assert!(states.any(|state| state == "nat_mapping"), "{flows}");
}

#[test]
fn a_floating_ip_works_both_ways_and_goes_when_it_is_taken_away() {
    let mut lab = Lab::start("nat-floating", plan());
    let outside = lab.outside("node-a");
    let _servers = serve(&outside);
    let (named, one, far) = (lab.pod("named"), lab.pod("one"), lab.pod("far"));
    let _inside = [named.serve_tcp(TARGET), named.serve_udp(TARGET)];
    for ((host, _), floating) in FAMILIES.into_iter().zip(NAMED) {
        let address: SocketAddr = format!("{floating}:0").parse().unwrap();
        // Out.
        let (client, _) = seen_by_tcp(named, &format!("{host}:{TARGET}"));
        assert_eq!(client.ip(), address.ip());
        assert_eq!(
            seen_by_udp(named, 40_000, &format!("{host}:{TARGET}")),
            SocketAddr::new(address.ip(), 40_000)
        );
        assert_eq!(named.ping(bare(host)).ttl(), 62);
        // In.
        assert_eq!(outside.ping(bare(floating)).ttl(), 62);
        let stream = outside.namespace.connect(&format!("{floating}:{TARGET}")).unwrap();
        let greeting = tcp_greeting(&stream).unwrap();
        assert_eq!((greeting.backend.as_str(), greeting.client), ("named", stream.local_addr().unwrap()));
        transfer(outside.namespace.connect(&format!("{floating}:{TARGET}")).unwrap(), 1_000_000).unwrap();
        // From a pod of this node, from one of the other by tunnel, and from itself.
        for pod in [one, far, named] {
            let (client, _) = seen_by_tcp(pod, &format!("{floating}:{TARGET}"));
            let expected =
                [&["192.0.2.17", "2001:db8:1::1"][..], &["192.0.2.33", "2001:db8:2::1"], &NAMED.map(bare)];
            let place = ["one", "far", "named"].iter().position(|name| *name == pod.plan.name).unwrap();
            assert!(
                expected[place].contains(&client.ip().to_string().as_str()),
                "{}: {client}",
                pod.plan.name
            );
            assert!(pod.ping(bare(floating)).answers() == 3, "{}: ping {floating}", pod.plan.name);
        }
    }
    let page = lab.node("node-a").json("/vif/named");
    assert_eq!(page["floating_ips"][0], serde_json::json!({ "address": "192.0.2.26", "vrf": "public" }));

    // Without it the connection is reset, and the pod is one of many.
    let (_, mut open) = seen_by_tcp(named, "198.51.100.9:8080");
    lab.plan.no_floating("named");
    lab.reload();
    let named = lab.pod("named");
    eventually(5, "the connection is reset", || {
        echo(&mut open, b"still there?").is_err_and(|error| error.kind() != ErrorKind::WouldBlock)
    });
    let (client, _) = seen_by_tcp(named, "198.51.100.9:8080");
    assert_eq!(client.ip().to_string(), "192.0.2.17");
    assert_eq!(outside.ping("192.0.2.26").answers(), 0);
    assert!(lab.node("node-a").metrics().drops("nat_mapping_gone") >= 1.0);
}

#[test]
fn what_nobody_asked_for_leaves_no_trace() {
    let lab = Lab::start("nat-unasked", plan());
    let outside = lab.outside("node-a");
    let node = lab.node("node-a");
    let flows = || node.json("/flows")["total"].as_u64().unwrap();
    let before = flows();
    let socket = outside.namespace.udp("198.51.100.9:4000");
    for port in [1, 1024, 40_000] {
        socket.send_to(b"hello", format!("192.0.2.17:{port}")).unwrap();
    }
    eventually(5, "the drops are counted", || node.metrics().drops("nat_no_mapping") >= 3.0);
    // An address of ours that nobody has does not go round between the host and the vrouter.
    assert_eq!(outside.ping("192.0.2.20").answers(), 0);
    assert!(node.metrics().drops("discard_route") >= 3.0);
    assert_eq!(flows(), before);
}
