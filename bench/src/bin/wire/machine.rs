//! Where and when the numbers were made.

use std::fs;
use std::process::Command;

use serde::Serialize;

/// The machine and its state at the beginning.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cpus: usize,
    pub(crate) kernel: String,
    /// UTC.
    pub(crate) date: String,
    /// Load averages of 1, 5 and 15 minutes.
    pub(crate) load: String,
    pub(crate) command: String,
}

impl Machine {
    /// Looks.
    pub(crate) fn look() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let info = read("/proc/cpuinfo");
        let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
        let date = Command::new("date").args(["-u", "+%Y-%m-%d %H:%M"]).output().expect("`date` can be run");
        let load = read("/proc/loadavg");
        Self {
            cpu: model.trim_start_matches([' ', '\t', ':']).to_owned(),
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            date: String::from_utf8_lossy(&date.stdout).trim().to_owned(),
            load: load.split(' ').take(3).collect::<Vec<_>>().join(" "),
            command: std::env::args().skip(1).fold("bench-wire".to_owned(), |line, word| line + " " + &word),
        }
    }
}
