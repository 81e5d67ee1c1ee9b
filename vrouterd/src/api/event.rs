//! What a new generation changes.

use std::collections::BTreeMap;

use dataplane::desired::{Desired, FloatingIp, SourcePool, Vrf};
use utoipa::ToSchema;

use crate::config::{Config, Vif};
use crate::declared::{Declared, Key, Kind};
use crate::view::State;

/// Names in one event; of more than that it says only that there are more.
const MOST: usize = 1000;

/// A new generation is in force.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, ToSchema)]
pub struct Event {
    /// Its number.
    pub generation: u64,
    /// Resources that are new, gone or different, whether the file or a program asked for it.
    pub changed: Vec<Changed>,
    /// Vifs that have come up or gone down.
    pub links: Vec<LinkChange>,
    /// Whether more have changed than are listed.
    pub truncated: bool,
}

/// A resource that has changed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, ToSchema)]
pub struct Changed {
    /// What it is.
    pub kind: Kind,
    /// Its name; of a route VRF and prefix, of a broadcast its VRF, of a nameless service VRF and address.
    pub name: String,
    /// What happened to it.
    pub change: How,
}

/// What happened to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It is new.
    Added,
    /// It is another one now.
    Replaced,
    /// It is gone.
    Removed,
}

/// A vif that has come up or gone down.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, ToSchema)]
pub struct LinkChange {
    /// Its name.
    pub vif: String,
    /// `up`, or `down` with a `reason`.
    #[serde(flatten)]
    #[schema(inline, value_type = super::shape::LinkState)]
    pub state: State,
}

impl Event {
    /// The differences between two states of the node.
    pub fn between(generation: u64, old: (&Config, &Desired), new: (&Config, &Desired)) -> Self {
        let mut changed = of_configs(old.0, new.0);
        let mut links = links(old.1, new.1);
        let truncated = changed.len() > MOST || links.len() > MOST;
        changed.truncate(MOST);
        links.truncate(MOST);
        Self { generation, changed, links, truncated }
    }
}

fn of_configs(old: &Config, new: &Config) -> Vec<Changed> {
    let mut changed = compare(Kind::Vrf, &vrfs(old), &vrfs(new), |(vrf, _)| vrf.name.to_string());
    changed.extend(compare(Kind::Policy, &old.policies, &new.policies, |policy| policy.name.to_string()));
    changed.extend(compare(Kind::Vif, &vifs(old), &vifs(new), |(vif, _)| vif.name.to_string()));
    changed.extend(compare(Kind::Service, &old.services, &new.services, |service| {
        let address = service.addresses.first().map_or_else(String::new, ToString::to_string);
        service.name.clone().unwrap_or_else(|| format!("{}/{address}", service.vrf))
    }));
    changed.extend(compare(Kind::Route, &old.routes, &new.routes, |route| {
        Key::route(route.vrf.as_str(), route.prefix).name
    }));
    changed.extend(compare(Kind::Broadcast, &old.broadcasts, &new.broadcasts, |broadcast| {
        broadcast.vrf.to_string()
    }));
    changed
}

/// The VRFs with what their tables say of translation.
fn vrfs(config: &Config) -> Vec<(&Vrf, Option<&SourcePool>)> {
    let pools = &config.nat.pools;
    config.vrfs.iter().map(|vrf| (vrf, pools.iter().find(|pool| pool.vrf == vrf.name))).collect()
}

/// The vifs with their floating IPs.
fn vifs(config: &Config) -> Vec<(&Vif, Vec<&FloatingIp>)> {
    let all = &config.nat.floating_ips;
    let with = |vif: &'_ Vif| all.iter().filter(|floating| floating.vif == vif.name).collect();
    config.vifs.iter().map(|vif| (vif, with(vif))).collect()
}

fn links(old: &Desired, new: &Desired) -> Vec<LinkChange> {
    let before: BTreeMap<_, _> = old.vifs.iter().map(|vif| (&vif.name, &vif.link)).collect();
    let moved = new.vifs.iter().filter(|vif| before.get(&vif.name) != Some(&&vif.link));
    moved.map(|vif| LinkChange { vif: vif.name.to_string(), state: State::from(&vif.link) }).collect()
}

/// What differs between two declared documents.
pub fn of_documents(old: &Declared, new: &Declared) -> Vec<Changed> {
    let removed = old.unlike(new).filter(|key| new.get(key).is_none()).map(|key| (key, How::Removed));
    let present =
        new.unlike(old).map(|key| (key, if old.get(key).is_none() { How::Added } else { How::Replaced }));
    let mut changed: Vec<_> = removed.chain(present).collect();
    // By kind, and what has gone before what has come.
    changed.sort_by_key(|(key, _)| key.kind);
    changed
        .into_iter()
        .map(|(key, change)| Changed { kind: key.kind, name: key.name.clone(), change })
        .collect()
}

fn compare<T: PartialEq>(kind: Kind, old: &[T], new: &[T], name: impl Fn(&T) -> String) -> Vec<Changed> {
    let (old, new) = unlike(old, new);
    let before: BTreeMap<String, &T> = old.iter().map(|item| (name(item), item)).collect();
    let after: BTreeMap<String, &T> = new.iter().map(|item| (name(item), item)).collect();
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    let removed = gone.map(|name| Changed { kind, name: name.clone(), change: How::Removed });
    let present = after.iter().filter_map(|(name, item)| match before.get(name) {
        None => Some(Changed { kind, name: name.clone(), change: How::Added }),
        Some(old) if old != item => Some(Changed { kind, name: name.clone(), change: How::Replaced }),
        Some(_) => None,
    });
    removed.chain(present).collect()
}

/// Two lists without what they begin with alike, and what they end with alike: of many routes one changes at a time.
fn unlike<'t, T: PartialEq>(old: &'t [T], new: &'t [T]) -> (&'t [T], &'t [T]) {
    let alike = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (old, new) = (old.get(alike..).unwrap_or_default(), new.get(alike..).unwrap_or_default());
    let alike = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    (&old[..old.len() - alike], &new[..new.len() - alike])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use dataplane::desired::Link;

    fn config(lines: &str) -> Config {
        let node = "[node]\nname = \"n\"\nuplink = \"eth0\"\ntunnel_address = \"172.30.0.1\"\n";
        parse("f", &format!("{node}{lines}")).unwrap_or_else(|problems| panic!("{problems}"))
    }

    const VIF: &str = "[[vif]]\nname = \"client\"\nifname = \"veth1a\"\nvrf = \"blue\"\naddresses = [\"10.0.1.2\"]\nmac = \"02:00:00:00:0a:01\"\nlabel = 17\n";

    #[test]
    fn resources_and_links_are_told_apart() {
        let old = config(&format!("[[vrf]]\nname = \"blue\"\n[[vrf]]\nname = \"red\"\n{VIF}"));
        let route = "[[route]]\nvrf = \"blue\"\nprefix = \"10.0.9.0/24\"\naction = \"discard\"\n";
        let new = config(&format!("[[vrf]]\nname = \"blue\"\n{}{route}", VIF.replace("17", "18")));
        let (before, mut after) = (old.desired(1500), new.desired(1500));
        after.vifs[0].link = Link::Up;
        let event = Event::between(7, (&old, &before), (&new, &after));
        let changed: Vec<_> = event
            .changed
            .iter()
            .map(|changed| (changed.kind, changed.name.as_str(), changed.change))
            .collect();
        assert_eq!(
            changed,
            [
                (Kind::Vrf, "red", How::Removed),
                (Kind::Vif, "client", How::Replaced),
                (Kind::Route, "blue/10.0.9.0/24", How::Added),
            ]
        );
        assert_eq!(event.links, [LinkChange { vif: "client".to_owned(), state: State::Up }]);
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["links"][0], serde_json::json!({ "vif": "client", "state": "up" }));
        assert_eq!(json["changed"][0]["kind"], "vrf");
    }

    #[test]
    fn what_is_translated_belongs_to_the_vrf_and_the_vif() {
        let vrfs = "[[vrf]]\nname = \"blue\"\n[[vrf]]\nname = \"public\"\n";
        let old = config(&format!("{vrfs}{VIF}"));
        let pool = "source_nat = { addresses = [\"192.0.2.1\"] }\n";
        let floating = "floating_ips = [{ address = \"192.0.2.10\", vrf = \"public\" }]\n";
        let new = config(&format!("{vrfs}{pool}{VIF}{floating}"));
        let event = Event::between(1, (&old, &old.desired(1500)), (&new, &new.desired(1500)));
        let names: Vec<_> =
            event.changed.iter().map(|changed| (changed.name.as_str(), changed.change)).collect();
        assert_eq!(names, [("public", How::Replaced), ("client", How::Replaced)]);
    }

    #[test]
    fn an_event_has_a_largest_size() {
        let vrfs: String = (0..1200).map(|n| format!("[[vrf]]\nname = \"v{n}\"\n")).collect();
        let (old, new) = (config(""), config(&vrfs));
        let event = Event::between(1, (&old, &old.desired(1500)), (&new, &new.desired(1500)));
        assert_eq!((event.changed.len(), event.truncated), (MOST, true));
    }
}
