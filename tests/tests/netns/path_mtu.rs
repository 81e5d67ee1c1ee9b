//! Routers of the underlay that say a tunnel packet was too big.

use serde_json::Value;
use tests::{Lab, eventually};

use crate::remote_backend;

/// What a router sends to 172.30.0.1 about a packet from its port `source` to `endpoint`:6635.
const NEEDED: &str = "
import socket, struct, sys
endpoint, source, mtu = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
a = socket.inet_aton
quote = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 1500, 0, 0x4000, 63, 17, 0, a('172.30.0.1'), a(endpoint))
quote += struct.pack('!HHHH', source, 6635, 1480, 0)
icmp = struct.pack('!BBHHH', 3, 4, 0, 0, mtu) + quote
total = sum(struct.unpack('!%dH' % (len(icmp) // 2), icmp))
total = (total & 0xffff) + (total >> 16)
total = (total & 0xffff) + (total >> 16)
icmp = icmp[:2] + struct.pack('!H', 0xffff - total) + icmp[4:]
socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).sendto(icmp, ('172.30.0.1', 0))
";

fn report(lab: &Lab, endpoint: &str, source: u16, mtu: u16) {
    let (source, mtu) = (source.to_string(), mtu.to_string());
    let sender = &lab.node("node-b").namespace;
    let mut command = sender.command("python3");
    let status = command.args(["-c", NEEDED, endpoint, &source, &mtu]).status().expect("python3 can be run");
    assert!(status.success());
}

fn inner_mtu(lab: &Lab) -> Value {
    lab.node("node-a").json("/tunnels")[0]["inner_mtu"].clone()
}

fn path_mtu(lab: &Lab) -> String {
    lab.pod("client").namespace.run("tracepath -n -m 4 10.0.2.2")
}

#[test]
fn a_router_that_takes_less_is_believed_and_a_forger_is_not() {
    let lab = Lab::start("underlay-mtu", remote_backend().node_line("dont_fragment = \"set\""));
    assert_eq!(inner_mtu(&lab), 1568);
    // No endpoint of ours, a port we never send from, less than any router has, more than the uplink has.
    report(&lab, "172.30.0.77", 50_000, 1400);
    report(&lab, "172.30.0.2", 4000, 1400);
    report(&lab, "172.30.0.2", 50_000, 100);
    report(&lab, "172.30.0.2", 50_000, 9000);
    assert!(path_mtu(&lab).contains("pmtu 1500"));
    assert_eq!(inner_mtu(&lab), 1568);

    report(&lab, "172.30.0.2", 50_000, 1400);
    eventually(5, "the path's MTU is in force", || inner_mtu(&lab) == 1368);
    let printed = path_mtu(&lab);
    assert!(printed.contains("Resume: pmtu 1368 hops 2 back 2"), "{printed}");
    // More than is known is no news, and a second report may lower it.
    report(&lab, "172.30.0.2", 50_000, 1450);
    report(&lab, "172.30.0.2", 65_000, 1300);
    eventually(5, "the path's MTU is lowered", || inner_mtu(&lab) == 1268);
}
