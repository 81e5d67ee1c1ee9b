//! What a new flow may look like: every pair that would be right.

use std::collections::BTreeMap;
use std::net::IpAddr;

use dataplane::desired::{Link, VifKind};
use dataplane::drop::DropReason;
use dataplane::ids::{VifName, VrfName};

use crate::fib::{self, Choice, Exit, Scope};
use crate::member::{Client, Last};
use crate::packet::Tuple;
use crate::pairs::{Context, Half, Key, Origin, Output, Owner, Plan, Step};
use crate::router::Router;

/// Where a packet came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// From a pod.
    Vif(VifName),
    /// From a node, to the label of a vif.
    VifLabel(VifName, IpAddr),
    /// From a node, to the label of a VRF.
    VrfLabel(VrfName, IpAddr),
    /// From a node, to the label for all pods of a VRF.
    AllLabel(VrfName, IpAddr),
}

impl Ingress {
    /// The vif that sent it or that its label names.
    pub fn vif(&self) -> Option<&VifName> {
        match self {
            Ingress::Vif(name) | Ingress::VifLabel(name, _) => Some(name),
            Ingress::VrfLabel(..) | Ingress::AllLabel(..) => None,
        }
    }

    /// The node that sent it, if one did.
    pub fn node(&self) -> Option<IpAddr> {
        match self {
            Ingress::Vif(_) => None,
            Ingress::VifLabel(_, node) | Ingress::VrfLabel(_, node) | Ingress::AllLabel(_, node) => {
                Some(*node)
            }
        }
    }

    /// The same from another node.
    #[must_use]
    pub fn from_node(self, node: IpAddr) -> Self {
        match self {
            Ingress::Vif(name) => Ingress::Vif(name),
            Ingress::VifLabel(name, _) => Ingress::VifLabel(name, node),
            Ingress::VrfLabel(name, _) => Ingress::VrfLabel(name, node),
            Ingress::AllLabel(name, _) => Ingress::AllLabel(name, node),
        }
    }

    /// What a key of its packets begins with.
    pub fn origin(&self) -> Origin {
        match self {
            Ingress::Vif(_) => Origin::Vif,
            Ingress::VifLabel(_, node) | Ingress::VrfLabel(_, node) | Ingress::AllLabel(_, node) => {
                Origin::Node(*node)
            }
        }
    }
}

/// Whether a pod would speak with the node's own voice: tunnel packets to a node, or by way of the host.
fn has_own_voice(router: &Router, tuple: &Tuple, exit: &Exit) -> bool {
    let node = &router.desired.node;
    let is_tunnel =
        tuple.protocol == 17 && (tuple.dport == node.udp_port || Some(tuple.dport) == node.legacy_udp_port);
    let to_host = match exit {
        Exit::Vif(name) => fib::vif(&router.desired, name).is_some_and(|vif| vif.kind == VifKind::Host),
        Exit::Tunnel(..) => false,
    };
    is_tunnel && (to_host || tuple.dst == node.tunnel_address || router.state.endpoints.contains(&tuple.dst))
}

/// A flow that may begin.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Where its first packet comes in.
    pub ingress: &'a Ingress,
    /// What that looks like.
    pub tuple: Tuple,
    /// An existing pair: what of it is still possible must stay.
    pub keep: Option<&'a Plan>,
    /// The clients that services remember, where that matters.
    pub clients: Option<&'a BTreeMap<Client, Last>>,
}

/// Every plan for a flow.
///
/// # Errors
/// Why there is none.
pub fn plans(router: &Router, question: &Question<'_>) -> Result<Vec<Plan>, DropReason> {
    refuse_martians(&question.tuple)?;
    match question.ingress {
        Ingress::Vif(name) => from_vif(router, name, question),
        Ingress::VifLabel(_, node) | Ingress::VrfLabel(_, node) | Ingress::AllLabel(_, node) => {
            from_fabric(router, *node, question)
        }
    }
}

fn from_vif(router: &Router, name: &VifName, question: &Question<'_>) -> Result<Vec<Plan>, DropReason> {
    let (tuple, keep) = (question.tuple, question.keep);
    let vif = fib::vif(&router.desired, name).ok_or(DropReason::UnknownVif)?;
    if !fib::may_send(&router.desired, vif, tuple.src) {
        return Err(DropReason::SpoofedSource);
    }
    let own = router.ids.vif(name).ok_or(DropReason::UnknownVif)?;
    let mut choices = router.members(question, &vif.vrf, Scope::Any)?;
    if vif.kind == VifKind::Host {
        // What a route leads back to the host would come again.
        choices.retain(|choice| choice.exit != Exit::Vif(name.clone()) || choice.translate.is_some());
        if choices.is_empty() {
            return Err(DropReason::RouteLoop);
        }
    }
    if choices.iter().any(|choice| has_own_voice(router, &tuple, &choice.exit)) {
        return Err(DropReason::TunnelRecursion);
    }
    let plan = |choice: Choice| {
        let mut answer = translated(tuple, &choice);
        if choice.translate.is_some() && choice.exit == Exit::Vif(name.clone()) {
            // A pod that reaches itself sees the service as its client.
            answer.src = tuple.dst;
            let kept = keep.map(|plan| plan.reverse.key.tuple).filter(|kept| kept.dst == answer.src);
            answer.sport = kept.map_or(answer.sport, |kept| kept.dport);
        }
        let output = router.output(&choice.exit)?;
        let (context, origin, step) = match output {
            Output::Vif(id) => (Context::Vif(id), Origin::Vif, Step::Routed),
            Output::Tunnel(node, _) => (Context::Vif(own.id), Origin::Node(node), Step::Delivered),
            Output::Drop(_) => return None,
        };
        let key = Key { context: Context::Vif(own.id), tuple };
        let back = Key { context, tuple: answer.reversed() };
        Some(Plan {
            forward: Half { key, output, origin: Origin::Vif, step: Step::Routed },
            reverse: Half { key: back, output: Output::Vif(own.id), origin, step },
            owner: Owner::Pod(own.slot),
        })
    };
    Ok(choices.into_iter().filter_map(plan).collect())
}

fn from_fabric(router: &Router, node: IpAddr, question: &Question<'_>) -> Result<Vec<Plan>, DropReason> {
    let Question { ingress, tuple, keep, .. } = *question;
    let vrf = match ingress {
        Ingress::VrfLabel(vrf, _) | Ingress::AllLabel(vrf, _) => vrf,
        Ingress::Vif(name) | Ingress::VifLabel(name, _) => {
            &fib::vif(&router.desired, name).ok_or(DropReason::InvalidLabel)?.vrf
        }
    };
    let backs = ways_back(router, vrf, node, &tuple, keep.map(|plan| plan.reverse.output));
    if backs.is_empty() {
        return Err(DropReason::TunnelSourceMismatch);
    }
    let choices = match ingress.vif() {
        Some(name) => vec![labelled(router, name, question)?],
        None => router.members(question, vrf, Scope::Local)?,
    };
    let context = router.context(ingress).ok_or(DropReason::InvalidLabel)?;
    let mut plans = Vec::new();
    for choice in &choices {
        let Exit::Vif(name) = &choice.exit else { continue };
        let Some(pod) = router.ids.vif(name) else { continue };
        let answer = Key { context: Context::Vif(pod.id), tuple: translated(tuple, choice).reversed() };
        let forward = Half {
            key: Key { context, tuple },
            output: Output::Vif(pod.id),
            origin: Origin::Node(node),
            step: Step::Delivered,
        };
        plans.extend(backs.iter().map(|back| Plan {
            forward,
            reverse: Half { key: answer, output: *back, origin: Origin::Vif, step: Step::Routed },
            owner: Owner::Fabric(pod.slot),
        }));
    }
    Ok(plans)
}

/// Where answers to a packet from `node` may go: only back to it (RFC 7510 section 3).
pub fn ways_back(
    router: &Router,
    vrf: &VrfName,
    node: IpAddr,
    tuple: &Tuple,
    keep: Option<Output>,
) -> Vec<Output> {
    let choices = fib::resolve(&router.desired, vrf, &tuple.reversed(), Scope::Any).unwrap_or_default();
    let behind = |choice: &Choice| matches!(choice.exit, Exit::Tunnel(of, _) if of == node);
    let behind: Vec<_> = choices.into_iter().filter(behind).collect();
    let outputs: Vec<_> = behind.iter().filter_map(|choice| router.output(&choice.exit)).collect();
    match keep.filter(|keep| outputs.contains(keep)) {
        Some(keep) => vec![keep],
        None => outputs,
    }
}

/// The label of a vif names the pod; the destination must be it or a service it serves.
fn labelled(router: &Router, name: &VifName, question: &Question<'_>) -> Result<Choice, DropReason> {
    let (desired, tuple) = (&router.desired, &question.tuple);
    let vif = fib::vif(desired, name).ok_or(DropReason::InvalidLabel)?;
    let exit = Exit::Vif(name.clone());
    if vif.addresses.contains(&tuple.dst) {
        return Ok(Choice { exit, translate: None, takes_new: true });
    }
    if vif.link != Link::Up {
        return Err(DropReason::VifDown);
    }
    let ids = router.ids.vif(name).ok_or(DropReason::InvalidLabel)?;
    if router.is_lost(question, &vif.vrf, Output::Vif(ids.id)) {
        return Err(DropReason::ServiceBackendGone);
    }
    if !fib::serves(desired, &vif.vrf, tuple.dst, name) {
        return Err(DropReason::LabelDestinationMismatch);
    }
    let (port, _) = fib::mapped(desired, &vif.vrf, tuple)
        .filter(|(_, service)| fib::leads_to(desired, &service.backends, name))
        .ok_or(DropReason::ServicePortUnmapped)?;
    let address = fib::first_address(vif, tuple.dst).ok_or(DropReason::ServicePortUnmapped)?;
    Ok(Choice { exit, translate: Some((address, port)), takes_new: true })
}

fn translated(tuple: Tuple, choice: &Choice) -> Tuple {
    let (dst, dport) = choice.translate.unwrap_or((tuple.dst, tuple.dport));
    Tuple { dst, dport, ..tuple }
}

/// Addresses that no packet to one host may have.
///
/// # Errors
/// [`DropReason::MartianAddress`], or [`DropReason::MulticastUnsupported`].
pub fn refuse_martians(tuple: &Tuple) -> Result<(), DropReason> {
    refuse_strange(tuple)?;
    if is_multicast(tuple.dst) { Err(DropReason::MulticastUnsupported) } else { Ok(()) }
}

/// Addresses that no packet on a wire may have (RFC 1122 section 3.2.1.3, RFC 4291 section 2.5).
///
/// # Errors
/// [`DropReason::MartianAddress`].
pub fn refuse_strange(tuple: &Tuple) -> Result<(), DropReason> {
    let never = |address: IpAddr| match address {
        IpAddr::V4(v4) => {
            let first = v4.octets()[0];
            first == 0 || v4.is_loopback() || first >= 240 && !v4.is_broadcast()
        }
        IpAddr::V6(v6) => v6.is_unspecified() || v6.is_loopback(),
    };
    if tuple.src == tuple.dst || never(tuple.src) || is_multicast(tuple.src) || never(tuple.dst) {
        Err(DropReason::MartianAddress)
    } else {
        Ok(())
    }
}

/// Whether an address means more than one host, broadcast included.
pub fn is_multicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_multicast(),
    }
}
