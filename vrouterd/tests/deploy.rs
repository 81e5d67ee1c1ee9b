//! What `deploy/` says about the daemon is true.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../examples/diag_fixture/fixture.rs"]
mod fixture;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use dataplane::drop::DropReason;
use fixture::Fixture;
use tower::ServiceExt;
use vrouterd::http::{Options, router};
use vrouterd::preflight;

fn deployed(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name)).unwrap()
}

async fn series() -> BTreeSet<String> {
    let router = router(Arc::new(Fixture::default()), Options::for_listener(([127, 0, 0, 1], 8085).into()));
    let response = router.oneshot(Request::get("/metrics").body(Body::empty()).unwrap()).await.unwrap();
    let text = String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.split(['{', ' ']).next().unwrap().to_owned()).collect()
}

/// The words of a text that begin like our metrics.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("vrouter_")).map(str::to_owned).collect()
}

#[tokio::test]
async fn dashboard_and_alerts_name_series_that_are_served() {
    let served = series().await;
    for file in ["grafana.json", "alerts.yml"] {
        let named = named(&deployed(file));
        assert!(named.len() > 5, "{file} names {named:?}");
        assert_eq!(named.difference(&served).collect::<Vec<_>>(), [""; 0], "{file}");
    }
}

#[test]
fn alerts_name_reasons_that_exist() {
    let text = deployed("alerts.yml");
    let known: BTreeSet<_> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
    let patterns: Vec<_> =
        text.split("reason=~\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(!patterns.is_empty());
    for word in patterns.iter().flat_map(|pattern| pattern.split('|')) {
        let exists = match word.strip_suffix(".*") {
            Some(start) => known.iter().any(|name| name.starts_with(start)),
            None => known.contains(word),
        };
        assert!(exists, "no drop reason is named {word}");
    }
}

#[test]
fn the_dashboard_is_json_whose_panels_have_queries() {
    let dashboard: serde_json::Value = serde_json::from_str(&deployed("grafana.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        assert!(!panel["targets"].as_array().unwrap().is_empty(), "{}", panel["title"]);
        assert!(!panel["description"].as_str().unwrap().is_empty(), "{}", panel["title"]);
    }
}

#[test]
fn the_unit_grants_what_the_daemon_asks_for() {
    let unit = deployed("vrouterd.service");
    for key in ["CapabilityBoundingSet=", "AmbientCapabilities="] {
        let granted: Vec<_> =
            unit.lines().find_map(|line| line.strip_prefix(key)).unwrap().split(' ').collect();
        for needed in preflight::NEEDED {
            assert!(granted.contains(&needed.to_string().as_str()), "{key} lacks {needed}");
        }
    }
}
