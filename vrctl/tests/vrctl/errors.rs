//! Servers that are none, or none of ours.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::{Run, vrctl};

/// Answers one request with `response` and returns the URL at which it waits for it.
fn answering(status: &str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut chunk = [0; 1024];
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read(&mut chunk).unwrap() {
                0 => break,
                read => request.extend_from_slice(&chunk[..read]),
            }
        }
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
    });
    url
}

fn failed(code: i32, stderr: &str) -> Run {
    Run { code, stdout: String::new(), stderr: format!("vrctl: {stderr}\n") }
}

#[test]
fn without_a_daemon_the_error_says_how_to_start_it() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let expected = format!(
        "no vrouter daemon answers at {url}: Connection refused (os error 111); start it with `vrouterd run --config \
         FILE`, or name its `http.listen` with --url"
    );
    assert_eq!(vrctl(&url, &["vif", "list"]), failed(1, &expected));
    assert_eq!(vrctl(&url, &["-o", "json", "stats"]), failed(1, &expected));
}

#[test]
fn a_url_that_is_none_is_a_mistake() {
    let expected = "--url \"127.0.0.1:8085\" cannot be a daemon's: write it like http://127.0.0.1:8085 or http://[::1]:8085";
    assert_eq!(vrctl("127.0.0.1:8085", &["vrf"]), failed(2, expected));
}

#[test]
fn an_answer_that_is_no_json_is_refused_in_both_forms() {
    for form in ["table", "json"] {
        let url = answering("200 OK", "<html>");
        let expected = format!(
            "the answer of {url}/vrfs?format=json is no JSON (expected value at line 1 column 1); is it a vrouter \
             daemon?"
        );
        assert_eq!(vrctl(&url, &["-o", form, "vrf"]), failed(1, &expected));
    }
}

/// Rows of (command, document, what is wrong with it).
const UNEXPECTED: &[(&[&str], &str, &str)] = &[
    (&["vrf"], "{}", "/vrfs?format=json is not as expected: its `document` is no list"),
    (&["nh"], "[{\"id\": 1}]", "/nexthops?format=json is not as expected: it has no `/kind`"),
    (&["drops"], "[{\"count\": \"1\"}]", "/drops?format=json is not as expected: its `/count` is no number"),
    (
        &["label"],
        "[{\"label\": {}}]",
        "/labels?format=json is not as expected: its `/label` is no single value",
    ),
];

#[test]
fn a_document_of_another_version_is_refused_as_a_table_and_passed_on_as_json() {
    for (arguments, document, wrong) in UNEXPECTED {
        let url = answering("200 OK", document);
        let expected = format!(
            "the answer of {url}{wrong}; are vrctl and vrouterd of the same version? `-o json` shows it as it is"
        );
        assert_eq!(vrctl(&url, arguments), failed(1, &expected));

        let url = answering("200 OK", document);
        let json = vrctl(&url, &[arguments, &["-o", "json"][..]].concat());
        assert_eq!(json, Run { code: 0, stdout: format!("{document}\n"), stderr: String::new() });
    }
}

#[test]
fn other_answers_are_told_with_the_daemons_words_where_it_has_some() {
    let busy = "{\"type\":\"about:blank\",\"status\":503,\"detail\":\"The node is busy.\"}";
    let url = answering("503 Service Unavailable", busy);
    let expected = format!("{url}/workers?format=json answers 503 Service Unavailable: The node is busy.");
    assert_eq!(vrctl(&url, &["worker"]), failed(1, &expected));

    let url = answering("404 Not Found", "no such page");
    let expected = format!(
        "there is nothing at {url}/tunnels?format=json; is it a vrouter daemon, and of the same version as vrctl?"
    );
    assert_eq!(vrctl(&url, &["tunnel"]), failed(1, &expected));

    let url = answering("404 Not Found", "no such page");
    let expected = format!(
        "there is nothing at {url}/vif/a?format=json; is it a vrouter daemon, and of the same version as vrctl?"
    );
    assert_eq!(vrctl(&url, &["vif", "show", "a"]), failed(1, &expected));

    let url = answering("302 Found", "");
    let expected = format!(
        "{url}/tunnels?format=json answers 302 Found: is it a vrouter daemon? --socket and --url name another one"
    );
    assert_eq!(vrctl(&url, &["tunnel"]), failed(1, &expected));
}

#[test]
fn a_wrong_command_line_is_a_mistake() {
    let table: [&[&str]; 6] = [
        &[],
        &["vfi"],
        &["flow"],
        &["vif", "show", ""],
        &["flow", "list", "--port", "65536"],
        &["flow", "list", "--addr", "10.0.0.0/8"],
    ];
    for arguments in table {
        let run = vrctl("http://127.0.0.1:1", arguments);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn mistakes_are_told_each_with_its_remedy() {
    const PROBLEM: &str = r#"{"type":"about:blank","title":"Unprocessable Entity","status":422,"code":"mistakes",
        "detail":"What would be declared has mistakes; nothing has changed.","errors":[
        {"field":"vifs/a/label","detail":"17 is taken","remedy":"give another"},
        {"field":"vifs/a/vrf","detail":"there is no VRF \"bleu\"","remedy":"write \"blue\""}]}"#;
    let url = answering("422 Unprocessable Entity", PROBLEM);
    let expected = "the daemon refuses the request: What would be declared has mistakes; nothing has changed.\n  \
                    vifs/a/label: 17 is taken\n    give another\n  vifs/a/vrf: there is no VRF \"bleu\"\n    \
                    write \"blue\"";
    assert_eq!(vrctl(&url, &["nh"]), failed(2, expected));
}
