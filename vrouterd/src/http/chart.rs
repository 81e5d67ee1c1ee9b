//! Rates of the last ten minutes as small charts, drawn here: a page needs no script.

use crate::view::{RateSample, RatesView};

/// Steps from the left edge to the right one: ten minutes.
const STEPS: usize = 120;
/// Height of the drawing in its own units.
const HEIGHT: f64 = 100.0;

/// One chart.
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) title: &'static str,
    /// For those who do not see it, too.
    pub(super) summary: String,
    /// What the upper edge stands for.
    pub(super) peak: String,
    pub(super) lines: Vec<Line>,
}

/// One line of a chart.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) name: &'static str,
    /// How the style sheet calls it.
    pub(super) class: &'static str,
    /// Value of the last sample.
    pub(super) now: String,
    /// Points of an SVG `polyline`.
    pub(super) points: String,
}

type Pick = fn(&RateSample) -> f64;

/// The charts of a vif; none before the second sample.
pub(super) fn of_vif(rates: &RatesView) -> Vec<Chart> {
    if rates.samples.is_empty() {
        return Vec::new();
    }
    let from_pod = ("from the pod", "rx");
    let to_pod = ("to the pod", "tx");
    vec![
        chart(rates, "Packets", "/s", &[(from_pod, |s| s.rx_packets), (to_pod, |s| s.tx_packets)]),
        chart(rates, "Bits", "bit/s", &[(from_pod, |s| s.rx_bits), (to_pod, |s| s.tx_bits)]),
        chart(rates, "Drops", "/s", &[(("dropped", "lost"), |s| s.drops)]),
    ]
}

fn chart(
    rates: &RatesView,
    title: &'static str,
    unit: &str,
    lines: &[((&'static str, &'static str), Pick)],
) -> Chart {
    let values = |pick: Pick| rates.samples.iter().map(pick);
    let peak = lines.iter().flat_map(|(_, pick)| values(*pick)).fold(0.0, f64::max);
    let shown = |value: f64| scaled(value, unit);
    let lines: Vec<Line> = lines
        .iter()
        .map(|((name, class), pick)| Line {
            name,
            class,
            now: shown(values(*pick).next_back().unwrap_or_default()),
            points: points(values(*pick), peak),
        })
        .collect();
    let now: Vec<_> = lines.iter().map(|line| format!("{} {}", line.now, line.name)).collect();
    let summary = format!("{title}, last ten minutes: now {}; at most {}", now.join(", "), shown(peak));
    Chart { title, summary, peak: shown(peak), lines }
}

/// The newest sample is at the right edge.
fn points(values: impl ExactSizeIterator<Item = f64>, peak: f64) -> String {
    let first = STEPS.saturating_sub(values.len());
    let y = |value: f64| if peak > 0.0 { HEIGHT * (1.0 - value / peak) } else { HEIGHT };
    let point = |(index, value): (usize, f64)| format!("{},{:.1}", first + index + 1, y(value));
    values.enumerate().map(point).collect::<Vec<_>>().join(" ")
}

/// A rate with a decimal prefix of its unit and up to three digits.
fn scaled(value: f64, unit: &str) -> String {
    let (mut value, mut prefix) = (value, "");
    for next in ["k", "M", "G", "T"] {
        if value < 999.5 {
            break;
        }
        (value, prefix) = (value / 1000.0, next);
    }
    let decimals = match value {
        v if v == 0.0 || v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.decimals$} {prefix}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(rx: &[f64]) -> RatesView {
        let sample = |rx: &f64| RateSample { rx_packets: *rx, ..RateSample::default() };
        RatesView { seconds_between: 5, samples: rx.iter().map(sample).collect() }
    }

    #[test]
    fn the_newest_sample_is_at_the_right_edge_and_the_largest_at_the_upper() {
        let charts = of_vif(&rates(&[0.0, 50.0, 100.0]));
        let [packets, _, drops] = &charts[..] else { panic!("three charts") };
        assert_eq!(packets.lines[0].points, "118,100.0 119,50.0 120,0.0");
        assert_eq!(packets.lines[1].points, "118,100.0 119,100.0 120,100.0");
        assert_eq!(packets.peak, "100 /s");
        assert_eq!(
            packets.summary,
            "Packets, last ten minutes: now 100 /s from the pod, 0 /s to the pod; at most 100 /s"
        );
        assert_eq!(drops.lines[0].points, "118,100.0 119,100.0 120,100.0");
        assert!(of_vif(&rates(&[])).is_empty());
    }

    #[test]
    fn rates_are_written_with_a_prefix() {
        let table = [
            (0.0, "0 "),
            (0.25, "0.25 "),
            (12.34, "12.3 "),
            (999.4, "999 "),
            (1500.0, "1.50 k"),
            (2.5e9, "2.50 G"),
        ];
        for (value, text) in table {
            assert_eq!(scaled(value, "bit/s"), format!("{text}bit/s"));
        }
    }
}
