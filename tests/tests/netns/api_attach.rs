//! Attaching and detaching, as a CNI plugin does.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use tests::{Lab, Node, Plan, eventually};

use crate::TARGET;
use crate::api::start;

fn late_pod() -> Plan {
    Plan::two_nodes().by_api("left", "node-a").by_api("late", "node-a").plugged_later("late")
}

#[test]
fn an_attach_waits_for_the_interface_and_answers_when_packets_flow() {
    let lab = start("attach-waits", late_pod());
    let api = lab.node("node-a").api();
    let attached = api.ok("POST /v1/vifs/left/attach", Some(&lab.pod("left").plan.vif()));
    assert_eq!(
        (attached["effect"].as_str(), attached["vif"]["state"].as_str()),
        (Some("created"), Some("up"))
    );
    std::thread::scope(|scope| {
        let (late, asking) = (lab.pod("late").plan.vif(), api.clone());
        let began = Instant::now();
        let call =
            scope.spawn(move || asking.ask("POST /v1/vifs/late/attach?deadline_ms=20000", Some(&late)));
        std::thread::sleep(Duration::from_secs(1));
        lab.plug("late");
        let answer = call.join().unwrap();
        assert_eq!(answer.status, 201, "{}", answer.body);
        assert!(began.elapsed() >= Duration::from_secs(1));
        assert_eq!(
            lab.pod("left").ping("10.0.1.3").ttl(),
            63,
            "the first packets after the answer get through"
        );
    });
    let again = api.ask("POST /v1/vifs/late/attach", Some(&lab.pod("late").plan.vif()));
    assert_eq!((again.status, again.json()["effect"].as_str()), (200, Some("unchanged")));
    let mut other = lab.pod("late").plan.vif();
    other["label"] = json!(99);
    let different = api.ask("POST /v1/vifs/late/attach", Some(&other));
    assert_eq!((different.status, different.json()["code"].as_str()), (409, Some("different")));

    assert_eq!(api.ask("POST /v1/vifs/late/detach", None).status, 204);
    assert_eq!(lab.pod("left").ping("10.0.1.3").answers(), 0);
    assert_eq!(lab.pod("late").ping("169.254.1.1").answers(), 0, "its port is detached");
    assert_eq!(api.ok("POST /v1/vifs/late/attach", Some(&lab.pod("late").plan.vif()))["effect"], "created");
    assert_eq!(lab.pod("left").ping("10.0.1.3").ttl(), 63);
}

#[test]
fn an_attach_that_is_too_late_leaves_all_as_it_was() {
    let lab = start("attach-late", late_pod());
    let node = lab.node("node-a");
    let api = node.api();
    let late = lab.pod("late").plan.vif();
    let answer = api.ask("POST /v1/vifs/late/attach?deadline_ms=700", Some(&late));
    assert_eq!((answer.status, answer.json()["code"].as_str()), (504, Some("deadline")));
    assert!(
        answer.body.contains("waiting for interface veth-late") && answer.body.contains("withdrawn"),
        "{}",
        answer.body
    );
    assert_eq!(api.ask("GET /v1/vifs/late", None).status, 404);
    assert_eq!(node.json("/vifs"), json!([]));

    // What was declared before is not the attach's to take away.
    api.ok("PUT /v1/vifs/late", Some(&late));
    let answer = api.ask("POST /v1/vifs/late/attach?deadline_ms=300", Some(&late));
    assert!(answer.status == 504 && answer.body.contains("stays"), "{}", answer.body);
    assert_eq!(api.ask("GET /v1/vifs/late", None).status, 200);
}

#[test]
fn who_hangs_up_leaves_nothing_half_done() {
    use std::io::Write as _;
    let lab = start("attach-hang-up", late_pod());
    let api = lab.node("node-a").api();
    let body = lab.pod("late").plan.vif().to_string();
    let mut stream = api.connect().unwrap();
    let head = "POST /v1/vifs/late/attach?deadline_ms=1500 HTTP/1.1\r\nHost: x\r\n";
    write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    eventually(5, "the vif is declared", || api.ask("GET /v1/vifs/late", None).status == 200);
    drop(stream);
    eventually(5, "the vif is withdrawn", || api.ask("GET /v1/vifs/late", None).status == 404);
}

#[test]
fn a_hundred_attaches_at_once_all_succeed() {
    let lab = start("attach-100", Plan::two_nodes());
    let node = lab.node("node-a");
    let api = node.api();
    let links: String = (0..100)
        .map(|n| format!("link add v{n} type veth peer name p{n}\nlink set v{n} up\nlink set p{n} up\n"))
        .collect();
    node.namespace.ip(&links);
    let vif = |n: u32| {
        json!({
            "ifname": format!("v{n}"), "vrf": "blue", "addresses": [format!("10.1.0.{}", n + 1)],
            "mac": format!("02:00:00:01:00:{n:02x}"), "label": 1000 + n,
        })
    };
    std::thread::scope(|scope| {
        for n in 0..100 {
            let api = api.clone();
            scope.spawn(move || {
                api.ok(&format!("POST /v1/vifs/pod-{n}/attach?deadline_ms=60000"), Some(&vif(n)));
            });
        }
    });
    let vifs = node.json("/vifs");
    let up = vifs.as_array().unwrap().iter().filter(|vif| vif["state"] == "up").count();
    assert_eq!(up, 100);
    std::thread::scope(|scope| {
        for n in 0..100 {
            let api = api.clone();
            scope.spawn(move || {
                assert_eq!(api.ask(&format!("POST /v1/vifs/pod-{n}/detach"), None).status, 204)
            });
        }
    });
    assert_eq!(node.json("/vifs"), json!([]));
}

/// The vifs that a node says it misses, each with who names it.
fn awaited(node: &Node) -> Vec<(String, String)> {
    let troubles = node.json("/")["troubles"].as_array().unwrap().clone();
    let awaited = troubles.into_iter().filter(|trouble| trouble["noun"] == "awaited_vif");
    let text = |trouble: &Value, key: &str| trouble[key].as_str().unwrap().to_owned();
    awaited.map(|trouble| (text(&trouble, "name"), text(&trouble, "reason"))).collect()
}

#[test]
fn a_detach_succeeds_whoever_still_speaks_of_the_vif() {
    let mut lab = start("detach-named", Plan::two_nodes().by_api("left", "node-a").by_api("right", "node-a"));
    let api = lab.node("node-a").api();
    // A service may come before its pods; the answer says what it waits for.
    let web = json!({
        "vrf": "blue", "address": "10.96.0.10", "backends": [{ "vif": "left" }, { "vif": "right" }],
        "ports": [{ "protocol": "tcp", "port": 80, "target_port": TARGET }],
    });
    let said = api.ok("PUT /v1/services/web", Some(&web));
    let expected = |vif: &str| json!({ "vif": vif, "by": "services/web", "others": 0 });
    assert_eq!(said["awaited"], json!([expected("left"), expected("right")]));
    let target = json!({ "via": [{ "vif": "left" }] });
    api.ok("PUT /v1/routes/blue/10.7.0.0%2F24", Some(&target));
    for pod in ["left", "right"] {
        api.ok(&format!("POST /v1/vifs/{pod}/attach"), Some(&lab.pod(pod).plan.vif()));
    }
    assert_eq!(awaited(lab.node("node-a")), []);

    // What a CNI plugin asks for when the pod is gone; twice, as it may.
    for _ in 0..2 {
        assert_eq!(api.ask("POST /v1/vifs/left/detach", None).status, 204);
    }
    let told = awaited(lab.node("node-a"));
    assert_eq!((told.len(), told[0].0.as_str()), (1, "left"), "{told:?}");
    assert!(told[0].1.contains("services/web and 1 more"), "{told:?}");
    let _server = lab.pod("right").serve_tcp(TARGET);
    let reached_right = |lab: &Lab| {
        (0..12).all(|_| {
            let stream = lab.pod("right").namespace.connect("10.96.0.10:80").unwrap();
            tests::tcp_greeting(&stream).unwrap().backend == "right"
        })
    };
    assert!(reached_right(&lab));
    assert_eq!(lab.pod("right").ping("10.7.0.9").answers(), 0, "the route has no way left");

    lab.node_mut("node-a").end(Signal::KILL);
    lab.node_mut("node-a").spawn();
    let is_ready = || lab.node("node-a").get("/readyz").is_ok_and(|answer| answer.status == 200);
    eventually(20, "the daemon is ready", is_ready);
    assert!(awaited(lab.node("node-a")).len() == 1 && reached_right(&lab));
    api.ok("POST /v1/vifs/left/attach", Some(&lab.pod("left").plan.vif()));
    assert_eq!(awaited(lab.node("node-a")), []);
    assert_eq!(api.ok("GET /services?format=json", None)[0]["backends"].as_array().unwrap().len(), 2);
}
