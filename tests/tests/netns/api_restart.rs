//! Declared state over restarts, and the socket itself.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use tests::{Lab, Node, Plan, vrouterd};

use crate::api::{declare, start};

fn two_pods() -> Plan {
    Plan::two_nodes().by_api("left", "node-a").by_api("right", "node-a")
}

fn restart(lab: &mut Lab, signal: Signal) {
    lab.node_mut("node-a").end(signal);
    lab.node_mut("node-a").spawn();
    lab.node_mut("node-a").wait_ready();
}

fn troubles(node: &Node) -> Vec<Value> {
    node.json("/")["troubles"].as_array().unwrap().clone()
}

#[test]
fn declared_state_outlives_the_daemon_however_it_ends() {
    let mut lab = start("declared-kill", two_pods());
    let api = lab.node("node-a").api();
    for pod in ["left", "right"] {
        declare(&lab, &api, pod);
    }
    let before = api.ok("GET /v1/config", None);
    for signal in [Signal::KILL, Signal::TERM] {
        restart(&mut lab, signal);
        assert_eq!(api.ok("GET /v1/config", None), before);
        assert_eq!(lab.pod("left").ping("10.0.1.3").ttl(), 63);
    }
    // Gone is gone as well.
    assert_eq!(api.ask("DELETE /v1/vifs/right", None).status, 204);
    restart(&mut lab, Signal::KILL);
    assert_eq!(lab.node("node-a").json("/vifs").as_array().unwrap().len(), 1);
}

#[test]
fn a_spoilt_state_file_is_put_aside_and_what_is_sound_of_it_stays() {
    let mut lab = start("declared-spoilt", two_pods());
    let api = lab.node("node-a").api();
    for pod in ["left", "right"] {
        declare(&lab, &api, pod);
    }
    let state = lab.node("node-a").state_dir().join("declared.toml");
    let good = fs::read_to_string(&state).unwrap();
    let spoilt = [
        (good.replace("label = 18", "label = 8"), 1, "label"),
        (good[..good.len() / 2].to_owned(), 0, "declared.toml"),
        (good.replace("version = 1", "version = 2"), 0, "version"),
        (String::new(), 0, "version"),
    ];
    for (number, (text, vifs, word)) in spoilt.iter().enumerate() {
        lab.node_mut("node-a").end(Signal::KILL);
        fs::write(&state, text).unwrap();
        lab.node_mut("node-a").spawn();
        let node = lab.node("node-a");
        tests::eventually(20, "the daemon is ready", || {
            node.get("/readyz").is_ok_and(|answer| answer.status == 200)
        });
        assert_eq!(node.json("/vifs").as_array().unwrap().len(), *vifs, "{text}");
        let aside = state.with_file_name(format!("declared.toml.bad-{}", number + 1));
        assert_eq!(fs::read_to_string(&aside).unwrap(), *text);
        let told = troubles(node).into_iter().find(|trouble| trouble["noun"] == "declared_state").unwrap();
        let reason = told["reason"].as_str().unwrap();
        assert!(reason.contains(word) && reason.contains(aside.to_str().unwrap()), "{reason}");
        assert!(node.daemon().log().contains("Not all of the declared state is in force"));
    }
    // The next start has nothing to complain about.
    restart(&mut lab, Signal::KILL);
    assert_eq!(troubles(lab.node("node-a")), Vec::<Value>::new());
}

#[test]
fn a_file_that_clashes_with_what_is_declared_is_not_reloaded() {
    let lab = start("declared-clash", two_pods());
    let node = lab.node("node-a");
    let api = node.api();
    declare(&lab, &api, "left");
    let good = fs::read_to_string(node.config()).unwrap();
    let clash = "[[vrf]]\nname = \"green\"\nlabel = 17\n";
    fs::write(node.config(), format!("{good}{clash}")).unwrap();
    node.daemon().signal(Signal::HUP);
    tests::eventually(5, "the index page names the clash", || {
        troubles(node)
            .iter()
            .any(|trouble| trouble["reason"].as_str().is_some_and(|text| text.contains("17 is already")))
    });
    assert_eq!(api.ok("GET /v1/vrfs", None).as_array().unwrap().len(), 1);

    fs::write(node.config(), format!("{good}{}", clash.replace("17", "170"))).unwrap();
    node.daemon().signal(Signal::HUP);
    tests::eventually(5, "the file is in force", || troubles(node).is_empty());
    let vrfs = api.ok("GET /v1/vrfs", None);
    assert_eq!((vrfs[1]["name"].as_str(), vrfs[1]["origin"].as_str()), (Some("green"), Some("file")));
    assert_eq!(api.ok("GET /v1/vifs", None).as_array().unwrap().len(), 1, "what is declared stays");
}

#[test]
fn state_that_can_not_be_kept_is_not_declared() {
    let lab = start("declared-disk", two_pods());
    let node = lab.node("node-a");
    let api = node.api();
    fs::create_dir(node.state_dir().join("declared.toml.next")).unwrap();
    let answer = api.ask("PUT /v1/vifs/left", Some(&lab.pod("left").plan.vif()));
    assert_eq!((answer.status, answer.json()["code"].as_str()), (507, Some("disk")), "{}", answer.body);
    assert_eq!(node.json("/vifs"), json!([]));
    fs::remove_dir(node.state_dir().join("declared.toml.next")).unwrap();
    declare(&lab, &api, "left");
    assert_eq!(lab.pod("left").ping("169.254.1.1").answers(), 3);
}

#[test]
fn the_socket_is_for_root_and_refuses_large_and_slow_callers() {
    use std::os::unix::fs::PermissionsExt as _;
    let lab = start("api-limits", two_pods());
    let node = lab.node("node-a");
    let api = node.api();
    assert_eq!(fs::metadata(api.socket()).unwrap().permissions().mode() & 0o777, 0o600);

    let large = vec![b'['; 10 << 20];
    let answer = api.send("PUT /v1/vifs/left", "", &large).unwrap();
    assert_eq!((answer.status, answer.json()["code"].as_str()), (413, Some("too_large")));

    // A body that never comes is cut off, and nobody else waits for it.
    let mut slow = api.connect().unwrap();
    slow.write_all(b"PUT /v1/vifs/left HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{").unwrap();
    let began = Instant::now();
    declare(&lab, &api, "left");
    assert!(began.elapsed() < Duration::from_secs(5));
    let mut text = String::new();
    slow.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 408"), "{text}");
    assert!((9..20).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

/// Asks with `curl` as a user of this number, and gives what it prints.
fn as_user(uid: u32, node: &Node) -> String {
    let output = Command::new("setpriv")
        .args(["--reuid", &uid.to_string(), "--clear-groups", "curl", "-sS", "--unix-socket"])
        .arg(node.api().socket())
        .arg("http://x/v1/config")
        .output()
        .unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn other_users_are_refused_by_their_credentials() {
    let lab = start("api-users", two_pods());
    let shown = as_user(65534, lab.node("node-a"));
    assert!(
        shown.contains("Permission denied")
            || shown.contains("Could not connect")
            || shown.contains("Failed to connect")
            || shown.contains("Couldn't connect"),
        "{shown}"
    );
    drop(lab);

    let mut lab = Lab::new("api-allow", two_pods());
    let node = lab.node_mut("node-a");
    let good = fs::read_to_string(node.config()).unwrap();
    let socket = node.api().socket().display().to_string();
    fs::write(node.config(), format!("[api]\nsocket = \"{socket}\"\nallow_uids = [4711]\n{good}")).unwrap();
    node.spawn();
    node.wait_ready();
    assert!(as_user(4711, node).contains("\"vif\""), "{}", as_user(4711, node));
    let refused = as_user(65534, node);
    assert!(refused.contains("\"code\":\"forbidden\"") && refused.contains("api.allow_uids"), "{refused}");
    assert!(as_user(0, node).contains("\"vif\""));
}

#[test]
fn a_dead_socket_is_replaced_a_live_one_is_not_and_none_is_left() {
    let mut lab = start("api-socket", two_pods());
    let socket = lab.node("node-a").api().socket().to_owned();
    lab.node_mut("node-a").end(Signal::KILL);
    assert!(socket.exists(), "a killed daemon leaves its socket");
    lab.node_mut("node-a").spawn();
    lab.node_mut("node-a").wait_ready();

    let second = |path: &str| {
        let node = lab.node("node-a");
        let config = node.state_dir().join("second.toml");
        let text = fs::read_to_string(node.config()).unwrap();
        fs::write(
            &config,
            format!("{text}[http]\nlisten = \"127.0.0.1:8099\"\n[api]\nsocket = \"{path}\"\n"),
        )
        .unwrap();
        let program = vrouterd();
        let mut command = node.namespace.command(program.to_str().unwrap());
        let output = command.args(["run", "--config"]).arg(config).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, told) = second(socket.to_str().unwrap());
    assert!(code == Some(2) && told.contains("a daemon answers on"), "{code:?} {told}");
    let (code, told) = second(lab.node("node-a").config().to_str().unwrap());
    assert!(code == Some(2) && told.contains("is there and no socket"), "{code:?} {told}");
    assert_eq!(lab.node("node-a").api().ask("GET /v1/config", None).status, 200);

    let _watcher = lab.node("node-a").api().watch();
    let began = Instant::now();
    lab.node_mut("node-a").end(Signal::TERM);
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "a watcher does not hold up the end: {:?}",
        began.elapsed()
    );
    assert!(!socket.exists());
}
