//! The worker threads.

use std::thread;
use std::time::Duration;

use serde_json::Value;
use tests::{Lab, echo, tcp_greeting};

use crate::{TARGET, remote_backend};

#[test]
fn two_workers_share_the_queues_of_the_uplink() {
    let lab = Lab::start("two-workers", remote_backend().workers(2));
    let _server = lab.pod("web").serve_tcp(TARGET);
    for _ in 0..40 {
        let mut stream = lab.pod("client").namespace.connect("10.96.0.10:80").unwrap();
        assert_eq!(tcp_greeting(&stream).unwrap().backend, "web");
        echo(&mut stream, &[1; 50_000]).unwrap();
    }
    for node in ["node-a", "node-b"] {
        let queues = lab.node(node).json("/")["uplink"]["queues"].clone();
        assert_eq!(queues.as_array().unwrap().len(), 2, "{queues}");
        let workers = lab.node(node).json("/workers");
        let worked = |worker: &Value| worker["flow_hits"].as_u64().unwrap() > 0;
        assert_eq!(
            workers.as_array().unwrap().iter().filter(|worker| worked(worker)).count(),
            2,
            "{workers}"
        );
    }
}

#[test]
fn an_idle_node_uses_less_than_one_percent_of_a_core() {
    const PERIOD: Duration = Duration::from_secs(6);
    let lab = Lab::start("idle", remote_backend());
    assert_eq!(lab.pod("client").ping("10.0.2.2").ttl(), 63);
    for node in ["node-a", "node-b"] {
        let before = lab.node(node).daemon().cpu_time();
        thread::sleep(PERIOD);
        let used = lab.node(node).daemon().cpu_time() - before;
        assert!(used < PERIOD / 100, "{node} used {used:?} in {PERIOD:?} of doing nothing");
    }
}
