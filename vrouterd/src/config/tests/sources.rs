//! A file and a declared document, judged as one.

use super::{NODE, VIFS};
use crate::config::{Config, Problems, Source, parse_all};

const DECLARED: &str = r#"version = 1
[[vif]]
name = "web"
ifname = "veth2a"
vrf = "blue"
addresses = ["10.0.1.3"]
mac = "02:00:00:00:0a:02"
label = 18
"#;

fn both(file: &str, declared: &str) -> Result<Config, Problems> {
    parse_all(Source::on_disk("f", file), Some(Source::on_disk("d", declared)))
}

fn refusal(file: &str, declared: &str) -> String {
    both(file, declared).expect_err("refused").to_string()
}

#[test]
fn the_document_adds_to_the_file_and_refers_to_it() {
    let config = both(&format!("{NODE}{VIFS}"), DECLARED).unwrap();
    let names: Vec<&str> = config.vifs.iter().map(|vif| vif.name.as_str()).collect();
    assert_eq!(names, ["client", "web"]);
    assert_eq!(config.vifs[1].vrf.as_str(), "blue");
}

#[test]
fn claims_reach_across_and_name_the_other_file() {
    let file = format!("{NODE}{VIFS}");
    let table = [
        ("label = 18", "label = 17", "d:8:9: vif[0].label: 17 is already the label of vif \"client\" (f:9)"),
        ("\"web\"", "\"client\"", "d:3:8: vif[0].name: the name is already that of vif \"client\" (f:9)"),
        (
            "10.0.1.3",
            "10.0.1.2",
            "d:6:14: vif[0].addresses[0]: 10.0.1.2 is already the address of vif \"client\" (f:9)",
        ),
        (
            "veth2a",
            "veth1a",
            "d:4:10: vif[0].ifname: veth1a is already the interface of vif \"client\" (f:9)",
        ),
        ("\"blue\"", "\"bleu\"", "d:5:7: vif[0].vrf: there is no VRF \"bleu\" (did you mean \"blue\"?)"),
    ];
    for (from, to, expected) in table {
        let found = refusal(&file, &DECLARED.replace(from, to));
        assert!(found.starts_with(expected), "{found}");
    }
    let route = "[[route]]\nvrf = \"green\"\nprefix = \"10.9.0.0/16\"\naction = \"discard\"\n";
    let found = refusal(&format!("{file}{route}"), &format!("version = 1\n{route}"));
    assert!(found.contains("VRF \"green\" already has a route for 10.9.0.0/16 (f:18)"), "{found}");
}

#[test]
fn what_is_in_no_file_has_no_lines() {
    let twice = format!("{DECLARED}{}", DECLARED.replace("version = 1\n", "").replace("veth2a", "veth3a"));
    let file = Source::on_disk("f", NODE);
    let file_text = format!("{NODE}{VIFS}");
    let problems =
        parse_all(Source { text: &file_text, ..file }, Some(Source::in_memory("d", &twice))).unwrap_err();
    let shown = problems.to_string();
    assert!(shown.contains("the name is already that of vif \"web\" (declared)"), "{shown}");
}

#[test]
fn mistakes_of_both_are_told_those_of_the_file_first() {
    let found = refusal(&format!("{NODE}{VIFS}x = 1\n"), "version = 1\ny = 2\n");
    let lines: Vec<&str> = found.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(lines, ["f:16:1", "d:2:1"]);
}

#[test]
fn a_document_has_resources_of_a_known_version_only() {
    let table = [
        ("", "the key `version` is missing"),
        ("version = 2\n", "2 is out of range"),
        ("version = 1\n[node]\nname = \"x\"\n", "unknown key \"node\""),
        ("version = 1\n[[vif]\n", "d:2:7: "),
    ];
    for (declared, expected) in table {
        let found = refusal(NODE, declared);
        assert!(found.contains(expected) && found.starts_with("d:"), "{found}");
    }
}

#[test]
fn paths_of_sockets_fit_the_kernel() {
    let long = format!("/{}", "x".repeat(107));
    for bad in ["api.sock", "/", "/run/", "/run/..", "", long.as_str()] {
        let found =
            both(&format!("{NODE}[api]\nsocket = \"{bad}\"\n"), "version = 1\n").unwrap_err().to_string();
        assert!(found.starts_with("f:6:10: api.socket: ") && found.contains("107 bytes"), "{found}");
    }
}
