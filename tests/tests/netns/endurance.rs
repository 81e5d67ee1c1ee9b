//! What lasts: a daemon that was stopped for a while, and pods that come and go.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tests::{Lab, Node, Plan, eventually, udp_greeting};

use crate::{PORT, TARGET, remote_backend};

const STOPPED: Duration = Duration::from_secs(3);
/// Datagrams between two pauses of 5 ms: at most 4,000 a second, and more than a fill ring holds while stopped.
const BURST: u32 = 20;

#[test]
fn a_daemon_that_was_stopped_under_load_goes_on_at_once() {
    let lab = Lab::start("stopped", remote_backend());
    let _server = lab.pod("web").serve_udp(TARGET);
    let (client, node) = (lab.pod("client"), lab.node("node-a"));
    let service = format!("10.96.0.10:{PORT}");
    let question = client.namespace.udp(&format!("{}:5000", client.plan.ip));
    udp_greeting(&question, &service, b"before").unwrap();
    let load = client.namespace.udp(&format!("{}:5001", client.plan.ip));
    let (done, missed) =
        (AtomicBool::new(false), node.metrics().sum("vrouter_ring_missed_packets_total", &[]));
    let back = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                // What finds no room is lost, as it is meant to be.
                (0..BURST).for_each(|_| drop(load.send_to(&[7; 100], &service)));
                thread::sleep(Duration::from_millis(5));
            }
        });
        thread::sleep(Duration::from_millis(200));
        node.daemon().signal(Signal::STOP);
        thread::sleep(STOPPED);
        let start = Instant::now();
        node.daemon().signal(Signal::CONT);
        question.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        while udp_greeting(&question, &service, b"after").is_err() {
            assert!(start.elapsed() < Duration::from_secs(5), "nothing comes back");
        }
        let back = start.elapsed();
        done.store(true, Ordering::Relaxed);
        back
    });
    println!("the first answer came {back:?} after the daemon went on");
    assert!(back < Duration::from_secs(1), "{back:?}");
    let metrics = node.metrics();
    assert!(
        metrics.sum("vrouter_ring_missed_packets_total", &[]) > missed,
        "what the kernel dropped is counted"
    );
    assert_frames(node);
}

/// Every frame of the UMEM is somewhere, and every packet has an end.
fn assert_frames(node: &Node) {
    eventually(5, "the frames add up", || {
        let metrics = node.metrics();
        let (came, went) = metrics.sides();
        let frames = metrics.sum("vrouter_umem_frames", &[]);
        came == went && frames == metrics.sum("vrouter_umem_size_frames", &[])
    });
}

/// Pods of a round; twenty rounds make five hundred that come and go.
const PODS: usize = 25;
const ROUNDS: usize = 20;

#[test]
fn pods_that_come_and_go_leave_nothing_in_the_daemon() {
    let plan = (0..PODS).fold(Plan::two_nodes(), |plan, n| plan.by_api(&format!("p{n}"), "node-a"));
    let lab = crate::api::start("come-and-go", plan);
    let (node, api) = (lab.node("node-a"), lab.node("node-a").api());
    let round = || {
        for n in 0..PODS {
            let (name, vif) = (format!("p{n}"), lab.pod(&format!("p{n}")).plan.vif());
            assert_eq!(api.ok(&format!("POST /v1/vifs/{name}/attach"), Some(&vif))["vif"]["state"], "up");
        }
        assert_eq!(lab.pod("p0").ping(&lab.pod("p1").plan.ip).ttl(), 63);
        for n in 0..PODS {
            assert_eq!(api.ask(&format!("POST /v1/vifs/p{n}/detach"), None).status, 204);
        }
    };
    // The first rounds fill what is kept on purpose: allocator, tables that have grown.
    (0..2).for_each(|_| round());
    let before = Held::by(node);
    (2..ROUNDS).for_each(|_| round());
    let after = Held::by(node);
    println!("before {before:?}, after {after:?}");
    assert_eq!((after.descriptors, after.links), (before.descriptors, before.links));
    assert!(after.resident_kib < before.resident_kib * 11 / 10, "{before:?} became {after:?}");
    assert_frames(node);
}

/// What a daemon holds.
#[derive(Debug)]
struct Held {
    descriptors: usize,
    resident_kib: usize,
    /// Network devices of its node.
    links: usize,
}

impl Held {
    fn by(node: &Node) -> Self {
        let process = format!("/proc/{}", node.daemon().pid());
        let status = fs::read_to_string(format!("{process}/status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        Self {
            descriptors: fs::read_dir(format!("{process}/fd")).unwrap().count(),
            resident_kib: resident.trim().trim_end_matches(" kB").parse().unwrap(),
            links: node.namespace.links().len(),
        }
    }
}
