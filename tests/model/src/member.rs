//! Which of the members that a lookup has found may carry a flow: the one it has, the one its client had, any.

use std::net::IpAddr;

use dataplane::desired::{Affinity, BackendState, OnBackendGone};
use dataplane::drop::DropReason;
use dataplane::ids::VrfName;

use crate::fib::{self, Choice, Exit, Scope};
use crate::pairs::{Output, Plan};
use crate::plan::{Ingress, Question};
use crate::router::{Router, State};

/// A client of a service address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Client {
    vrf: VrfName,
    service: IpAddr,
    address: IpAddr,
}

/// Where a client's last flow went, and until when that is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last {
    exit: Exit,
    until: u64,
}

impl Router {
    /// Every member that may carry the flow of a question that is asked in a VRF.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn members(
        &self,
        question: &Question<'_>,
        vrf: &VrfName,
        scope: Scope,
    ) -> Result<Vec<Choice>, DropReason> {
        let found = fib::resolve(&self.desired, vrf, &question.tuple, scope);
        let keep = question.keep.map(|plan| plan.forward.output);
        let is_kept = |choice: &&Choice| keep.is_some() && self.output(&choice.exit) == keep;
        if let Some(choice) = found.iter().flatten().find(is_kept) {
            return Ok(vec![choice.clone()]);
        }
        let service = fib::service_behind(&self.desired, vrf, &question.tuple);
        if keep.is_some() && question.tuple.protocol == 6 {
            let resets = service.is_some_and(|(_, service)| service.on_backend_gone == OnBackendGone::Reset);
            if resets {
                return Err(DropReason::ServiceBackendGone);
            }
        }
        let new: Vec<_> = found?.into_iter().filter(|choice| choice.takes_new).collect();
        let last = self.last_of_client(question, vrf);
        let same: Vec<_> = new.iter().filter(|choice| Some(&choice.exit) == last.as_ref()).cloned().collect();
        Ok(if same.is_empty() { new } else { same })
    }

    /// The ready backend that took the last flow of a client that is remembered.
    fn last_of_client(&self, question: &Question<'_>, vrf: &VrfName) -> Option<Exit> {
        let (client, _) = self.client(question, vrf)?;
        let last = question.clients?.get(&client).filter(|last| last.until > self.now)?;
        let (_, service) = fib::service_behind(&self.desired, vrf, &question.tuple)?;
        let is_ready = |backend: &dataplane::desired::Backend| {
            backend.state == BackendState::Ready && fib::exit(&backend.to) == last.exit
        };
        service.backends.iter().any(is_ready).then(|| last.exit.clone())
    }

    fn client(&self, question: &Question<'_>, vrf: &VrfName) -> Option<(Client, u64)> {
        let (vrf, service) = fib::service_behind(&self.desired, vrf, &question.tuple)?;
        let Affinity::ClientAddress(timeout) = service.affinity else { return None };
        let client = Client { vrf: vrf.clone(), service: question.tuple.dst, address: question.tuple.src };
        Some((client, timeout.0))
    }

    /// Remembers where a client's flow goes, unless it goes on where it was.
    pub(crate) fn remember_client(&self, question: &Question<'_>, plan: &Plan, state: &mut State) {
        let vrf = match question.ingress {
            Ingress::Vif(name) => fib::vif(&self.desired, name).map(|vif| &vif.vrf),
            Ingress::VrfLabel(vrf, _) | Ingress::AllLabel(vrf, _) => Some(vrf),
            Ingress::VifLabel(..) => None,
        };
        let output = plan.forward.output;
        let goes_on = question.keep.is_some_and(|keep| keep.forward.output == output);
        let Some(vrf) = vrf.filter(|_| !goes_on) else { return };
        let service = fib::service_behind(&self.desired, vrf, &question.tuple);
        let (Some((client, timeout)), Some((_, service))) = (self.client(question, vrf), service) else {
            return;
        };
        let ready = service.backends.iter().filter(|backend| backend.state == BackendState::Ready);
        let mut exits = ready
            .filter(|backend| fib::is_up(&self.desired, &backend.to))
            .map(|backend| fib::exit(&backend.to));
        if let Some(exit) = exits.find(|exit| self.output(exit) == Some(output)) {
            state.clients.insert(client, Last { exit, until: self.now + timeout });
        }
    }

    /// Whether a flow that its label has led to a vif must end there, as its service resets lost ones.
    pub(crate) fn is_lost(&self, question: &Question<'_>, vrf: &VrfName, output: Output) -> bool {
        let Some((_, service)) = fib::mapped(&self.desired, vrf, &question.tuple) else { return false };
        let is_there = service.backends.iter().any(|backend| {
            fib::is_up(&self.desired, &backend.to) && self.output(&fib::exit(&backend.to)) == Some(output)
        });
        let resets = service.on_backend_gone == OnBackendGone::Reset && question.tuple.protocol == 6;
        question.keep.is_some() && !is_there && resets
    }
}
