//! The daemon under test: the real binary, in a node's namespace.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::{Namespace, vrouterd, within};

/// Lines of the log shown when a test fails.
const TAIL: usize = 60;

/// A running daemon; killed when the value goes.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

/// BPF objects that a process holds, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BpfObjects {
    /// As (`prog`, `map` or `link`, id).
    pub ids: BTreeSet<(&'static str, u32)>,
}

impl Daemon {
    /// Starts it; it may not be ready yet.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(node: &Namespace, config: &Path, log: &Path) -> Self {
        Self::run(node.command(vrouterd().to_str().expect("a path in UTF-8")), config, log)
    }

    /// Starts it in the place of the one that runs.
    pub(crate) fn start_replacing(node: &Namespace, config: &Path, log: &Path) -> Self {
        let mut command = node.command(vrouterd().to_str().expect("a path in UTF-8"));
        command.arg("run").arg("--replace");
        Self::spawn(command, config, log)
    }

    /// Starts it as the user `nobody` with the capabilities that the systemd unit grants. `copy` is where that
    /// user may read the program.
    pub(crate) fn start_as_nobody(node: &Namespace, copy: &Path, config: &Path, log: &Path) -> Self {
        const GRANTED: &str = "+net_admin,+net_raw,+bpf,+perfmon,+ipc_lock";
        fs::copy(vrouterd(), copy).expect("the program can be copied");
        let mut command = node.command("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]);
        for set in ["--inh-caps", "--bounding-set"] {
            command.arg(format!("{set}=-all,{GRANTED}"));
        }
        command.arg(format!("--ambient-caps={GRANTED}")).arg(copy);
        Self::run(command, config, log)
    }

    fn run(mut command: Command, config: &Path, log: &Path) -> Self {
        command.arg("run");
        Self::spawn(command, config, log)
    }

    fn spawn(mut command: Command, config: &Path, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).expect("the log can be written");
        let child = command
            .arg("--config")
            .arg(config)
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a file can be shared"))
            .stderr(file)
            .spawn()
            .expect("`ip netns exec` can be run");
        Self { child, log: log.to_owned() }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        // `ip netns exec` becomes the daemon.
        self.child.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The status it has ended with, if it has.
    ///
    /// # Panics
    /// When the kernel does not tell.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked for")
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it is gone.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("the daemon runs");
    }

    /// Ends it with `signal` and gives its exit status; ten seconds are allowed.
    ///
    /// # Panics
    /// When it does not end.
    pub fn end(mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        within(10, "the daemon ends", || self.ended())
    }

    /// CPU time used by all its threads until now (`utime` and `stime` of proc_pid_stat(5), ticks of 10 ms).
    ///
    /// # Panics
    /// When it is gone.
    pub fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("the daemon runs");
        let (_, after_name) = stat.rsplit_once(") ").expect("stat holds the name in parentheses");
        let ticks =
            |field: usize| after_name.split(' ').nth(field - 3).and_then(|text| text.parse::<u64>().ok());
        Duration::from_millis(10 * (ticks(14).expect("utime") + ticks(15).expect("stime")))
    }

    /// The programs, maps and links that it holds, as its file descriptors say.
    ///
    /// # Panics
    /// When it is gone.
    pub fn bpf_objects(&self) -> BpfObjects {
        let descriptors = fs::read_dir(format!("/proc/{}/fdinfo", self.pid())).expect("the daemon runs");
        let mut ids = BTreeSet::new();
        for descriptor in descriptors.flatten() {
            let info = fs::read_to_string(descriptor.path()).unwrap_or_default();
            for line in info.lines() {
                let Some((key, value)) = line.split_once(":\t") else { continue };
                let Ok(id) = value.trim().parse() else { continue };
                match key {
                    "prog_id" => ids.insert(("prog", id)),
                    "map_id" => ids.insert(("map", id)),
                    "link_id" => ids.insert(("link", id)),
                    _ => false,
                };
            }
        }
        BpfObjects { ids }
    }
}

impl BpfObjects {
    /// Those that still exist in the kernel.
    ///
    /// # Panics
    /// When `bpftool` cannot be run.
    #[must_use]
    pub fn remaining(&self) -> Self {
        let exists = |(kind, id): &&(&'static str, u32)| {
            crate::command::attempt(&["bpftool", kind, "show", "id", &id.to_string()]).status.success()
        };
        Self { ids: self.ids.iter().filter(exists).copied().collect() }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.ended().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(TAIL)..];
            eprintln!("--- {}\n{}\n---", self.log.display(), tail.join("\n"));
        }
    }
}
