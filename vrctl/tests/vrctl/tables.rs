//! Against the pages of the daemon itself, with the made-up node behind them.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use vrouterd::http::{Limits, Options, router, serve};

use super::fixture::{AWKWARD, Fixture, SCRIPT};
use super::{Run, vrctl};

/// URL of the daemon's pages, served until the tests end.
fn daemon() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| {
        let (send, receive) = std::sync::mpsc::channel::<SocketAddr>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                send.send(address).unwrap();
                let router = router(Arc::new(Fixture::default()), Options::for_listener(address));
                serve(listener, router, Limits::default(), std::future::pending()).await;
            });
        });
        format!("http://{}", receive.recv().unwrap())
    })
}

#[track_caller]
fn shown(arguments: &[&str]) -> String {
    let run = vrctl(daemon(), arguments);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{arguments:?}");
    run.stdout
}

#[track_caller]
fn assert_shown(arguments: &[&str], expected: &str) {
    let shown = shown(arguments);
    assert_eq!(shown, expected, "{arguments:?}:\n{shown}");
}

const VIFS: &str = "\
NAME                       VRF   ADDRESSES           INTERFACE  LABEL       RX       TX  DROPPED  FLOWS  STATE
client                     blue  10.0.1.2,fd00:1::2  veth1a        17  1284311  2511907       15      2  up
web-1                      blue  10.0.1.3,fd00:2::2  veth2a        18   900100   450000        0      1  up
web-2                      blue  10.0.1.4,fd00:3::2  veth3a        19        0        0        0      0  down: \
The interface veth3a does not exist yet; it is taken in as soon as it appears.
<script>alert(1)</script>  red   10.0.1.2,fd00:4::2  veth4a        20        0        0        0      0  up
a/b?c#d e&f=\"g\"'h'%41+\\é   red   10.0.1.5,fd00:5::2  veth5a        21        0        0        0      0  up
";

const CLIENT: &str = "\
name       client
state      up
vrf        blue
addresses  10.0.1.2,fd00:1::2
label      17
interface  veth1a
mac        02:00:00:00:0a:01
mtu        1468
slot       1
flows      2
rx         1284311 packets, 98765432 bytes
tx         2511907 packets, 3456789012 bytes
dropped    15 packets

DROP REASON     PACKETS  MEANING
spoofed_source        3  The source address is not one of the vif's; look at `addresses` of the vif.
no_route             12  The VRF has no route to the destination.

 DROPPED  REASON          BYTES  PACKET
  0s ago  no_route           54  10.0.1.2 > 10.9.9.9 ttl 64 TCP 40000 > 80 SYN
1m1s ago  no_route           54  10.0.1.2 > 10.9.9.9 ttl 64 TCP 40000 > 80 SYN
2h1m ago  spoofed_source   1514  10.0.1.2 > 10.9.9.9 ttl 64 TCP 40000 > 80 SYN
";

#[test]
fn vifs() {
    assert_shown(&["vif", "list"], VIFS);
    assert_shown(&["vif", "show", "client"], CLIENT);
    let web = shown(&["vif", "show", "web-1"]);
    let last = "service      10.96.0.10 tcp/80->8080,udp/53\npolicy       web: ingress 2 rules\n";
    assert!(web.ends_with(last), "{web}");
    let waiting = shown(&["vif", "show", "web-2"]);
    assert!(waiting.contains("\nstate      down: The interface veth3a"), "{waiting}");
    assert!(waiting.contains("\nslot       -\n"), "{waiting}");
}

#[test]
fn names_reach_the_daemon_whatever_is_in_them() {
    for name in [AWKWARD, SCRIPT] {
        let vif = shown(&["vif", "show", name]);
        assert!(vif.starts_with(&format!("name       {name}\n")), "{vif}");
    }
    for name in ["nope", ".", "..", "client/", "client?x=y"] {
        let stderr =
            format!("vrctl: there is no vif {name:?} on this node; `vrctl vif list` names those there are\n");
        assert_eq!(vrctl(daemon(), &["vif", "show", name]), Run { code: 2, stdout: String::new(), stderr });
    }
}

#[test]
fn a_filter_by_an_unknown_name_is_a_mistake_and_no_empty_list() {
    let table: [(&[&str], &str); 3] = [
        (&["route", "list", "--vrf", "bleu"], "VRF \"bleu\" on this node; `vrctl vrf list` names"),
        (
            &["flow", "list", "--vrf", "a&b", "--vif", "client"],
            "VRF \"a&b\" on this node; `vrctl vrf list` names",
        ),
        (
            &["flow", "list", "--vif", "clint", "-o", "json"],
            "vif \"clint\" on this node; `vrctl vif list` names",
        ),
    ];
    for (arguments, missing) in table {
        let stderr = format!("vrctl: there is no {missing} those there are\n");
        assert_eq!(vrctl(daemon(), arguments), Run { code: 2, stdout: String::new(), stderr });
    }
}

const ROUTES: &str = "\
VRF   PREFIX         ORIGIN    NH  WEIGHT  TO
blue  10.0.1.2/32    vif        0       1  vif client
blue  10.0.2.2/32    declared   2       1  172.30.0.2 label 33
blue  10.96.0.10/32  service    1       1  vif web-1
blue  10.96.0.10/32  service    6       3  172.30.0.2 label 34
blue  fd00:2::/64    declared   3       1  vrf red
red   0.0.0.0/0      declared   4       1  discard
";

const NEXT_HOPS: &str = "\
NH  TO                   ROUTES  STATE
 0  vif client                1  up
 1  vif web-1                 1  up
 2  172.30.0.2 label 33       1  up
 3  vrf red                   1  up
 4  discard                   1  up
 5  172.30.0.3 label 51       0  down: The tunnel endpoint 172.30.0.3 does not answer.
 6  172.30.0.2 label 34       1  up
";

const LABELS: &str = "\
LABEL  TO                             VRF
   17  vif client                     blue
   18  vif web-1                      blue
   19  vif web-2                      blue
   20  vif <script>alert(1)</script>  red
   21  vif a/b?c#d e&f=\"g\"'h'%41+\\é   red
  100  vrf red                        red
  101  vrf blue, broadcast            blue
";

const TUNNELS: &str = "\
PEER        NEXT HOPS  INNER MTU  REACH
172.30.0.2          2       1468  via 02:42:ac:1e:00:02
172.30.0.3          1       1368  failed: the neighbour does not answer
";

#[test]
fn routing() {
    assert_shown(&["route", "list"], ROUTES);
    let red = "VRF  PREFIX     ORIGIN    NH  WEIGHT  TO\nred  0.0.0.0/0  declared   4       1  discard\n";
    assert_shown(&["route", "list", "--vrf", "red"], red);
    assert_shown(&["nh"], NEXT_HOPS);
    assert_shown(&["label"], LABELS);
    assert_shown(&["tunnel"], TUNNELS);
    let vrfs = shown(&["vrf"]);
    let lines: Vec<&str> = vrfs.lines().collect();
    assert!(
        lines[0].starts_with("NAME  ROUTES  SERVICES  VIFS ")
            && lines[0].ends_with("  SOURCE NAT            BROADCAST TO"),
        "{vrfs}"
    );
    assert!(lines[1].starts_with("blue       4         2  client,web-1,web-2 "), "{vrfs}");
    assert!(lines[1].ends_with("  client, web-1, 172.30.0.2 label 102, 172.30.0.3 label 103"), "{vrfs}");
    assert!(lines[2].ends_with("  off"), "{vrfs}");
    assert!(lines[2].contains("  192.0.2.1:1024-65535  "), "{vrfs}");
    assert!(shown(&["vif", "show", "web-1"]).contains("\nfloating ip  192.0.2.10 in red\n"));
}

const SERVICES: &str = "\
VRF   ADDRESS      PORTS                BACKEND              WEIGHT  STATE
blue  10.96.0.10   tcp/80->8080,udp/53  vif web-1                 1  up
blue  10.96.0.10   tcp/80->8080,udp/53  vif web-2                 1  down: The vif is down.
blue  10.96.0.10   tcp/80->8080,udp/53  172.30.0.2 label 34       1  terminating, up
blue  fd00:96::10  tcp/80->8080,udp/53  -                         -  no backend
";

#[test]
fn services() {
    assert_shown(&["service"], SERVICES);
}

const FLOWS: &str = "\
VRF   FLOW   SOURCE             DESTINATION        FROM        TO                   PACKETS    BYTES  STATE           \
AGE  IDLE  TRANSLATED
blue  tcp    10.0.1.2:40000     10.96.0.10:80      vif client  vif web-1               1200   840000  established  \
12m34s    0s  destination 10.96.0.10:80->10.0.1.3:8080
blue  reply  10.0.1.3:8080      10.0.1.2:40000     vif web-1   vif client              2400  1680000
blue  udp    [fd00:1::2]:33000  [fd00:9::1]:443    vif client  172.30.0.2 label 33        7     4900  replied         \
31s   12s
blue  reply  [fd00:9::1]:443    [fd00:1::2]:33000  fabric      vif client                 6     4200

2 listed; 2 in the table, room for 1048576
";

#[test]
fn flows() {
    assert_shown(&["flow", "list"], FLOWS);
    let cut = shown(&["flow", "list", "--limit", "1"]);
    let last = "1 listed, more match: raise --limit or narrow the filter; 2 in the table, room for 1048576\n";
    assert!(cut.ends_with(last), "{cut}");
    let filters: [&[&str]; 5] = [
        &["--proto", "udp"],
        &["--addr", "fd00:9::1"],
        &["--port", "443"],
        &["--vif", "client", "--vrf", "blue", "--port", "33000"],
        &["--proto", "17"],
    ];
    for filter in filters {
        let some = shown(&[&["flow", "list"], filter].concat());
        assert!(some.contains("\nblue  udp ") && !some.contains("blue  tcp"), "{filter:?}: {some}");
    }
    let none = shown(&["flow", "list", "--vrf", "red"]);
    assert!(none.ends_with("\n0 listed; 2 in the table, room for 1048576\n"), "{none}");
    let run = vrctl(daemon(), &["flow", "list", "--proto", "tpc"]);
    let refused = "vrctl: the daemon refuses the request: Parameter \"proto\" is \"tpc\": not an IP protocol: write \
                   tcp, udp, sctp, icmp, icmp6 or a number from 0 to 255.\n";
    assert_eq!(run, Run { code: 2, stdout: String::new(), stderr: refused.to_owned() });
}

const DROPS: &str = "\
REASON          PACKETS  PORTS          MEANING
spoofed_source        3  vif client 3   The source address is not one of the vif's; look at `addresses` of the vif.
no_route             12  vif client 12  The VRF has no route to the destination.
";

#[test]
fn drops() {
    assert_shown(&["drops"], DROPS);
    let all = shown(&["drops", "--all"]);
    assert_eq!(all.lines().count(), 1 + dataplane::drop::DropReason::ALL.len(), "{all}");
}

const WORKERS: &str = "\
WORKER  CPU  BUSY  BATCHES  SLEEPS  FLOW HITS  FLOW MISSES  REVALIDATIONS
     0    0   37%   412007    9120    4100000         1204             31
     1    -   95%   412007    9120    4100000         1204             31

WORKER  FRAMES  FREE  FILL  RX    TX  COMPLETION
     0    8192  3000  4096  64  1000          32
     1    8192  3000  4096  64  1000          32

WORKER  INTERFACE  QUEUE  RX DROPPED  RX FULL  FILL EMPTY  TX EMPTY  RX INVALID  TX INVALID
     0  trunk1         0           0        0           4     90412           0           0
     0  eth0           0           0        0           4     90412           0           0
     1  trunk1         1           0        0           4     90412           0           0
     1  eth0           1           0       17           4     90412           0           0
";

#[test]
fn workers() {
    assert_shown(&["worker"], WORKERS);
}

const TROUBLES: &str = "
TROUBLE      NAME         REASON
tunnel       172.30.0.3   The neighbour does not answer ARP or neighbour solicitation; look at the node and the cabling.
vif          web-2        The interface veth3a does not exist yet; it is taken in as soon as it appears.
service      fd00:96::10  It has no backend.
awaited_vif  web-9        It is not there, but named in services/web and 1 more, where it counts for nothing: attach web-9, or take it out there.
";

#[test]
fn stats() {
    let shown = shown(&["stats"]);
    assert!(
        shown.starts_with("node            node-a\nversion         0.1.0\nuptime          3d2h\n"),
        "{shown}"
    );
    for line in [
        "uplink          eth0 up",
        "uplink vlan     -",
        "xdp             generic: The driver `tun` has no native XDP.",
        "vifs            5, 1 down",
        "flows           2, room for 1048576",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
    assert!(shown.ends_with(TROUBLES), "{shown}");
}

#[test]
fn json_is_the_daemons_document() {
    for noun in [&["vrf"][..], &["vif", "list"], &["stats"], &["flow", "list"]] {
        let text = shown(&[noun, &["-o", "json"]].concat());
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        let names = (document.pointer("/0/name"), document.pointer("/name"), document.pointer("/total"));
        assert!(names.0.or(names.1).or(names.2).is_some(), "{text}");
    }
    let vrfs = shown(&["vrf", "--output", "json"]);
    assert!(vrfs.starts_with("[\n  {\n    \"name\": \"blue\",\n"), "{vrfs}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_vrctl"));
    let output = command.args(["--url", daemon(), "vif", "list"]).stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}
