use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::desired::{
    Affinity, Hop, HopTarget, Node, OnBackendGone, OuterOptions, Policy, Route, RouteTarget, Service,
    ServicePort, Transport, Underlay, Vif as DesiredVif, VifKind, Vrf as DesiredVrf,
};
use crate::fib::NextHop;
use crate::ids::Mac;

fn vif(name: &str, vrf: &str, address: &str, label: u32) -> DesiredVif {
    DesiredVif {
        name: name.into(),
        kind: VifKind::Pod,
        vrf: vrf.into(),
        addresses: vec![address.parse().unwrap()],
        mac: Mac([2, 0, 0, 0, 0, 1]),
        gateway_v4: DesiredVif::DEFAULT_GATEWAY_V4,
        gateway_v6: DesiredVif::DEFAULT_GATEWAY_V6,
        label: Label::new(label).unwrap(),
        mtu: 1500,
        link: Link::Up,
        policies: Vec::new(),
    }
}

fn desired(vifs: Vec<DesiredVif>) -> Desired {
    let names: BTreeSet<_> = vifs.iter().map(|vif| vif.vrf.clone()).collect();
    Desired {
        node: Node {
            tunnel_address: "10.0.0.1".parse().unwrap(),
            udp_port: 6635,
            legacy_udp_port: None,
            outer: OuterOptions::default(),
            mss_clamp: crate::desired::MssClamp::On,
            explicit_null_vrf: None,
        },
        vrfs: names.into_iter().map(|name| DesiredVrf { name, label: None }).collect(),
        vifs,
        routes: Vec::new(),
        services: Vec::new(),
        policies: Vec::new(),
        nat: Default::default(),
        broadcasts: Vec::new(),
        underlay: Underlay::default(),
    }
}

fn service(address: &str, backends: &[&str]) -> Arc<Service> {
    let ready = |name: &&str| Hop { to: HopTarget::Vif((*name).into()), weight: 1 }.into();
    Arc::new(Service {
        vrf: "red".into(),
        address: address.parse().unwrap(),
        ports: vec![ServicePort::single(Transport::Tcp, 80, 8080)],
        backends: backends.iter().map(ready).collect(),
        affinity: Affinity::None,
        on_backend_gone: OnBackendGone::Rechoose,
    })
}

fn slot_of(snapshot: &Snapshot, name: &str) -> u16 {
    snapshot.vifs().find(|vif| vif.name.as_str() == name).unwrap().slot.get()
}

fn id_of(snapshot: &Snapshot, name: &str) -> u32 {
    snapshot.vifs().find(|vif| vif.name.as_str() == name).unwrap().id.0
}

fn epoch_of(snapshot: &Snapshot, name: &str) -> u32 {
    let vrf = snapshot.vrfs().find(|vrf| vrf.name.as_str() == name).unwrap();
    snapshot.dependency(vrf.cells.routes).epoch
}

#[test]
fn ids_stay_and_are_not_given_to_successors_at_once() {
    let mut compiler = Compiler::default();
    let first = compiler
        .compile(&desired(vec![vif("a", "red", "10.1.0.1", 16), vif("b", "red", "10.1.0.2", 17)]))
        .unwrap();
    let second = compiler
        .compile(&desired(vec![vif("c", "red", "10.1.0.1", 18), vif("b", "red", "10.1.0.2", 17)]))
        .unwrap();
    assert_eq!(slot_of(&first, "b"), slot_of(&second, "b"));
    assert_eq!(id_of(&first, "b"), id_of(&second, "b"));
    assert_ne!(slot_of(&first, "a"), slot_of(&second, "c"));
    assert_ne!(id_of(&first, "a"), id_of(&second, "c"));
    assert_eq!(second.generation, first.generation + 1);
}

#[test]
fn an_epoch_moves_only_with_its_vrf_and_those_that_look_up_in_it() {
    let mut compiler = Compiler::default();
    let mut state = desired(vec![
        vif("a", "red", "10.1.0.1", 16),
        vif("b", "green", "10.2.0.1", 17),
        vif("c", "blue", "10.3.0.1", 18),
    ]);
    state.routes = vec![Route {
        vrf: "blue".into(),
        prefix: "10.1.0.0/16".parse().unwrap(),
        target: RouteTarget::Vrf("red".into()),
    }];
    let before = compiler.compile(&state).unwrap();
    state.vifs[0].addresses.push("10.1.0.9".parse().unwrap());
    let after = compiler.compile(&state).unwrap();
    assert_ne!(epoch_of(&before, "red"), epoch_of(&after, "red"));
    assert_ne!(epoch_of(&before, "blue"), epoch_of(&after, "blue"));
    assert_eq!(epoch_of(&before, "green"), epoch_of(&after, "green"));
}

#[test]
fn a_policy_moves_the_epochs_of_the_vrfs_that_lead_to_its_vifs() {
    let mut compiler = Compiler::default();
    let mut state = desired(vec![
        vif("a", "red", "10.1.0.1", 16),
        vif("b", "green", "10.2.0.1", 17),
        vif("c", "blue", "10.3.0.1", 18),
    ]);
    let hop = Hop { to: HopTarget::Vif("a".into()), weight: 1 };
    state.routes = vec![Route {
        vrf: "blue".into(),
        prefix: "10.1.0.1/32".parse().unwrap(),
        target: RouteTarget::Hops(vec![hop]),
    }];
    let policy = |ingress| Policy { name: "web".into(), ingress, egress: None };
    state.policies = vec![policy(None)];
    let epochs = |snapshot: &Snapshot| ["red", "green", "blue"].map(|name| epoch_of(snapshot, name));
    let before = epochs(&compiler.compile(&state).unwrap());
    state.vifs[0].policies = vec!["web".into()];
    let attached = epochs(&compiler.compile(&state).unwrap());
    state.policies = vec![policy(Some(Vec::new()))];
    let changed = epochs(&compiler.compile(&state).unwrap());
    let same = epochs(&compiler.compile(&state).unwrap());
    assert!(before[0] < attached[0] && attached[0] < changed[0]);
    assert!(before[2] < attached[2] && attached[2] < changed[2]);
    assert_eq!((before[1], same), (changed[1], changed));
}

#[test]
fn a_vrf_that_comes_back_does_not_repeat_an_epoch() {
    let mut compiler = Compiler::default();
    let state = desired(vec![vif("a", "red", "10.1.0.1", 16)]);
    let before = compiler.compile(&state).unwrap();
    compiler.compile(&desired(Vec::new())).unwrap();
    let after = compiler.compile(&state).unwrap();
    assert_ne!(epoch_of(&before, "red"), epoch_of(&after, "red"));
}

#[test]
fn backends_that_are_down_are_no_members_but_a_lone_route_stays() {
    let mut compiler = Compiler::default();
    let mut down = vif("a", "red", "10.1.0.1", 16);
    down.link = Link::Down("test".to_owned());
    let mut state = desired(vec![down, vif("b", "red", "10.1.0.2", 17)]);
    state.services = vec![service("10.96.0.1", &["a", "b"])];
    let snapshot = compiler.compile(&state).unwrap();
    let vrf = snapshot.vrfs().next().unwrap();
    let (family, address) = fib::family_and_addr("10.96.0.1".parse().unwrap());
    let backends = &vrf.service(family, address).unwrap().port(6, 80).unwrap().backends;
    assert_eq!((backends.ready.members().len(), backends.terminating.members().len()), (1, 0));
    let (family, address) = fib::family_and_addr("10.1.0.1".parse().unwrap());
    assert!(matches!(vrf.lookup(family, address), Some(NextHop::Group(group)) if group.members().len() == 1));
}

/// The epochs of routes, of the whole VRF "red", and of its services by address.
fn epochs(snapshot: &Snapshot, services: &[&str]) -> (u32, u32, Vec<Option<u32>>) {
    let vrf = snapshot.vrfs().find(|vrf| vrf.name.as_str() == "red").unwrap();
    let epoch = |cell| snapshot.dependency(cell).epoch;
    let of_service = |address: &&str| {
        let (family, address) = fib::family_and_addr(address.parse().unwrap());
        vrf.service(family, address).map(|service| epoch(service.cell))
    };
    (epoch(vrf.cells.routes), epoch(vrf.cells.whole), services.iter().map(of_service).collect())
}

#[test]
fn a_change_of_a_service_moves_no_other() {
    let mut compiler = Compiler::default();
    let mut state = desired(vec![vif("a", "red", "10.1.0.1", 16), vif("b", "red", "10.1.0.2", 17)]);
    let both = ["10.96.0.1", "10.96.0.2"];
    state.services = vec![service(both[0], &["a"]), service(both[1], &["b"])];
    let mut read = |state: &Desired| epochs(&compiler.compile(state).unwrap(), &both);
    assert_eq!(read(&state), (1, 1, vec![Some(1), Some(1)]));
    Arc::make_mut(&mut state.services[0]).backends.clear();
    assert_eq!(read(&state), (1, 2, vec![Some(2), Some(1)]), "one service");
    state.services[1] = service(both[1], &["b"]);
    assert_eq!(read(&state), (1, 2, vec![Some(2), Some(1)]), "an equal service in other memory");
    state.vifs[1].link = Link::Down("test".to_owned());
    assert_eq!(read(&state), (1, 4, vec![Some(2), Some(4)]), "the backend of one goes down");
    state.vifs[0].addresses = vec!["10.1.0.9".parse().unwrap()];
    assert_eq!(read(&state), (5, 5, vec![Some(5), Some(5)]), "a route");
    state.services.pop();
    assert_eq!(read(&state), (6, 6, vec![Some(6), None]), "a service address is a route");
    state.services.push(service(both[1], &["b"]));
    assert_eq!(read(&state), (7, 7, vec![Some(7), Some(7)]));
}

#[test]
fn a_flow_that_rests_on_a_service_is_stale_when_it_goes() {
    let mut compiler = Compiler::default();
    let mut state = desired(vec![vif("a", "red", "10.1.0.1", 16)]);
    state.services = vec![service("10.96.0.1", &["a"])];
    let before = compiler.compile(&state).unwrap();
    let (family, address) = fib::family_and_addr("10.96.0.1".parse().unwrap());
    let cell = before.vrfs().next().unwrap().service(family, address).unwrap().cell;
    let rests_on = before.dependency(cell);
    assert!(before.is_current(&rests_on));
    // Another one takes its place, and its cell.
    state.services = vec![service("10.96.0.2", &["a"])];
    assert!(!compiler.compile(&state).unwrap().is_current(&rests_on));
    state.services.clear();
    assert!(!compiler.compile(&state).unwrap().is_current(&rests_on));
    state.vrfs.clear();
    state.vifs.clear();
    assert!(!compiler.compile(&state).unwrap().is_current(&rests_on));
}

#[test]
fn what_failed_to_compile_leaves_nothing_behind() {
    let mut compiler = Compiler::default();
    let state = desired(vec![vif("a", "red", "10.1.0.1", 16)]);
    let with = |backend: &str| {
        let mut state = state.clone();
        state.services = vec![service("10.96.0.1", &[backend])];
        state
    };
    let before = compiler.compile(&with("a")).unwrap();
    assert!(compiler.compile(&with("b")).is_err());
    let gone = Desired { vifs: Vec::new(), ..with("a") };
    assert!(compiler.compile(&gone).unwrap_err().to_string().contains("names vif \"a\""));
    // The vif has been forgotten meanwhile, and is another one now.
    let after = compiler.compile(&with("a")).unwrap();
    assert_eq!(after.generation, before.generation + 1);
    let member = |snapshot: &Snapshot| {
        let (family, address) = fib::family_and_addr("10.96.0.1".parse().unwrap());
        let vrf = snapshot.vrfs().next().unwrap();
        vrf.service(family, address).unwrap().port(6, 80).unwrap().backends.ready.members()[0]
    };
    assert_ne!(member(&before).identity, member(&after).identity);
    assert_eq!(member(&after).target, crate::ecmp::Target::Vif(after.vifs().next().unwrap().slot));
}

#[test]
fn contradictions_are_named() {
    let compile = |state: &Desired| Compiler::default().compile(state).map(|_| ()).unwrap_err().to_string();
    let twice = desired(vec![vif("a", "red", "10.1.0.1", 16), vif("b", "red", "10.1.0.2", 16)]);
    assert_eq!(compile(&twice), "label 16 of vif \"b\" is in use already: give every vif a label of its own");
    let mut lost = desired(vec![vif("a", "red", "10.1.0.1", 16)]);
    lost.vrfs.clear();
    let mut unruly = desired(vec![vif("a", "red", "10.1.0.1", 16)]);
    unruly.vifs[0].policies = vec!["web".into()];
    assert_eq!(
        compile(&unruly),
        "vif \"a\" names policy \"web\", which is not configured: add it or correct the name"
    );
    assert!(compile(&lost).contains("names VRF \"red\", which is not configured"));
    let mut mixed = desired(Vec::new());
    mixed.vrfs = vec![DesiredVrf { name: "red".into(), label: None }];
    let to = HopTarget::Tunnel { node: "fd00::1".parse().unwrap(), label: Label::new(20).unwrap() };
    mixed.routes = vec![Route {
        vrf: "red".into(),
        prefix: "10.0.0.0/8".parse().unwrap(),
        target: RouteTarget::Hops(vec![Hop { to, weight: 1 }]),
    }];
    assert_eq!(
        compile(&mixed),
        "tunnel endpoint fd00::1 is not of the address family of this node's tunnel address"
    );
}

#[test]
fn a_label_in_quarantine_leads_nowhere_until_it_is_let_out() {
    let mut compiler = Compiler::default();
    let state = desired(vec![vif("a", "red", "10.1.0.1", 16), vif("b", "red", "10.1.0.2", 17)]);
    let label = Label::new(17).unwrap();
    compiler.quarantine(BTreeSet::from([label]));
    let snapshot = compiler.compile(&state).unwrap();
    assert_eq!(snapshot.label(label), None);
    assert!(snapshot.is_quarantined(label));
    compiler.quarantine(BTreeSet::new());
    let snapshot = compiler.compile(&state).unwrap();
    assert!(matches!(snapshot.label(label), Some(LabelTarget::Vif(_))));
    assert!(!snapshot.is_quarantined(label));
}
