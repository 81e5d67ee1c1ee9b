//! The vrouter on one or both nodes: the real daemon, configured by files.

use std::fmt::Write as _;
use std::fs;

use tests::{Answer, Api, Daemon, Namespace, within};

use crate::course::WORKER_CPU;
use crate::ground::{
    BACKENDS, CLIENT, Directory, NODE_A, NODE_B, PORT, PodAddress, SERVICE, SINGLE, TARGET, WireEnd, colons,
    dotted,
};

/// A node with a running daemon.
pub(crate) struct Vrouter {
    pub(crate) daemon: Daemon,
    directory: Directory,
}

/// Which CPU the worker runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Always the one that the generator leaves alone.
    Pinned,
    /// Where the scheduler puts it.
    Free,
}

impl Vrouter {
    /// Starts the daemon of the client's node and waits until it can carry packets.
    pub(crate) fn client_side(course: &str, node: &Namespace, placement: Placement) -> Self {
        let mut text = header("node-a", NODE_A, placement);
        text.push_str(&vif(&CLIENT));
        let tunnel = dotted(NODE_B.ip);
        let remote = |pod: &PodAddress<'_>| format!("{{ tunnel = \"{tunnel}\", label = {} }}", pod.label);
        BACKENDS.iter().for_each(|pod| text.push_str(&route(pod, NODE_B)));
        text.push_str(&services(remote));
        Self::start(&format!("{course}-a"), node, &text)
    }

    /// The same of the backends' node.
    pub(crate) fn backend_side(course: &str, node: &Namespace, placement: Placement) -> Self {
        Self::start(&format!("{course}-b"), node, &backend_text(placement))
    }

    /// Starts a daemon whose configuration, but for its state directory, is `text`.
    pub(crate) fn start(name: &str, node: &Namespace, text: &str) -> Self {
        let directory = Directory::new(name);
        let config = directory.file("vrouter.toml");
        let text = text.replace("STATE_DIR", directory.file("").to_str().expect("a path in UTF-8"));
        fs::write(&config, text).expect("the configuration can be written");
        let mut daemon = Daemon::start(node, &config, &directory.file("log"));
        within(20, "the daemon is ready", || {
            assert!(daemon.ended().is_none(), "the daemon has ended: {}", daemon.log());
            let ready = Answer::get(node, "/readyz").is_ok_and(|answer| answer.status == 200);
            let calm = || Answer::get(node, "/?format=json").is_ok_and(|answer| has_no_trouble(&answer));
            (ready && calm()).then_some(())
        });
        Self { daemon, directory }
    }

    /// The daemon's API.
    pub(crate) fn api(&self) -> Api {
        Api::at(self.directory.file("api.sock"))
    }
}

/// The configuration of the backends' node for a machine of its own.
pub(crate) fn backend_config() -> String {
    backend_text(Placement::Free).replace("STATE_DIR", "/run/vrouter")
}

fn backend_text(placement: Placement) -> String {
    let mut text = header("node-b", NODE_B, placement);
    BACKENDS.iter().for_each(|pod| text.push_str(&vif(pod)));
    text.push_str(&route(&CLIENT, NODE_A));
    text.push_str(&services(|pod| format!("{{ vif = \"{}\" }}", pod.name)));
    text
}

fn has_no_trouble(answer: &Answer) -> bool {
    answer.json()["troubles"].as_array().is_some_and(Vec::is_empty)
}

/// The sections that every node has.
pub(crate) fn header(name: &str, end: WireEnd, placement: Placement) -> String {
    let cpus = match placement {
        Placement::Pinned => format!("cpus = [{WORKER_CPU}]\n"),
        Placement::Free => String::new(),
    };
    format!(
        "[node]\nname = \"{name}\"\nuplink = \"eth0\"\ntunnel_address = \"{}\"\nstate_dir = \"STATE_DIR\"\n\
         [engine]\nworkers = 1\n{cpus}flows_per_vif = 131072\n[[vrf]]\nname = \"blue\"\n",
        dotted(end.ip)
    )
}

/// The section of a pod's vif.
pub(crate) fn vif(pod: &PodAddress<'_>) -> String {
    format!(
        "[[vif]]\nname = \"{name}\"\nifname = \"veth-{name}\"\nvrf = \"blue\"\naddresses = [\"{ip}\"]\n\
         mac = \"{mac}\"\nlabel = {label}\n",
        name = pod.name,
        ip = dotted(pod.ip),
        mac = colons(pod.mac),
        label = pod.label
    )
}

fn route(pod: &PodAddress<'_>, node: WireEnd) -> String {
    format!(
        "[[route]]\nvrf = \"blue\"\nprefix = \"{}/32\"\nvia = [{{ tunnel = \"{}\", label = {} }}]\n",
        dotted(pod.ip),
        dotted(node.ip),
        pod.label
    )
}

fn services(backend: impl Fn(&PodAddress<'_>) -> String) -> String {
    let port = |protocol, port: u16, target: u16| {
        format!("{{ protocol = \"{protocol}\", port = {port}, target_port = {target} }}")
    };
    let mut text = String::new();
    let ports = [port("udp", PORT, TARGET), port("tcp", 80, 8080), port("tcp", 81, 8081)];
    let single = [port("tcp", 5201, 5201)];
    for (name, ip, ports, pods) in
        [("web", SERVICE, &ports[..], &BACKENDS[..]), ("single", SINGLE, &single, &BACKENDS[..1])]
    {
        let backends: Vec<String> = pods.iter().map(&backend).collect();
        let _ = writeln!(
            text,
            "[[service]]\nname = \"{name}\"\nvrf = \"blue\"\naddresses = [\"{}\"]\nports = [{}]\nbackends = [{}]",
            dotted(ip),
            ports.join(", "),
            backends.join(", ")
        );
    }
    text
}
