//! Building courses.

use tests::Namespace;

use crate::course::{Course, Entry, GENERATOR_CPU, Node, System, Way};
use crate::forwarder::Forwarder;
use crate::frames::{from_pod, from_wire, gateway};
use crate::generator::Generator;
use crate::ground::{BACKENDS, CLIENT, WIRE_MTU, lay_wire, namespace, plug, take_made_frames};
use crate::kernel;
use crate::sink::Sink;
use crate::vrouter::{Placement, Vrouter};

/// Makes the course of a system on a way.
///
/// The bare forwarder stands in for one node; there is none with two.
pub(crate) fn build(system: System, way: Way) -> Course {
    let name = format!("{}{}", short(system), short_way(way));
    match way {
        Way::Client => client(&name, system),
        Way::Backend => backend(&name, system),
        Way::Path => path(&name, system),
    }
}

const fn short(system: System) -> &'static str {
    match system {
        System::Vrouter => "v",
        System::Kernel => "k",
        System::Forwarder => "f",
    }
}

const fn short_way(way: Way) -> &'static str {
    match way {
        Way::Client => "client",
        Way::Backend => "backend",
        Way::Path => "path",
    }
}

/// pod -> node -> eth0, counted at the other end of the wire.
fn client(name: &str, system: System) -> Course {
    let (node, far) = (namespace(&format!("{name}-node")), namespace(&format!("{name}-far")));
    lay_wire(&node, &far);
    let pod = plug(name, &CLIENT, gateway(system.dialect(), &CLIENT), &node);
    let mut nodes = Vec::new();
    match system {
        System::Vrouter => {
            take_made_frames(&node, "veth-client");
            nodes.push(Node::Vrouter(Vrouter::client_side(name, &node, Placement::Pinned)));
        }
        System::Kernel => {
            take_made_frames(&node, "veth-client");
            kernel::client_side(&node);
        }
        System::Forwarder => nodes.push(bare(&node, "veth-client", "eth0")),
    }
    let sink = Sink::on_wire(&far, "eth0");
    let generator = Generator::new(ifindex(&pod), GENERATOR_CPU);
    let entry = Entry { generator, place: 0, templates: from_pod };
    Course {
        system,
        way: Way::Client,
        entry,
        sink,
        nodes,
        inlet: (1, "veth-client"),
        places: vec![pod, node, far],
    }
}

/// eth0 -> node -> pods, from the other end of the wire.
fn backend(name: &str, system: System) -> Course {
    let (far, node) = (namespace(&format!("{name}-far")), namespace(&format!("{name}-node")));
    lay_wire(&far, &node);
    let pods: Vec<Namespace> =
        BACKENDS.iter().map(|pod| plug(name, pod, gateway(system.dialect(), pod), &node)).collect();
    let mut nodes = Vec::new();
    match system {
        System::Vrouter => nodes.push(Node::Vrouter(Vrouter::backend_side(name, &node, Placement::Pinned))),
        System::Kernel => {
            take_made_frames(&node, "eth0");
            kernel::backend_side(&node);
        }
        System::Forwarder => {
            // It takes nothing off, so the pod's interface must carry what the wire does.
            node.ip(&format!("link set veth-web-1 mtu {WIRE_MTU}\n"));
            pods[0].ip(&format!("link set eth0 mtu {WIRE_MTU}\n"));
            nodes.push(bare(&node, "eth0", "veth-web-1"));
        }
    }
    let sink = Sink::in_pods(&pods);
    let generator = Generator::new(ifindex(&far), GENERATOR_CPU);
    let entry = Entry { generator, place: 0, templates: from_wire };
    let places = [far, node].into_iter().chain(pods).collect();
    Course { system, way: Way::Backend, entry, sink, nodes, inlet: (1, "eth0"), places }
}

/// pod -> node -> wire -> node -> pods. Places: the client's pod, both nodes, the backends' pods.
fn path(name: &str, system: System) -> Course {
    let (a, b) = (namespace(&format!("{name}-a")), namespace(&format!("{name}-b")));
    lay_wire(&a, &b);
    let client = plug(name, &CLIENT, gateway(system.dialect(), &CLIENT), &a);
    let pods: Vec<Namespace> =
        BACKENDS.iter().map(|pod| plug(name, pod, gateway(system.dialect(), pod), &b)).collect();
    take_made_frames(&a, "veth-client");
    let mut nodes = Vec::new();
    match system {
        System::Vrouter => {
            nodes.push(Node::Vrouter(Vrouter::client_side(name, &a, Placement::Free)));
            nodes.push(Node::Vrouter(Vrouter::backend_side(name, &b, Placement::Free)));
        }
        System::Kernel => {
            kernel::client_side(&a);
            kernel::backend_side(&b);
        }
        System::Forwarder => panic!("the bare forwarder is no router: it has no way through two nodes"),
    }
    let sink = Sink::in_pods(&pods);
    let generator = Generator::new(ifindex(&client), GENERATOR_CPU);
    let entry = Entry { generator, place: 0, templates: from_pod };
    let places = [client, a, b].into_iter().chain(pods).collect();
    Course { system, way: Way::Path, entry, sink, nodes, inlet: (1, "veth-client"), places }
}

/// Of `eth0`.
fn ifindex(place: &Namespace) -> u32 {
    place.run("cat /sys/class/net/eth0/ifindex").trim().parse().expect("an index is a number")
}

fn bare(node: &Namespace, one: &str, other: &str) -> Node {
    Node::Forwarder { _process: Forwarder::start(node, one, other) }
}
