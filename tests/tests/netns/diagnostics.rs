//! The pages of the HTTP server agree with the traffic that was sent.

use tests::{Lab, Node, eventually, udp_greeting};

use crate::{TARGET, three_backends};

const DATAGRAMS: u64 = 200;
/// ARP and neighbour discovery between pod and vrouter during a test.
const NOISE: u64 = 20;

fn rx_packets(node: &Node, vif: &str) -> u64 {
    node.json(&format!("/vif/{vif}"))["traffic"]["rx"]["packets"].as_u64().unwrap()
}

#[test]
fn the_page_of_a_vif_counts_its_packets() {
    let lab = Lab::start("diag-vif", three_backends());
    let _server = lab.pod("web-2").serve_udp(TARGET);
    let node = lab.node("node-a");
    let socket = lab.pod("client").namespace.udp("10.0.1.2:0");
    let before = rx_packets(node, "client");
    for _ in 0..DATAGRAMS {
        udp_greeting(&socket, "10.0.2.2:8080", b"count me").unwrap();
    }
    let counted = rx_packets(node, "client") - before;
    assert!((DATAGRAMS..DATAGRAMS + NOISE).contains(&counted), "{counted} of {DATAGRAMS}");

    let page = node.get("/vif/client").unwrap();
    assert_eq!(page.status, 200);
    assert!(page.headers.contains("text/html"), "{}", page.headers);
    for shown in ["client", "10.0.1.2", "fd00:1::2", "blue", "veth-client"] {
        assert!(page.body.contains(shown), "no {shown} in {}", page.body);
    }
    let view = node.json("/vif/client");
    assert_eq!((view["name"].as_str(), view["label"].as_u64()), (Some("client"), Some(17)));
    assert_eq!((view["state"].as_str(), view["mac"].as_str()), (Some("up"), Some("02:00:00:00:01:00")));
    assert_eq!(node.get("/vif/nobody").unwrap().status, 404);
}

#[test]
fn every_page_is_served_as_html_and_json() {
    let lab = Lab::start("diag-pages", three_backends());
    let node = lab.node("node-a");
    let pages = [
        "/",
        "/vifs",
        "/vrfs",
        "/routes",
        "/nexthops",
        "/labels",
        "/services",
        "/flows",
        "/drops",
        "/tunnels",
    ];
    for page in pages {
        let html = node.get(page).unwrap();
        assert_eq!(html.status, 200, "{page}");
        assert!(html.headers.contains("text/html") && html.body.contains("node-a"), "{page}: {}", html.body);
        node.json(page);
    }
    assert_eq!(node.json("/vifs").as_array().map(Vec::len), Some(2));
    for probe in ["/healthz", "/readyz"] {
        assert_eq!(node.get(probe).unwrap().status, 200, "{probe}");
    }
    assert_eq!(node.get("/nowhere").unwrap().status, 404);
}

#[test]
fn every_packet_is_accounted_for() {
    let lab = Lab::start("diag-sum", three_backends());
    let _servers = ["web-1", "web-2", "web-3"].map(|name| lab.pod(name).serve_tcp(TARGET));
    let client = lab.pod("client");
    for _ in 0..10 {
        tests::transfer(client.namespace.connect("10.96.0.10:80").unwrap(), 100_000).unwrap();
    }
    assert_eq!(client.ping("10.0.2.2").ttl(), 63);
    // No such address anywhere.
    assert_eq!(client.ping("10.9.9.9").answers(), 0);
    for name in ["node-a", "node-b"] {
        let node = lab.node(name);
        eventually(5, "rx + generated = tx + consumed + drops", || {
            let (came, went) = node.metrics().sides();
            came > 100.0 && came == went
        });
    }
    assert!(lab.node("node-a").metrics().drops("no_route") >= 3.0);
}
