//! The operator's command line against real daemons, over their sockets.

use std::fs;
use std::io::Write as _;
use std::process::Output;

use serde_json::Value;
use tests::{Lab, Node, Plan, tcp, tcp_greeting};

use crate::api::start;
use crate::{PORT, TARGET, remote_backend, three_backends};

/// Exit code for a mistake of the operator.
const MISTAKE: Option<i32> = Some(2);

fn one_pod_by_api() -> Plan {
    Plan::two_nodes().pod("here", "node-a").by_api("left", "node-a")
}

/// A run that did not succeed: its exit code and its words.
fn refused(output: &Output) -> (Option<i32>, String) {
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Writes a document beside the node's configuration.
fn file(node: &Node, name: &str, text: &str) -> String {
    let path = node.config().with_file_name(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_vif_is_attached_by_options_or_a_file_and_detached() {
    let lab = start("vrctl-attach", one_pod_by_api());
    let (node, left) = (lab.node("node-a"), &lab.pod("left").plan);
    let (ifname, label) = (left.ifname(), left.label.to_string());
    let options = ["--ifname", &ifname, "--vrf", "blue", "--mac", &left.mac, "--label", &label];
    let addresses = ["--address", &left.ip, "--address", &left.ip6];
    let attach = [&["vif", "attach", "left"][..], &options, &addresses].concat();
    let attached = node.vrctl(&attach);
    assert!(attached.starts_with("created in generation "), "{attached}");
    assert!(attached.contains("\nname       left\nstate      up\n"), "{attached}");
    assert_eq!(lab.pod("here").ping(&left.ip).ttl(), 63);
    assert!(node.vrctl(&attach).starts_with("unchanged in generation "));

    let detached = node.vrctl(&["vif", "detach", "left"]);
    assert_eq!(detached, "vif left is not declared, and its port is detached\n");
    assert_eq!(lab.pod("here").ping(&left.ip).answers(), 0);

    let written = file(node, "left.json", &left.vif().to_string());
    node.vrctl(&["vif", "attach", "left", "--file", &written]);
    assert_eq!(lab.pod("here").ping(&left.ip).ttl(), 63);

    let elsewhere = [&["vif", "attach", "other"][..], &options, &["--address", "10.0.1.77"]].concat();
    let (code, words) = refused(&node.attempt_vrctl(&elsewhere));
    assert!(code == MISTAKE && words.contains("vifs/other/label: "), "{words}");
    let late = ["--vrf", "blue", "--mac", "02:00:00:00:99:01", "--label", "999", "--address", "10.0.1.99"];
    let late = [&["vif", "attach", "late", "--ifname", "none0", "--deadline", "200"][..], &late].concat();
    let (code, words) = refused(&node.attempt_vrctl(&late));
    assert!(code == Some(1) && words.contains("waiting for interface none0"), "{words}");
}

#[test]
fn a_document_is_judged_compared_and_applied() {
    let lab = start("vrctl-config", one_pod_by_api());
    let node = lab.node("node-a");
    let vrf = "[[vrf]]\nlabel = 900\nname = \"green\"\n";
    let good = file(node, "good.toml", vrf);
    let bad = file(node, "bad.json", r#"{"vrf": [{"name": "green", "label": 7}]}"#);

    assert_eq!(node.vrctl(&["config", "check", &good]), format!("{good}: no mistake\n"));
    let (code, words) = refused(&node.attempt_vrctl(&["config", "check", &bad]));
    assert!(code == MISTAKE && words.contains("vrfs/green/label: "), "{words}");
    assert_eq!(node.vrctl(&["config", "diff", &good]), "+ vrf green\n");
    assert_eq!(node.vrctl(&["config", "get"]).lines().count(), 1, "nothing is declared yet");

    assert_eq!(node.vrctl(&["config", "apply", &good]), "+ vrf green\n");
    assert!(node.vrctl(&["vrf", "list"]).contains("\ngreen "));
    let now = node.vrctl(&["config", "get"]);
    let (first, document) = now.split_once('\n').unwrap();
    let revision = first.strip_prefix("# revision ").unwrap();
    assert_eq!(document, vrf);
    let saved = file(node, "saved.toml", &now);
    assert_eq!(node.vrctl(&["config", "diff", &saved]), "no difference\n");

    let empty = file(node, "empty.toml", "");
    assert_eq!(node.vrctl(&["config", "apply", &empty, "--revision", revision]), "- vrf green\n");
    let (code, words) = refused(&node.attempt_vrctl(&["config", "apply", &good, "--revision", revision]));
    assert!(code == MISTAKE && words.contains("read it again"), "{words}");
    let (code, words) = refused(&node.attempt_vrctl(&["config", "apply", "/nowhere.toml"]));
    assert!(code == MISTAKE && words.contains("/nowhere.toml: cannot be read"), "{words}");
}

#[test]
fn flows_are_listed_by_filters_and_flushed() {
    let lab = Lab::start("vrctl-flow", remote_backend());
    let (node, client) = (lab.node("node-a"), lab.pod("client"));
    let _server = lab.pod("web").serve_tcp(TARGET);
    let mut stream = client.namespace.connect(&format!("10.96.0.10:{PORT}")).unwrap();
    assert_eq!(tcp_greeting(&stream).unwrap().backend, "web");
    client.ping("10.0.2.2").ttl();

    let filters =
        ["--vif", "client", "--proto", "tcp", "--dst", "10.96.0.0/16", "--state", "tcp_established"];
    let listed = node.vrctl(&[&["flow", "list", "--top", "bytes"][..], &filters].concat());
    assert!(listed.contains("blue  tcp ") && listed.contains("1 listed; "), "{listed}");
    let shown = node.vrctl(&[&["flow", "show"][..], &filters].concat());
    assert!(shown.contains("\nstate       tcp_established\n"), "{shown}");
    assert_eq!(node.vrctl(&[&["flow", "flush"][..], &filters].concat()), "flow pairs removed: 1\n");
    assert_eq!(node.vrctl(&[&["flow", "flush"][..], &filters].concat()), "flow pairs removed: 0\n");
    stream.write_all(b"more").unwrap();
    let rest: Value = serde_json::from_str(&node.vrctl(&["flow", "flush", "--all", "-o", "json"])).unwrap();
    assert!(rest["removed"].as_u64().unwrap() >= 1, "{rest}");
}

#[test]
fn a_destination_is_followed_to_the_pods_of_both_nodes() {
    let lab = Lab::start("vrctl-follow", three_backends());
    let [a, b] = ["node-a", "node-b"].map(|name| lab.node(name));
    let nodes = [a, b].map(|node| format!("{}={}", node.name(), node.api().socket().display()));
    let follow = |address: &str| {
        a.vrctl(&["follow", address, "--vrf", "blue", "--node", &nodes[0], "--node", &nodes[1]])
    };
    let expected = "\
node-a  VRF blue: route 10.0.2.3/32 (declared)
  node-a  -> 172.30.0.2 label 34
    node-b  label 34 -> vif web-3  delivered: to 10.0.2.3,fd00:2::3
delivered on 1 of 1 ways
";
    assert_eq!(follow("10.0.2.3"), expected);
    let service = follow("10.96.0.10");
    assert!(service.contains("(service), 3 ways\n  node-a  -> vif web-1  delivered"), "{service}");
    assert!(service.ends_with("delivered on 3 of 3 ways\n"), "{service}");
    let back = a.vrctl(&[
        "follow", "10.0.1.2", "--vrf", "blue", "--node", &nodes[0], "--node", &nodes[1], "--from", "node-b",
    ]);
    assert!(
        back.starts_with("node-b  VRF blue: route 10.0.1.2/32") && back.contains("label 17 -> vif client"),
        "{back}"
    );

    b.namespace.ip("link set veth-web-3 down");
    tests::eventually(5, "the walk ends at the dead pod", || {
        follow("10.0.2.3").ends_with("delivered on 0 of 1 ways\n")
    });
    assert!(follow("10.0.2.3").contains("  dropped: down: "));
}

#[test]
fn drops_rates_and_changes_are_told_as_they_come() {
    let lab = start("vrctl-live", one_pod_by_api());
    let (node, here) = (lab.node("node-a"), lab.pod("here"));
    std::thread::scope(|scope| {
        scope.spawn(|| here.namespace.attempt("ping -c 80 -i 0.1 -W 0.1 203.0.113.1"));
        let watched = node.vrctl(&["drops", "--watch", "--count", "2", "--vif", "here"]);
        assert!(watched.contains("  no_route                  vif here "), "{watched}");
        let top = node.vrctl(&["top", "--once"]);
        assert!(top.contains("\nno_route ") && top.contains("\nhere "), "{top}");
        let json: Value = serde_json::from_str(&node.vrctl(&["top", "--once", "-o", "json"])).unwrap();
        let rate = json.pointer("/vifs/0/rx_packets").and_then(Value::as_f64).unwrap();
        assert!(rate > 1.0, "{json}");
    });
    let declared = file(node, "green.toml", "[[vrf]]\nname = \"green\"\n");
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| node.vrctl(&["watch", "--count", "1"]));
        std::thread::sleep(std::time::Duration::from_millis(500));
        node.vrctl(&["config", "apply", &declared]);
        let told = watching.join().unwrap();
        assert!(told.contains(" is in force\n") && told.ends_with("  + vrf green\n"), "{told}");
    });
}

#[test]
fn every_noun_of_a_real_daemon_is_shown_in_every_form() {
    let plan = remote_backend().service("empty", &[tcp(81, TARGET)], &[]);
    let lab = Lab::start("vrctl-nouns", plan);
    let node = lab.node("node-a");
    let nouns = "vif list,vif show client,vrf list,vrf show blue,route list,route get 10.96.0.10 --vrf blue,nh,label,\
                 service list,service show 10.96.0.10,policy,flow list,flow show,drops --all,worker,tunnel,stats,\
                 config get,follow 10.0.2.2 --vrf blue";
    for noun in nouns.split(',') {
        let words: Vec<&str> = noun.split_whitespace().collect();
        assert!(!node.vrctl(&words).is_empty(), "{noun}");
        let json = node.vrctl(&[words.as_slice(), &["-o", "json"]].concat());
        serde_json::from_str::<Value>(&json).unwrap_or_else(|error| panic!("{noun}: {error} in {json}"));
        assert!(!node.vrctl(&[words.as_slice(), &["-o", "yaml"]].concat()).is_empty(), "{noun}");
    }
    // Reading goes over TCP as well.
    let program = tests::vrctl();
    let tcp = node.namespace.run(&format!("{} --url http://127.0.0.1:8085 vif list", program.display()));
    assert!(tcp.contains("\nclient "), "{tcp}");
}
