//! Making the network that a plan describes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::plan::Plugged;
use crate::{Namespace, Node, Plan, Pod, eventually, leftovers};

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
        assert!(rustix::process::geteuid().is_root(), "namespace tests need root: run them by `make test`");
        leftovers::remove_once();
        let prefix = format!("{}{test}", leftovers::prefix());
        let directory = Directory(Path::new("/run").join(&prefix));
        fs::create_dir_all(&directory.0).expect("/run can be written");
        let fabric = Namespace::new(&format!("{prefix}-fabric"));
        fabric.ip(&format!("link add bridge mtu {} type bridge\nlink set bridge up\n", plan.uplink_mtu));
        let mut lab = Self { plan, nodes: BTreeMap::new(), pods: BTreeMap::new(), fabric, directory };
        lab.make_nodes(&prefix);
        lab.make_pods(&prefix);
        lab.write_configs();
        lab
    }

    fn make_nodes(&mut self, prefix: &str) {
        for plan in &self.plan.nodes {
            let down = self.plan.expected_down(&plan.name);
            let node = Node::new(plan, &format!("{prefix}-{}", plan.name), down, &self.directory.0);
            node.join(plan, self.plan.uplink_mtu, &self.fabric);
            self.nodes.insert(plan.name.clone(), node);
        }
    }

    fn make_pods(&mut self, prefix: &str) {
        for plan in &self.plan.pods {
            let namespace = Namespace::new(&format!("{prefix}-{}", plan.name));
            let pod = Pod { plan: plan.clone(), namespace };
            if plan.plugged == Plugged::Now {
                pod.plug(&self.nodes[&plan.node].namespace);
            }
            self.pods.insert(plan.name.clone(), pod);
        }
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
        pod.plug(&self.node(&pod.plan.node).namespace);
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

    /// Writes the configuration of every node as the plan is now; no daemon is told.
    ///
    /// # Panics
    /// When a file cannot be written.
    pub fn write_configs(&self) {
        for (name, node) in &self.nodes {
            let text = self.plan.toml(name, node.state_dir());
            fs::write(node.config(), text).expect("the configuration can be written");
        }
    }
}
