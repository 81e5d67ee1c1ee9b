//! A node: its namespace, its uplink, its daemon.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};

use rustix::process::Signal;
use serde_json::Value;

use crate::plan::NodePlan;
use crate::{Answer, Api, Daemon, Metrics, Namespace, Pings, Server, within};

/// User and group of a daemon without root.
const NOBODY: u32 = 65534;
/// Seconds that a daemon may take to carry packets.
const START: u64 = 20;

/// A node.
#[derive(Debug)]
pub struct Node {
    name: String,
    daemon: Option<Daemon>,
    /// Where it is.
    pub namespace: Namespace,
    /// Names of what is down by intention: vifs whose interfaces come later, services without backends.
    expected_down: Vec<String>,
    config: PathBuf,
    state_dir: PathBuf,
    log: PathBuf,
}

impl Node {
    pub(crate) fn new(plan: &NodePlan, netns: &str, expected_down: Vec<String>, directory: &Path) -> Self {
        let file = |suffix: &str| directory.join(format!("{}{suffix}", plan.name));
        Self {
            name: plan.name.clone(),
            daemon: None,
            namespace: Namespace::new(netns),
            expected_down,
            config: file(".toml"),
            state_dir: file(""),
            log: file(".log"),
        }
    }

    /// Plugs the uplink into the fabric.
    pub(crate) fn join(&self, plan: &NodePlan, mtu: u16, fabric: &Namespace) {
        let (port, queues) = (&plan.name, plan.workers);
        let both = format!("mtu {mtu} numtxqueues {queues} numrxqueues {queues}");
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

    /// Starts the daemon as the systemd unit does: as a user without rights but the capabilities it needs, with
    /// directories for its sockets and state.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn_as_nobody(&mut self) {
        std::fs::create_dir_all(&self.state_dir).expect("/run can be written");
        std::os::unix::fs::chown(&self.state_dir, Some(NOBODY), Some(NOBODY)).expect("root may give it away");
        let copy = self.config.with_extension("program");
        self.daemon = Some(Daemon::start_as_nobody(&self.namespace, &copy, &self.config, &self.log));
    }

    /// Starts another daemon in the place of the one that runs, and gives the exit status of that.
    ///
    /// # Panics
    /// When that one does not end within ten seconds.
    pub fn replace(&mut self) -> ExitStatus {
        let mut old = self.daemon.take().expect("the daemon was started");
        self.daemon = Some(Daemon::start_replacing(&self.namespace, &self.config, &self.log));
        within(10, "the daemon that is replaced ends", || old.ended())
    }

    /// Waits until the daemon is ready and nothing is down by accident.
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
            let expected = |trouble: &Value| self.expected_down.iter().any(|name| trouble["name"] == **name);
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
    pub fn end(&mut self, signal: Signal) -> ExitStatus {
        self.daemon.take().expect("the daemon was started").end(signal)
    }

    /// Waits until the daemon ends by itself and gives its exit status and log.
    ///
    /// # Panics
    /// When it does not within ten seconds.
    pub fn ends(&mut self) -> (ExitStatus, String) {
        let mut daemon = self.daemon.take().expect("the daemon was started");
        let status = within(10, "the daemon ends", || daemon.ended());
        (status, daemon.log())
    }

    /// Its name in the plan.
    pub fn name(&self) -> &str {
        &self.name
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

    /// The daemon's API.
    pub fn api(&self) -> Api {
        Api::at(self.state_dir.join("api.sock"))
    }

    /// Runs `vrctl` against the daemon's API and gives how it ended.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn attempt_vrctl(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(crate::vrctl());
        command.arg("--socket").arg(self.api().socket()).args(arguments);
        command.output().expect("vrctl can be started")
    }

    /// Runs `vrctl`, which must succeed and say nothing on its standard error, and gives what it printed.
    ///
    /// # Panics
    /// When it does not.
    pub fn vrctl(&self, arguments: &[&str]) -> String {
        let output = self.attempt_vrctl(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && stderr.is_empty(), "vrctl {arguments:?}: {stderr}");
        String::from_utf8(output.stdout).expect("vrctl writes UTF-8")
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

    pub(crate) fn generation(&self) -> u64 {
        self.json("/")["generation"].as_u64().expect("a generation is a number")
    }
}
