//! The diagnostics pages, asked in-process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../examples/diag_fixture/fixture.rs"]
mod fixture;

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use fixture::{AWKWARD, Fixture, SCRIPT};
use tower::ServiceExt;
use vrouterd::http::{Access, Options, Token, router};
use vrouterd::view::State;

const PAGES: [&str; 16] = [
    "/",
    "/vifs",
    "/vif/client",
    "/vrfs",
    "/routes",
    "/nexthops",
    "/labels",
    "/services",
    "/flows",
    "/drops",
    "/tunnels",
    "/workers",
    "/traffic",
    "/control",
    "/policies",
    "/search",
];

/// `a/b?c#d e&f="g"'h'%41+\é`, percent-encoded as UTF-8.
const AWKWARD_PATH: &str = "a%2Fb%3Fc%23d%20e%26f%3D%22g%22%27h%27%2541%2B%5C%C3%A9";

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

fn options() -> Options {
    Options::for_listener(([127, 0, 0, 1], 8085).into())
}

fn pages(fixture: Fixture) -> Router {
    router(Arc::new(fixture), options())
}

async fn send(router: Router, request: Request<Body>) -> Answer {
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    let bytes = to_bytes(body, 1 << 20).await.unwrap();
    Answer { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
}

async fn get(path: &str) -> Answer {
    send(pages(Fixture::default()), Request::get(path).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn every_page_is_html_without_anything_active() {
    for path in PAGES {
        let answer = get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.header(header::CONTENT_TYPE), "text/html; charset=utf-8", "{path}");
        assert!(answer.text.starts_with("<!DOCTYPE html>") && answer.text.ends_with("</html>"), "{path}");
        for forbidden in ["<script", "<style", "javascript:", "http://", "https://"] {
            assert!(!answer.text.contains(forbidden), "{path} has {forbidden}");
        }
        // The policy forbids both, so either would be a defect that only a browser shows.
        for tag in tags(&answer.text) {
            assert!(!tag.contains(" style=") && !tag.contains(" on"), "{path}: {tag}");
        }
        for link in PAGES.iter().filter(|page| **page != "/vif/client" && !page.starts_with("/search")) {
            assert!(answer.text.contains(&format!("href=\"{link}\"")), "{path} does not link {link}");
        }
    }
}

/// The insides of all tags, quoted values taken out.
fn tags(html: &str) -> impl Iterator<Item = String> + '_ {
    html.split('<').skip(1).map(|rest| {
        let tag = rest.split('>').next().unwrap_or_default();
        tag.split('"').step_by(2).collect()
    })
}

#[tokio::test]
async fn every_link_leads_to_a_page() {
    let mut seen = std::collections::BTreeSet::new();
    for path in PAGES {
        let page = get(path).await.text;
        for target in
            page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap().replace("&amp;", "&"))
        {
            let url = if target.starts_with(['?', '#']) { format!("{path}{target}") } else { target };
            seen.insert(url);
        }
    }
    assert!(seen.len() > 40, "{seen:?}");
    for url in seen {
        let (path, fragment) = url.split_once('#').unwrap_or((&url, ""));
        let answer = get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{url}");
        if !fragment.is_empty() {
            assert!(answer.text.contains(&format!("id=\"{fragment}\"")), "{url}");
        }
    }
}

#[tokio::test]
async fn every_page_is_json_of_the_same_view() {
    for path in PAGES {
        let answer = get(&format!("{path}?format=json")).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.header(header::CONTENT_TYPE), "application/json", "{path}");
        answer.json();
    }
    let vif = get("/vif/client?format=json").await.json();
    assert_eq!(vif["state"], "up");
    assert_eq!(vif["mac"], "02:00:00:00:0a:01");
    assert_eq!(vif["traffic"]["rx"]["packets"], 1_284_311);
    assert_eq!(vif["traffic"]["drops"][1]["reason"], "no_route");
    assert_eq!(vif["last_drops"][0]["decoded"], "10.0.1.2 > 10.9.9.9 ttl 64 TCP 40000 > 80 SYN");
    let node = get("/?format=json").await.json();
    assert_eq!(node["troubles"][1]["noun"], "vif");
    assert_eq!(node["troubles"][1]["name"], "web-2");
    let hops = get("/routes?format=json&vrf=blue").await.json();
    assert_eq!(hops.as_array().unwrap().len(), 4);
    assert_eq!(hops[2]["next_hops"][1]["node"], "172.30.0.2");
}

#[tokio::test]
async fn names_are_escaped_everywhere() {
    for path in ["/vifs", "/vrfs"] {
        let text = get(path).await.text;
        assert!(
            !text.contains(SCRIPT) && text.contains("&#60;script&#62;alert(1)&#60;/script&#62;"),
            "{path}"
        );
        assert!(text.contains(&format!("href=\"/vif/{AWKWARD_PATH}\"")), "{path}: {text}");
        assert!(text.contains("a/b?c#d e&#38;f=&#34;g&#34;&#39;h&#39;%41+\\é"), "{path}: {text}");
    }
    let script = get("/vif/%3Cscript%3Ealert%281%29%3C%2Fscript%3E").await;
    assert_eq!(script.status, StatusCode::OK);
    assert!(!script.text.contains("<script"));
    let filter = get("/flows?vif=%22%3E%3Cscript%3E").await;
    assert_eq!(filter.status, StatusCode::OK);
    assert!(filter.text.contains("value=\"&#34;&#62;&#60;script&#62;\""), "{}", filter.text);
    for refused in ["/vif/%3Cscript%3E", "/flows?port=%3Cscript%3E", "/%3Cscript%3E", "/vifs?%3Cscript%3E=1"]
    {
        let answer = get(refused).await;
        assert!(
            answer.status.is_client_error() && !answer.text.contains("<script"),
            "{refused}: {}",
            answer.text
        );
    }
}

#[tokio::test]
async fn a_vif_with_any_printable_name_has_its_page() {
    let answer = get(&format!("/vif/{AWKWARD_PATH}?format=json")).await;
    assert_eq!(answer.json()["name"], AWKWARD);
}

#[tokio::test]
async fn a_vif_that_is_down_says_why() {
    let page = get("/vif/web-2").await.text;
    assert!(page.contains("<strong>Down.</strong> <bdi>The interface veth3a does not exist yet;"), "{page}");
}

#[tokio::test]
async fn unknown_things_are_404_in_the_format_asked_for() {
    for path in
        ["/vif/none", "/none", "/vif/", "/vif/a/b", "/../../etc/passwd", "/vif/..%2f..%2fetc%2fpasswd"]
    {
        let page = get(path).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
        assert!(page.text.contains("<h1>Not Found</h1>"), "{path}");
    }
    let document = get("/vif/none?format=json").await;
    assert_eq!(document.status, StatusCode::NOT_FOUND);
    assert_eq!(document.header(header::CONTENT_TYPE), "application/problem+json");
    assert_eq!(document.json()["status"], 404);
    assert!(document.json()["detail"].as_str().unwrap().contains("no vif \"none\""));
}

#[tokio::test]
async fn mistakes_in_the_query_are_named() {
    let table = [
        ("/flows?port=70000", "port"),
        ("/flows?addr=10.0.0", "addr"),
        ("/flows?proto=tpc", "tcp, udp"),
        ("/flows?limit=0", "1 to 10000"),
        ("/flows?limit=10001", "1 to 10000"),
        ("/flows?vfi=x", "vfi"),
        ("/vifs?refresh=0", "1 to 3600"),
        ("/vifs?format=xml", "html or json"),
        ("/metrics?x=1", "x"),
    ];
    for (path, named) in table {
        let answer = get(path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(answer.text.contains(named), "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn flows_are_filtered_and_bounded() {
    let flows = |answer: Answer| answer.json()["flows"].as_array().unwrap().len();
    assert_eq!(flows(get("/flows?format=json").await), 2);
    assert_eq!(flows(get("/flows?format=json&proto=tcp&port=80&vif=&vrf=blue").await), 1);
    assert_eq!(flows(get("/flows?format=json&addr=10.0.9.9").await), 0);
    let one = get("/flows?format=json&limit=1").await;
    assert_eq!(one.json()["truncated"], true);
    assert_eq!(flows(one), 1);
}

#[tokio::test]
async fn everything_is_found_by_what_is_known_of_it() {
    let found = |query: &'static str| async move {
        let view = get(&format!("/search?q={query}&format=json")).await.json();
        let found = view["found"].as_array().unwrap().clone();
        let name = |thing: &serde_json::Value| {
            format!("{} {}", thing["noun"].as_str().unwrap(), thing["key"].as_str().unwrap())
        };
        found.iter().map(name).collect::<Vec<_>>()
    };
    let table = [
        ("CLIENT", "vif client"),
        ("02:00:00:00:0a:02", "vif web-1"),
        ("192.0.2.10", "vif web-1"),
        ("blue", "vrf blue"),
        ("10.96.0.10", "service 10.96.0.10"),
        ("http", "policy web"),
        ("17", "label 17"),
        ("172.30.0.3", "tunnel 172.30.0.3"),
        ("discard", "next_hop 4"),
        ("fd00:2::77", "route blue"),
        ("10.0.1.2", "flows 10.0.1.2"),
        ("no_ro", "drop no_route"),
    ];
    for (query, expected) in table {
        let found = found(query).await;
        assert!(found.iter().any(|name| name == expected), "{query}: {found:?}");
    }
    assert_eq!(found("%20").await, [""; 0]);
    assert_eq!(found("nobody-is-called-this").await, [""; 0]);
    assert_eq!(found("red").await[0], "vrf red", "the exact name comes first");
}

#[tokio::test]
async fn lists_are_filtered() {
    let count = |path: &'static str| async move { get(path).await.json().as_array().unwrap().len() };
    assert_eq!(count("/vifs?format=json&q=10.0.1.3").await, 1);
    assert_eq!(count("/vifs?format=json&q=none-such").await, 0);
    assert_eq!(count("/services?format=json&q=none-such").await, 0);
    let all = count("/routes?format=json").await;
    let through = count("/routes?format=json&nh=1").await;
    assert!((1..all).contains(&through), "{through} of {all}");
    let page = get("/routes?vrf=blue&q=10.0.2.77").await.text;
    assert!(page.contains("<input type=\"hidden\" name=\"vrf\" value=\"blue\">"), "{page}");
    assert!(page.contains("value=\"10.0.2.77\"") && page.contains("href=\"?vrf=blue\">Clear"), "{page}");
}

#[tokio::test]
async fn refreshing_is_asked_for_and_keeps_the_filter() {
    assert!(!get("/flows").await.text.contains("http-equiv"));
    let page = get("/flows?vif=client&refresh=5").await.text;
    assert!(page.contains("<meta http-equiv=\"refresh\" content=\"5\">"));
    assert!(page.contains("href=\"?vif=client\""), "{page}");
}

#[tokio::test]
async fn only_get_and_head_are_answered() {
    for path in ["/", "/vif/client", "/metrics", "/none"] {
        for method in
            [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS, Method::TRACE]
        {
            let request = Request::builder().method(&method).uri(path).body(Body::empty()).unwrap();
            let answer = send(pages(Fixture::default()), request).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(answer.header(header::ALLOW), "GET, HEAD", "{method} {path}");
        }
    }
    let request = Request::head("/vifs").body(Body::empty()).unwrap();
    let answer = send(pages(Fixture::default()), request).await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, ""));
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    for path in
        ["/", "/vif/none", "/style.css", "/icon.svg", "/metrics", "/healthz", "/none", "/flows?port=x"]
    {
        let answer = get(path).await;
        let policy = answer.header(header::CONTENT_SECURITY_POLICY);
        for rule in [
            "default-src 'none'",
            "style-src 'self'",
            "img-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.split("; ").any(|part| part == rule), "{path}: {policy}");
        }
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{path}");
        assert_eq!(answer.header(header::CACHE_CONTROL), "no-store", "{path}");
    }
}

#[tokio::test]
async fn bodies_long_urls_and_foreign_hosts_are_refused() {
    let table = [
        (Request::get("/").header(header::CONTENT_LENGTH, "5"), StatusCode::PAYLOAD_TOO_LARGE),
        (Request::get("/").header(header::TRANSFER_ENCODING, "chunked"), StatusCode::PAYLOAD_TOO_LARGE),
        (Request::get(format!("/vif/{}", "a".repeat(4092))), StatusCode::URI_TOO_LONG),
        (Request::get("/").header(header::HOST, "rebound.example"), StatusCode::MISDIRECTED_REQUEST),
        (Request::get("/").header(header::HOST, "127.0.0.1:8085"), StatusCode::OK),
        (Request::get("/").header(header::CONTENT_LENGTH, "0"), StatusCode::OK),
        (Request::get(format!("/vif/{}", "a".repeat(4091))), StatusCode::NOT_FOUND),
    ];
    for (request, status) in table {
        let answer = send(pages(Fixture::default()), request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, status);
    }
}

#[tokio::test]
async fn with_a_token_only_the_probes_are_open() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, "0123456789abcdef0123\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let access = Access::Token(Token::read(&path).unwrap());
    let router = router(Arc::new(Fixture::default()), Options { access, ..options() });
    let ask = |path: &str, header: Option<&str>| {
        let request = Request::get(path);
        let request =
            header.into_iter().fold(request, |request, value| request.header("authorization", value));
        send(router.clone(), request.body(Body::empty()).unwrap())
    };
    let all = PAGES.into_iter().chain(["/metrics", "/style.css", "/icon.svg", "/none", "/vifs?format=json"]);
    for path in all {
        for wrong in [None, Some("Bearer 0123456789abcdef0124")] {
            let answer = ask(path, wrong).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
            assert_eq!(answer.headers.get_all(header::WWW_AUTHENTICATE).iter().count(), 2, "{path}");
            assert!(!answer.header(header::CONTENT_SECURITY_POLICY).is_empty(), "{path}");
        }
        let right = ask(path, Some("Bearer 0123456789abcdef0123")).await;
        assert_ne!(right.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    for probe in ["/healthz", "/readyz"] {
        assert_eq!(ask(probe, None).await.status, StatusCode::OK, "{probe}");
    }
}

#[tokio::test]
async fn probes_say_what_is_wrong_and_pages_show_it() {
    assert_eq!((get("/healthz").await.text.as_str(), get("/readyz").await.text.as_str()), ("ok\n", "ok\n"));
    let reason = "The uplink <eth0> is down.";
    let ask = |path: &'static str| {
        let fixture = Fixture { ready: State::Down { reason: reason.to_owned() }, ..Fixture::default() };
        send(pages(fixture), Request::get(path).body(Body::empty()).unwrap())
    };
    let ready = ask("/readyz").await;
    assert_eq!((ready.status, ready.text), (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")));
    assert_eq!(ready.headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    assert_eq!(ask("/healthz").await.status, StatusCode::OK);
    assert!(ask("/vifs").await.text.contains("The uplink &#60;eth0&#62; is down."));
}

#[tokio::test]
async fn a_slow_page_is_given_up_and_the_others_are_answered() {
    let fixture = Fixture { pause: Duration::from_millis(400), ..Fixture::default() };
    let options = Options { page_deadline: Duration::from_millis(100), ..options() };
    let router = router(Arc::new(fixture), options);
    let ask = |path: &str| send(router.clone(), Request::get(path).body(Body::empty()).unwrap());
    let began = Instant::now();
    let slow = ask("/workers").await;
    assert_eq!(slow.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(began.elapsed() < Duration::from_millis(350), "{:?}", began.elapsed());
    assert_eq!(ask("/vifs").await.status, StatusCode::OK);
    // Four pages at a time: while four are stuck, a fifth finds no turn, but probes need none.
    let stuck = (ask("/workers"), ask("/workers"), ask("/workers"), ask("/workers"));
    tokio::join!(stuck.0, stuck.1, stuck.2, stuck.3);
    assert_eq!(ask("/vifs").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ask("/healthz").await.status, StatusCode::OK);
}
