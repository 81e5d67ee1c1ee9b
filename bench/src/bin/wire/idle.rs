//! CPU of a node that has many vifs and nothing to forward.

use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::ground::{NODE_A, PodAddress, colons, lay_wire, namespace};
use crate::vrouter::{Placement, Vrouter, header, vif};

/// Pods of the node.
const VIFS: u8 = 100;
/// From ready to the beginning: neighbours are looked for, IPv6 of the pods settles.
const SETTLE: Duration = Duration::from_secs(5);

/// CPU time of the daemon.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Idle {
    pub(crate) vifs: u8,
    pub(crate) seconds: f64,
    /// Percent of one CPU.
    pub(crate) cpu_percent: f64,
}

/// Measures on a node of its own; the other ends of its vifs are in one namespace.
pub(crate) fn measure(duration: Duration) -> Idle {
    let (node, far) = (namespace("idle-node"), namespace("idle-far"));
    let pods = namespace("idle-pods");
    lay_wire(&node, &far);
    let names: Vec<String> = (0..VIFS).map(|number| format!("idle-{number}")).collect();
    let (mut links, mut ends, mut text) =
        (String::new(), String::new(), header("idle", NODE_A, Placement::Free));
    for (number, name) in (0..VIFS).zip(&names) {
        let mac = [2, 0, 0, 0, 3, number];
        links.push_str(&format!(
            "link add veth-{name} type veth peer name {name} address {mac} netns {pods}\nlink set veth-{name} up\n",
            mac = colons(mac),
            pods = pods.name()
        ));
        ends.push_str(&format!("link set {name} up\n"));
        let (ip, label) = ([10, 0, 3, number + 1], 100 + u32::from(number));
        text.push_str(&vif(&PodAddress { name, ip, mac, node_mac: mac, label }));
    }
    node.ip(&links);
    pods.ip(&ends);
    let vrouter = Vrouter::start("idle", &node, &text);
    thread::sleep(SETTLE);
    let (before, begin) = (vrouter.daemon.cpu_time(), Instant::now());
    thread::sleep(duration);
    let used = vrouter.daemon.cpu_time() - before;
    let seconds = begin.elapsed().as_secs_f64();
    Idle { vifs: VIFS, seconds, cpu_percent: 100.0 * used.as_secs_f64() / seconds }
}
