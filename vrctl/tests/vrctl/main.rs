//! The command as an operator runs it: its output to the letter, its exit codes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod errors;
#[path = "../../../vrouterd/examples/diag_fixture/fixture.rs"]
mod fixture;
mod tables;

use std::process::Command;

/// What a run left behind.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs `vrctl --url URL` with more arguments, in an environment whose proxy leads nowhere.
fn vrctl(url: &str, arguments: &[&str]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_vrctl"))
        .args(["--url", url])
        .args(arguments)
        .env("http_proxy", "http://127.0.0.1:1")
        .env("ALL_PROXY", "http://127.0.0.1:1")
        .output()
        .unwrap();
    Run {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
