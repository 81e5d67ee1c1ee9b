//! Policies: who may begin what with a pod.

use std::io::ErrorKind;
use std::time::Duration;

use tests::{Lab, Plan, Pod, echo, eventually, tcp_greeting};

use crate::{TARGET, remote_backend};

const ONE_SECOND: Duration = Duration::from_secs(1);
const ADDRESSES: [&str; 4] = ["10.0.2.2:8080", "[fd00:2::2]:8080", "10.96.0.10:80", "[fd00:96::10]:80"];
const CLIENT_ONLY: &str =
    "ingress = [{ from = [\"10.0.1.2/32\", \"fd00:1::2/128\"], protocol = \"tcp\", port = 8080 }]";
const NOBODY: &str = "ingress = []";

/// The client and a stranger on node A, another stranger on node B beside the guarded pod.
fn guarded() -> Plan {
    remote_backend().pod("stranger-a", "node-a").pod("stranger-b", "node-b").policy(
        "guard",
        &["web"],
        CLIENT_ONLY,
    )
}

fn assert_no_way_in(pod: &Pod, address: &str) {
    let error = pod.namespace.connect_within(address, ONE_SECOND).expect_err("the policy does not allow it");
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{}: {address}: {error}", pod.plan.name);
}

#[test]
fn only_the_client_gets_in_and_only_to_the_port() {
    let lab = Lab::start("policy", guarded());
    let _servers = [TARGET, 9090].map(|port| lab.pod("web").serve_tcp(port));
    for address in ADDRESSES {
        let mut stream = lab.pod("client").namespace.connect(address).unwrap();
        assert_eq!(tcp_greeting(&stream).unwrap().backend, "web");
        echo(&mut stream, &[1; 50_000]).unwrap();
    }
    let denied = || lab.node("node-b").metrics().drops("policy_denied");
    assert_eq!(denied(), 0.0);
    let mut attempts = 0.0;
    for stranger in ["stranger-a", "stranger-b"] {
        for address in ADDRESSES {
            assert_no_way_in(lab.pod(stranger), address);
            attempts += 1.0;
        }
    }
    assert_no_way_in(lab.pod("client"), "10.0.2.2:9090");
    attempts += 1.0;
    eventually(2, "the drops are counted", || denied() >= attempts);
    assert_eq!(lab.node("node-a").metrics().drops("policy_denied"), 0.0);

    // What the guarded pod begins itself is answered.
    assert_eq!(lab.pod("web").ping("10.0.1.3").ttl(), 63);
}

#[test]
fn a_removed_rule_ends_open_connections_and_a_new_one_lets_in_again() {
    let mut lab = Lab::start("policy-reload", guarded());
    let _server = lab.pod("web").serve_tcp(TARGET);
    for address in ADDRESSES {
        let mut open = lab.pod("client").namespace.connect_within(address, ONE_SECOND).unwrap();
        tcp_greeting(&open).unwrap();
        echo(&mut open, b"allowed").unwrap();

        *lab.plan.rules("guard") = NOBODY.to_owned();
        lab.reload();
        let before = lab.node("node-b").metrics().drops("policy_denied");
        let error = echo(&mut open, b"no longer").expect_err("the rule is gone");
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "{address}: {error}");
        assert!(lab.node("node-b").metrics().drops("policy_denied") > before, "{address}");
        assert_no_way_in(lab.pod("client"), address);

        *lab.plan.rules("guard") = CLIENT_ONLY.to_owned();
        lab.reload();
        let mut again = lab.pod("client").namespace.connect(address).unwrap();
        tcp_greeting(&again).unwrap();
        echo(&mut again, b"allowed again").unwrap();
    }
}
