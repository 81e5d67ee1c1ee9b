//! `/metrics`, read line by line as OpenMetrics 1.0 describes it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../examples/diag_fixture/fixture.rs"]
mod fixture;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use dataplane::drop::DropReason;
use fixture::{AWKWARD, Fixture};
use tower::ServiceExt;
use vrouterd::http::{Options, VifSeries, router};

/// A sample: name, labels, value.
type Sample = (String, BTreeMap<String, String>, f64);
/// The labels that a sample is looked up by.
type Labels<'a> = &'a [(&'a str, &'a str)];

async fn scrape(series: VifSeries) -> String {
    let router = router(
        Arc::new(Fixture::default()),
        Options { vif_series: series, ..Options::for_listener(([127, 0, 0, 1], 8085).into()) },
    );
    let response = router.oneshot(Request::get("/metrics").body(Body::empty()).unwrap()).await.unwrap();
    let kind = &response.headers()[header::CONTENT_TYPE];
    assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
}

/// Reads a whole exposition, or panics at the first line that breaks the format.
fn parse(text: &str) -> Vec<Sample> {
    assert!(text.ends_with("\n# EOF\n"), "no end");
    let (mut types, mut helped, mut samples) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
    let mut unique = BTreeSet::new();
    for line in text.lines().take_while(|line| *line != "# EOF") {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
        } else if let Some(rest) = line.strip_prefix("# UNIT ") {
            let (name, unit) = rest.split_once(' ').unwrap();
            assert!(name.ends_with(&format!("_{unit}")), "{line}");
        } else {
            let sample = parse_sample(line);
            let ends = ["_total", "_info", "_sum", "_count", "_bucket"];
            let family = ends.iter().find_map(|end| sample.0.strip_suffix(end)).unwrap_or(&sample.0);
            let kind = types.get(family).unwrap_or_else(|| panic!("no TYPE before {line}"));
            let suffixes: &[&str] = match kind.as_str() {
                "counter" => &["_total"],
                "info" => &["_info"],
                "gauge" => &[""],
                "histogram" => &["_sum", "_count", "_bucket"],
                other => panic!("unexpected type {other}"),
            };
            assert!(suffixes.iter().any(|suffix| sample.0 == format!("{family}{suffix}")), "{line}");
            assert!(helped.contains(family), "no HELP before {line}");
            assert!(unique.insert((sample.0.clone(), sample.1.clone())), "twice: {line}");
            samples.push(sample);
        }
    }
    samples
}

fn parse_sample(line: &str) -> Sample {
    let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap());
    assert!(
        name.starts_with("vrouter_")
            && name.bytes().all(|c| c == b'_' || c.is_ascii_lowercase() || c.is_ascii_digit())
    );
    let mut labels = BTreeMap::new();
    let mut rest = rest;
    if let Some(mut inside) = rest.strip_prefix('{') {
        while !inside.starts_with('}') {
            let (key, after) = inside.split_once("=\"").unwrap();
            let (value, after) = parse_value(after);
            assert!(labels.insert(key.to_owned(), value).is_none(), "{line}");
            inside = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &inside[1..];
    }
    (name.to_owned(), labels, rest.strip_prefix(' ').unwrap().parse().unwrap())
}

/// A label value up to its closing quote, unescaped, and what follows.
fn parse_value(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => match chars.next().unwrap().1 {
                'n' => value.push('\n'),
                escaped @ ('\\' | '"') => value.push(escaped),
                other => panic!("unknown escape {other}"),
            },
            plain => value.push(plain),
        }
    }
    panic!("no closing quote in {text}")
}

fn value(samples: &[Sample], name: &str, labels: Labels<'_>) -> f64 {
    let matches = |sample: &&Sample| {
        sample.0 == name && labels.iter().all(|(key, value)| sample.1.get(*key).is_some_and(|is| is == value))
    };
    let found: Vec<_> = samples.iter().filter(matches).collect();
    assert_eq!(found.len(), 1, "{name} {labels:?}");
    found[0].2
}

#[tokio::test]
async fn the_series_have_the_values_of_the_views() {
    let samples = parse(&scrape(VifSeries::Hidden).await);
    let table: [(&str, Labels<'_>, f64); 23] = [
        ("vrouter_build_info", &[("version", "0.1.0")], 1.0),
        ("vrouter_generation", &[], 42.0),
        ("vrouter_packets_total", &[("port", "trunk"), ("direction", "rx")], 2_184_411.0),
        ("vrouter_bytes_total", &[("port", "uplink"), ("direction", "tx")], 90_000_000.0),
        ("vrouter_drops_total", &[("reason", "no_route")], 12.0),
        ("vrouter_drops_total", &[("reason", "tx_ring_full")], 0.0),
        ("vrouter_program_packets_total", &[("program", "trunk"), ("outcome", "port_tagged")], 3.0),
        ("vrouter_flows", &[], 2.0),
        ("vrouter_flow_table_capacity", &[], 1_048_576.0),
        ("vrouter_flow_hits_total", &[], 8_200_000.0),
        ("vrouter_flow_misses_total", &[], 2408.0),
        ("vrouter_umem_frames", &[("state", "fill")], 8192.0),
        ("vrouter_worker_busy_seconds_total", &[("worker", "1")], 1204.5),
        (
            "vrouter_ring_missed_packets_total",
            &[("interface", "eth0"), ("queue", "1"), ("cause", "rx_ring_full")],
            17.0,
        ),
        ("vrouter_tunnels_unreachable", &[], 1.0),
        ("vrouter_ring_frames", &[("interface", "eth0"), ("queue", "1"), ("ring", "tx")], 12.0),
        ("vrouter_flows_ended_total", &[("cause", "evicted")], 90.0),
        ("vrouter_flows_refused_total", &[("cause", "vif")], 3.0),
        ("vrouter_export_records_total", &[], 4800.0),
        ("vrouter_control_lag_seconds_count", &[], 1.0),
        ("vrouter_traffic_flows_total", &[("from", "blue"), ("to", "red")], 40.0),
        (
            "vrouter_traffic_bytes_total",
            &[("service", "10.96.0.10"), ("origin", "fabric"), ("direction", "reverse")],
            3_400_000_000.0,
        ),
        ("vrouter_traffic_flows_total", &[("origin", "other")], 2.0),
    ];
    for (name, labels, expected) in table {
        assert_eq!(value(&samples, name, labels), expected, "{name} {labels:?}");
    }
    let reasons = samples.iter().filter(|sample| sample.0 == "vrouter_drops_total").count();
    assert_eq!(reasons, DropReason::ALL.len());
}

#[tokio::test]
async fn distributions_are_cumulative_and_end_with_all() {
    let samples = parse(&scrape(VifSeries::Hidden).await);
    let name = "vrouter_publication_seconds";
    let compile = [("phase", "compile")];
    assert_eq!(value(&samples, &format!("{name}_count"), &compile), 1.0);
    assert!((value(&samples, &format!("{name}_sum"), &compile) - 0.0023).abs() < 1e-9);
    let buckets: Vec<_> = samples
        .iter()
        .filter(|sample| sample.0 == format!("{name}_bucket") && sample.1["phase"] == "compile")
        .map(|sample| (sample.1["le"].parse::<f64>().unwrap(), sample.2))
        .collect();
    assert!(buckets.is_sorted_by(|one, other| one.0 < other.0 && one.1 <= other.1), "{buckets:?}");
    assert!(buckets.contains(&(0.001, 0.0)) && buckets.contains(&(0.0025, 1.0)), "{buckets:?}");
    assert_eq!(buckets.last(), Some(&(f64::INFINITY, 1.0)));
}

#[tokio::test]
async fn vifs_have_series_only_when_asked_for() {
    let hidden = parse(&scrape(VifSeries::Hidden).await);
    assert!(!hidden.iter().any(|sample| sample.1.contains_key("vif")));
    let shown = parse(&scrape(VifSeries::Shown).await);
    let client = |direction| [("vif", "client"), ("vrf", "blue"), ("direction", direction)];
    assert_eq!(value(&shown, "vrouter_vif_packets_total", &client("rx")), 1_284_311.0);
    assert_eq!(value(&shown, "vrouter_vif_bytes_total", &client("tx")), 3_456_789_012.0);
    assert_eq!(value(&shown, "vrouter_vif_drops_total", &[("vif", "client"), ("reason", "no_route")]), 12.0);
    assert_eq!(value(&shown, "vrouter_vif_up", &[("vif", "web-2")]), 0.0);
    // Quotes and backslashes in a name survive the way into the text and out again.
    assert_eq!(value(&shown, "vrouter_vif_up", &[("vif", AWKWARD)]), 1.0);
}
