//! Instructions per packet, counted by callgrind, held against `bench/instructions.json`.
//!
//! `instructions REPLAY BASELINE [write]`: REPLAY is the program `replay`. Each case runs twice, with few and with
//! many rounds, and the difference is divided by the packets between them, so that start and warm-up do not count. The
//! packet source is counted too. What is measured does not depend on the machine's load or clock, but on the compiler.

#![allow(clippy::expect_used, reason = "a benchmark stops where it goes wrong")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::process::{Command, ExitCode};

use serde_json::{Value, json};

const USAGE: &str = "usage: instructions REPLAY BASELINE [write]";
/// Kind and transport.
const CASES: [[&str; 2]; 6] = [
    ["client", "udp"],
    ["client", "tcp"],
    ["backend", "udp"],
    ["backend", "tcp"],
    ["reply", "udp"],
    ["reply", "tcp"],
];
const FLOWS: &str = "1000";
const BATCH: u64 = 64;
/// Rounds of a batch each.
const ROUNDS: [u64; 2] = [10, 1010];
/// How much more than the baseline is no mistake of measurement, in percent.
const TOLERANCE: f64 = 3.0;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (replay, baseline, writes) = match words.as_slice() {
        [replay, baseline] => (replay, baseline, false),
        [replay, baseline, word] if word == "write" => (replay, baseline, true),
        _ => return Err(USAGE.into()),
    };
    let compiler = compiler()?;
    let mut measured = BTreeMap::new();
    for [kind, transport] in CASES {
        measured.insert(format!("{kind}/{transport}"), per_packet(replay, kind, transport)?);
    }
    if writes {
        let page = json!({ "compiler": compiler, "instructions_per_packet": measured });
        fs::write(baseline, format!("{page:#}\n"))?;
        println!("{baseline} is written anew");
        return Ok(ExitCode::SUCCESS);
    }
    let known: Value = serde_json::from_slice(&fs::read(baseline)?)?;
    if known["compiler"] != compiler {
        println!("The baseline was measured with {}, this with {compiler}.", known["compiler"]);
    }
    Ok(if compare(&measured, &known["instructions_per_packet"]) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Prints a table; false if a case needs too many instructions or is not in the baseline.
fn compare(measured: &BTreeMap<String, f64>, known: &Value) -> bool {
    println!("| case ({FLOWS} flows, batches of {BATCH}) | baseline | now | change |\n|---|--:|--:|--:|");
    let mut all_good = true;
    for (case, now) in measured {
        let Some(before) = known[case].as_f64() else {
            println!("| {case} | none | {now:.0} | |");
            all_good = false;
            continue;
        };
        let change = (now / before - 1.0) * 100.0;
        let mark = if change > TOLERANCE { " too many" } else { "" };
        println!("| {case} | {before:.0} | {now:.0} | {change:+.1} %{mark} |");
        all_good &= change <= TOLERANCE;
    }
    if !all_good {
        println!(
            "\nMore than {TOLERANCE} % above the baseline: find out why, or, if it is worth it, say so in \
             bench/RESULTS.md and write the baseline anew by: make bench-instr BASELINE=write"
        );
    }
    all_good
}

fn per_packet(replay: &str, kind: &str, transport: &str) -> Result<f64, Box<dyn Error>> {
    let [few, many] = ROUNDS;
    let difference = count(replay, kind, transport, many)? - count(replay, kind, transport, few)?;
    Ok((difference as f64 / ((many - few) * BATCH) as f64).round())
}

fn count(replay: &str, kind: &str, transport: &str, rounds: u64) -> Result<u64, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", replay, kind, transport, FLOWS])
        .args([BATCH.to_string(), rounds.to_string()])
        .output()
        .map_err(|error| format!("valgrind: {error}: install it, or run make bench-instr"))?;
    let words = String::from_utf8_lossy(&output.stderr);
    let counted = words.lines().find_map(|line| line.split_once("refs:")).map(|(_, number)| number);
    let counted = counted.filter(|_| output.status.success()).ok_or_else(|| format!("{replay}: {words}"))?;
    Ok(counted.trim().replace(',', "").parse()?)
}

fn compiler() -> Result<String, Box<dyn Error>> {
    let output = Command::new("rustc").arg("--version").output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
