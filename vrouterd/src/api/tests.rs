//! The description of the API beside what is served and what the reader takes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::config::{Problems, parse};

fn document() -> Value {
    let (_, document) = super::v1().split_for_parts();
    serde_json::to_value(document).unwrap()
}

/// `METHOD /path` of every operation, with its id.
fn operations(document: &Value) -> BTreeMap<String, String> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| -> Vec<(String, String)> {
        let item = item.as_object().unwrap();
        let operation = |(method, operation): (&String, &Value)| {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            (format!("{} {path}", method.to_uppercase()), id)
        };
        item.iter().map(operation).collect()
    };
    paths.iter().flat_map(of_path).collect()
}

#[test]
fn every_path_is_described_once() {
    let document = document();
    let operations = operations(&document);
    let expected = [
        "DELETE /v1/broadcasts/{name}",
        "DELETE /v1/flows",
        "DELETE /v1/policies/{name}",
        "DELETE /v1/routes/{vrf}/{prefix}",
        "DELETE /v1/services/{name}",
        "DELETE /v1/traces/{id}",
        "DELETE /v1/vifs/{name}",
        "DELETE /v1/vrfs/{name}",
        "GET /v1/broadcasts",
        "GET /v1/broadcasts/{name}",
        "GET /v1/capture",
        "GET /v1/config",
        "GET /v1/policies",
        "GET /v1/policies/{name}",
        "GET /v1/routes",
        "GET /v1/routes/{vrf}/{prefix}",
        "GET /v1/services",
        "GET /v1/services/{name}",
        "GET /v1/traces/{id}",
        "GET /v1/vifs",
        "GET /v1/vifs/{name}",
        "GET /v1/vrfs",
        "GET /v1/vrfs/{name}",
        "GET /v1/watch",
        "POST /v1/traces",
        "POST /v1/vifs/{name}/attach",
        "POST /v1/vifs/{name}/detach",
        "PUT /v1/broadcasts/{name}",
        "PUT /v1/config",
        "PUT /v1/policies/{name}",
        "PUT /v1/routes/{vrf}/{prefix}",
        "PUT /v1/services/{name}",
        "PUT /v1/vifs/{name}",
        "PUT /v1/vrfs/{name}",
    ];
    assert_eq!(operations.keys().map(String::as_str).collect::<Vec<_>>(), expected);
    let ids: BTreeSet<&String> = operations.values().collect();
    assert_eq!(ids.len(), operations.len(), "operation ids tell operations apart");
}

#[test]
fn the_documentation_has_every_path() {
    let text = include_str!("../../../docs/api.md");
    // Resources by name are shown with vifs, "all kinds alike".
    let shown = |path: &str| text.contains(path) || text.contains(&path.replace("/{name}", ""));
    let document = document();
    for path in document["paths"].as_object().unwrap().keys() {
        assert!(shown(path), "{path}");
    }
}

#[test]
fn every_reference_leads_to_a_schema() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let text = document.to_string();
    let mut references =
        text.split("\"$ref\":\"").skip(1).map(|rest| rest.split('"').next().unwrap()).peekable();
    assert!(references.peek().is_some());
    for reference in references {
        let name = reference.strip_prefix("#/components/schemas/").unwrap();
        assert!(schemas.contains_key(name), "{reference}");
    }
}

/// The keys that the reader takes in one place, as it tells them when it meets another.
fn keys_of_reader(lines: &str) -> BTreeSet<String> {
    let Err(Problems(problems)) = parse("f", lines) else { panic!("taken: {lines}") };
    let told = problems.iter().find(|problem| problem.what.starts_with("unknown key \"nonsense\"")).unwrap();
    let list = told.remedy.split("use one of ").nth(1).unwrap();
    list.split(", ").map(str::to_owned).collect()
}

#[test]
fn the_shapes_have_the_keys_of_the_reader() {
    let document = document();
    let keys_of_shape = |name: &str| -> BTreeSet<String> {
        let properties = document["components"]["schemas"][name]["properties"].as_object();
        properties.unwrap_or_else(|| panic!("no schema {name}")).keys().cloned().collect()
    };
    let table = [
        ("Vrf", "[[vrf]]\nnonsense = 1"),
        ("SourceNat", "[[vrf]]\nsource_nat = { nonsense = 1 }"),
        ("FloatingIp", "[[vif]]\nfloating_ips = [{ nonsense = 1 }]"),
        ("Vif", "[[vif]]\nnonsense = 1"),
        ("Route", "[[route]]\nnonsense = 1"),
        ("NextHop", "[[route]]\nvia = [{ nonsense = 1 }]"),
        ("Service", "[[service]]\nnonsense = 1"),
        ("ServicePort", "[[service]]\nports = [{ nonsense = 1 }]"),
        ("Backend", "[[service]]\nbackends = [{ nonsense = 1 }]"),
        ("Affinity", "[[service]]\naffinity = { nonsense = 1 }"),
        ("Policy", "[[policy]]\nnonsense = 1"),
        ("IngressRule", "[[policy]]\ningress = [{ nonsense = 1 }]"),
        ("Broadcast", "[[broadcast]]\nnonsense = 1"),
        ("BroadcastNode", "[[broadcast]]\nnodes = [{ nonsense = 1 }]"),
        ("EgressRule", "[[policy]]\negress = [{ nonsense = 1 }]"),
    ];
    for (shape, lines) in table {
        assert_eq!(keys_of_shape(shape), keys_of_reader(lines), "{shape}");
    }
    let sections = crate::declared::Kind::ALL.map(|kind| kind.section().to_owned());
    assert_eq!(keys_of_shape("Document"), BTreeSet::from(sections));
}
