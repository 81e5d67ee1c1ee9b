//! Removing what a killed run of the tests has left behind.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Once;

use rustix::process::{Pid, Signal, kill_process};

use crate::command;

/// What every name of this run begins with.
pub fn prefix() -> String {
    format!("vr-t{}-", std::process::id())
}

/// [`remove_leftovers`], once in this process.
pub(crate) fn remove_once() {
    static ONCE: Once = Once::new();
    ONCE.call_once(remove_leftovers);
}

/// Ends the processes in namespaces of runs that are no more, and removes those namespaces and directories.
///
/// # Panics
/// When `ip` cannot be run.
pub fn remove_leftovers() {
    remove_if(of_dead_run);
}

/// The same for this run, for a program that is told to end at once.
///
/// # Panics
/// When `ip` cannot be run.
pub fn remove_own() {
    remove_if(|name| name.starts_with(&prefix()));
}

fn remove_if(is_meant: impl Fn(&str) -> bool) {
    for name in names_in("/run/netns").iter().filter(|name| is_meant(name)) {
        remove_namespace(name);
    }
    for name in names_in("/run").iter().filter(|name| is_meant(name)) {
        let _ = fs::remove_dir_all(Path::new("/run").join(name));
    }
}

fn names_in(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Whether the name is one of ours and the process in it has ended.
fn of_dead_run(name: &str) -> bool {
    let owner = name.strip_prefix("vr-t").and_then(|rest| rest.split_once('-')).map(|(pid, _)| pid);
    owner.is_some_and(|pid| pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists())
}

fn remove_namespace(name: &str) {
    let pids = command::attempt(&["ip", "netns", "pids", name]);
    for pid in String::from_utf8_lossy(&pids.stdout).split_whitespace() {
        if let Some(pid) = pid.parse().ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    let _ = Command::new("ip").args(["netns", "del", name]).output();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_ended_runs_are_leftovers() {
        let own = format!("{}ping-node-a", prefix());
        // Process ids end at 2^22 (proc(5), pid_max).
        let table = [
            ("vr-t4194305-ping-node-a", true),
            (own.as_str(), false),
            ("vr-tx-a", false),
            ("vr-demo-a", false),
        ];
        for (name, expected) in table {
            assert_eq!(of_dead_run(name), expected, "{name}");
        }
    }
}
