//! Exit codes and messages of `vrouterd`.

use std::fs;
use std::process::{Command, Output};

use tests::{Lab, Node, vrouterd};

use crate::remote_backend;

/// Exit code for a mistake of the operator.
const MISTAKE: Option<i32> = Some(2);

/// Runs `vrouterd <subcommand>` on the node, with its configuration.
fn vrouterd_on(node: &Node, subcommand: &str) -> Output {
    let program = vrouterd();
    let mut command = node.namespace.command(program.to_str().unwrap());
    command.args([subcommand, "--config"]).arg(node.config()).output().unwrap()
}

fn check(node: &Node) -> Output {
    vrouterd_on(node, "check")
}

fn run(node: &Node) -> Output {
    vrouterd_on(node, "run")
}

fn rewrite(node: &Node, from: &str, to: &str) {
    let text = fs::read_to_string(node.config()).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(node.config(), text.replace(from, to)).unwrap();
}

/// Asserts that both a message and the exit code tell of a mistake in `key`.
fn refuses(output: &Output, node: &Node, key: &str) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), MISTAKE, "{message}");
    assert!(message.contains(node.config().to_str().unwrap()) && message.contains(key), "{message}");
}

#[test]
fn check_accepts_what_the_other_tests_run_and_names_mistakes() {
    let lab = Lab::new("check", remote_backend().host("node-a"));
    let node = lab.node("node-a");
    let output = check(node);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    rewrite(node, "label = 17", "label = 7");
    refuses(&check(node), node, "label");
    refuses(&run(node), node, "label");
    fs::remove_file(node.config()).unwrap();
    refuses(&check(node), node, "node-a.toml");
}

#[test]
fn what_the_node_does_not_have_is_refused_before_anything_is_changed() {
    let lab = Lab::new("refuse", remote_backend());
    let node = lab.node("node-a");
    let before = node.namespace.links();
    let good = fs::read_to_string(node.config()).unwrap();
    let mistakes = [
        ("uplink = \"eth0\"", "uplink = \"eth7\"", "node.uplink"),
        ("tunnel_address = \"172.30.0.1\"", "tunnel_address = \"172.30.0.7\"", "node.tunnel_address"),
        ("label = 17\n", "label = 17\nmtu = 1590\n", "mtu"),
    ];
    for (from, to, key) in mistakes {
        rewrite(node, from, to);
        refuses(&check(node), node, key);
        refuses(&run(node), node, key);
        fs::write(node.config(), &good).unwrap();
    }
    assert_eq!(node.namespace.links(), before);
}

#[test]
fn run_names_the_capabilities_it_lacks() {
    let lab = Lab::new("capabilities", remote_backend());
    let node = lab.node("node-a");
    let output = Command::new("setpriv")
        .args(["--bounding-set=-net_admin,-net_raw,-bpf,-perfmon,-sys_admin", "--inh-caps=-all"])
        .arg(vrouterd())
        .args(["run", "--config"])
        .arg(node.config())
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), MISTAKE, "{message}");
    for capability in ["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_BPF", "CAP_PERFMON"] {
        assert!(message.contains(capability), "{message}");
    }
}
