//! Policies of every kind: what a pod may begin, kinds of ICMP, many rules, and what is shown of them.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::time::Duration;

use serde_json::Value;
use tests::{Lab, Node, Plan, echo, eventually, tcp_greeting};

use crate::{TARGET, remote_backend};

const ONE_SECOND: Duration = Duration::from_secs(1);

/// The flows from one address to another, as the pages have them.
fn flows(node: &Node, src: &str, dst: &str) -> Vec<Value> {
    let view = node.json("/flows");
    let all = view["flows"].as_array().unwrap();
    let wanted = |flow: &&Value| {
        flow["forward"]["source"]["address"] == src && flow["forward"]["destination"]["address"] == dst
    };
    all.iter().filter(wanted).cloned().collect()
}

#[test]
fn a_pod_begins_what_its_egress_rules_allow_and_the_rule_is_shown() {
    const RULES: &str = "egress = [\
        { to = [\"10.0.1.0/24\"] }, \
        { name = \"to web\", to = [\"10.0.2.2/32\", \"fd00:2::2/128\"], protocol = \"tcp\", port = \"8000-8080\" }, \
        { to = [\"10.96.0.10/32\"], protocol = \"tcp\", port = 80 }]";
    let lab = Lab::start("egress", remote_backend().policy("out", &["client"], RULES));
    let _servers = [TARGET, 9090].map(|port| lab.pod("web").serve_tcp(port));
    let (client, node) = (&lab.pod("client").namespace, lab.node("node-a"));
    for allowed in ["10.0.2.2:8080", "[fd00:2::2]:8080", "10.96.0.10:80"] {
        let stream = client.connect(allowed).unwrap_or_else(|error| panic!("{allowed}: {error}"));
        assert_eq!(tcp_greeting(&stream).unwrap().backend, "web");
    }
    let denied = || node.metrics().drops("policy_denied");
    assert_eq!(denied(), 0.0);
    for refused in ["10.0.2.2:9090", "[fd00:2::2]:9090", "[fd00:96::10]:80"] {
        let before = denied();
        let error = client.connect_within(refused, ONE_SECOND).expect_err("no rule allows it");
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{refused}: {error}");
        assert!(denied() > before, "{refused}");
    }
    assert_eq!(lab.pod("client").ping("10.0.2.2").answers(), 0, "no rule allows ping");

    let decided = |dst: &str| -> Vec<(Value, Value, Value)> {
        let of = |rule: &Value| (rule["policy"].clone(), rule["number"].clone(), rule["name"].clone());
        flows(node, "10.0.1.2", dst)
            .iter()
            .flat_map(|flow| flow["allowed_by"].as_array().unwrap().iter().map(of))
            .collect()
    };
    assert_eq!(decided("10.0.2.2"), [("out".into(), 1.into(), "to web".into())]);
    assert_eq!(decided("10.96.0.10"), [("out".into(), 2.into(), Value::Null)]);
    let reason = |flow: &Value| flow["drop_reason"] == "policy_denied";
    assert!(flows(node, "10.0.1.2", "10.0.2.2").iter().any(reason), "the refusal is shown");
    let page = node.get("/flows").unwrap().body;
    for shown in [
        "<bdi>out</bdi></a>, <bdi>to web</bdi>: tcp 8000-8080 with",
        "<bdi>out</bdi></a>, rule 2: tcp 80 with",
    ] {
        assert!(page.contains(shown), "no {shown} in {page}");
    }

    // Answers to what others begin are no flows of its own.
    let _server = lab.pod("client").serve_tcp(7070);
    tcp_greeting(&lab.pod("web").namespace.connect("10.0.1.2:7070").unwrap()).unwrap();
}

#[test]
fn kinds_of_icmp_are_told_apart() {
    const PING: &str =
        "ingress = [{ protocol = \"icmp\", icmp_type = 8 }, { protocol = \"icmpv6\", icmp_type = 128 }]";
    const NO_PING: &str =
        "ingress = [{ protocol = \"icmp\", icmp_type = 13 }, { protocol = \"icmpv6\", icmp_type = 139 }]";
    let mut lab = Lab::start("icmp-types", remote_backend().policy("guard", &["web"], PING));
    let _server = lab.pod("web").serve_tcp(TARGET);
    let answers = |lab: &Lab| ["10.0.2.2", "fd00:2::2"].map(|to| lab.pod("client").ping(to).answers());
    assert_eq!(answers(&lab), [3, 3]);
    let error = lab.pod("client").namespace.connect_within("10.0.2.2:8080", ONE_SECOND);
    assert_eq!(error.expect_err("TCP is not ICMP").kind(), ErrorKind::TimedOut);
    *lab.plan.rules("guard") = NO_PING.to_owned();
    lab.reload();
    assert_eq!(answers(&lab), [0, 0]);
}

/// As many rules for others, then one for the client; `turn` makes each time others of them.
fn many(turn: usize) -> String {
    let mut rules = String::from("ingress = [\n");
    for n in 0..1000 {
        let (a, b) = (n / 250, n % 250 + 1);
        let port = 10_000 + n + turn * 7;
        writeln!(rules, "{{ from = [\"10.77.{a}.{b}/32\"], protocol = \"tcp\", port = {port} }},").unwrap();
    }
    rules.push_str("{ name = \"client\", from = [\"10.0.1.2/32\"], protocol = \"tcp\", port = 8080 }]");
    rules
}

#[test]
fn an_established_flow_is_unharmed_while_a_thousand_rules_change() {
    let plan: Plan = remote_backend().policy("many", &["web"], &many(0));
    let mut lab = Lab::start("rules-1000", plan);
    let _server = lab.pod("web").serve_tcp(TARGET);
    let mut stream = lab.pod("client").namespace.connect("10.96.0.10:80").unwrap();
    tcp_greeting(&stream).unwrap();
    for turn in 1..=8 {
        *lab.plan.rules("many") = many(turn);
        lab.reload();
        for _ in 0..20 {
            echo(&mut stream, &[turn as u8; 3000]).unwrap_or_else(|error| panic!("turn {turn}: {error}"));
        }
    }
    let node = lab.node("node-b");
    assert_eq!(node.metrics().drops("policy_denied"), 0.0);
    let flow = flows(node, "10.0.1.2", "10.96.0.10");
    let rule = &flow[0]["allowed_by"][0];
    assert_eq!((rule["policy"].as_str(), rule["number"].as_u64()), (Some("many"), Some(1000)), "{flow:?}");

    // The rule that allows it goes, and so does the flow.
    *lab.plan.rules("many") = many(9).replace("10.0.1.2/32", "10.0.1.99/32");
    lab.reload();
    let error = echo(&mut stream, b"no longer").expect_err("the rule is gone");
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    eventually(2, "the drop is counted", || lab.node("node-b").metrics().drops("policy_denied") > 0.0);
}
