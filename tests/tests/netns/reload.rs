//! SIGHUP: a new configuration, good or bad, in a daemon that carries traffic.

use std::collections::BTreeSet;
use std::fs;

use rustix::process::Signal;
use tests::{Lab, echo, eventually, tcp, tcp_greeting};

use crate::{TARGET, remote_backend, three_backends};

#[test]
fn a_new_backend_takes_new_connections_and_old_ones_go_on() {
    let mut plan = three_backends();
    *plan.backends("web") = vec!["web-2".to_owned()];
    let mut lab = Lab::start("reload-backend", plan);
    let _servers = ["web-1", "web-2"].map(|name| lab.pod(name).serve_tcp(TARGET));
    let connect = |lab: &Lab, service: &str| lab.pod("client").namespace.connect(service).unwrap();
    let mut old = connect(&lab, "10.96.0.10:80");
    assert_eq!(tcp_greeting(&old).unwrap().backend, "web-2");

    lab.plan.backends("web").push("web-1".to_owned());
    lab.plan = lab.plan.clone().service("second", &[tcp(443, TARGET)], &["web-1"]);
    lab.reload();
    let seen: BTreeSet<String> =
        (0..40).map(|_| tcp_greeting(&connect(&lab, "10.96.0.10:80")).unwrap().backend).collect();
    assert_eq!(seen.iter().collect::<Vec<_>>(), ["web-1", "web-2"]);
    assert_eq!(tcp_greeting(&connect(&lab, "10.96.0.11:443")).unwrap().backend, "web-1");
    echo(&mut old, &[5; 100_000]).unwrap();

    // The flow stays with its backend as long as that is one.
    *lab.plan.backends("web") = vec!["web-1".to_owned(), "web-2".to_owned(), "web-3".to_owned()];
    lab.reload();
    echo(&mut old, &[6; 100_000]).unwrap();
}

#[test]
fn a_new_route_is_used_and_a_removed_one_is_not() {
    let mut lab = Lab::start("reload-route", remote_backend().without_route_to("web"));
    assert_eq!(lab.pod("client").ping("10.0.2.2").answers(), 0);
    let without = lab.plan.clone();
    lab.plan.route_to("web");
    lab.reload();
    assert_eq!(lab.pod("client").ping("10.0.2.2").ttl(), 63);
    lab.plan = without;
    lab.reload();
    assert_eq!(lab.pod("client").ping("10.0.2.2").answers(), 0);
}

#[test]
fn a_bad_file_changes_nothing_and_is_named() {
    let lab = Lab::start("reload-bad", remote_backend());
    let _server = lab.pod("web").serve_tcp(TARGET);
    let mut stream = lab.pod("client").namespace.connect("10.96.0.10:80").unwrap();
    tcp_greeting(&stream).unwrap();
    let node = lab.node("node-a");
    let good = fs::read_to_string(node.config()).unwrap();
    let generation = node.json("/")["generation"].clone();

    fs::write(node.config(), good.replace("label = 17", "label = 7")).unwrap();
    let lines = node.daemon().log().lines().count();
    node.daemon().signal(Signal::HUP);
    eventually(5, "the daemon says which key is wrong", || {
        node.daemon().log().lines().skip(lines).any(|line| line.contains("label") && line.contains(".toml"))
    });
    assert_eq!(node.json("/")["generation"], generation);
    echo(&mut stream, b"still here").unwrap();
    assert_eq!(lab.pod("client").ping("10.0.2.2").ttl(), 63);

    lab.reload();
    echo(&mut stream, b"and here").unwrap();
}

#[test]
fn a_label_that_changes_hands_leads_nowhere_for_a_while() {
    let mut lab = Lab::start("reload-label", remote_backend().pod("other", "node-b"));
    assert_eq!(lab.pod("client").ping("10.0.2.2").ttl(), 63);
    lab.plan.swap_labels("web", "other");
    lab.reload();
    assert_eq!(lab.pod("client").ping("10.0.2.2").answers(), 0);
    assert!(lab.node("node-b").metrics().drops("label_quarantined") > 0.0);
    eventually(10, "the label is its new owner's", || lab.pod("client").ping("10.0.2.2").answers() > 0);
    let drops = lab.node("node-b").metrics().drops("label_quarantined");
    assert_eq!(lab.pod("client").ping("10.0.2.2").ttl(), 63);
    assert_eq!(lab.node("node-b").metrics().drops("label_quarantined"), drops);
}
