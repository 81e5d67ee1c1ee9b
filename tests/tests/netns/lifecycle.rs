//! Starting and ending, kindly and by force, and what the node keeps meanwhile.

use rustix::process::Signal;
use tests::{Lab, Namespace, Plan, Server, echo, eventually, tcp_greeting};

use crate::{TARGET, remote_backend};

fn ssh(lab: &Lab) -> Server {
    lab.node("node-b").serve_tcp(22)
}

fn login(from: &Namespace) -> std::net::TcpStream {
    let stream = from.connect("172.30.0.2:22").unwrap();
    assert_eq!(tcp_greeting(&stream).unwrap().backend, "node-b");
    stream
}

#[test]
fn the_nodes_own_connections_do_not_notice_the_vrouter() {
    let mut lab = Lab::new("ssh", remote_backend());
    let _ssh = ssh(&lab);
    let mut old = login(&lab.node("node-a").namespace);
    let mut talk = |lab: &Lab| {
        echo(&mut old, &[3; 200_000]).unwrap();
        echo(&mut login(&lab.node("node-a").namespace), &[4; 200_000]).unwrap();
    };
    talk(&lab);
    for node in ["node-a", "node-b"] {
        lab.node_mut(node).spawn();
        talk(&lab);
        lab.node_mut(node).wait_ready();
        talk(&lab);
    }
    assert_eq!(lab.pod("client").ping("10.0.2.2").ttl(), 63);
    talk(&lab);
    for node in ["node-a", "node-b"] {
        lab.node_mut(node).end(Signal::KILL);
        talk(&lab);
    }
}

#[test]
fn a_killed_daemon_is_replaced_without_cleaning_up() {
    let mut lab = Lab::start("kill", remote_backend());
    let _server = lab.pod("web").serve_tcp(TARGET);
    for _ in 0..2 {
        assert_eq!(lab.pod("client").ping("10.0.2.2").ttl(), 63);
        for node in ["node-a", "node-b"] {
            lab.node_mut(node).end(Signal::KILL);
            lab.node_mut(node).spawn();
            lab.node_mut(node).wait_ready();
        }
    }
    assert_eq!(lab.pod("client").ping("10.0.2.2").ttl(), 63);
    let stream = lab.pod("client").namespace.connect("10.96.0.10:80").unwrap();
    assert_eq!(tcp_greeting(&stream).unwrap().backend, "web");
}

#[test]
fn sigterm_leaves_nothing_behind() {
    let mut lab = Lab::new("term", remote_backend().host("node-a"));
    let before = lab.node("node-a").namespace.links();
    for node in ["node-a", "node-b"] {
        lab.node_mut(node).spawn();
        lab.node_mut(node).wait_ready();
    }
    assert_eq!(lab.pod("client").ping("10.0.2.2").ttl(), 63);
    let node = lab.node_mut("node-a");
    assert_ne!(node.namespace.links(), before, "the daemon makes a trunk");
    let objects = node.daemon().bpf_objects();
    assert!(
        ["prog", "map"].iter().all(|kind| objects.ids.iter().any(|(found, _)| found == kind)),
        "{objects:?}"
    );

    assert_eq!(node.end(Signal::TERM).code(), Some(0));
    assert_eq!(node.namespace.links(), before);
    eventually(5, "the kernel has freed programs, maps and links", || objects.remaining().ids.is_empty());
    let left = std::fs::read_dir(node.state_dir()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["flows"], "files in {}", node.state_dir().display());
    for interface in ["eth0", "veth-client"] {
        let shown = node.namespace.run(&format!("tc filter show dev {interface} ingress"));
        assert_eq!(shown, "", "{interface}");
    }
}

#[test]
fn daemons_of_two_namespaces_are_independent() {
    let plan = Plan::two_nodes()
        .pod("left", "node-a")
        .pod("right", "node-a")
        .pod("third", "node-b")
        .pod("fourth", "node-b");
    let mut lab = Lab::start("side-by-side", plan);
    assert_eq!(lab.pod("left").ping("10.0.1.3").ttl(), 63);
    assert_eq!(lab.node_mut("node-b").end(Signal::TERM).code(), Some(0));
    assert_eq!(lab.pod("left").ping("10.0.1.3").ttl(), 63);
    assert_eq!(lab.pod("third").ping("10.0.2.3").answers(), 0);
    lab.node_mut("node-b").spawn();
    lab.node_mut("node-b").wait_ready();
    // The pod's kernel may have given its gateway up for the moment.
    eventually(10, "the pods of node B reach each other", || {
        lab.pod("third").ping("10.0.2.3").answers() == 3
    });
    assert_eq!(lab.pod("left").ping("10.0.2.2").ttl(), 63);
}

#[test]
fn a_daemon_without_root_carries_packets_and_takes_everything_back() {
    let mut lab = Lab::new("nobody", remote_backend());
    let _server = lab.pod("web").serve_tcp(TARGET);
    for node in ["node-a", "node-b"] {
        lab.node_mut(node).spawn_as_nobody();
        lab.node_mut(node).wait_ready();
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", lab.node(node).daemon().pid())).unwrap();
        assert!(status.lines().any(|line| line == "Uid:\t65534\t65534\t65534\t65534"), "{status}");
    }
    let mut stream = lab.pod("client").namespace.connect("10.96.0.10:80").unwrap();
    assert_eq!(tcp_greeting(&stream).unwrap().backend, "web");
    echo(&mut stream, &[7; 100_000]).unwrap();
    let api = lab.node("node-a").api();
    api.ok("PUT /v1/vrfs/green", Some(&serde_json::json!({})));
    for node in ["node-a", "node-b"] {
        assert!(lab.node_mut(node).end(Signal::TERM).success());
    }
    assert!(lab.node("node-a").state_dir().join("declared.toml").exists() && !api.socket().exists());
}
