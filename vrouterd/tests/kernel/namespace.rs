//! A test starts its own binary again inside a namespace, which takes no unsafe code.

use std::process::{Command, Output};
use std::time::Duration;

use caps::{CapSet, Capability};
use tokio::sync::watch::Receiver;

/// Names the two namespaces to the binary that runs inside the first.
const INSIDE: &str = "VXK_INSIDE";
/// Longest run of one test.
const LIMIT: Duration = Duration::from_secs(40);
/// Longest wait for something to happen.
const PATIENCE: Duration = Duration::from_secs(12);

/// The bench of one test. The test runs in a namespace with device `vxk-up`; the device's peer
/// `vxk-peer` is in another namespace. Both are down and have no addresses.
pub(crate) struct Bench {
    peer: String,
}

/// Runs the body inside new namespaces and removes them. To be called from a test function.
pub(crate) fn in_namespaces<F: AsyncFnOnce(Bench)>(body: F) {
    if let Ok(peer) = std::env::var(INSIDE) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let limited = async { tokio::time::timeout(LIMIT, body(Bench { peer })).await };
        runtime.block_on(limited).expect("the test takes too long");
        return;
    }
    let name = test_name::<F>();
    demand_privileges();
    let spaces = Namespaces::create(&name);
    let output = Command::new("ip")
        .args(["netns", "exec", &spaces.node])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture", "--test-threads=1"])
        .env(INSIDE, &spaces.peer)
        .output()
        .expect("ip must be installed (package iproute2)");
    drop(spaces);
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "inside the namespace:\n{text}");
}

/// The path of the test whose body has type `F`, as the test binary calls it.
fn test_name<F>() -> String {
    let path = std::any::type_name::<F>().trim_end_matches("::{{closure}}");
    path.split_once("::").expect("a body inside a function").1.to_owned()
}

fn demand_privileges() {
    for capability in [Capability::CAP_SYS_ADMIN, Capability::CAP_NET_ADMIN] {
        let held = caps::has_cap(None, CapSet::Effective, capability).unwrap();
        assert!(held, "this test makes network namespaces and needs {capability}: run it as root");
    }
}

struct Namespaces {
    node: String,
    peer: String,
}

impl Namespaces {
    fn create(test: &str) -> Self {
        let id = format!("vxk-{}-{}", std::process::id(), test.replace("::", "-"));
        let spaces = Self { node: format!("{id}-node"), peer: format!("{id}-peer") };
        for name in [&spaces.node, &spaces.peer] {
            ip(&format!("netns add {name}"));
            ip(&format!("-n {name} link set lo up"));
        }
        ip(&format!("-n {} link add vxk-up type veth peer name vxk-peer netns {}", spaces.node, spaces.peer));
        spaces
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in [&self.node, &self.peer] {
            let _ = Command::new("ip").args(["netns", "del", name]).output();
        }
    }
}

impl Bench {
    /// Name of the namespace of the peer.
    pub(crate) fn peer_name(&self) -> &str {
        &self.peer
    }

    /// Runs `ip` in the test's own namespace.
    pub(crate) fn ip(&self, arguments: &str) -> String {
        ip(arguments)
    }

    /// Runs `ip` in the namespace of the peer.
    pub(crate) fn peer_ip(&self, arguments: &str) -> String {
        ip(&format!("-n {} {arguments}", self.peer))
    }

    /// Runs a command in the namespace of the peer.
    pub(crate) fn peer(&self, command: &str) -> String {
        ip(&format!("netns exec {} {command}", self.peer))
    }

    /// Sets both ends up, with an address each.
    pub(crate) fn connect(&self, ours: &str, theirs: &str) {
        self.peer_ip(&format!("addr add {theirs} dev vxk-peer nodad"));
        self.peer_ip("link set vxk-peer up");
        self.ip(&format!("addr add {ours} dev vxk-up nodad"));
        self.ip("link set vxk-up up");
    }

    /// Sets a kernel setting of the device `vxk-up`, as `ipv4/neigh retrans_time_ms 100`.
    pub(crate) fn setting(&self, table: &str, key: &str, value: u32) {
        let path = format!("/proc/sys/net/{table}/vxk-up/{key}");
        std::fs::write(&path, value.to_string()).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}

fn ip(arguments: &str) -> String {
    run("ip", arguments)
}

/// Runs a command that must succeed and gives what it printed.
pub(crate) fn run(program: &str, arguments: &str) -> String {
    let Output { status, stdout, stderr } = Command::new(program)
        .args(arguments.split_whitespace())
        .output()
        .unwrap_or_else(|error| panic!("{program} must be installed: {error}"));
    assert!(status.success(), "{program} {arguments}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8_lossy(&stdout).into_owned()
}

/// Waits until the newest value fulfils a condition.
pub(crate) async fn wait_for<T: Clone + std::fmt::Debug>(
    receiver: &mut Receiver<T>,
    what: &str,
    condition: impl FnMut(&T) -> bool,
) -> T {
    let found = match tokio::time::timeout(PATIENCE, receiver.wait_for(condition)).await {
        Ok(found) => Some(found.expect("the sender is gone").clone()),
        Err(_) => None,
    };
    found.unwrap_or_else(|| panic!("waited in vain for {what}; last: {:#?}", receiver.borrow()))
}
