//! Vifs that routes and services lead to and that are not there.
//!
//! Programs declare services before their pods come and after they have gone, and nobody tells the one that detaches a
//! pod who still speaks of it. So a declared resource may name a vif that is not there: that way out is as if it were
//! not written, until the vif comes.

use std::collections::{BTreeMap, HashSet};

use dataplane::desired::{Backend, Hop, HopTarget, Route, RouteTarget};
use dataplane::ids::VifName;
use utoipa::ToSchema;

use super::model::{Config, Service};

/// A vif that is named and not there.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, ToSchema)]
pub struct Awaited {
    /// Its name.
    #[schema(value_type = String)]
    pub vif: VifName,
    /// The first resource that names it: `services/web`.
    pub by: String,
    /// How many others do.
    pub others: u64,
}

/// The vifs that are there.
pub(super) struct Present(HashSet<VifName>);

impl Present {
    fn has(&self, to: &HopTarget) -> bool {
        self.lacks(to).is_none()
    }

    /// The vif that it leads to, if that is not there.
    fn lacks<'t>(&self, to: &'t HopTarget) -> Option<&'t VifName> {
        match to {
            HopTarget::Vif(vif) => (!self.0.contains(vif)).then_some(vif),
            HopTarget::Tunnel { .. } => None,
        }
    }

    /// The backends of a service that are there.
    pub(super) fn backends(&self, service: &Service) -> Vec<Backend> {
        service.backends.iter().filter(|backend| self.has(&backend.to)).cloned().collect()
    }

    /// A route by the next hops that are there. One that has lost all still takes its packets, and drops them: a
    /// less specific one might lead out of the pods' network.
    pub(super) fn route(&self, route: &Route) -> Route {
        let usable = hops(route).iter().filter(|hop| self.has(&hop.to));
        let target = match &route.target {
            RouteTarget::Hops(_) => match usable.cloned().collect::<Vec<Hop>>() {
                none if none.is_empty() => RouteTarget::Discard,
                usable => RouteTarget::Hops(usable),
            },
            other @ (RouteTarget::Vrf(_) | RouteTarget::Discard) => other.clone(),
        };
        Route { vrf: route.vrf.clone(), prefix: route.prefix, target }
    }
}

fn hops(route: &Route) -> &[Hop] {
    match &route.target {
        RouteTarget::Hops(hops) => hops,
        RouteTarget::Vrf(_) | RouteTarget::Discard => &[],
    }
}

impl Config {
    pub(super) fn present(&self) -> Present {
        let host = self.host.iter().map(super::Host::vif_name);
        Present(host.chain(self.vifs.iter().map(|vif| vif.name.clone())).collect())
    }

    /// The vifs that are named and not there, by name.
    pub fn awaited(&self) -> Vec<Awaited> {
        let present = self.present();
        let mut awaited = BTreeMap::new();
        let mut note = |to, by: &dyn Fn() -> String| {
            let Some(vif) = present.lacks(to) else { return };
            let first = || Awaited { vif: vif.clone(), by: by(), others: 0 };
            awaited.entry(vif).and_modify(|known: &mut Awaited| known.others += 1).or_insert_with(first);
        };
        for service in &self.services {
            let by = || format!("services/{}", service.name.as_deref().unwrap_or_default());
            service.backends.iter().for_each(|backend| note(&backend.to, &by));
        }
        for route in &self.routes {
            let by = || format!("routes/{}/{}", route.vrf, route.prefix);
            hops(route).iter().for_each(|hop| note(&hop.to, &by));
        }
        awaited.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Source, parse_all};
    use super::*;

    const FILE: &str = "[node]\nname = \"n\"\nuplink = \"eth0\"\ntunnel_address = \"172.30.0.1\"\n[[vrf]]\nname = \"blue\"\n";
    const VIF: &str = "[[vif]]\nname = \"here\"\nifname = \"v1\"\nvrf = \"blue\"\naddresses = [\"10.0.1.2\"]\nmac = \"02:00:00:00:0a:01\"\nlabel = 17\n";

    fn declared(text: &str) -> Config {
        let text = format!("version = 1\n{VIF}{text}");
        let document = Source::in_memory("declared", &text);
        parse_all(Source::on_disk("file", FILE), Some(document))
            .unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn route(prefix: &str, vifs: &[&str]) -> String {
        let via: Vec<_> = vifs.iter().map(|vif| format!("{{ vif = \"{vif}\" }}")).collect();
        format!("[[route]]\nvrf = \"blue\"\nprefix = \"{prefix}\"\nvia = [{}]\n", via.join(", "))
    }

    #[test]
    fn ways_to_absent_vifs_are_as_if_not_written() {
        let service = "[[service]]\nname = \"web\"\nvrf = \"blue\"\naddress = \"10.96.0.1\"\nports = [{ protocol = \"tcp\", port = 80 }]\nbackends = [{ vif = \"gone\" }, { vif = \"here\" }]\n";
        let routes = [route("10.1.0.0/24", &["gone", "here"]), route("10.2.0.0/24", &["gone"])].concat();
        let config = declared(&format!("{service}{routes}"));
        let desired = config.desired(1500);
        let here = HopTarget::Vif("here".into());
        let ways: Vec<_> = desired.services[0].backends.iter().map(|backend| &backend.to).collect();
        assert_eq!(ways, [&here]);
        assert_eq!(hops(&desired.routes[0]).iter().map(|hop| &hop.to).collect::<Vec<_>>(), [&here]);
        assert_eq!(desired.routes[1].target, RouteTarget::Discard);
        let gone = Awaited { vif: "gone".into(), by: "services/web".to_owned(), others: 2 };
        assert_eq!(config.awaited(), [gone]);
    }

    #[test]
    fn the_operator_may_not_name_what_is_not_there() {
        let file = format!("{FILE}{VIF}{}", route("10.1.0.0/24", &["gone"]));
        let problems = super::super::parse("file", &file).unwrap_err();
        assert!(problems.to_string().contains("there is no vif \"gone\""), "{problems}");
    }
}
