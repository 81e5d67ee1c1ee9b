//! TCP from pod to pod through both nodes, by iperf3.

use std::process::{Child, Stdio};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tests::{Namespace, eventually};

use crate::course::{Course, System};
use crate::ground::{SINGLE, dotted};
use crate::kernel::Steering;

/// What the wire carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WireGso {
    /// Packets of the wire's MTU, as a cable would.
    Off,
    /// Packets of up to 64 kB, which only a veth can.
    On,
}

/// What iperf3 has measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Transfer {
    pub(crate) system: System,
    pub(crate) wire_gso: WireGso,
    pub(crate) streams: u32,
    /// Received, Gbit/s of payload.
    pub(crate) gbit: f64,
    pub(crate) retransmits: u64,
}

/// An iperf3 server in a pod.
struct Server(Child);

impl Server {
    fn start(pod: &Namespace) -> Self {
        let mut command = pod.command("iperf3");
        let child = command.arg("--server").stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let server = Self(child.expect("`iperf3` can be started"));
        let listens = || pod.run("ss -ltnH sport = 5201").contains("5201");
        eventually(5, "iperf3 listens", listens);
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Measures with 1 and 8 streams, on a course of both nodes.
pub(crate) fn measure(course: &Course, gso: WireGso, duration: Duration) -> Vec<Transfer> {
    let [client, a, b, first, ..] = course.places.as_slice() else { panic!("not a course of both nodes") };
    course.steer(Steering::None);
    a.run("ethtool -K veth-client gro off");
    for node in [a, b] {
        set_gso(node, gso);
    }
    let _server = Server::start(first);
    [1, 8].map(|streams| transfer(course.system, client, gso, streams, duration)).to_vec()
}

fn set_gso(node: &Namespace, gso: WireGso) {
    let word = match gso {
        WireGso::Off => "off",
        WireGso::On => "on",
    };
    node.run(&format!("ethtool -K eth0 tso {word} gso {word} tx-udp_tnl-segmentation {word}"));
}

fn transfer(
    system: System,
    client: &Namespace,
    wire_gso: WireGso,
    streams: u32,
    duration: Duration,
) -> Transfer {
    let seconds = duration.as_secs();
    let line =
        format!("iperf3 --client {} --time {seconds} --omit 1 --parallel {streams} --json", dotted(SINGLE));
    let printed = client.run(&line);
    let answer: Value = serde_json::from_str(&printed).expect("iperf3 writes JSON");
    let end = &answer["end"];
    let bits = end["sum_received"]["bits_per_second"].as_f64();
    Transfer {
        system,
        wire_gso,
        streams,
        gbit: bits.unwrap_or_else(|| panic!("iperf3: {printed}")) / 1e9,
        retransmits: end["sum_sent"]["retransmits"].as_u64().unwrap_or(0),
    }
}
