//! Which backend of a service takes a flow.

use super::resolve::{Prefer, Query};
use crate::affinity::{AffinityTable, Client, Fingerprint};
use crate::desired::{Affinity, OnBackendGone};
use crate::drop::DropReason;
use crate::ecmp::{Member, Target};
use crate::ids::VrfId;
use crate::packet::l4::protocol;
use crate::service::Backends;
use flow_table::Millis;

/// Whether a lookup is for a flow of a client, which services may remember.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clients<'a> {
    /// It is not: it looks for the way back, or only checks.
    Ignore,
    /// It is, at this time.
    Remember(&'a AffinityTable, Millis),
}

/// The backend for a flow to a service in `vrf`: the one that it has, else the one its client had,
/// else one by hash; ready ones first.
pub(super) fn choose(backends: &Backends, query: &Query<'_>, vrf: VrfId) -> Result<Target, DropReason> {
    let preferred = |member: &Member| query.prefers(member.target) && query.may_take(member);
    if let Some(target) = backends.members().find(|member| preferred(member)) {
        return Ok(target.target);
    }
    if let Prefer::Current(_) = query.prefer {
        refuse_lost(backends, query.tuple.protocol)?;
    }
    let ready = match (backends.affinity, query.clients) {
        (Affinity::ClientAddress(timeout), Clients::Remember(table, now)) => {
            let tuple = query.tuple;
            let client = Client { vrf, family: tuple.family, service: tuple.dst, address: tuple.src };
            let last = table.find(&client, now);
            let member = ready_for(backends, query, last);
            if let Some(member) = member {
                let expires = Millis(now.0.saturating_add(timeout.0));
                table.remember(&client, Fingerprint::of(member.identity), expires);
            }
            member
        }
        (Affinity::ClientAddress(_), Clients::Ignore) | (Affinity::None, _) => {
            ready_for(backends, query, None)
        }
    };
    let member = ready.or_else(|| backends.terminating.pick(query.spread, |member| query.may_take(member)));
    member.map(|member| member.target).ok_or(DropReason::ServiceNoBackend)
}

/// Refuses a flow that has lost its backend, where the service says that it is to be reset.
pub(super) fn refuse_lost(backends: &Backends, protocol_number: u8) -> Result<(), DropReason> {
    match (backends.on_gone, protocol_number) {
        (OnBackendGone::Reset, protocol::TCP) => Err(DropReason::ServiceBackendGone),
        (OnBackendGone::Reset | OnBackendGone::Rechoose, _) => Ok(()),
    }
}

/// The ready backend that the client had, else any.
fn ready_for<'b>(backends: &'b Backends, query: &Query<'_>, last: Option<Fingerprint>) -> Option<&'b Member> {
    let is_last = |member: &&Member| last == Some(Fingerprint::of(member.identity)) && query.may_take(member);
    let known = backends.ready.members().iter().find(is_last);
    known.or_else(|| backends.ready.pick(query.spread, |member| query.may_take(member)))
}
