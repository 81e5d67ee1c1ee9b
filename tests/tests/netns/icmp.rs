//! ICMP errors as the pods' kernels and tools understand them: hops, path MTU, closed ports.

use std::io::ErrorKind;
use std::time::Duration;

use tests::{Lab, Plan, Pod, transfer};

use crate::{TARGET, remote_backend};

/// An uplink that leaves 1468 bytes for the packets of pods, whose interfaces have 1500.
const UPLINK_MTU: u16 = 1500;
const SOME: usize = 5_000_000;

/// The addresses of the hops that a tool has printed as `<number> <address>`, without the interface of a
/// link-local one, each once.
fn hops(printed: &str) -> Vec<String> {
    let mut hops: Vec<String> = printed.lines().skip(1).filter_map(hop).collect();
    hops.dedup();
    hops
}

fn hop(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    words.next()?.trim_end_matches(':').parse::<u8>().ok()?;
    words.next()?.split('%').next().map(str::to_owned)
}

fn traceroute(client: &Pod, how: &str, to: &str) {
    let printed = client.namespace.run(&format!("traceroute -n -q 1 -w 2 -m 4 {how} {to}"));
    let gateway = if to.contains(':') { "fe80::1" } else { "169.254.1.1" };
    assert_eq!(hops(&printed), [gateway, to], "{how}: {printed}");
}

#[test]
fn traceroute_shows_the_gateway_and_the_target() {
    let lab = Lab::start("traceroute", remote_backend());
    let _server = lab.pod("web").serve_tcp(80);
    let client = lab.pod("client");
    for pod in ["10.0.2.2", "fd00:2::2"] {
        traceroute(client, "-U", pod);
        traceroute(client, "-I", pod);
        traceroute(client, "-T -p 80", pod);
    }
}

#[test]
fn traceroute_by_tcp_goes_through_the_service() {
    let lab = Lab::start("traceroute-service", remote_backend());
    let _server = lab.pod("web").serve_tcp(TARGET);
    for service in ["10.96.0.10", "fd00:96::10"] {
        traceroute(lab.pod("client"), "-T -p 80", service);
    }
}

/// 50 at once and 100 a second of each vif; the rest is counted, and told to nobody.
#[test]
fn a_flood_of_packets_that_die_is_answered_at_a_limited_rate() {
    const FLOOD: usize = 1000;
    let lab = Lab::start("icmp-limit", remote_backend().pod("other", "node-a"));
    let node = lab.node("node-a");
    let (client, other) = (lab.pod("client"), lab.pod("other"));
    let before = node.metrics().sum("vrouter_generated_packets_total", &[]);
    let start = std::time::Instant::now();
    let line = format!("ping -n -q -t 1 -i 0.002 -c {FLOOD} -W 1 10.0.2.2");
    let printed = String::from_utf8(client.namespace.attempt(&line).stdout).unwrap();
    let most = 50.0 + 100.0 * start.elapsed().as_secs_f64();
    assert_eq!(node.metrics().drops("ttl_exceeded"), FLOOD as f64);
    let answers = node.metrics().sum("vrouter_generated_packets_total", &[]) - before;
    // A few answers to ARP and neighbour solicitations are among them.
    assert!(
        (50.0..most + 20.0).contains(&answers) && answers < 0.8 * FLOOD as f64,
        "{answers} of {most}: {printed}"
    );
    let errors: f64 = printed.split('+').nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(errors <= answers, "{errors} seen of {answers}: {printed}");

    // Another pod has a budget of its own.
    traceroute(other, "-U", "10.0.2.2");
    std::thread::sleep(Duration::from_millis(600));
    traceroute(client, "-U", "10.0.2.2");
}

#[test]
fn tracepath_finds_the_hops_and_the_path_mtu() {
    let (over_ipv4, over_ipv6) = (remote_backend(), remote_backend().ipv6_underlay());
    for (test, plan, mtu, expected) in [
        ("path-large", over_ipv4.clone(), 1600, 1500),
        ("path-small", over_ipv4, UPLINK_MTU, 1468),
        ("path-small6", over_ipv6, UPLINK_MTU, 1448),
    ] {
        let lab = Lab::start(test, plan.uplink_mtu(mtu));
        for (gateway, pod) in [("169.254.1.1", "10.0.2.2"), ("fe80::1", "fd00:2::2")] {
            let printed = lab.pod("client").namespace.run(&format!("tracepath -n -m 4 {pod}"));
            let seen = hops(&printed);
            assert_eq!(seen, [gateway, pod], "{printed}");
            let resume = format!("Resume: pmtu {expected} hops 2 back 2");
            assert!(printed.contains(&resume), "no `{resume}` in\n{printed}");
        }
    }
}

#[test]
fn a_closed_port_of_the_backend_refuses_datagrams_to_the_service() {
    let plan = remote_backend().pod("near", "node-a").service("near", &[tests::udp(80, TARGET)], &["near"]);
    let lab = Lab::start("closed-port", plan);
    let client = lab.pod("client");
    for service in ["10.96.0.10:80", "[fd00:96::10]:80", "10.96.0.11:80", "[fd00:96::11]:80"] {
        let own = if service.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
        let socket = client.namespace.udp(own);
        socket.connect(service).unwrap();
        socket.send(b"anybody?").unwrap();
        let error = socket.recv(&mut [0; 16]).expect_err("the port is closed");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{service}: {error}");
    }
    for node in ["node-a", "node-b"] {
        assert_eq!(lab.node(node).metrics().drops("service_no_backend"), 0.0, "{node}");
    }
}

/// Addresses of both families, and a port.
type Target = ([&'static str; 2], u16);
const ROUTE: Target = (["10.0.2.2", "fd00:2::2"], TARGET);
const SERVICE: Target = (["10.96.0.10", "fd00:96::10"], 80);

/// What both ends know of the path MTU after a transfer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PathMtu {
    Learned,
    NotMet,
}

/// Whether the pod's kernel has learned that larger packets do not fit on the path to `to`.
fn has_learned(pod: &Pod, to: &str) -> bool {
    pod.namespace.run(&format!("ip route get {to}")).contains("mtu 1468")
}

/// Some MB to the target, there and back, by both families, where pods send larger packets than fit. Each target needs pods of its own: a pod that has learned
/// something lets the other end know by the MSS of its next SYN.
fn transfers(test: &str, plan: Plan, (addresses, port): Target, expected: PathMtu) {
    let lab = Lab::start(test, plan.uplink_mtu(UPLINK_MTU));
    let _server = lab.pod("web").serve_tcp(TARGET);
    let (client, web) = (lab.pod("client"), lab.pod("web"));
    for (to, back) in addresses.into_iter().zip(["10.0.1.2", "fd00:1::2"]) {
        let to_port = if to.contains(':') { format!("[{to}]:{port}") } else { format!("{to}:{port}") };
        let stream = client.namespace.connect_within(&to_port, Duration::from_secs(30)).unwrap();
        transfer(stream, SOME).unwrap_or_else(|error| panic!("{to_port}: {error}"));
        assert_eq!(
            [has_learned(client, to), has_learned(web, back)],
            [expected == PathMtu::Learned; 2],
            "client, web: {to_port}"
        );
    }
}

#[test]
fn a_clamped_mss_keeps_segments_within_the_path_mtu() {
    transfers("mss-on", remote_backend(), ROUTE, PathMtu::NotMet);
    transfers("mss-on-service", remote_backend(), SERVICE, PathMtu::NotMet);
}

#[test]
fn without_the_clamp_both_ends_learn_the_path_mtu() {
    let plan = remote_backend().node_line("mss_clamp = \"off\"");
    transfers("mss-off", plan.clone(), ROUTE, PathMtu::Learned);
    transfers("mss-off-service", plan, SERVICE, PathMtu::Learned);
}
