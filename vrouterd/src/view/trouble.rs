//! What is wrong on this node right now: the first thing to look at.

use super::{HopView, NodeView, State, ViewSource};
use crate::config::Awaited;

/// The node and its troubles: the index page.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct StatusView {
    /// The node as a whole.
    #[serde(flatten)]
    pub node: NodeView,
    /// Everything that is down, worst first.
    pub troubles: Vec<Trouble>,
}

/// One thing that is down.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Trouble {
    /// What it is.
    #[serde(flatten)]
    pub subject: Subject,
    /// Why it is down and what to do.
    pub reason: String,
}

/// What a trouble is about.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "noun", content = "name", rename_all = "snake_case")]
pub enum Subject {
    /// The configuration file: its newest state is not in force.
    Configuration,
    /// Declared state: not all of what was kept over the last restart is in force.
    DeclaredState,
    /// The uplink of this name.
    Uplink(String),
    /// The tunnel endpoint with this address.
    Tunnel(String),
    /// The vif of this name.
    Vif(String),
    /// The service with this address: none of its backends is up.
    Service(String),
    /// The vif of this name, which declared resources name and which is not there.
    AwaitedVif(String),
}

impl StatusView {
    /// Asks `source` for everything that can be down.
    pub fn read(source: &dyn ViewSource) -> Self {
        let node = source.node();
        let mut troubles = Vec::new();
        let mut add = |subject, reason: &str| troubles.push(Trouble { subject, reason: reason.to_owned() });
        if let Some(reason) = node.uplink.link.reason() {
            add(Subject::Uplink(node.uplink.name.clone()), reason);
        }
        if let Some(reason) = source.refused_configuration() {
            add(Subject::Configuration, &reason);
        }
        if let Some(reason) = source.set_aside_state() {
            add(Subject::DeclaredState, &reason);
        }
        let fragments = source.outer_fragments();
        if fragments > 0 {
            let reason = format!(
                "{fragments} outer fragments arrived and were not taken: the underlay's MTU is too small for a peer; \
                 raise it, or lower the MTU of that node's pods."
            );
            add(Subject::Uplink(node.uplink.name.clone()), &reason);
        }
        for tunnel in source.tunnels() {
            if let Some(reason) = tunnel.reach.problem() {
                add(Subject::Tunnel(tunnel.peer.to_string()), reason);
            }
        }
        for vif in source.vifs() {
            if let Some(reason) = vif.state.reason() {
                add(Subject::Vif(vif.name.to_string()), reason);
            }
        }
        for service in source.services() {
            if !service.backends.iter().any(|backend| backend.state.is_up()) {
                let reason = match service.backends.first() {
                    None => "It has no backend.".to_owned(),
                    Some(first) => format!("None of its backends is up; the first: {}", first.problem()),
                };
                add(Subject::Service(service.address.to_string()), &reason);
            }
        }
        for awaited in source.awaited_vifs() {
            add(Subject::AwaitedVif(awaited.vif.to_string()), &reason_to_wait(&awaited));
        }
        Self { node, troubles }
    }
}

fn reason_to_wait(Awaited { vif, by, others }: &Awaited) -> String {
    let others = if *others == 0 { String::new() } else { format!(" and {others} more") };
    format!(
        "It is not there, but named in {by}{others}, where it counts for nothing: attach {vif}, or take it out there."
    )
}

impl super::BackendView {
    fn problem(&self) -> String {
        let to = match &self.to {
            HopView::Vif { vif } => format!("vif {vif}"),
            HopView::Tunnel { node, label } => format!("label {label} at {node}"),
            HopView::Vrf { vrf } => format!("VRF {vrf}"),
            HopView::Pool => "source NAT pool".to_owned(),
            HopView::Discard => "discard".to_owned(),
        };
        match &self.state {
            State::Up => to,
            State::Down { reason } => format!("{to}: {reason}"),
        }
    }
}
