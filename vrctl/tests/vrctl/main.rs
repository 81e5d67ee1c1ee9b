//! The command as an operator runs it: its output to the letter, its exit codes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod errors;
#[path = "../../../vrouterd/examples/diag_fixture/fixture.rs"]
mod fixture;
mod nouns;
mod screen;
mod tables;

use std::process::Command;

/// What a run left behind.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs `vrctl --url URL` with more arguments.
fn vrctl(url: &str, arguments: &[&str]) -> Run {
    run(&[&["--url", url], arguments].concat(), &[])
}

/// Runs `vrctl` in an environment whose proxy leads nowhere, and with `environment`.
fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_vrctl"))
        .args(arguments)
        .env("http_proxy", "http://127.0.0.1:1")
        .env("ALL_PROXY", "http://127.0.0.1:1")
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE")
        .envs(environment.iter().copied())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    Run {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
