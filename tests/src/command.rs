//! Running the system's tools.

use std::fmt::Display;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

/// The package of Debian that holds a tool, for the message that it is missing.
const PACKAGES: [(&str, &str); 8] = [
    ("ip", "iproute2"),
    ("ping", "iputils-ping"),
    ("ethtool", "ethtool"),
    ("bpftool", "bpftool"),
    ("curl", "curl"),
    ("iperf3", "iperf3"),
    ("traceroute", "traceroute"),
    ("tracepath", "iputils-tracepath"),
];

/// Runs `words` to its end and gives what it printed, whether it succeeded or not. A missing tool is a failure.
pub(crate) fn attempt(words: &[&str]) -> Output {
    let (tool, arguments) = words.split_first().expect("a command has a name");
    let output = Command::new(tool).args(arguments).output().unwrap_or_else(|error| missing(tool, &error));
    // `ip netns exec` itself is there; it says so in these words when the tool is not.
    let shown = String::from_utf8_lossy(&output.stderr);
    if let ["ip", "netns", "exec", _, inner, ..] = words
        && shown.starts_with("exec of ")
    {
        missing(inner, &shown.trim_end());
    }
    output
}

/// Runs `words`, which must succeed, and gives its standard output.
pub(crate) fn run(words: &[&str]) -> String {
    let output = attempt(words);
    let shown = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{}`: {}: {shown}", words.join(" "), output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Lets `ip` work through a list of its commands, one a line, in the namespace `netns`.
pub(crate) fn ip_batch(netns: &str, commands: &str) {
    let mut ip = Command::new("ip")
        .args(["-n", netns, "-batch", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| missing("ip", &error));
    ip.stdin
        .take()
        .expect("stdin is a pipe")
        .write_all(commands.as_bytes())
        .expect("`ip` reads its commands");
    let output = ip.wait_with_output().expect("`ip` ends");
    let shown = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`ip -n {netns} -batch`: {shown}in\n{commands}");
}

fn missing(tool: &str, error: &dyn Display) -> ! {
    let package = PACKAGES.iter().find(|(name, _)| *name == tool).map_or(tool, |(_, package)| package);
    panic!("`{tool}` cannot be run: {error}; install the package {package} (scripts/install-deps.sh does)")
}
