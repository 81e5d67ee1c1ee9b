use super::*;

const HERE: &str = "172.30.0.1";
const THERE: &str = "172.30.0.2";

fn route(vrf: &str, prefix: &str, hops: &[Value]) -> Value {
    json!({ "vrf": vrf, "prefix": prefix, "origin": "declared", "next_hops": hops })
}

fn tunnel(id: u32, node: &str, label: u32) -> Value {
    json!({ "next_hop": id, "kind": "tunnel", "node": node, "label": label })
}

fn to_vif(id: u32, vif: &str) -> Value {
    json!({ "next_hop": id, "kind": "vif", "vif": vif })
}

fn to_vrf(id: u32, vrf: &str) -> Value {
    json!({ "next_hop": id, "kind": "vrf", "vrf": vrf })
}

fn vif(name: &str, state: &str) -> Value {
    json!({ "name": name, "state": state, "reason": "gone", "addresses": ["10.0.9.9"] })
}

fn nodes(routes_here: Value, routes_there: Value) -> [Facts; 2] {
    let down = json!([{ "id": 66, "state": "down", "reason": "no answer" }]);
    let labels = json!([
        { "label": 33, "kind": "vif", "vif": "web" },
        { "label": 34, "kind": "vif", "vif": "off" },
        { "label": 40, "kind": "vrf", "vrf": "blue" },
        { "label": 41, "kind": "quarantined" },
        { "label": 42, "kind": "broadcast", "vrf": "blue" },
    ]);
    let vifs = json!([vif("web", "up"), vif("off", "down")]);
    let facts = |name, address, routes| {
        Facts::of(name, address, [json!([]), routes, down.clone(), labels.clone(), vifs.clone()])
    };
    [facts("a", HERE, routes_here), facts("b", THERE, routes_there)]
}

/// The steps from `a`, VRF `blue`, to 10.0.2.2.
fn followed(routes_here: Value, routes_there: Value) -> String {
    let nodes = nodes(routes_here, routes_there);
    walk(&nodes, &nodes[0], "blue", "10.0.2.2".parse().unwrap()).unwrap().to_string()
}

#[test]
fn all_ways_are_followed_to_their_ends() {
    let hops = [
        to_vif(1, "web"),
        to_vif(2, "off"),
        tunnel(3, THERE, 33),
        tunnel(4, THERE, 99),
        tunnel(5, THERE, 41),
        tunnel(6, THERE, 42),
        tunnel(7, "172.30.0.3", 33),
        tunnel(66, THERE, 33),
        json!({ "next_hop": 8, "kind": "discard" }),
        json!({ "next_hop": 9, "kind": "pool" }),
    ];
    let expected = "\
a  VRF blue: route 10.0.2.0/24 (declared), 10 ways
  a  -> vif web  delivered: to 10.0.9.9
  a  -> vif off  dropped: down: gone
  a  -> 172.30.0.2 label 33
    b  label 33 -> vif web  delivered: to 10.0.9.9
  a  -> 172.30.0.2 label 99
    b  label 99  dropped: the node has not given it out (invalid_label)
  a  -> 172.30.0.2 label 41
    b  label 41  dropped: it changed hands a moment ago (label_quarantined)
  a  -> 172.30.0.2 label 42
    b  label 42 -> vrf blue, broadcast  dropped: it is for packets to all (label_destination_mismatch)
  a  -> 172.30.0.3 label 33  unknown: add the node of 172.30.0.3 with --node NAME=URL
  a  -> 172.30.0.2 label 33  dropped: down: no answer
  a  -> discard  dropped: the route says so (discard_route)
  a  -> pool  unknown: only the flow knows: these are answers to a source NAT pool
delivered on 2 of 10 ways
";
    assert_eq!(followed(json!([route("blue", "10.0.2.0/24", &hops)]), json!([])), expected);
}

#[test]
fn tables_lead_on_and_loops_end() {
    let here = json!([
        route("blue", "10.0.2.0/24", &[to_vrf(1, "red")]),
        route("red", "0.0.0.0/0", &[tunnel(2, THERE, 40)])
    ]);
    let there = json!([route("blue", "10.0.0.0/8", &[to_vif(1, "web"), tunnel(2, HERE, 40)])]);
    let expected = "\
a  VRF blue: route 10.0.2.0/24 (declared)
  a  -> vrf red
    a  VRF red: route 0.0.0.0/0 (declared)
      a  -> 172.30.0.2 label 40
        b  label 40 -> vrf blue
          b  VRF blue: route 10.0.0.0/8 (declared), 2 ways
            b  -> vif web  delivered: to 10.0.9.9
            b  -> 172.30.0.1 label 40
              a  label 40 -> vrf blue
                a  VRF blue  dropped: it was here before: packets go round until their TTL ends
delivered on 1 of 2 ways
";
    assert_eq!(followed(here, there), expected);
    let lost = "a  VRF blue  dropped: no route to 10.0.2.2 (no_route)\ndelivered on 0 of 1 ways\n";
    assert_eq!(followed(json!([]), json!([])), lost);
}

#[test]
fn a_walk_is_bounded() {
    let routes: Vec<Value> = (0..100)
        .map(|n| {
            route(
                &format!("v{n}"),
                "0.0.0.0/0",
                &[to_vrf(1, &format!("v{}", n + 1)), to_vrf(2, &format!("v{}", n + 2))],
            )
        })
        .collect();
    let nodes = nodes(Value::Array(routes), json!([]));
    let walk = walk(&nodes, &nodes[0], "v0", "10.0.2.2".parse().unwrap()).unwrap();
    assert!(walk.steps.len() < 2 * MOST_STEPS, "{}", walk.steps.len());
    assert!(walk.steps.iter().all(|step| step.depth <= DEEPEST + 3));
    assert!(walk.to_string().contains("this is followed no further"));
}
