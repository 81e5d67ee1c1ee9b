//! What a user would have instead: the kernel routes, VXLAN between the nodes, nftables for the service.

use std::io::Write as _;
use std::process::Stdio;

use tests::Namespace;

use crate::course::WORKER_CPU;
use crate::frames::{VNI, VXLAN_A, VXLAN_B};
use crate::ground::{
    BACKENDS, CLIENT, NODE_A, NODE_B, PORT, PodAddress, SERVICE, SINGLE, TARGET, WireEnd, colons, dotted,
};

/// Where the packets of an interface are forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Steering {
    /// On the CPU that they come in on, which is the generator's when there is one.
    None,
    /// On the CPU that the vrouter's worker would have (`rps_cpus`), so that the kernel has two as well.
    Other,
}

/// The end of the VXLAN on one node.
struct Tunnel {
    own: WireEnd,
    own_mac: [u8; 6],
    own_ip: &'static str,
    other: WireEnd,
    other_mac: [u8; 6],
    other_ip: &'static str,
    /// Pods behind it.
    reaches: &'static str,
}

const OF_A: Tunnel = Tunnel {
    own: NODE_A,
    own_mac: VXLAN_A,
    own_ip: "10.255.0.1",
    other: NODE_B,
    other_mac: VXLAN_B,
    other_ip: "10.255.0.2",
    reaches: "10.0.2.0/24",
};

const OF_B: Tunnel = Tunnel {
    own: NODE_B,
    own_mac: VXLAN_B,
    own_ip: "10.255.0.2",
    other: NODE_A,
    other_mac: VXLAN_A,
    other_ip: "10.255.0.1",
    reaches: "10.0.1.0/24",
};

/// Makes the client's node.
pub(crate) fn client_side(node: &Namespace) {
    prepare(node, &OF_A, &[CLIENT]);
}

/// Makes the node of the backends.
pub(crate) fn backend_side(node: &Namespace) {
    prepare(node, &OF_B, &BACKENDS);
}

/// Chooses where packets that enter by the interface are forwarded.
pub(crate) fn steer(node: &Namespace, interface: &str, steering: Steering) {
    let mask = match steering {
        Steering::None => 0,
        Steering::Other => 1 << WORKER_CPU,
    };
    let path = format!("/sys/class/net/{interface}/queues/rx-0/rps_cpus");
    let output = node.command("sh").args(["-c", &format!("echo {mask} > {path}")]).output();
    let output = output.expect("`sh` can be run");
    assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
}

fn prepare(node: &Namespace, tunnel: &Tunnel, pods: &[PodAddress<'_>]) {
    for setting in ["ip_forward=1", "conf.all.rp_filter=0", "conf.default.rp_filter=0"] {
        node.run(&format!("sysctl -qw net.ipv4.{setting}"));
    }
    node.ip(&format!(
        "link add vxlan0 address {own_mac} type vxlan id {VNI} local {own} remote {other} dstport 4789 dev eth0\n\
         address add {own_ip}/24 dev vxlan0\n\
         link set vxlan0 up\n\
         neighbour replace {other_ip} lladdr {other_mac} dev vxlan0 nud permanent\n\
         route add {reaches} via {other_ip} dev vxlan0\n",
        own_mac = colons(tunnel.own_mac),
        own = dotted(tunnel.own.ip),
        other = dotted(tunnel.other.ip),
        own_ip = tunnel.own_ip,
        other_ip = tunnel.other_ip,
        other_mac = colons(tunnel.other_mac),
        reaches = tunnel.reaches,
    ));
    for pod in pods {
        let (name, ip, mac) = (pod.name, dotted(pod.ip), colons(pod.mac));
        node.ip(&format!(
            "route add {ip}/32 dev veth-{name}\n\
             neighbour replace {ip} lladdr {mac} dev veth-{name} nud permanent\n"
        ));
    }
    nftables(node, &rules());
}

fn nftables(node: &Namespace, rules: &str) {
    let mut nft =
        node.command("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().expect("`nft` can be run");
    nft.stdin.take().expect("stdin is a pipe").write_all(rules.as_bytes()).expect("`nft` reads its rules");
    assert!(nft.wait().expect("`nft` ends").success(), "`nft` refuses\n{rules}");
}

/// Both nodes have them, as every node of a cluster has.
fn rules() -> String {
    let among = |target: u16| {
        let pods = BACKENDS.iter().enumerate();
        let choices: Vec<String> =
            pods.map(|(index, pod)| format!("{index} : {} . {target}", dotted(pod.ip))).collect();
        format!("numgen random mod {} map {{ {} }}", BACKENDS.len(), choices.join(", "))
    };
    let (service, single, first) = (dotted(SERVICE), dotted(SINGLE), dotted(BACKENDS[0].ip));
    format!(
        "table ip services {{\n\
         chain prerouting {{\n\
         type nat hook prerouting priority dstnat\n\
         ip daddr {service} udp dport {PORT} dnat to {}\n\
         ip daddr {service} tcp dport 80 dnat to {}\n\
         ip daddr {service} tcp dport 81 dnat to {}\n\
         ip daddr {single} tcp dport 5201 dnat to {first}:5201\n\
         }}\n}}\n",
        among(TARGET),
        among(8080),
        among(8081)
    )
}
