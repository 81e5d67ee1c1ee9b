//! State declared over the API's socket: what it does to packets, and what is refused.

use serde_json::{Value, json};
use tests::{Api, Lab, Plan, tcp_greeting};

use crate::TARGET;

/// Node A with the VRF `blue` in its file, and two pods that its file does not know.
fn two_unknown_pods() -> Plan {
    Plan::two_nodes().by_api("left", "node-a").by_api("right", "node-a")
}

/// Starts node A alone.
pub(crate) fn start(test: &str, plan: Plan) -> Lab {
    let mut lab = Lab::new(test, plan);
    lab.node_mut("node-a").spawn();
    lab.node_mut("node-a").wait_ready();
    lab
}

pub(crate) fn declare(lab: &Lab, api: &Api, pod: &str) -> Value {
    api.ok(&format!("PUT /v1/vifs/{pod}"), Some(&lab.pod(pod).plan.vif()))
}

fn web(backends: &[&str]) -> Value {
    let backends: Vec<Value> = backends.iter().map(|vif| json!({ "vif": vif })).collect();
    json!({
        "vrf": "blue", "address": "10.96.0.10", "backends": backends,
        "ports": [{ "protocol": "tcp", "port": 80, "target_port": TARGET }],
    })
}

/// A refusal's status, code, and the fields of its mistakes.
fn refusal(answer: &tests::Answer) -> (u16, String, Vec<String>) {
    assert!(answer.headers.contains("content-type: application/problem+json"), "{}", answer.headers);
    let problem = answer.json();
    assert_eq!(problem["status"], answer.status);
    assert_eq!(problem["type"], "about:blank");
    for error in problem["errors"].as_array().unwrap() {
        assert!(error["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()), "{problem}");
    }
    let fields = problem["errors"].as_array().unwrap().iter();
    let fields = fields.map(|error| error["field"].as_str().unwrap().to_owned()).collect();
    (answer.status, problem["code"].as_str().unwrap().to_owned(), fields)
}

#[test]
fn a_network_made_by_the_api_alone_carries_packets() {
    let lab = start("api-network", two_unknown_pods());
    let api = lab.node("node-a").api();
    for pod in ["left", "right"] {
        assert_eq!(declare(&lab, &api, pod)["effect"], "created");
    }
    assert_eq!(lab.pod("left").ping("10.0.1.3").ttl(), 63);

    let _server = lab.pod("right").serve_tcp(TARGET);
    api.ok("PUT /v1/services/web", Some(&web(&["right"])));
    let stream = lab.pod("left").namespace.connect("10.96.0.10:80").unwrap();
    assert_eq!(tcp_greeting(&stream).unwrap().backend, "right");

    let none = api.ok("PUT /v1/policies/none", Some(&json!({ "ingress": [] })));
    assert_eq!(none["changed"], json!([{ "kind": "policy", "name": "none", "change": "added" }]));
    let mut closed = lab.pod("right").plan.vif();
    closed["policies"] = json!(["none"]);
    assert_eq!(api.ok("PUT /v1/vifs/right", Some(&closed))["effect"], "replaced");
    assert_eq!(lab.pod("left").ping("10.0.1.3").answers(), 0);
    declare(&lab, &api, "right");

    let discard = json!({ "action": "discard" });
    api.ok("PUT /v1/routes/blue/10.0.1.0%2F24", Some(&discard));
    api.ok("PUT /v1/vrfs/green", Some(&json!({ "label": 100 })));
    api.ok("PUT /v1/broadcasts/blue", Some(&json!({ "subnets": ["10.0.1.0/24"] })));
    let listed: Vec<Value> = ["vrfs", "vifs", "services", "policies", "routes", "broadcasts"]
        .iter()
        .map(|collection| {
            let items = api.ok(&format!("GET /v1/{collection}"), None);
            items.as_array().unwrap().iter().map(|item| json!([item["name"], item["origin"]])).collect()
        })
        .collect();
    assert_eq!(
        listed,
        [
            json!([["blue", "file"], ["green", "declared"]]),
            json!([["left", "declared"], ["right", "declared"]]),
            json!([["web", "declared"]]),
            json!([["none", "declared"]]),
            json!([["blue/10.0.1.0/24", "declared"]]),
            json!([["blue", "declared"]]),
        ]
    );
    assert_eq!(lab.pod("left").ping("10.0.1.3").ttl(), 63, "the pod's own route is the longer one");

    // The same on the socket as on the TCP port.
    let vif = api.ok("GET /vif/left?format=json", None);
    assert_eq!((vif["state"].as_str(), vif["label"].as_u64()), (Some("up"), Some(17)));
}

#[test]
fn the_same_twice_changes_nothing_and_what_is_gone_is_not_found() {
    let lab = start("api-twice", two_unknown_pods());
    let node = lab.node("node-a");
    let api = node.api();
    declare(&lab, &api, "left");
    let generation = node.json("/")["generation"].clone();
    assert_eq!(declare(&lab, &api, "left")["effect"], "unchanged");
    assert_eq!(node.json("/")["generation"], generation);
    let read = api.ok("GET /v1/vifs/left", None);
    assert_eq!(read, lab.pod("left").plan.vif());
    assert_eq!(api.ok("PUT /v1/vifs/left", Some(&read))["effect"], "unchanged");

    assert_eq!(api.ask("DELETE /v1/vifs/left", None).status, 204);
    for request in ["DELETE /v1/vifs/left", "GET /v1/vifs/left", "DELETE /v1/routes/blue/10.0.0.0%2F8"] {
        assert_eq!(refusal(&api.ask(request, None)), (404, "not_found".to_owned(), vec![]), "{request}");
    }
    for _ in 0..2 {
        assert_eq!(api.ask("POST /v1/vifs/left/detach", None).status, 204);
    }
    assert_eq!(lab.pod("left").ping("169.254.1.1").answers(), 0, "a detached pod reaches nothing");
}

#[test]
fn mistakes_are_named_with_field_and_remedy_and_change_nothing() {
    let lab = start("api-mistakes", two_unknown_pods().pod("filed", "node-a"));
    let node = lab.node("node-a");
    let api = node.api();
    declare(&lab, &api, "left");
    let before = (api.ok("GET /v1/config", None), node.json("/")["generation"].clone());
    let vif = |key: &str, value: Value| {
        let mut vif = lab.pod("right").plan.vif();
        vif[key] = value;
        vif
    };
    let table = [
        ("PUT /v1/vifs/right", vif("label", json!(7)), 422, "mistakes", "vifs/right/label"),
        ("PUT /v1/vifs/right", vif("label", json!(17)), 422, "mistakes", "vifs/right/label"),
        (
            "PUT /v1/vifs/right",
            vif("addresses", json!(["10.0.1.2"])),
            422,
            "mistakes",
            "vifs/right/addresses[0]",
        ),
        ("PUT /v1/vifs/right", vif("vrf", json!("bleu")), 422, "mistakes", "vifs/right/vrf"),
        ("PUT /v1/vifs/right", vif("lable", json!(3)), 422, "mistakes", "vifs/right"),
        ("PUT /v1/vifs/right", vif("mtu", json!(3000)), 422, "mistakes", "vifs/right/mtu"),
        ("PUT /v1/vifs/right", vif("mac", Value::Null), 422, "mistakes", "mac"),
        ("PUT /v1/vifs/other", vif("label", json!(99)), 422, "mistakes", "name"),
        ("PUT /v1/vifs/a%2Fb", json!({}), 422, "mistakes", "vifs/a/b/name"),
        ("PUT /v1/vifs/filed", vif("name", json!("filed")), 409, "in_file", "vifs/filed"),
        ("PUT /v1/vrfs/blue", json!({ "label": 100 }), 409, "in_file", "vrfs/blue"),
        (
            "PUT /v1/routes/blue/10.0.1.2%2F32",
            json!({ "action": "discard" }),
            422,
            "mistakes",
            "routes/blue/10.0.1.2/32/prefix",
        ),
        ("PUT /v1/services/web", web(&["no/name"]), 422, "mistakes", "services/web/backends[0].vif"),
        ("PUT /v1/config", json!({ "vif": [{}] }), 422, "mistakes", "vif[0].name"),
    ];
    for (request, body, status, code, field) in table {
        let (found, word, fields) = refusal(&api.ask(request, Some(&body)));
        assert_eq!((found, word.as_str()), (status, code), "{request} {body} {fields:?}");
        assert!(fields.contains(&field.to_owned()), "{request} {body}: {fields:?}");
    }
    let clash = api.ask("PUT /v1/vifs/right", Some(&vif("label", json!(17)))).json();
    let detail = clash["errors"][0]["detail"].as_str().unwrap();
    assert_eq!(detail, "17 is already the label of vif \"left\" (declared)");
    let in_file = api.ask("DELETE /v1/vifs/filed", None);
    assert!(in_file.body.contains("node-a.toml:"), "{}", in_file.body);
    assert_eq!(refusal(&in_file).0, 409);
    let raw = |request: &str, body: &str| refusal(&api.send(request, "", body.as_bytes()).unwrap()).0;
    assert_eq!(raw("PUT /v1/vifs/right", "{"), 400);
    assert_eq!(raw("PUT /v1/vifs/right", ""), 400);
    assert_eq!(raw("PUT /v1/vifs/right?x=1", "{}"), 400);
    assert_eq!(raw("PUT /v1/routes/blue/nonsense", "{}"), 400);
    assert_eq!(raw("GET /v1/nonsense", ""), 404);
    assert_eq!(raw("GET /v1/vifs/%ff", ""), 400);
    assert_eq!(raw("PATCH /v1/config", ""), 405);
    assert_eq!(raw("POST /v1/vifs/right/attach?deadline_ms=60001", "{}"), 400);
    assert_eq!((api.ok("GET /v1/config", None), node.json("/")["generation"].clone()), before);
}

#[test]
fn networks_that_others_refer_to_stay() {
    let lab = start("api-in-use", two_unknown_pods());
    let api = lab.node("node-a").api();
    api.ok("PUT /v1/vrfs/green", Some(&json!({})));
    api.ok("PUT /v1/routes/green/0.0.0.0%2F0", Some(&json!({ "action": "discard" })));
    let (status, code, fields) = refusal(&api.ask("DELETE /v1/vrfs/green", None));
    assert_eq!((status, code.as_str()), (409, "in_use"));
    assert_eq!(fields, ["routes/green/0.0.0.0/0/vrf"]);
    assert_eq!(api.ask("DELETE /v1/routes/green/0.0.0.0%2F0", None).status, 204);
    assert_eq!(api.ask("DELETE /v1/vrfs/green", None).status, 204);
}

#[test]
fn a_document_is_taken_as_a_whole_or_not_at_all() {
    let lab = start("api-document", two_unknown_pods());
    let node = lab.node("node-a");
    let api = node.api();
    let (left, right) = (lab.pod("left").plan.vif(), lab.pod("right").plan.vif());
    declare(&lab, &api, "left");
    let mut bad = right.clone();
    bad["label"] = json!(3);
    let before = api.ok("GET /v1/config", None);
    let document = json!({ "vif": [left, bad], "service": [web(&["left"])] });
    let (status, _, fields) = refusal(&api.ask("PUT /v1/config", Some(&document)));
    assert_eq!((status, fields.as_slice()), (422, &["service[0].name".to_owned()][..]));
    let document = json!({ "vif": [left, bad] });
    assert_eq!(refusal(&api.ask("PUT /v1/config", Some(&document))).2, ["vifs/right/label"]);
    assert_eq!(api.ok("GET /v1/config", None), before);

    let document = json!({ "vif": [left, right], "vrf": [{ "name": "green" }] });
    let judged = api.ok("PUT /v1/config?dry_run=true", Some(&document));
    let expected = json!([
        { "kind": "vrf", "name": "green", "change": "added" },
        { "kind": "vif", "name": "right", "change": "added" },
    ]);
    assert_eq!((judged["effect"].as_str(), &judged["changed"]), (Some("replaced"), &expected));
    assert_eq!(api.ok("GET /v1/config", None), before, "a dry run changes nothing");

    let seen = api.ask("GET /v1/config", None);
    let tag = seen.headers.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
    let send = |tag: &str| {
        let header = format!("If-Match: {tag}\r\n");
        api.send("PUT /v1/config", &header, document.to_string().as_bytes()).unwrap()
    };
    assert_eq!(send(&tag).status, 200);
    assert_eq!(lab.pod("left").ping("10.0.1.3").ttl(), 63);
    assert_eq!(refusal(&send(&tag)).1, "stale");
    assert_eq!(api.ok("PUT /v1/config", Some(&json!({})))["effect"], "replaced");
    assert_eq!(node.json("/vifs"), json!([]));
}

#[test]
fn writers_at_once_do_not_lose_each_others_resources() {
    let lab = start("api-writers", Plan::two_nodes());
    let api = lab.node("node-a").api();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let api = api.clone();
            scope.spawn(move || {
                for number in 0..10 {
                    let name = format!("w{writer}-{number}");
                    api.ok(&format!("PUT /v1/vrfs/{name}"), Some(&json!({})));
                }
            });
        }
    });
    assert_eq!(api.ok("GET /v1/config", None)["vrf"].as_array().unwrap().len(), 40);
}

#[test]
fn watchers_hear_of_resources_and_links() {
    let lab = start("api-watch", two_unknown_pods().plugged_later("right"));
    let api = lab.node("node-a").api();
    let mut events = api.watch();
    declare(&lab, &api, "right");
    let (name, event) = events.next();
    assert_eq!(name, "change");
    assert_eq!(event["changed"], json!([{ "kind": "vif", "name": "right", "change": "added" }]));
    let reason = "waiting for interface veth-right";
    assert_eq!(event["links"], json!([{ "vif": "right", "state": "down", "reason": reason }]));
    lab.plug("right");
    let up = json!([{ "vif": "right", "state": "up" }]);
    while events.next().1["links"] != up {}
}

#[test]
fn flows_are_filtered_and_flushed() {
    let lab = start("api-flows", two_unknown_pods());
    let node = lab.node("node-a");
    let api = node.api();
    for pod in ["left", "right"] {
        declare(&lab, &api, pod);
    }
    let _server = lab.pod("right").serve_tcp(TARGET);
    let mut stream = lab.pod("left").namespace.connect("10.0.1.3:8080").unwrap();
    tcp_greeting(&stream).unwrap();
    assert_eq!(lab.pod("right").ping("10.0.1.2").answers(), 3);
    let count = |filter: &str| {
        let view = api.ok(&format!("GET /flows?format=json&{filter}"), None);
        view["flows"].as_array().unwrap().len()
    };
    assert_eq!((count("src=10.0.1.2"), count("src=10.0.1.2/32&proto=tcp"), count("dst=10.0.1.2")), (1, 1, 1));
    assert_eq!(
        (count("state=tcp_established"), count("state=stateless"), count("src=10.9.0.0/16")),
        (1, 1, 0)
    );
    assert_eq!(api.ok("GET /flows?format=json&top=packets&limit=1", None)["truncated"], true);

    assert_eq!(refusal(&api.ask("DELETE /v1/flows", None)).0, 400);
    assert_eq!(refusal(&api.ask("DELETE /v1/flows?state=open", None)).0, 400);
    assert_eq!(api.ok("DELETE /v1/flows?proto=icmp", None), json!({ "removed": 1 }));
    assert_eq!((count("proto=icmp"), count("proto=tcp")), (0, 1));
    assert_eq!(api.ok("DELETE /v1/flows?all=true", None), json!({ "removed": 1 }));
    tests::echo(&mut stream, b"the next packet makes the flow anew").unwrap();
    assert_eq!(count("proto=tcp"), 1);
}
