//! What is left when an instance ends: nothing.

use std::io::{BufRead, BufReader};
use std::num::NonZeroU32;
use std::process::{Child, Command, Stdio};
use std::{env, thread, time::Duration};

use aya::programs::{SchedClassifier, TcAttachType};
use xdp_prog::{Fabric, PortKind, TcPreference, Trunk, VlanId, XdpPreference};

use crate::topology::{GATEWAY_MAC, Node, enter, eventually, index, run};
use crate::wire::{send, udp_frame};

const NAMESPACE: &str = "XDP_PROG_TEST_NAMESPACE";
const CLSACT: &str = "XDP_PROG_TEST_CLSACT";

struct Everything {
    _fabric: Fabric,
    trunk: Trunk,
}

/// Attaches to every hook there is: fabric on `vhost0`, the trunk on the rest.
fn attach_everything(preference: TcPreference) -> Everything {
    let mut fabric = Fabric::load().unwrap();
    fabric.attach(index("vhost0"), XdpPreference::NativeOnly).unwrap();
    let mut trunk = Trunk::load(preference).unwrap();
    trunk.attach_trunk0(index("trunk0"), NonZeroU32::new(2).unwrap()).unwrap();
    trunk.attach_trunk1(index("trunk1"), XdpPreference::NativeOnly).unwrap();
    trunk.attach_port(index("vifp"), VlanId::new(7).unwrap(), PortKind::Pod).unwrap();
    Everything { _fabric: fabric, trunk }
}

fn tcx_programs(device: &str) -> Vec<String> {
    let (_, programs) = SchedClassifier::query_tcx(device, TcAttachType::Ingress).unwrap();
    programs.iter().map(|program| program.name_as_str().unwrap().to_owned()).collect()
}

/// The attachments on the node, by device.
fn attachments() -> Vec<String> {
    let mut found = Vec::new();
    for device in ["vhost0", "trunk0", "trunk1", "vifp"] {
        if run(&format!("ip -d link show {device}")).contains("prog/xdp") {
            found.push(format!("{device} xdp"));
        }
        found.extend(tcx_programs(device).into_iter().map(|program| format!("{device} tcx {program}")));
        let filters = run(&format!("tc filter show dev {device} ingress"));
        let names = filters.lines().filter_map(|line| line.split_once(" handle ")).map(|(_, rest)| rest);
        found
            .extend(names.map(|rest| format!("{device} clsact {}", rest.split_whitespace().nth(1).unwrap())));
        if run(&format!("tc qdisc show dev {device}")).contains("clsact") {
            found.push(format!("{device} qdisc"));
        }
    }
    found
}

const WITH_TCX: [&str; 4] = ["vhost0 xdp", "trunk0 tcx trunk_in", "trunk1 xdp", "vifp tcx port_in"];
const WITH_CLSACT: [&str; 6] = [
    "vhost0 xdp",
    "trunk0 clsact trunk_in",
    "trunk0 qdisc",
    "trunk1 xdp",
    "vifp clsact port_in",
    "vifp qdisc",
];

fn spawn_holder(namespace: &str, clsact: &str) -> Child {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "lifetime::holder", "--ignored", "--nocapture"])
        .env(NAMESPACE, namespace)
        .env(CLSACT, clsact)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains("everything is attached"));
    assert!(ready, "the child did not attach");
    child
}

#[test]
#[ignore = "not a test: the process that a_killed_process_leaves_nothing_attached starts and kills"]
fn holder() {
    enter(&env::var(NAMESPACE).unwrap());
    let clsact = env::var(CLSACT).unwrap() == "yes";
    let preference = if clsact { TcPreference::ClsactOnly } else { TcPreference::PreferTcx };
    let _everything = attach_everything(preference);
    println!("everything is attached");
    thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_killed_process_leaves_nothing_attached() {
    let topology = Node::new("kill");
    let mut child = spawn_holder(topology.node.name(), "no");
    assert_eq!(attachments(), WITH_TCX);
    assert_eq!(run("bpftool net show").matches(" id ").count(), 2);
    child.kill().unwrap();
    child.wait().unwrap();
    eventually(|| attachments().is_empty());
    assert_eq!(run("bpftool net show").matches(" id ").count(), 0);
}

#[test]
fn what_a_killed_process_leaves_in_clsact_is_cleared_by_the_next() {
    let topology = Node::new("killc");
    let mut child = spawn_holder(topology.node.name(), "yes");
    assert_eq!(attachments(), WITH_CLSACT);
    child.kill().unwrap();
    child.wait().unwrap();
    // The kernel keeps filters; they only drop, for the trunk's other end is gone with the process.
    let left = ["trunk0 clsact trunk_in", "trunk0 qdisc", "vifp clsact port_in", "vifp qdisc"];
    eventually(|| attachments() == left);

    let everything = attach_everything(TcPreference::ClsactOnly);
    assert_eq!(attachments(), WITH_CLSACT);
    drop(everything);
    // The qdiscs were found, not made, so they stay.
    assert_eq!(attachments(), ["trunk0 qdisc", "vifp qdisc"]);
}

#[test]
fn a_dropped_instance_leaves_nothing_attached() {
    let _topology = Node::new("dropped");
    for preference in [TcPreference::PreferTcx, TcPreference::ClsactOnly] {
        let everything = attach_everything(preference);
        assert_ne!(attachments(), Vec::<String>::new());
        drop(everything);
        assert_eq!(attachments(), Vec::<String>::new(), "{preference}");
    }
}

#[test]
fn a_clsact_qdisc_that_others_use_stays() {
    let _topology = Node::new("others");
    let everything = attach_everything(TcPreference::ClsactOnly);
    let object = concat!(env!("OUT_DIR"), "/trunk.bpf.o");
    run(&format!("tc filter add dev vifp egress bpf direct-action object-file {object} section classifier"));
    drop(everything);
    assert_eq!(attachments(), ["vifp qdisc"]);
    assert!(run("tc filter show dev vifp egress").contains("trunk.bpf.o"));
}

#[test]
fn the_newest_tcx_program_runs_first_and_alone() {
    let topology = Node::new("order");
    let older = attach_everything(TcPreference::PreferTcx);
    let mut newer = Trunk::load(TcPreference::PreferTcx).unwrap();
    newer.attach_port(index("vifp"), VlanId::new(8).unwrap(), PortKind::Pod).unwrap();
    assert_eq!(tcx_programs("vifp"), ["port_in", "port_in"]);
    topology.pod.within(|| send("eth0", &udp_frame(GATEWAY_MAC, &[], [10, 9, 0, 1], b"whose?")));
    eventually(|| newer.counters().unwrap().port_unknown == 1);
    assert_eq!(older.trunk.counters().unwrap().port_redirected, 0);
    drop(newer);
    assert_eq!(tcx_programs("vifp"), ["port_in"]);
}

#[test]
fn two_instances_in_two_namespaces_do_not_meet() {
    let first = Node::new("two-a");
    let in_first = attach_everything(TcPreference::PreferTcx);
    let second = Node::another("two-b");
    let in_second = attach_everything(TcPreference::PreferTcx);
    for (node, count) in [(&first, 1), (&second, 2)] {
        for _ in 0..count {
            node.pod.within(|| send("eth0", &udp_frame(GATEWAY_MAC, &[], [10, 9, 0, 1], b"mine")));
        }
    }
    let counted = |everything: &Everything| {
        let counters = everything.trunk.counters().unwrap();
        (counters.port_redirected, counters.engine_no_socket)
    };
    eventually(|| counted(&in_first) == (1, 1) && counted(&in_second) == (2, 2));
}
