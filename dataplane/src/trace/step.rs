//! The steps of a trace, for programs and for people.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use crate::ids::{Mac, PolicyName, VifName, VrfName};
use crate::policy::FlowCourse;

/// One thing that was found or decided. Written as one line; as JSON with its kind under `step`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum TraceStep {
    /// The packet as it came, its headers checked.
    Parse {
        /// The vif or the node it comes from.
        from: String,
        /// What it is.
        packet: String,
        /// Length of its frame in bytes.
        bytes: usize,
    },
    /// What its label means here.
    Label {
        /// The vif whose label it is, if it is a vif's.
        vif: Option<VifName>,
        /// The VRF that is asked.
        vrf: VrfName,
    },
    /// Whether the flow is known.
    Flow {
        /// `new`, `known` or `stale`: set up by a configuration that has changed since.
        found: &'static str,
        /// State of the pair.
        state: Option<&'static str>,
        /// Whether the packet is an answer.
        answer: bool,
        /// Packets so far, both directions.
        packets: u64,
    },
    /// A look-up.
    Route {
        /// In this VRF.
        vrf: VrfName,
        /// The longest prefix that matches.
        prefix: IpNet,
        /// Where it leads.
        to: String,
    },
    /// No prefix matches.
    NoRoute {
        /// In this VRF.
        vrf: VrfName,
    },
    /// The service at the address, if it has the port.
    Service {
        /// The port that was asked for.
        port: u16,
        /// What the service makes of it on the pod, if it has that port.
        target_port: Option<u16>,
        /// Whether a client stays with its backend.
        affinity: bool,
    },
    /// One of those that share the flows.
    Member {
        /// Where it leads.
        to: String,
        /// Its share relative to the others.
        weight: u16,
        /// Whether it has this flow.
        chosen: Choice,
    },
    /// What policies say.
    Policy {
        /// The vif whose policies are asked.
        vif: VifName,
        /// Which of its flows it is.
        course: FlowCourse,
        /// Whether they allow it.
        allowed: bool,
        /// The policy that allows it, or all those of which none does.
        policies: Vec<PolicyName>,
        /// The rule that allows it, by its name or number and in words.
        rule: Option<String>,
    },
    /// Policies are not asked for this packet.
    PolicyByState,
    /// New addresses and ports.
    Translate {
        /// Source and destination as sent.
        from: String,
        /// As the receiver sees them.
        to: String,
    },
    /// TTL or hop limit.
    Ttl {
        /// As it came.
        from: u8,
        /// As it leaves.
        to: u8,
    },
    /// What fits the way out.
    Mtu {
        /// Length of the IP packet.
        needed: usize,
        /// Largest IP packet that fits.
        mtu: usize,
    },
    /// The other node and what this one sends it.
    Tunnel {
        /// Tunnel address of the node.
        node: IpAddr,
        /// Label on the packet.
        label: u32,
        /// State of the way there.
        reach: String,
    },
    /// The outer headers as they would be written.
    Underlay {
        /// Outer source.
        src: IpAddr,
        /// Outer destination.
        dst: IpAddr,
        /// Outer UDP source port.
        port: u16,
        /// Ethernet address of the node, or of the gateway to it.
        neighbour: Mac,
    },
    /// To a pod of this node.
    Deliver {
        /// Its vif.
        vif: VifName,
        /// Its Ethernet address.
        mac: Mac,
    },
    /// In pieces.
    Split {
        /// Largest piece.
        mtu: usize,
    },
    /// A copy for each that hears it.
    Broadcast {
        /// Where copies go.
        to: Vec<String>,
    },
    /// The vrouter answers itself.
    Answer {
        /// The vif or node the answer goes to.
        to: String,
    },
    /// It ends with the vrouter.
    Consumed,
    /// A fragment that waits for the first of its datagram.
    Wait,
    /// Dropped.
    Drop {
        /// The name of the reason.
        reason: &'static str,
        /// What it means and what to look at.
        meaning: &'static str,
        /// Whom the drop is counted for.
        vif: Option<VifName>,
        /// Whether the sender is told.
        told: bool,
    },
}

/// Whether a member has the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// It has.
    Chosen,
    /// Another one has.
    Other,
    /// It takes no new flows while others do.
    Terminating,
}

impl TraceStep {
    /// The word of the step, as in JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            TraceStep::Parse { .. } => "parse",
            TraceStep::Label { .. } => "label",
            TraceStep::Flow { .. } => "flow",
            TraceStep::Route { .. } => "route",
            TraceStep::NoRoute { .. } => "no_route",
            TraceStep::Service { .. } => "service",
            TraceStep::Member { .. } => "member",
            TraceStep::Policy { .. } => "policy",
            TraceStep::PolicyByState => "policy_by_state",
            TraceStep::Translate { .. } => "translate",
            TraceStep::Ttl { .. } => "ttl",
            TraceStep::Mtu { .. } => "mtu",
            TraceStep::Tunnel { .. } => "tunnel",
            TraceStep::Underlay { .. } => "underlay",
            TraceStep::Deliver { .. } => "deliver",
            TraceStep::Split { .. } => "split",
            TraceStep::Broadcast { .. } => "broadcast",
            TraceStep::Answer { .. } => "answer",
            TraceStep::Consumed => "consumed",
            TraceStep::Wait => "wait",
            TraceStep::Drop { .. } => "drop",
        }
    }
}

impl fmt::Display for TraceStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TraceStep::Parse { from, packet, bytes } => write!(f, "{packet} from {from}, {bytes} bytes"),
            TraceStep::Label { vif: Some(vif), vrf } => write!(f, "names vif {vif} of VRF {vrf}"),
            TraceStep::Label { vif: None, vrf } => write!(f, "asks for a look-up in VRF {vrf}"),
            TraceStep::Flow { .. } => self.fmt_flow(f),
            TraceStep::Route { vrf, prefix, to } => write!(f, "VRF {vrf}: {prefix} -> {to}"),
            TraceStep::NoRoute { vrf } => write!(f, "VRF {vrf}: no prefix matches"),
            TraceStep::Service { .. } => self.fmt_service(f),
            TraceStep::Member { to, weight, chosen } => {
                let word = match chosen {
                    Choice::Chosen => ", chosen",
                    Choice::Other => "",
                    Choice::Terminating => ", terminating",
                };
                write!(f, "{to}, weight {weight}{word}")
            }
            TraceStep::Policy { .. } => self.fmt_policy(f),
            TraceStep::PolicyByState => {
                f.write_str("not asked: the packet is of a flow that was judged when it began")
            }
            TraceStep::Translate { from, to } => write!(f, "{from} becomes {to}"),
            TraceStep::Ttl { from, to } if from == to => write!(f, "stays {from}"),
            TraceStep::Ttl { from, to } => write!(f, "{from} becomes {to}"),
            TraceStep::Mtu { needed, mtu } if needed > mtu => {
                write!(f, "{needed} bytes do not fit the {mtu} of the way out")
            }
            TraceStep::Mtu { needed, mtu } => write!(f, "{needed} bytes fit the {mtu} of the way out"),
            TraceStep::Tunnel { node, label, reach } => write!(f, "to node {node}, label {label}; {reach}"),
            TraceStep::Underlay { src, dst, port, neighbour } => {
                write!(f, "{src} > {dst}, UDP source port {port}, next hop {neighbour}")
            }
            TraceStep::Deliver { vif, mac } => write!(f, "to vif {vif}, {mac}"),
            TraceStep::Split { mtu } => write!(f, "sent in pieces of at most {mtu} bytes"),
            TraceStep::Broadcast { to } => write!(f, "a copy to each of: {}", to.join(", ")),
            TraceStep::Answer { to } => write!(f, "the vrouter answers, to {to}"),
            TraceStep::Consumed => f.write_str("for the vrouter itself; no answer"),
            TraceStep::Wait => f.write_str("waits for the first fragment of its datagram"),
            TraceStep::Drop { reason, meaning, vif, told } => {
                let told = if *told { "; the sender is told" } else { "" };
                let vif = vif.as_ref().map(|vif| format!(", counted for vif {vif}")).unwrap_or_default();
                write!(f, "{reason}: {meaning}{vif}{told}")
            }
        }
    }
}

impl TraceStep {
    fn fmt_flow(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TraceStep::Flow { found, state, answer, packets } = self else { return Ok(()) };
        match (*found, state) {
            ("new", _) => f.write_str("not known: the packet begins one")?,
            (found, state) => {
                let part = if *answer { "an answer in a" } else { "of a" };
                write!(f, "{part} {found} flow, {}, {packets} packets so far", state.unwrap_or("no state"))?;
            }
        }
        Ok(())
    }

    fn fmt_service(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TraceStep::Service { port, target_port, affinity } = self else { return Ok(()) };
        match target_port {
            Some(target) => write!(f, "port {port} is port {target} of the backends")?,
            None => write!(f, "has no port {port}")?,
        }
        if *affinity { f.write_str("; a client stays with its backend") } else { Ok(()) }
    }

    fn fmt_policy(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TraceStep::Policy { vif, course, allowed, policies, rule } = self else { return Ok(()) };
        let names: Vec<&str> = policies.iter().map(PolicyName::as_str).collect();
        let (course, names) = (course.name(), names.join(", "));
        match (allowed, rule) {
            (true, Some(rule)) => write!(f, "{course} of vif {vif}: allowed by {names}, {rule}"),
            (true, None) => write!(f, "{course} of vif {vif}: no policy restricts it"),
            (false, _) => write!(f, "{course} of vif {vif}: denied: no {course} rule of {names} allows it"),
        }
    }
}
