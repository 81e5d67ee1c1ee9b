//! Broadcast and link-local multicast between the pods of a network.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use tests::{Lab, Plan, Pod, eventually};

const PORT: u16 = 5353;
const MDNS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const MDNS6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
const ALL: &str = "10.0.255.255";
/// Longest that a second copy could take.
const QUIET: Duration = Duration::from_millis(100);
const POD_NAMES: [&str; 4] = ["left", "near", "far-1", "far-2"];

/// Two pods of the VRF `blue` on each node, and one of another VRF beside them.
fn five_pods() -> Plan {
    Plan::two_nodes()
        .pod("left", "node-a")
        .pod("near", "node-a")
        .pod_in("green", "stranger", "node-a")
        .pod("far-1", "node-b")
        .pod("far-2", "node-b")
        .broadcast("10.0.0.0/16")
}

/// Sockets of a pod that hear everything sent to `PORT`, whatever the group.
struct Ears {
    name: String,
    v4: UdpSocket,
    v6: UdpSocket,
}

fn interface(pod: &Pod) -> u32 {
    let shown = pod.namespace.run("cat /sys/class/net/eth0/ifindex");
    shown.trim().parse().expect("a number")
}

impl Ears {
    fn of(pod: &Pod) -> Self {
        // A host with a route of its own has to be told that the address means it.
        pod.namespace.ip(&format!("route add broadcast {ALL} dev eth0 table local scope link\n"));
        let v4 = pod.namespace.udp(&format!("0.0.0.0:{PORT}"));
        let own: Ipv4Addr = pod.plan.ip.parse().expect("an address");
        v4.join_multicast_v4(&MDNS, &own).expect("the pod may join");
        let scope = interface(pod);
        // The dual-stack socket that `[::]` makes would take the port for IPv4 as well.
        let v6 = pod.namespace.udp(&format!("[ff02::fb%{scope}]:{PORT}"));
        v6.join_multicast_v6(&MDNS6, scope).expect("the pod may join");
        Self { name: pod.plan.name.clone(), v4, v6 }
    }

    fn socket(&self, to: &SocketAddr) -> &UdpSocket {
        if to.is_ipv4() { &self.v4 } else { &self.v6 }
    }

    /// The message comes from `from`, once.
    fn hear_once(&self, to: &SocketAddr, from: &SocketAddr, message: &[u8]) {
        let socket = self.socket(to);
        let mut room = [0; 0x10000];
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        let (length, sender) =
            socket.recv_from(&mut room).unwrap_or_else(|error| panic!("{}, {to}: {error}", self.name));
        assert!(room[..length] == *message, "{}, {to}: {length} bytes", self.name);
        assert_eq!(sender.port(), from.port(), "{}, {to}", self.name);
        if from.is_ipv4() {
            assert_eq!(sender, *from, "{}, {to}", self.name);
        }
        self.hear_nothing(to);
    }

    /// The kernel of a speaker lets it hear its own broadcast.
    fn forget(&self, to: &SocketAddr) {
        let socket = self.socket(to);
        socket.set_read_timeout(Some(Duration::from_millis(1))).expect("a timeout");
        while socket.recv_from(&mut [0; 0x10000]).is_ok() {}
    }

    fn hear_nothing(&self, to: &SocketAddr) {
        let socket = self.socket(to);
        socket.set_read_timeout(Some(QUIET)).expect("a timeout");
        let error = loop {
            let error = socket.recv_from(&mut [0; 0x10000]).expect_err("nothing more comes");
            // A child of another test that ends interrupts the call.
            if error.kind() != ErrorKind::Interrupted {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "{}, {to}", self.name);
    }
}

/// A socket that speaks to all.
fn voice(pod: &Pod, to: &SocketAddr) -> UdpSocket {
    let own = if to.is_ipv4() { format!("{}:0", pod.plan.ip) } else { "[::]:0".to_owned() };
    let socket = pod.namespace.udp(&own);
    if to.is_ipv4() {
        socket.set_broadcast(true).expect("the option is there");
        socket.set_multicast_loop_v4(false).expect("the option is there");
    } else {
        socket.set_multicast_loop_v6(false).expect("the option is there");
    }
    socket
}

#[test]
fn each_pod_of_the_network_hears_a_message_once_and_no_other_pod_does() {
    let lab = Lab::start("broadcast", five_pods());
    let ears: Vec<Ears> = POD_NAMES.iter().map(|name| Ears::of(lab.pod(name))).collect();
    let stranger = Ears::of(lab.pod("stranger"));
    for (speaker, name) in POD_NAMES.iter().enumerate() {
        let pod = lab.pod(name);
        let scope = interface(pod);
        let groups = ["255.255.255.255".to_owned(), ALL.to_owned(), MDNS.to_string()];
        let groups = groups.map(|group| format!("{group}:{PORT}"));
        for to in groups.into_iter().chain([format!("[ff02::fb%{scope}]:{PORT}")]) {
            let to: SocketAddr = to.parse().expect("an address");
            let socket = voice(pod, &to);
            let from = socket.local_addr().expect("an address");
            let message = format!("{name} to {to}").into_bytes();
            socket.send_to(&message, to).unwrap_or_else(|error| panic!("{name} to {to}: {error}"));
            for (_, listener) in ears.iter().enumerate().filter(|(place, _)| *place != speaker) {
                listener.hear_once(&to, &from, &message);
            }
            ears[speaker].forget(&to);
            stranger.hear_nothing(&to);
        }
    }
    // Each of the four messages of four pods crossed the fabric once, and came back never.
    for node in ["node-a", "node-b"] {
        let metrics = lab.node(node).metrics();
        for direction in ["direction=\"rx\"", "direction=\"tx\""] {
            let packets = metrics.sum("vrouter_packets_total", &["port=\"uplink\"", direction]);
            assert_eq!(packets, 8.0, "{node} {direction}");
        }
        for reason in ["multicast_unsupported", "no_free_frame", "off_link", "tunnel_loop"] {
            assert_eq!(metrics.drops(reason), 0.0, "{node} {reason}");
        }
        eventually(2, "packets add up", || {
            let (came, went) = lab.node(node).metrics().sides();
            came == went
        });
    }
}

#[test]
fn a_host_that_thinks_it_is_routed_and_a_large_datagram_reach_all() {
    let lab = Lab::start("broadcast-large", five_pods());
    let listeners: Vec<Ears> = POD_NAMES[1..].iter().map(|name| Ears::of(lab.pod(name))).collect();
    let left = lab.pod("left");
    // `left` has no route for the address of the subnet: it sends to the gateway's Ethernet address.
    for (to, length) in [(ALL, 8), (ALL, 9000), ("255.255.255.255", 9000)] {
        let to: SocketAddr = format!("{to}:{PORT}").parse().expect("an address");
        let socket = voice(left, &to);
        let from = socket.local_addr().expect("an address");
        let message = vec![7; length];
        socket.send_to(&message, to).expect("the pod may send");
        listeners.iter().for_each(|listener| listener.hear_once(&to, &from, &message));
    }
}

#[test]
fn a_ping_to_all_is_answered_by_all() {
    let lab = Lab::start("broadcast-ping", five_pods());
    for name in POD_NAMES {
        let path = "/proc/sys/net/ipv4/icmp_echo_ignore_broadcasts";
        lab.pod(name).namespace.within(|| fs::write(path, "0")).expect("root may set it");
    }
    for group in ["255.255.255.255", "224.0.0.1"] {
        let shown = lab.pod("left").namespace.attempt(&format!("ping -b -n -i 0.5 -w 2 {group}"));
        let shown = String::from_utf8_lossy(&shown.stdout);
        let answers: BTreeSet<&str> = shown
            .lines()
            .filter_map(|line| line.split_once("bytes from ")?.1.split([':', ' ']).next())
            .filter(|address| *address != "10.0.1.2")
            .collect();
        assert_eq!(answers, BTreeSet::from(["10.0.1.3", "10.0.2.2", "10.0.2.3"]), "{shown}");
    }
    // IPv6 answers from link-local addresses, to which there is no route.
    let shown = lab.pod("left").namespace.attempt("ping -n -i 0.5 -w 2 -I fd00:1::2 ff02::1%eth0");
    let shown = String::from_utf8_lossy(&shown.stdout);
    for address in ["fd00:1::3", "fd00:2::2", "fd00:2::3"] {
        assert!(shown.contains(&format!("bytes from {address}")), "{shown}");
    }
}

#[test]
fn without_a_broadcast_nobody_hears_anything_and_the_page_says_so() {
    let mut lab = Lab::start("broadcast-off", five_pods());
    let near = Ears::of(lab.pod("near"));
    let broadcast = &lab.node("node-a").json("/vrfs")[0]["broadcast"];
    assert_eq!(broadcast["vifs"], serde_json::json!(["left", "near"]));
    assert_eq!(broadcast["nodes"][0]["node"], "172.30.0.2");
    assert_eq!(broadcast["nodes"][0]["label"], 900);
    let labels = lab.node("node-a").json("/labels");
    let of_all = labels.as_array().expect("a list").iter().find(|label| label["label"] == 900);
    assert_eq!(of_all.expect("the label is there")["kind"], "broadcast");

    lab.plan.end_broadcast();
    lab.reload();
    assert!(lab.node("node-a").json("/vrfs")[0]["broadcast"].is_null());
    let to: SocketAddr = format!("255.255.255.255:{PORT}").parse().expect("an address");
    voice(lab.pod("left"), &to).send_to(b"anyone?", to).expect("the pod may send");
    near.hear_nothing(&to);
    eventually(2, "the drop is counted", || {
        lab.node("node-a").metrics().drops("multicast_unsupported") >= 1.0
    });
}
