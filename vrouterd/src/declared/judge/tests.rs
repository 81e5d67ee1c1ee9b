use proptest::prelude::*;
use serde_json::json;

use super::super::{Change, Fields, resource};
use super::*;

const FILE: &str = "[node]\nname = \"n\"\nuplink = \"eth0\"\ntunnel_address = \"172.30.0.1\"\n\
    [[vrf]]\nname = \"blue\"\n[[route]]\nvrf = \"blue\"\nprefix = \"10.0.0.0/8\"\naction = \"discard\"\n";

fn source() -> Source<'static> {
    Source::on_disk("file", FILE)
}

/// What a judgement says, in the words of the API.
fn told(judged: Result<Config, Unfit>) -> Result<Config, Vec<(String, String, String)>> {
    judged.map_err(|Unfit { problems, read }| {
        let fields = Fields::of(&read);
        let words = |problem: Problem| (fields.shown(&problem.place.key), problem.what, problem.remedy);
        let mut told: Vec<_> = problems.into_iter().map(words).collect();
        told.sort();
        told
    })
}

fn change() -> impl Strategy<Value = Change> {
    let vrfs = || prop::sample::select(&["blue", "red", "green"][..]);
    let addresses = || prop::sample::select(&["10.1.0.1", "10.1.0.2", "172.30.0.1"][..]);
    let vrf = vrfs().prop_map(|name| (Key::named(Kind::Vrf, name), json!({})));
    let vif = (prop::sample::select(&["a", "b"][..]), vrfs(), addresses(), 16..19).prop_map(
        |(name, vrf, address, label)| {
            let vif = json!({
                "ifname": format!("v{name}"), "vrf": vrf, "addresses": [address], "label": label,
                "mac": "02:00:00:00:0a:01",
            });
            (Key::named(Kind::Vif, name), vif)
        },
    );
    let service = (vrfs(), addresses(), prop::sample::select(&["a", "b", "a/b"][..])).prop_map(
        |(vrf, address, vif)| {
            let ports = json!([{ "protocol": "tcp", "port": 80 }]);
            let service =
                json!({ "vrf": vrf, "address": address, "ports": ports, "backends": [{ "vif": vif }] });
            (Key::named(Kind::Service, "s"), service)
        },
    );
    let targets = vec![
        json!({ "action": "discard" }),
        json!({ "action": "keep" }),
        json!({ "via_vrf": "red" }),
        json!({ "via": [{ "vif": "a" }] }),
        json!({ "via": [{ "tunnel": "172.30.0.2", "label": 30 }] }),
        json!({ "via": [{ "tunnel": "172.30.0.1", "label": 30 }] }),
        json!({ "via": [{ "tunnel": "fd00::2", "label": 30 }] }),
    ];
    let prefixes = &["10.0.0.0/8", "10.1.0.1/32", "10.1.0.2/32", "10.2.0.0/16"][..];
    let route = (vrfs(), prop::sample::select(prefixes), prop::sample::select(targets))
        .prop_map(|(vrf, prefix, target)| (Key::route(vrf, prefix.parse().unwrap()), target));
    let any = prop_oneof![vrf, vif, service, route.clone(), route];
    (any, prop::bool::weighted(0.2)).prop_map(|((key, body), is_gone)| {
        let table = resource(&key, body).unwrap();
        if is_gone { Change::Forget(key) } else { Change::Put { key, table } }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_not_read_again_changes_no_judgement(changes in prop::collection::vec(change(), 1..30)) {
        let mut declared = Declared::default();
        for change in changes {
            let (next, _) = change.apply(&declared).unwrap();
            let anew = Declared::from_toml(&next.to_toml());
            let (judged, anew) = (told(next.judge(source(), "declared")), told(anew.judge(source(), "declared")));
            prop_assert_eq!(&judged, &anew);
            if judged.is_ok() {
                declared = next;
            }
        }
    }
}

fn put(declared: &Declared, name: &str, body: serde_json::Value) -> Declared {
    let key = Key::route("blue", name.parse().unwrap());
    let table = resource(&key, body).unwrap();
    Change::Put { key, table }.apply(declared).unwrap().0
}

#[test]
fn a_route_that_was_read_is_read_no_more() {
    let tunnel = json!({ "via": [{ "tunnel": "172.30.0.2", "label": 30 }] });
    let one = put(&Declared::default(), "10.1.0.0/16", tunnel.clone());
    one.judge(source(), "declared").unwrap();
    let two = put(&one, "10.2.0.0/16", tunnel);
    let read = |declared: &Declared| -> Vec<bool> {
        declared.resources(Kind::Route).map(|(_, route)| route.route.get().is_some()).collect()
    };
    assert_eq!(read(&two), [true, false]);
    let config = two.judge(source(), "declared").unwrap();
    assert_eq!(read(&two), [true, true]);
    let prefixes: Vec<_> = config.routes.iter().map(|route| route.prefix.to_string()).collect();
    assert_eq!(prefixes, ["10.0.0.0/8", "10.1.0.0/16", "10.2.0.0/16"]);
}
