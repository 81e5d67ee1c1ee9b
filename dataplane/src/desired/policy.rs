//! Security policies: which flows vifs may have.

use core::fmt;
use core::ops::RangeInclusive;

use ipnet::IpNet;

use super::Transport;
use crate::ids::PolicyName;

/// Allow lists that vifs refer to by name. A flow is allowed when any rule of any policy of the
/// vif allows it; a direction in which none of the vif's policies has rules is not restricted
/// (Kubernetes NetworkPolicy, "isolated" pods).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Unique on the node.
    pub name: PolicyName,
    /// Flows that others may begin with the pod. Empty: none. Absent: no restriction.
    pub ingress: Option<Vec<Rule>>,
    /// Flows that the pod may begin with others. Empty: none. Absent: no restriction.
    pub egress: Option<Vec<Rule>>,
}

/// Allows some flows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Shown to the operator; a rule without a name is shown by its number.
    pub name: Option<String>,
    /// The other end.
    pub peers: Peers,
    /// Protocol and port.
    pub traffic: RuleTraffic,
}

/// The other end of the flows that a rule allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peers {
    /// Anyone.
    Any,
    /// Addresses within one of these prefixes.
    Within(Vec<IpNet>),
}

/// What a rule allows from or to its peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleTraffic {
    /// Everything.
    Any,
    /// All of one IP protocol, by its number (IANA).
    Protocol(u8),
    /// Destination ports of one transport.
    Ports {
        /// Transport.
        transport: Transport,
        /// Ports of the receiver.
        ports: RangeInclusive<u16>,
    },
    /// One type of ICMP message that asks something; answers and errors follow it.
    Icmp {
        /// Which ICMP.
        version: IcmpVersion,
        /// Type (RFC 792, RFC 4443); that of the question.
        kind: u8,
    },
}

/// ICMP comes in two protocols with types of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpVersion {
    /// Of IPv4: protocol 1.
    V4,
    /// Of IPv6: protocol 58.
    V6,
}

impl IcmpVersion {
    /// IP protocol number (IANA).
    pub const fn number(self) -> u8 {
        match self {
            IcmpVersion::V4 => 1,
            IcmpVersion::V6 => 58,
        }
    }
}

/// A rule in few words, such as `tcp 80-90 with 10.0.0.0/8, 10.1.0.0/16`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.traffic {
            RuleTraffic::Any => f.write_str("everything")?,
            RuleTraffic::Protocol(number) => write!(f, "protocol {number}")?,
            RuleTraffic::Ports { transport, ports } if ports.start() == ports.end() => {
                write!(f, "{} {}", transport.name(), ports.start())?;
            }
            RuleTraffic::Ports { transport, ports } => {
                write!(f, "{} {}-{}", transport.name(), ports.start(), ports.end())?;
            }
            RuleTraffic::Icmp { version: IcmpVersion::V4, kind } => write!(f, "icmp type {kind}")?,
            RuleTraffic::Icmp { version: IcmpVersion::V6, kind } => write!(f, "icmpv6 type {kind}")?,
        }
        match &self.peers {
            Peers::Any => f.write_str(" with anyone"),
            Peers::Within(prefixes) => {
                let shown: Vec<String> = prefixes.iter().map(IpNet::to_string).collect();
                write!(f, " with {}", shown.join(", "))
            }
        }
    }
}
