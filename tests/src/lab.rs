//! Making the network that a plan describes.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;

use crate::plan::{NodePlan, Plugged};
use crate::{
    Answer, Daemon, Metrics, Namespace, Pings, Plan, PodPlan, Server, eventually, leftovers, within,
};

/// Seconds that a daemon may take to carry packets.
const START: u64 = 20;
/// Room for 1500 bytes inside and the outer headers of IPv6.
const UPLINK_MTU: u16 = 1600;

/// A network with its nodes, pods and daemons; all of it goes with the value.
#[derive(Debug)]
pub struct Lab {
    /// What it looks like; change it and [`Lab::reload`].
    pub plan: Plan,
    // Daemons end before the namespaces go.
    nodes: BTreeMap<String, Node>,
    pods: BTreeMap<String, Pod>,
    fabric: Namespace,
    directory: Directory,
}

/// A node.
#[derive(Debug)]
pub struct Node {
    name: String,
    daemon: Option<Daemon>,
    /// Where it is.
    pub namespace: Namespace,
    /// Pods whose interfaces are not made yet.
    late: Vec<String>,
    config: PathBuf,
    state_dir: PathBuf,
    log: PathBuf,
}

/// A pod.
#[derive(Debug)]
pub struct Pod {
    /// Its addresses.
    pub plan: PodPlan,
    /// Where it is.
    pub namespace: Namespace,
}

#[derive(Debug)]
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Lab {
    /// Makes the namespaces and their links; starts no daemon. `test` tells the labs of one run apart.
    ///
    /// # Panics
    /// Without root, or when something cannot be made.
    pub fn new(test: &str, plan: Plan) -> Self {
        leftovers::remove_once();
        let prefix = format!("{}{test}", leftovers::prefix());
        let directory = Directory(Path::new("/run").join(&prefix));
        fs::create_dir_all(&directory.0).expect("/run can be written");
        let fabric = Namespace::new(&format!("{prefix}-fabric"));
        fabric.ip("link add bridge mtu 1600 type bridge\nlink set bridge up\n");
        let mut lab = Self { plan, nodes: BTreeMap::new(), pods: BTreeMap::new(), fabric, directory };
        for node in lab.plan.nodes.clone() {
            let mut made = Node::new(&node, &format!("{prefix}-{}", node.name), &lab.directory.0);
            let late =
                lab.plan.pods.iter().filter(|pod| pod.node == node.name && pod.plugged == Plugged::Later);
            made.late = late.map(|pod| pod.name.clone()).collect();
            made.join(&node, &lab.fabric);
            lab.nodes.insert(node.name, made);
        }
        for plan in lab.plan.pods.clone() {
            let namespace = Namespace::new(&format!("{prefix}-{}", plan.name));
            lab.pods.insert(plan.name.clone(), Pod { plan: plan.clone(), namespace });
            if plan.plugged == Plugged::Now {
                lab.plug(&plan.name);
            }
        }
        lab.write_configs();
        lab
    }

    /// Makes the network, starts a daemon on every node and waits until they can carry packets.
    ///
    /// # Panics
    /// When one of them cannot within twenty seconds.
    pub fn start(test: &str, plan: Plan) -> Self {
        let mut lab = Self::new(test, plan);
        let names: Vec<String> = lab.nodes.keys().cloned().collect();
        names.iter().for_each(|name| lab.node_mut(name).spawn());
        names.iter().for_each(|name| lab.node_mut(name).wait_ready());
        lab
    }

    /// A node by name.
    ///
    /// # Panics
    /// When there is none.
    pub fn node(&self, name: &str) -> &Node {
        &self.nodes[name]
    }

    /// A node by name, to start and stop its daemon.
    ///
    /// # Panics
    /// When there is none.
    pub fn node_mut(&mut self, name: &str) -> &mut Node {
        self.nodes.get_mut(name).expect("the plan has the node")
    }

    /// A pod by name.
    ///
    /// # Panics
    /// When there is none.
    pub fn pod(&self, name: &str) -> &Pod {
        &self.pods[name]
    }

    /// The underlay between the nodes; its interfaces have the names of the nodes.
    pub fn fabric(&self) -> &Namespace {
        &self.fabric
    }

    /// Makes the interface of a pod.
    ///
    /// # Panics
    /// When it is there already.
    pub fn plug(&self, pod: &str) {
        let pod = self.pod(pod);
        pod.plan.plug(&self.node(&pod.plan.node).namespace, &pod.namespace);
    }

    /// Writes the configuration of every node as the plan is now, and has every running daemon read it again.
    ///
    /// # Panics
    /// When a daemon does not take it within ten seconds.
    pub fn reload(&self) {
        let before: Vec<(&Node, u64)> = self.nodes.values().map(|node| (node, node.generation())).collect();
        self.write_configs();
        before.iter().for_each(|(node, _)| node.daemon().signal(Signal::HUP));
        for (node, generation) in before {
            eventually(10, "the reload makes a new generation", || node.generation() > generation);
        }
    }

    fn write_configs(&self) {
        for (name, node) in &self.nodes {
            let text = self.plan.toml(name, &node.state_dir);
            fs::write(&node.config, text).expect("the configuration can be written");
        }
    }
}

impl Node {
    fn new(plan: &NodePlan, netns: &str, directory: &Path) -> Self {
        let file = |suffix: &str| directory.join(format!("{}{suffix}", plan.name));
        Self {
            name: plan.name.clone(),
            daemon: None,
            namespace: Namespace::new(netns),
            late: Vec::new(),
            config: file(".toml"),
            state_dir: file(""),
            log: file(".log"),
        }
    }

    /// Plugs the uplink into the fabric.
    fn join(&self, plan: &NodePlan, fabric: &Namespace) {
        let (port, queues) = (&plan.name, plan.workers);
        let both = format!("mtu {UPLINK_MTU} numtxqueues {queues} numrxqueues {queues}");
        self.namespace.ip(&format!(
            "link add eth0 {both} type veth peer name {port} {both} netns {fabric}\n\
             address add {ip}/24 dev eth0\n\
             address add {ip6}/64 dev eth0 nodad\n\
             link set eth0 up\n",
            fabric = fabric.name(),
            ip = plan.uplink_ip(),
            ip6 = plan.uplink_ip6(),
        ));
        fabric.ip(&format!("link set {port} master bridge up\n"));
    }

    /// Starts the daemon; it may not be ready yet.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn(&mut self) {
        self.daemon = Some(Daemon::start(&self.namespace, &self.config, &self.log));
    }

    /// Waits until the daemon is ready and nothing is down, but vifs whose interfaces come later.
    ///
    /// # Panics
    /// When it ends instead, or that takes more than twenty seconds.
    pub fn wait_ready(&mut self) {
        within(START, "the daemon is ready", || {
            if let Some(status) = self.daemon_mut().ended() {
                panic!("the daemon has ended: {status}");
            }
            self.get("/readyz").is_ok_and(|answer| answer.status == 200).then_some(())
        });
        within(START, "the daemon has no trouble", || {
            let status = self.json("/");
            let expected = |trouble: &Value| self.late.iter().any(|pod| trouble["name"] == **pod);
            status["troubles"].as_array().expect("a list").iter().all(expected).then_some(())
        });
    }

    /// Sends three echo requests from the node itself.
    ///
    /// # Panics
    /// When `ping` cannot be run.
    pub fn ping(&self, to: &str) -> Pings {
        Pings::send(&self.namespace, to)
    }

    /// Serves TCP on all addresses of the node.
    ///
    /// # Panics
    /// When the port is taken.
    pub fn serve_tcp(&self, port: u16) -> Server {
        Server::tcp(&self.name, self.namespace.listen(&format!("[::]:{port}")))
    }

    /// The running daemon.
    ///
    /// # Panics
    /// When none was started.
    pub fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("the daemon was started")
    }

    fn daemon_mut(&mut self) -> &mut Daemon {
        self.daemon.as_mut().expect("the daemon was started")
    }

    /// Ends the daemon and gives its exit status.
    ///
    /// # Panics
    /// When none was started or it does not end within ten seconds.
    pub fn end(&mut self, signal: Signal) -> std::process::ExitStatus {
        self.daemon.take().expect("the daemon was started").end(signal)
    }

    /// Where its configuration file is.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Where the daemon keeps its sockets and state.
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// Asks the daemon's HTTP server.
    ///
    /// # Errors
    /// What the connection meets.
    pub fn get(&self, path: &str) -> io::Result<Answer> {
        Answer::get(&self.namespace, path)
    }

    /// A page of the daemon as JSON.
    ///
    /// # Panics
    /// When it is not to be had.
    pub fn json(&self, page: &str) -> Value {
        let answer =
            self.get(&format!("{page}?format=json")).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert_eq!(answer.status, 200, "{page}: {}", answer.body);
        answer.json()
    }

    /// The counters of the daemon.
    ///
    /// # Panics
    /// When they are not to be had.
    pub fn metrics(&self) -> Metrics {
        let answer = self.get("/metrics").expect("the daemon answers");
        assert_eq!(answer.status, 200, "{}", answer.body);
        Metrics::parse(&answer.body)
    }

    fn generation(&self) -> u64 {
        self.json("/")["generation"].as_u64().expect("a generation is a number")
    }
}

impl Pod {
    /// Sends three echo requests.
    ///
    /// # Panics
    /// When `ping` cannot be run.
    pub fn ping(&self, to: &str) -> Pings {
        Pings::send(&self.namespace, to)
    }

    /// Serves TCP on all addresses of the pod.
    ///
    /// # Panics
    /// When the port is taken.
    pub fn serve_tcp(&self, port: u16) -> Server {
        Server::tcp(&self.plan.name, self.namespace.listen(&format!("[::]:{port}")))
    }

    /// Serves UDP on all addresses of the pod.
    ///
    /// # Panics
    /// When the port is taken.
    pub fn serve_udp(&self, port: u16) -> Server {
        Server::udp(&self.plan.name, self.namespace.udp(&format!("[::]:{port}")))
    }
}
