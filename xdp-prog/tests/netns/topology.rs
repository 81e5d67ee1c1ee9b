//! Namespaces and veths; everything is removed when the value goes.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use xdp_prog::{IfIndex, preflight};

pub(crate) const POD_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0xaa];
pub(crate) const HOST_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0xbb];
pub(crate) const GATEWAY_MAC: [u8; 6] = [0, 0, 0x5e, 0, 1, 0];

/// Runs a command line in the thread's namespace and returns what it printed.
pub(crate) fn run(line: &str) -> String {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap())
        .args(words)
        .output()
        .unwrap_or_else(|error| panic!("`{line}` cannot be run: {error}"));
    assert!(output.status.success(), "`{line}`: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn index(device: &str) -> IfIndex {
    IfIndex::by_name(device).unwrap()
}

/// A network namespace; its kernel sends nothing by itself, for IPv6 is off.
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    pub(crate) fn new(name: &str) -> Self {
        if let Err(missing) = preflight() {
            let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
            panic!("this test cannot run: {}", missing.join("; "));
        }
        let name = format!("vxb-{name}");
        // A run that was killed may have left it.
        let _ = Command::new("ip").args(["netns", "del", &name]).output();
        run(&format!("ip netns add {name}"));
        let namespace = Self { name };
        namespace.within(|| {
            run("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1");
            run("ip link set lo up");
        });
        namespace
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Moves the calling thread (a test has its own) and what it spawns into the namespace.
    pub(crate) fn enter(&self) {
        enter(&self.name);
    }

    /// Runs something in the namespace on another thread and waits for it.
    pub(crate) fn within<T: Send>(&self, action: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.enter();
                action()
            });
            inside.join().unwrap()
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

pub(crate) fn enter(name: &str) {
    let file = File::open(format!("/run/netns/{name}")).unwrap();
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
}

/// Held by every topology, so tests run one at a time: a child process that another test has forked and that has
/// not executed yet holds copies of our descriptors, and with them links that this test has dropped.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn wait_for_turn() -> MutexGuard<'static, ()> {
    // A test that failed leaves nothing behind that the next could stumble over.
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A node with the trunk pair, a host vif (`vhostp` - `vhost0` 10.9.1.2) and one pod (`vifp` - `eth0` 10.9.0.2).
/// The calling thread ends up in the node.
pub(crate) struct Node {
    pub(crate) pod: Namespace,
    pub(crate) node: Namespace,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl Node {
    pub(crate) fn new(test: &str) -> Self {
        let turn = wait_for_turn();
        Self { _turn: Some(turn), ..Self::another(test) }
    }

    /// A second node for a test that has one already.
    pub(crate) fn another(test: &str) -> Self {
        let node = Namespace::new(&format!("{test}-n"));
        let pod = Namespace::new(&format!("{test}-p"));
        node.enter();
        run(
            "ip link add trunk0 numtxqueues 2 numrxqueues 2 type veth peer trunk1 numtxqueues 2 numrxqueues 2",
        );
        run("ethtool -K trunk0 tx off tso off gso off txvlan off");
        run("ip link set trunk0 up");
        run("ip link set trunk1 up");
        run("ip link add vhostp type veth peer vhost0");
        run("ip link set vhost0 address 02:00:00:00:00:bb up");
        run("ip link set vhostp up");
        run("ip address add 10.9.1.2/24 dev vhost0");
        run(&format!("ip link add vifp type veth peer name eth0 netns {}", pod.name()));
        run("ip link set vifp up");
        pod.within(|| {
            run("ip link set eth0 address 02:00:00:00:00:aa up");
            run("ip address add 10.9.0.2/24 dev eth0");
            run("ip neigh add 10.9.0.1 lladdr 00:00:5e:00:01:00 dev eth0");
        });
        Self { pod, node, _turn: None }
    }
}

/// Two hosts joined by `uplink` (10.8.0.1) and `peer` (10.8.0.2). The calling thread ends up at the uplink.
pub(crate) struct Underlay {
    pub(crate) peer: Namespace,
    _node: Namespace,
    _turn: MutexGuard<'static, ()>,
}

impl Underlay {
    pub(crate) fn new(test: &str) -> Self {
        let turn = wait_for_turn();
        let node = Namespace::new(&format!("{test}-n"));
        let peer = Namespace::new(&format!("{test}-p"));
        node.enter();
        run(&format!("ip link add uplink type veth peer name peer netns {}", peer.name()));
        run("ip link set uplink up");
        run("ip address add 10.8.0.1/24 dev uplink");
        peer.within(|| {
            run("ip link set peer up");
            run("ip address add 10.8.0.2/24 dev peer");
        });
        Self { peer, _node: node, _turn: turn }
    }
}

/// Waits for something the kernel does a moment later, for at most five seconds.
pub(crate) fn eventually(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !condition() {
        assert!(Instant::now() < deadline, "it did not come true within five seconds");
        thread::sleep(Duration::from_millis(10));
    }
}
