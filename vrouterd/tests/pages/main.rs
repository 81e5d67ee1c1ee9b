//! Every page in a browser: it renders without complaints, dark and light, wide and on a phone, and everything that
//! can be clicked or typed into has a name. Screenshots go to `pages/` in the directory that the last line names.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod browser;
#[path = "../../examples/diag_fixture/fixture.rs"]
mod fixture;

use std::path::Path;
use std::sync::Arc;

use browser::Browser;
use fixture::Fixture;
use serde_json::{Value, json};
use vrouterd::http::{Limits, Options, router, serve};

const PAGES: [(&str, &str); 18] = [
    ("node", "/"),
    ("vifs", "/vifs"),
    ("vif", "/vif/client"),
    ("vif-down", "/vif/web-2"),
    ("vif-script", "/vif/%3Cscript%3Ealert%281%29%3C%2Fscript%3E"),
    ("vrfs", "/vrfs"),
    ("routes", "/routes"),
    ("nexthops", "/nexthops"),
    ("labels", "/labels"),
    ("services", "/services"),
    ("policies", "/policies"),
    ("flows", "/flows"),
    ("traffic", "/traffic"),
    ("drops", "/drops"),
    ("tunnels", "/tunnels"),
    ("workers", "/workers"),
    ("control", "/control"),
    ("search", "/search?q=10.0.1.2"),
];
const PHONE: u32 = 390;
const DESK: u32 = 1280;
/// Roles of the accessibility tree that a reader announces by name.
const NAMED: [&str; 7] = ["link", "button", "textbox", "searchbox", "image", "meter", "RootWebArea"];

/// Serves the fixture on a port of its own until the process ends.
fn serve_fixture() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let router = router(Arc::new(Fixture::default()), Options::for_listener(address));
            serve(listener, router, Limits::default(), std::future::pending()).await;
        });
    });
    format!("http://{address}")
}

fn complaints(events: &[Value]) -> Vec<String> {
    let bad = |event: &&Value| match event["method"].as_str() {
        Some(
            "Runtime.exceptionThrown"
            | "Runtime.consoleAPICalled"
            | "Log.entryAdded"
            | "Network.loadingFailed",
        ) => true,
        Some("Network.responseReceived") => {
            event["params"]["response"]["status"].as_u64().is_none_or(|status| status >= 400)
        }
        Some("Audits.issueAdded") => event["params"]["issue"]["code"] == "ContentSecurityPolicyIssue",
        _ => false,
    };
    events.iter().filter(bad).map(|event| event["params"].to_string()).collect()
}

/// Things without a name, as role and what is known of them.
fn nameless(browser: &mut Browser) -> Vec<String> {
    let tree = browser.call("Accessibility.getFullAXTree", json!({}));
    let nodes = tree["nodes"].as_array().unwrap();
    let role = |node: &Value| node["role"]["value"].as_str().unwrap_or_default().to_owned();
    let shown = nodes.iter().filter(|node| node["ignored"] != true);
    let without = shown.filter(|node| {
        NAMED.contains(&role(node).as_str())
            && node["name"]["value"].as_str().unwrap_or_default().trim().is_empty()
    });
    without.map(|node| format!("{} {}", role(node), node["properties"])).collect()
}

/// Pixels by which the page is wider than the window.
fn overflow(browser: &mut Browser) -> i64 {
    let page = "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)";
    browser.evaluate(&format!("{page} - document.documentElement.clientWidth")).as_i64().unwrap()
}

fn screenshot(browser: &mut Browser, directory: &Path, name: &str) {
    use base64::Engine as _;
    let answer = browser.call("Page.captureScreenshot", json!({ "captureBeyondViewport": true }));
    let png = base64::prelude::BASE64_STANDARD.decode(answer["data"].as_str().unwrap()).unwrap();
    std::fs::write(directory.join(format!("{name}.png")), png).unwrap();
}

#[test]
fn every_page_renders_in_a_browser() {
    let (server, mut browser) = (serve_fixture(), Browser::start());
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    std::fs::create_dir_all(&directory).unwrap();
    let mut grounds = Vec::new();
    for (scheme, width) in [("light", DESK), ("dark", DESK), ("light", PHONE), ("dark", PHONE)] {
        let size = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width == PHONE });
        browser.call("Emulation.setDeviceMetricsOverride", size);
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.call("Emulation.setEmulatedMedia", features);
        for (name, path) in PAGES {
            let complaints = complaints(&browser.open(&format!("{server}{path}")));
            assert_eq!(complaints, [""; 0], "{path}, {scheme}, {width}");
            assert_eq!(overflow(&mut browser), 0, "{path} is wider than {width} pixels");
            assert_eq!(nameless(&mut browser), [""; 0], "{path}");
            let heading = browser.evaluate("document.querySelectorAll('h1').length");
            assert_eq!(heading, 1, "{path}");
            screenshot(&mut browser, &directory, &format!("{name}-{scheme}-{width}"));
        }
        grounds.push(browser.evaluate("getComputedStyle(document.body).backgroundColor"));
    }
    assert_ne!(grounds[0], grounds[1], "dark and light look the same");
    println!("screenshots: {}", directory.display());
}

#[test]
fn the_policy_would_be_seen_to_be_broken() {
    let (server, mut browser) = (serve_fixture(), Browser::start());
    browser.open(&format!("{server}/"));
    let script = "const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s)";
    browser.evaluate(script);
    assert_eq!(browser.evaluate("window.ran === undefined"), true, "the policy lets scripts run");
    let events = browser.open(&format!("{server}/none"));
    assert!(!complaints(&events).is_empty(), "a missing page is no complaint: {events:?}");
}
