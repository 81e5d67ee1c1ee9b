//! What the daemon counts by itself and who may see it: traffic between networks, the access token, the log.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use rustix::process::Signal;
use tests::{Lab, eventually, tcp_greeting, transfer, within};

use crate::{PORT, TARGET, remote_backend};

const BYTES: u64 = 500_000;
const SERVICE: &str = "10.96.0.10";

#[test]
fn traffic_to_a_service_is_counted_at_both_nodes() {
    let lab = Lab::start("obs-traffic", remote_backend());
    let _server = lab.pod("web").serve_tcp(TARGET);
    for _ in 0..3 {
        let stream = lab.pod("client").namespace.connect(&format!("{SERVICE}:{PORT}")).unwrap();
        transfer(stream, usize::try_from(BYTES).unwrap()).unwrap();
    }
    for (node, origin) in [("node-a", "pod"), ("node-b", "fabric")] {
        let node = lab.node(node);
        // A round through the table of 262,144 pairs takes 6.4 seconds.
        eventually(20, "the page Traffic has the transfers", || {
            let view = node.json("/traffic");
            let pairs = view["pairs"].as_array().unwrap();
            pairs.iter().any(|pair| {
                pair["service"] == SERVICE
                    && pair["origin"] == origin
                    && pair["flows"] == 3
                    && pair["forward"]["bytes"].as_u64().unwrap() > 3 * BYTES
                    && pair["reverse"]["packets"].as_u64().unwrap() > 3
            })
        });
        let metrics = node.metrics();
        let labels = [&format!("service=\"{SERVICE}\""), &format!("origin=\"{origin}\"")];
        assert_eq!(metrics.sum("vrouter_traffic_flows_total", &labels.map(String::as_str)), 3.0);
        assert!(metrics.sum("vrouter_publication_seconds_count", &["phase=\"compile\""]) >= 1.0);
        assert!(metrics.sum("vrouter_control_lag_seconds_count", &[]) >= 1.0);
        assert!(metrics.sum("vrouter_http_request_seconds_count", &["class=\"json\""]) >= 1.0);
        assert!(metrics.sum("vrouter_ring_frames", &["ring=\"fill\""]) > 0.0);
    }
}

#[test]
fn an_address_that_others_reach_wants_the_token() {
    const TOKEN: &str = "0123456789abcdef0123456789abcdef";
    let mut lab = Lab::start("obs-token", remote_backend());
    let node = lab.node_mut("node-a");
    assert!(node.end(Signal::TERM).success());
    let file = node.config().with_extension("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let config = std::fs::read_to_string(node.config()).unwrap();
    let http = format!("\n[http]\nlisten = \"0.0.0.0:8085\"\ntoken_file = \"{}\"\n", file.display());
    std::fs::write(node.config(), config + &http).unwrap();

    node.spawn();
    let (status, log) = node.ends();
    assert_eq!(status.code(), Some(2), "{log}");
    assert!(log.contains("others may read"), "{log}");

    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    node.spawn();
    within(20, "the daemon is ready", || {
        node.get("/readyz").is_ok_and(|answer| answer.status == 200).then_some(())
    });
    assert_eq!(node.get("/vifs").unwrap().status, 401);
    let curl = "curl -s -o /dev/null -w %{http_code}";
    let other = lab.node("node-b");
    let ask = |rest: &str| other.namespace.run(&format!("{curl} {rest}")).trim().to_owned();
    assert_eq!(ask("http://172.30.0.1:8085/metrics"), "401");
    assert_eq!(ask("http://172.30.0.1:8085/healthz"), "200");
    assert_eq!(ask(&format!("--oauth2-bearer {TOKEN} http://172.30.0.1:8085/metrics")), "200");
    assert_eq!(ask(&format!("-u any:{TOKEN} http://172.30.0.1:8085/vifs")), "200");
    assert_eq!(ask(&format!("-u any:{TOKEN}x http://172.30.0.1:8085/vifs")), "401");
    std::fs::remove_file(file).unwrap();
}

#[test]
fn flow_records_reach_a_collector() {
    let mut lab = Lab::start("obs-export", remote_backend());
    let collector = lab.node("node-b").namespace.udp("172.30.0.2:4739");
    collector.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let node = lab.node_mut("node-a");
    assert!(node.end(Signal::TERM).success());
    let config = std::fs::read_to_string(node.config()).unwrap();
    std::fs::write(node.config(), config + "\n[export]\ncollector = \"172.30.0.2:4739\"\ndomain = 9\n")
        .unwrap();
    node.spawn();
    node.wait_ready();
    assert_eq!(lab.pod("client").ping(&lab.pod("web").plan.ip).answers(), 3);
    let client: std::net::Ipv4Addr = lab.pod("client").plan.ip.parse().unwrap();
    let mut sets = Vec::new();
    within(20, "records of the pings", || {
        let mut message = [0; 2000];
        let length = collector.recv(&mut message).ok()?;
        assert_eq!(
            (&message[..2], &message[12..16]),
            (&[0, 10][..], &[0, 0, 0, 9][..]),
            "version and domain"
        );
        // The first set follows the header of 16 bytes, the first field of a record the set's of 4.
        sets.push(u16::from_be_bytes([message[16], message[17]]));
        let of_client = message[..length].get(20..24) == Some(&client.octets()[..]);
        (sets.last() == Some(&256) && of_client).then_some(())
    });
    assert_eq!(sets[0], 2, "the templates come first");
    assert!(lab.node("node-a").metrics().sum("vrouter_export_records_total", &[]) >= 1.0);
}

#[test]
fn bad_packets_are_counted_and_not_logged() {
    const BAD: usize = 5000;
    let lab = Lab::start("obs-log", remote_backend());
    let _server = lab.pod("web").serve_tcp(TARGET);
    let node = lab.node("node-a");
    let before = node.daemon().log();
    // To an address that no route has, and from one that is not the pod's.
    let socket = lab.pod("client").namespace.udp("10.0.1.2:0");
    for _ in 0..BAD {
        socket.send_to(b"nowhere", "10.9.9.9:9").unwrap();
    }
    eventually(10, "the drops are counted", || node.metrics().drops("no_route") >= 1.0);
    let stream = lab.pod("client").namespace.connect(&format!("{SERVICE}:{PORT}")).unwrap();
    assert_eq!(tcp_greeting(&stream).unwrap().backend, "web");
    let log = node.daemon().log();
    let said = log.strip_prefix(&before).unwrap();
    assert!(said.lines().count() <= 2, "{BAD} bad packets made the daemon say:\n{said}");
    for line in log.lines() {
        let entry: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(entry["timestamp"].is_string() && entry["level"].is_string(), "{line}");
    }
}
