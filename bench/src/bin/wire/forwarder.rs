//! The bare forwarder between two interfaces of a node.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};

use tests::Namespace;

use crate::course::WORKER_CPU;

/// A running forwarder.
pub(crate) struct Forwarder(Child);

impl Forwarder {
    /// Starts it and waits until it forwards.
    pub(crate) fn start(node: &Namespace, one: &str, other: &str) -> Self {
        let mut command = node.command(program().to_str().expect("a path in UTF-8"));
        let mut child = command
            .args([one, other, &WORKER_CPU.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the forwarder can be started");
        let mut line = String::new();
        let output = child.stdout.take().expect("its output is a pipe");
        BufReader::new(output).read_line(&mut line).expect("its output can be read");
        assert_eq!(line.trim(), "ready", "the forwarder has ended; its message stands above");
        Self(child)
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Beside this program, where cargo builds it.
fn program() -> PathBuf {
    let here = std::env::current_exe().expect("a process knows its program");
    let path = here.with_file_name("forwarder");
    assert!(path.exists(), "{} is not there: run this by `make bench-wire`", path.display());
    path
}
