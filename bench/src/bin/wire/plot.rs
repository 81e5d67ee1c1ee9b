//! The plot of packets per second over flows, as SVG.

use std::fmt::Write as _;

use crate::course::{System, Way};
use crate::pps::Cell;

const PANEL: f64 = 300.0;
const HEIGHT: f64 = 240.0;
const MARGIN: f64 = 60.0;
const TOP: f64 = 50.0;
/// Lines of the grid, and steps of the scale.
const STEPS: u32 = 4;

/// One panel for each way, one line for each system; 64-byte frames.
pub(crate) fn svg(cells: &[Cell]) -> String {
    let small: Vec<&Cell> = cells.iter().filter(|cell| cell.frame == "64").collect();
    let most = scale(small.iter().map(|cell| cell.no_loss).fold(0.0, f64::max));
    let ways = [Way::Client, Way::Backend, Way::Path];
    let width = MARGIN + ways.len() as f64 * (PANEL + MARGIN);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        TOP + HEIGHT + 70.0
    );
    for (number, way) in ways.into_iter().enumerate() {
        let left = MARGIN + number as f64 * (PANEL + MARGIN);
        frame(&mut text, left, way, most);
        for system in [System::Forwarder, System::Vrouter, System::Kernel] {
            let mut line: Vec<&Cell> =
                small.iter().filter(|cell| (cell.way, cell.system) == (way, system)).copied().collect();
            line.sort_by_key(|cell| cell.flows);
            draw(&mut text, left, &line, most);
        }
    }
    legend(&mut text);
    text + "</svg>\n"
}

/// The next round number.
fn scale(most: f64) -> f64 {
    let step = 200e3;
    ((most / step).ceil() * step).max(step)
}

/// Flows on a logarithmic scale, 1 to 100,000.
fn x(left: f64, flows: u64) -> f64 {
    left + (flows.max(1) as f64).log10() / 5.0 * PANEL
}

fn y(rate: f64, most: f64) -> f64 {
    TOP + HEIGHT * (1.0 - rate / most)
}

fn frame(text: &mut String, left: f64, way: Way, most: f64) {
    let middle = left + PANEL / 2.0;
    let _ = writeln!(text, "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{way}</text>", TOP - 15.0);
    for step in 0..=STEPS {
        let rate = most * f64::from(step) / f64::from(STEPS);
        let at = y(rate, most);
        let _ = writeln!(
            text,
            "<line x1=\"{left}\" y1=\"{at}\" x2=\"{}\" y2=\"{at}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{:.0}k</text>",
            left + PANEL,
            left - 6.0,
            at + 4.0,
            rate / 1e3
        );
    }
    for (flows, name) in [(1, "1"), (1_000, "1k"), (60_000, "60k")] {
        let (at, below) = (x(left, flows), TOP + HEIGHT + 18.0);
        let _ = writeln!(text, "<text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\">{name}</text>");
    }
    let below = TOP + HEIGHT + 36.0;
    let _ = writeln!(text, "<text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">flows</text>");
}

fn draw(text: &mut String, left: f64, line: &[&Cell], most: f64) {
    let Some(first) = line.first() else { return };
    let color = color(first.system);
    let place = |cell: &&Cell| (x(left, cell.flows), y(cell.no_loss, most));
    let points: Vec<String> = line.iter().map(place).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(
        text,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>",
        points.join(" ")
    );
    for (x, y) in line.iter().map(place) {
        let _ = writeln!(text, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{color}\"/>");
    }
}

const fn color(system: System) -> &'static str {
    match system {
        System::Vrouter => "#1f6fb4",
        System::Kernel => "#c0392b",
        System::Forwarder => "#888888",
    }
}

fn legend(text: &mut String) {
    let entries = [
        (System::Vrouter, "vrouter"),
        (System::Forwarder, "bare AF_XDP forwarder"),
        (System::Kernel, "kernel, VXLAN + nftables"),
    ];
    let at = TOP + HEIGHT + 58.0;
    for (number, (system, name)) in entries.into_iter().enumerate() {
        let left = MARGIN + number as f64 * 190.0;
        let _ = writeln!(
            text,
            "<rect x=\"{left}\" y=\"{}\" width=\"12\" height=\"12\" fill=\"{}\"/>\
             <text x=\"{}\" y=\"{at}\">{name}</text>",
            at - 10.0,
            color(system),
            left + 18.0
        );
    }
    let left = MARGIN + 3.0 * 190.0 + 40.0;
    let _ = writeln!(
        text,
        "<text x=\"{left}\" y=\"{at}\">packets per second without loss, 64-byte frames</text>"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_drawn_for_each_cell_of_small_frames_inside_its_panel() {
        let cell = |flows, frame: &str, no_loss| Cell {
            way: Way::Backend,
            system: System::Kernel,
            frame: frame.to_owned(),
            flows,
            no_loss,
            saturated: no_loss,
            trials: Vec::new(),
        };
        let text = svg(&[cell(1, "64", 500e3), cell(60_000, "64", 1e6), cell(1_000, "512", 9e9)]);
        assert_eq!(text.matches("<circle").count(), 2);
        // One million is the top of the scale, half of it the middle of the panel.
        let middle = TOP + HEIGHT / 2.0;
        assert!(text.contains(&format!("points=\"420.0,{middle:.1} ")), "{text}");
        assert!(text.contains(&format!(",{TOP:.1}\"")), "{text}");
    }
}
