//! The wire benchmark: pod -> node A -> wire -> node B -> pod in network namespaces of this machine, for the vrouter
//! and for what a user would have instead, with the same generator and the same sinks in one run.
//!
//! ```text
//! generator -> pod -> node-a -> wire -> sink          client side
//!          generator -> wire -> node-b -> pods, sink  backend side
//! generator -> pod -> node-a -> wire -> node-b -> pods, sink     both nodes
//! ```
//!
//! `make bench-wire` builds and runs it; it needs root. Everything it makes has the prefix `vr-t<process id>-` and
//! goes when it ends, also by a signal.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark stops where it goes wrong"
)]

mod awake;
mod changes;
mod connections;
mod course;
mod forwarder;
mod frames;
mod generator;
mod ground;
mod idle;
mod kernel;
mod latency;
mod layout;
mod machine;
mod options;
mod plot;
mod pps;
mod results;
mod search;
mod signals;
mod sink;
mod table;
mod targets;
mod tcp;
mod uplink;
mod vrouter;

use std::fs;
use std::time::Instant;

use clap::Parser as _;

use crate::course::{Course, System, Way};
use crate::machine::Machine;
use crate::options::{Measure, Options};
use crate::results::Results;
use crate::tcp::WireGso;

fn main() {
    let options = Options::parse();
    assert!(rustix::process::geteuid().is_root(), "namespaces need root: run this by `make bench-wire`");
    if let Some(uplink) = &options.uplink {
        return uplink::send(uplink, &options.out);
    }
    signals::remove_all_on_signal();
    tests::remove_leftovers();
    let begin = Instant::now();
    let mut results = Results::new(Machine::look());
    one_node(&options, &mut results);
    both_nodes(&options, &mut results);
    if options.wants(Measure::Idle) {
        println!("idle");
        results.idle = Some(idle::measure(2 * options.scope().run()));
    }
    results.seconds = begin.elapsed().as_secs_f64();
    report(&options, &results);
}

fn one_node(options: &Options, results: &mut Results) {
    for way in [Way::Client, Way::Backend] {
        let changes = way == Way::Client && options.wants(Measure::Changes);
        if !changes && !options.wants(Measure::Pps) {
            continue;
        }
        println!("{way}");
        let mut courses = pps::courses(way);
        if options.wants(Measure::Pps) {
            results.pps.extend(pps::measure(&mut courses, options.scope()));
        }
        if changes {
            let course = courses.iter_mut().find(|course| course.system == System::Vrouter);
            let course = course.expect("the vrouter is on every way");
            let api = course.api();
            results.changes = Some(changes::measure(course, &api, options.scope().run()));
        }
    }
}

fn both_nodes(options: &Options, results: &mut Results) {
    let wanted = [Measure::Pps, Measure::Latency, Measure::Connections, Measure::Tcp];
    if !wanted.into_iter().any(|measure| options.wants(measure)) {
        return;
    }
    println!("{}", Way::Path);
    let mut courses = pps::courses(Way::Path);
    if options.wants(Measure::Pps) {
        results.pps.extend(pps::measure(&mut courses, options.scope()));
    }
    for course in &mut courses {
        connected(options, results, course);
    }
}

/// What takes the kernel's TCP at both ends.
fn connected(options: &Options, results: &mut Results, course: &mut Course) {
    let run = options.scope().run();
    println!("  {}: latency, connections, TCP", course.system);
    if options.wants(Measure::Latency) {
        let no_loss = results.no_loss(Way::Path, course.system, "64", 1_000);
        results.latency.extend(latency::measure(course, no_loss, run));
    }
    if options.wants(Measure::Connections) {
        results.connections.push(connections::measure(course, run));
    }
    if options.wants(Measure::Tcp) {
        for gso in [WireGso::Off, WireGso::On] {
            results.tcp.extend(tcp::measure(course, gso, run));
        }
    }
}

fn report(options: &Options, results: &Results) {
    print!("\n{}", table::text(results));
    fs::create_dir_all(&options.out).expect("the directory of the results can be made");
    let json = serde_json::to_string_pretty(results).expect("results are JSON");
    fs::write(options.out.join("wire.json"), json + "\n").expect("wire.json can be written");
    fs::write(options.out.join("wire.svg"), plot::svg(&results.pps)).expect("wire.svg can be written");
    println!("\n{}: wire.json, wire.svg", options.out.display());
}
