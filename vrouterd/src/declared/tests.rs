//! Documents, changes, and what becomes of them on disk.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::config::{Source, parse_all};

const NODE: &str = "[node]\nname = \"n\"\nuplink = \"eth0\"\ntunnel_address = \"172.30.0.1\"\n";
const EXAMPLE: &str = include_str!("../../../docs/examples/node-a.toml");

fn vif(number: u8) -> serde_json::Value {
    json!({
        "name": format!("p{number}"), "ifname": format!("veth{number}"), "vrf": "blue",
        "addresses": [format!("10.0.1.{number}")], "mac": format!("02:00:00:00:0a:{number:02x}"),
        "label": 100 + u32::from(number),
    })
}

fn of(body: serde_json::Value) -> Declared {
    document(body).unwrap_or_else(|refused| panic!("{refused:?}"))
}

fn two_vifs() -> Declared {
    of(json!({ "vrf": [{ "name": "blue" }], "vif": [vif(2), vif(3)] }))
}

fn key(kind: Kind, name: &str) -> Key {
    Key::named(kind, name)
}

#[test]
fn a_document_survives_json_and_toml() {
    let stored = format!(
        "version = 1\n{}",
        EXAMPLE.split_once("[[vrf]]").map_or("", |(_, rest)| rest).replacen("", "[[vrf]]", 1)
    );
    let declared = Declared::from_toml(&stored);
    assert_eq!(declared.iter().count(), 2 + 3 + 4 + 1);
    assert_eq!(Declared::from_toml(&declared.to_toml()), declared);
    assert_eq!(of(whole_json(&declared)), declared);
    let text = declared.to_toml();
    let config = parse_all(Source::on_disk("f", NODE), Some(Source::on_disk("d", &text))).unwrap();
    assert_eq!((config.vifs.len(), config.routes.len(), config.services.len()), (3, 4, 1));
}

#[test]
fn the_revision_follows_the_resources_alone() {
    let one = two_vifs();
    assert_eq!(
        one.revision(),
        of(json!({ "vif": [vif(3), vif(2)], "vrf": [{ "name": "blue" }] })).revision()
    );
    assert_ne!(one.revision(), Declared::default().revision());
}

#[test]
fn paths_of_the_reader_become_paths_of_the_api() {
    let declared = of(json!({
        "vif": [vif(3), vif(2)],
        "route": [{ "vrf": "blue", "prefix": "10.0.2.0/24", "action": "discard" }],
    }));
    let table = [
        ("vif[1].addresses[0]", "vifs/p3/addresses[0]"),
        ("vif[0]", "vifs/p2"),
        ("route[0].via[1].label", "routes/blue/10.0.2.0/24/via[1].label"),
        ("vif[7].label", "vif[7].label"),
        ("version", "version"),
        ("", ""),
    ];
    for (path, expected) in table {
        assert_eq!(Fields::of(&declared).shown(path), expected);
    }
}

#[test]
fn a_body_gets_the_name_of_its_url_and_may_not_contradict_it() {
    let route = Key::route("blue", "fd00::/64".parse().unwrap());
    let table = resource(&route, json!({ "prefix": "fd00:0:0::/64", "action": "discard" })).unwrap();
    assert_eq!(Key::of(Kind::Route, &table), Ok(route.clone()));
    assert_eq!(table["prefix"].as_str(), Some("fd00::/64"));
    for (key, body, field) in [
        (key(Kind::Vrf, "blue"), json!({ "name": "green" }), "name"),
        (key(Kind::Vrf, "blue"), json!({ "name": 7 }), "name"),
        (route.clone(), json!({ "vrf": "green" }), "vrf"),
        (route, json!({ "prefix": "fd01::/64" }), "prefix"),
        (key(Kind::Vif, "a"), json!({ "label": null }), "label"),
        (key(Kind::Vif, "a"), json!({ "x": [{ "y": null }] }), "x[0].y"),
        (key(Kind::Vif, "a"), json!({ "label": 1e99 }), ""),
        (key(Kind::Vif, "a"), json!({ "label": u64::MAX }), "label"),
        (key(Kind::Vif, "a"), json!([]), ""),
    ] {
        match resource(&key, body) {
            Err(refused) => assert_eq!(refused[0].field, field, "{refused:?}"),
            // TOML has decimal numbers; it is the reader that wants none.
            Ok(table) => assert!(field.is_empty() && table["label"].is_float(), "{table}"),
        }
    }
    let mut deep = json!(1);
    (0..40).for_each(|_| deep = json!([deep]));
    assert!(resource(&key(Kind::Vif, "a"), json!({ "x": deep })).is_err());
}

#[test]
fn a_whole_body_names_every_element_that_is_no_resource() {
    let body = json!({
        "vif": [vif(2), {}, 7, vif(2)], "route": [{ "vrf": "blue", "prefix": "x" }], "vrf": {}, "node": {},
    });
    let refused = document(body).unwrap_err();
    let fields: Vec<&str> = refused.iter().map(|refused| refused.field.as_str()).collect();
    assert_eq!(fields, ["vrf", "vif[1].name", "vif[2]", "vif[3]", "route[0].prefix", "node"]);
    assert_eq!(document(json!(3)).unwrap_err()[0].field, "");
}

#[test]
fn changes_are_idempotent_and_say_what_they_did() {
    let declared = two_vifs();
    let p2 = key(Kind::Vif, "p2");
    let (same, other) =
        (declared.get(&p2).unwrap().clone(), declared.get(&key(Kind::Vif, "p3")).unwrap().clone());
    let new = key(Kind::Vif, "p9");
    let put = |key: &Key, table: &Table| Change::Put { key: key.clone(), table: table.clone() };
    let create = |key: &Key, table: &Table| Change::Create { key: key.clone(), table: table.clone() };
    let withdraw = |key: &Key, table: &Table| Change::Withdraw { key: key.clone(), table: table.clone() };
    let replace = |seen| Change::Replace { document: Declared::default(), seen };
    let table = [
        (put(&p2, &same), Ok(Effect::Unchanged)),
        (put(&p2, &other), Ok(Effect::Replaced)),
        (put(&new, &same), Ok(Effect::Created)),
        (create(&p2, &same), Ok(Effect::Unchanged)),
        (create(&p2, &other), Err(ChangeError::Different(p2.clone()))),
        (create(&new, &same), Ok(Effect::Created)),
        (Change::Delete(p2.clone()), Ok(Effect::Deleted)),
        (Change::Delete(new.clone()), Err(ChangeError::Absent(new.clone()))),
        (Change::Forget(p2.clone()), Ok(Effect::Deleted)),
        (Change::Forget(new.clone()), Ok(Effect::Unchanged)),
        (withdraw(&p2, &same), Ok(Effect::Deleted)),
        (withdraw(&p2, &other), Ok(Effect::Unchanged)),
        (withdraw(&new, &same), Ok(Effect::Unchanged)),
        (replace(None), Ok(Effect::Replaced)),
        (replace(Some(declared.revision())), Ok(Effect::Replaced)),
        (Change::Replace { document: declared.clone(), seen: None }, Ok(Effect::Unchanged)),
        (
            replace(Some(Revision("x".to_owned()))),
            Err(ChangeError::Stale { is: declared.revision(), wanted: Revision("x".to_owned()) }),
        ),
    ];
    for (change, expected) in table {
        let done = change.clone().apply(&declared);
        assert_eq!(done.clone().map(|(_, effect)| effect), expected, "{change:?}");
        if let Ok((next, effect)) = done {
            assert_eq!(next == declared, effect == Effect::Unchanged, "{change:?}");
        }
    }
}

#[test]
fn what_of_a_stored_document_fits_is_kept() {
    let file = Source::on_disk("f", NODE);
    let stored = two_vifs().to_toml();
    let names = |text: &str| {
        let salvaged = salvage(file, Source::on_disk("d", text), |_| Vec::new()).unwrap();
        let names: Vec<String> = salvaged.declared.iter().map(|(key, _)| key.to_string()).collect();
        (names, salvaged.config.vifs.len(), salvaged.lost)
    };
    assert_eq!(names(&stored), (vec!["vrfs/blue".into(), "vifs/p2".into(), "vifs/p3".into()], 2, Vec::new()));

    let (left, vifs, lost) = names(&stored.replace("label = 102", "label = 7"));
    assert_eq!((left, vifs), (vec!["vrfs/blue".to_owned(), "vifs/p3".to_owned()], 1));
    assert!(lost[0].contains("vif[0].label: 7 is out of range") && lost[0].starts_with("d:"), "{lost:?}");
    assert_eq!(lost[1..], ["vifs/p2 is left out"]);

    // Without their VRF the vifs do not fit either.
    let (left, _, lost) =
        names(&stored.replace("[[vrf]]\nname = \"blue\"", "[[vrf]]\nname = \"red\"\nlabel = 3"));
    assert!(left.is_empty() && lost.contains(&"vifs/p3 is left out".to_owned()), "{left:?} {lost:?}");

    for bad in ["", "version = 2\n", "version = 1\n[[vif", "\u{0}"] {
        let (left, vifs, lost) = names(bad);
        assert_eq!((left.len(), vifs), (0, 0), "{bad:?}");
        assert!(!lost.is_empty(), "{bad:?}");
    }
    let cut: Vec<_> = (0..stored.len()).step_by(7).filter_map(|end| stored.get(..end)).collect();
    cut.into_iter().for_each(|text| drop(names(text)));
}

#[test]
fn a_clash_with_the_file_costs_the_declared_resource() {
    let file = format!(
        "{NODE}[[vrf]]\nname = \"blue\"\n[[vif]]\nname = \"p2\"\nifname = \"x\"\nvrf = \"blue\"\naddresses = [\"10.9.9.9\"]\nmac = \"02:00:00:00:00:01\"\nlabel = 103\n"
    );
    let stored = two_vifs().to_toml();
    let salvaged =
        salvage(Source::on_disk("f", &file), Source::on_disk("d", &stored), |_| Vec::new()).unwrap();
    assert!(salvaged.declared.is_empty(), "{:?}", salvaged.declared);
    assert_eq!(salvaged.config.vifs.len(), 1);
    let lost = salvaged.lost.join("\n");
    assert!(lost.contains("103 is already the label of vif \"p2\" (f:7)"), "{lost}");
}

#[test]
fn a_judge_of_the_machine_is_heard() {
    let stored = two_vifs().to_toml();
    let judge = |config: &crate::config::Config| {
        let labels = config.vifs.iter().filter(|vif| vif.name.as_str() == "p3").map(|vif| &vif.label);
        labels.map(|label| label.problem("no room", "make some")).collect()
    };
    let salvaged = salvage(Source::on_disk("f", NODE), Source::on_disk("d", &stored), judge).unwrap();
    assert_eq!(salvaged.declared.of(Kind::Vif).count(), 1);
}

#[test]
fn the_file_is_replaced_as_a_whole_and_put_aside_under_a_free_name() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::in_directory(&directory.path().join("new"));
    store.write(&two_vifs()).unwrap();
    let text = fs::read_to_string(store.path()).unwrap();
    assert_eq!(Declared::from_toml(&text), two_vifs());
    assert_eq!(fs::read_dir(directory.path().join("new")).unwrap().count(), 1, "no temporary file is left");
    for name in ["declared.toml.bad-1", "declared.toml.bad-2"] {
        store.write(&Declared::default()).unwrap();
        assert_eq!(store.set_aside().unwrap().file_name().unwrap(), name);
    }
    assert!(!store.path().exists());
    assert!(store.set_aside().is_err());
}

#[test]
fn a_disk_that_does_not_take_it_keeps_the_old_state_and_is_named() {
    let error = Store::in_directory(Path::new("/dev/null/state")).write(&two_vifs()).unwrap_err().to_string();
    assert!(error.starts_with("/dev/null/state: ") && error.contains("node.state_dir"), "{error}");
    let directory = tempfile::tempdir().unwrap();
    let store = Store::in_directory(directory.path());
    store.write(&two_vifs()).unwrap();
    // A directory in the place of the temporary file stands for a disk that takes nothing more.
    fs::create_dir(directory.path().join("declared.toml.next")).unwrap();
    store.write(&Declared::default()).unwrap_err();
    assert_eq!(Declared::from_toml(&fs::read_to_string(store.path()).unwrap()), two_vifs());
}

#[test]
fn the_resources_of_a_file_have_their_lines() {
    let file = FileResources::of(Path::new("/etc/n.toml"), EXAMPLE);
    let client = file.get(&key(Kind::Vif, "client")).unwrap();
    let expected = 1 + EXAMPLE.lines().position(|line| line == "[[vif]]").unwrap();
    assert_eq!(file.place(client), format!("/etc/n.toml:{expected}"));
    assert_eq!(client.table["label"].as_integer(), Some(17));
    assert_eq!(file.of_kind(Kind::Route).count(), 4);
}

/// JSON of every type, with the keys that resources have.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        any::<u64>().prop_map(|value| json!(value)),
        (-1e300..1e300f64).prop_map(|value| json!(value)),
        "(?s).{0,20}".prop_map(|text| json!(text)),
        prop::sample::select(&["blue", "10.0.0.0/8", "10.1.2.3/8", "::/0", ""][..])
            .prop_map(|text| json!(text)),
    ];
    let key = prop_oneof![
        prop::sample::select(&["name", "vrf", "prefix", "vif", "route", "version"][..])
            .prop_map(str::to_owned),
        "(?s).{0,5}",
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|list| json!(list)),
            prop::collection::btree_map(key.clone(), inner, 0..5).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_taken_comes_back_from_the_disk(
        name in ".{0,10}", vif in any_json(), route in any_json(), odd in any_json()
    ) {
        let mut vif = vif;
        if let Some(map) = vif.as_object_mut() {
            map.insert("name".to_owned(), json!(name));
        }
        for body in [json!({ "vif": [vif], "route": [route] }), odd] {
            match document(body) {
                Ok(declared) => prop_assert_eq!(Declared::from_toml(&declared.to_toml()), declared),
                Err(refused) => {
                    let told = |refused: &Refused| !refused.detail.is_empty() && !refused.remedy.is_empty();
                    prop_assert!(!refused.is_empty() && refused.iter().all(told));
                }
            }
        }
    }

    #[test]
    fn any_stored_text_lets_the_daemon_start(text in "\\PC{0,80}", at in 0usize..1000, cut in 0usize..1000) {
        let good = two_vifs().to_toml();
        let place = |offset: usize| (0..=offset % (good.len() + 1)).rev().find(|at| good.is_char_boundary(*at)).unwrap_or(0);
        let (one, other) = (place(at), place(cut));
        let (from, to) = (one.min(other), one.max(other));
        let spoilt = format!("{}{text}{}", &good[..from], &good[to..]);
        let file = Source::on_disk("f", NODE);
        let salvaged = salvage(file, Source::on_disk("d", &spoilt), |_| Vec::new()).unwrap();
        let kept = salvaged.declared.to_toml();
        parse_all(file, Some(Source::on_disk("d", &kept))).unwrap();
    }
}
