//! `[[route]]`, and the next hops of routes and services.

use std::collections::HashSet;

use dataplane::desired::{Hop, HopTarget, Route, RouteTarget};
use dataplane::ids::VrfName;

use super::ledger::Ledger;
use super::place::{At, Place};
use super::problem::Reported;
use super::scalar;
use super::section::{Item, Section};

const WAYS: &str = "write one of via = [ ... ], via_vrf = \"...\" and action = \"discard\"";

pub(super) fn route(mut section: Section<'_>, ledger: &mut Ledger<'_>) -> Result<Route, Reported> {
    let vrf = section.required("vrf", "vrf = \"blue\"", |item| ledger.vrf(item));
    let prefix = section.required("prefix", "prefix = \"10.0.2.0/24\"", scalar::prefix);
    let target = target(&mut section, ledger, vrf.as_ref().ok());
    section.finish();
    if let (Ok(vrf), Ok(prefix)) = (&vrf, &prefix) {
        ledger.claim_prefix(&vrf.value, prefix);
    }
    Ok(Route { vrf: vrf?.value, prefix: prefix?.value, target: target? })
}

/// Puts declared routes that were read before into their places among those that were read now.
pub(super) fn with_known(
    read: Result<Vec<Route>, Reported>,
    known: &[Option<&Route>],
    ledger: &mut Ledger<'_>,
    place: &Place,
) -> Result<Vec<Route>, Reported> {
    if !known.iter().flatten().all(|route| ledger.admit(route, place)) {
        return Err(ledger.doubt());
    }
    let mut routes = read?;
    let new = known.iter().filter(|route| route.is_none()).count();
    let mut new = routes.split_off(routes.len().saturating_sub(new)).into_iter();
    routes.extend(known.iter().filter_map(|route| route.cloned().or_else(|| new.next())));
    Ok(routes)
}

fn target(
    section: &mut Section<'_>,
    ledger: &mut Ledger<'_>,
    vrf: Option<&At<VrfName>>,
) -> Result<RouteTarget, Reported> {
    let via = section.item("via");
    let via_vrf = section.item("via_vrf");
    let action = section.item("action");
    match (via, via_vrf, action) {
        (Some(via), None, None) => {
            let hops = hops(&via, ledger)?;
            if hops.is_empty() {
                let remedy = "add a next hop, or write action = \"discard\"";
                return Err(via.wrong("the route has no next hop", remedy));
            }
            Ok(RouteTarget::Hops(hops.into_iter().map(|at| at.value).collect()))
        }
        (None, Some(via_vrf), None) => {
            let other = ledger.vrf(&via_vrf)?;
            if vrf.is_some_and(|vrf| vrf.value == other) {
                return Err(via_vrf.wrong("the route leads back into its own VRF", "name another VRF"));
            }
            Ok(RouteTarget::Vrf(other))
        }
        (None, None, Some(action)) => {
            scalar::choice(&action, &[("discard", ())]).map(|()| RouteTarget::Discard)
        }
        (None, None, None) => Err(section.wrong("the route leads nowhere", WAYS)),
        _ => Err(section.wrong("the route leads to several ends", WAYS)),
    }
}

/// Reads a list of next hops, each at most once; it may be empty.
fn hops(item: &Item<'_>, ledger: &mut Ledger<'_>) -> Result<Vec<At<Hop>>, Reported> {
    distinct(
        item,
        |hop: &Hop| &hop.to,
        |mut section| {
            let hop = hop(&mut section, ledger);
            section.finish();
            hop
        },
    )
}

/// Reads a list of things that lead somewhere, to each end at most once; it may be empty.
pub(super) fn distinct<T>(
    item: &Item<'_>,
    end: impl Fn(&T) -> &HopTarget,
    mut read: impl FnMut(Section<'_>) -> Result<T, Reported>,
) -> Result<Vec<At<T>>, Reported> {
    let mut seen: HashSet<HopTarget> = HashSet::new();
    item.list(|element| {
        let value = read(element.section()?)?;
        if !seen.insert(end(&value).clone()) {
            let remedy = "list it once; `weight` gives it a larger share";
            return Err(element.wrong("this next hop is listed twice", remedy));
        }
        Ok(value)
    })
}

/// Reads the keys of a next hop; the caller finishes the section.
pub(super) fn hop(section: &mut Section<'_>, ledger: &mut Ledger<'_>) -> Result<Hop, Reported> {
    let vif = section.item("vif");
    let tunnel = section.item("tunnel");
    let label = section.optional("label", scalar::label);
    let weight = section.or_default("weight", 1, |item| scalar::small(item, 1..=u16::MAX, ""));
    let remedy = "write { vif = \"web-1\" } or { tunnel = \"172.30.0.2\", label = 33 }";
    let to = match (vif, tunnel, label) {
        (Some(vif), None, Ok(None)) => ledger.vif(&vif).map(HopTarget::Vif),
        (Some(_), None, Ok(Some(label))) => {
            Err(section.wrong(format_args!("label {} is given for a vif of this node", label.value), remedy))
        }
        (None, Some(tunnel), label) => {
            let node = ledger.endpoint(&tunnel);
            match label? {
                Some(label) => Ok(HopTarget::Tunnel { node: node?, label: label.value }),
                None => Err(section.wrong("the tunnel has no label", remedy)),
            }
        }
        (None, None, _) => Err(section.wrong("neither a vif nor a tunnel is named", remedy)),
        (Some(_), Some(_), _) => Err(section.wrong("both a vif and a tunnel are named", remedy)),
        (Some(_), None, Err(reported)) => Err(reported),
    };
    Ok(Hop { to: to?, weight: weight? })
}
