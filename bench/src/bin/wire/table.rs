//! The results as tables of Markdown, which read well on a terminal too.

use std::fmt::Write as _;

use crate::course::{System, Way};
use crate::results::Results;
use crate::targets::targets;
use crate::tcp::WireGso;

/// Everything that was measured.
pub(crate) fn text(results: &Results) -> String {
    let machine = &results.machine;
    let mut text = format!(
        "{}, {} CPUs, Linux {}, {} UTC, load {}; `{}`, {:.0} s\n",
        machine.cpu,
        machine.cpus,
        machine.kernel,
        machine.date,
        machine.load,
        machine.command,
        results.seconds
    );
    pps(results, &mut text);
    tcp(results, &mut text);
    latency(results, &mut text);
    rest(results, &mut text);
    let _ = writeln!(text, "\n| target | wanted | measured | |\n|---|---|---|---|");
    for target in targets(results) {
        let verdict = if target.is_met { "met" } else { "missed" };
        let _ = writeln!(text, "| {} | {} | {} | {verdict} |", target.name, target.wanted, target.measured);
    }
    text
}

fn pps(results: &Results, text: &mut String) {
    if results.pps.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\nThousand packets per second without loss (at most {:.1}% lost); under flood in parentheses.\n\n\
         | way | frame | flows | vrouter | bare forwarder | kernel | of forwarder | of kernel |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|",
        100.0 * results.loss_threshold
    );
    for cell in results.pps.iter().filter(|cell| cell.system == System::Vrouter) {
        let (way, frame, flows) = (cell.way, cell.frame.as_str(), cell.flows);
        let shown = |system| both(results, (way, system), frame, flows);
        let ratio = |system| {
            let other = results.no_loss(way, system, frame, flows);
            other.map_or("-".to_owned(), |other| format!("{:.2}x", cell.no_loss / other))
        };
        let _ = writeln!(
            text,
            "| {way} | {frame} | {flows} | {} | {} | {} | {} | {} |",
            shown(System::Vrouter),
            shown(System::Forwarder),
            shown(System::Kernel),
            ratio(System::Forwarder),
            ratio(System::Kernel)
        );
    }
}

fn both(results: &Results, (way, system): (Way, System), frame: &str, flows: u64) -> String {
    let mut cells = results.pps.iter();
    let cell = cells.find(|c| (c.way, c.system, c.flows) == (way, system, flows) && c.frame == frame);
    cell.map_or("-".to_owned(), |c| format!("{:.0} ({:.0})", c.no_loss / 1e3, c.saturated / 1e3))
}

fn tcp(results: &Results, text: &mut String) {
    if results.tcp.is_empty() {
        return;
    }
    text.push_str("\n| TCP, both nodes | streams | vrouter | kernel | of kernel |\n|---|--:|--:|--:|--:|\n");
    for ours in results.tcp.iter().filter(|run| run.system == System::Vrouter) {
        let is_peer = |run: &&crate::tcp::Transfer| {
            (run.system, run.wire_gso, run.streams) == (System::Kernel, ours.wire_gso, ours.streams)
        };
        let gso = match ours.wire_gso {
            WireGso::Off => "wire GSO off",
            WireGso::On => "wire GSO on",
        };
        if let Some(kernel) = results.tcp.iter().find(is_peer) {
            let _ = writeln!(
                text,
                "| {gso} | {} | {:.2} Gbit/s | {:.2} Gbit/s | {:.2}x |",
                ours.streams,
                ours.gbit,
                kernel.gbit,
                ours.gbit / kernel.gbit
            );
        }
    }
}

fn latency(results: &Results, text: &mut String) {
    if results.latency.is_empty() {
        return;
    }
    text.push_str("\n| round trip, us | load | p50 | p99 | p99.9 |\n|---|--:|--:|--:|--:|\n");
    for one in &results.latency {
        let _ = writeln!(
            text,
            "| {} | {}% ({:.0} kpps) | {:.1} | {:.1} | {:.1} |",
            one.system,
            one.load_percent,
            one.load_pps / 1e3,
            one.p50,
            one.p99,
            one.p999
        );
    }
}

fn rest(results: &Results, text: &mut String) {
    let _ = writeln!(text, "\n| what | |\n|---|--:|");
    for one in &results.connections {
        let (system, per_second, failed) = (one.system, one.per_second, one.failed);
        let _ = writeln!(text, "| {system}, connections per second | {per_second:.0}, {failed} failed |");
    }
    if let Some(changes) = &results.changes {
        let _ = writeln!(
            text,
            "| vrouter under flood, kpps, with {:.0} route changes per second / without | {:.0} / {:.0} |",
            changes.per_second,
            changes.with / 1e3,
            changes.without / 1e3
        );
    }
    if let Some(idle) = &results.idle {
        let _ = writeln!(text, "| vrouter idle with {} vifs, CPU | {:.2}% |", idle.vifs, idle.cpu_percent);
    }
}
