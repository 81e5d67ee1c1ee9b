//! Services: what they answer on, and who stands behind them.

use std::fmt;
use std::net::IpAddr;

use flow_table::Millis;

use super::{Hop, HopTarget};
use crate::ids::VrfName;

/// A ClusterIP with its ports and backends. Several may share an address, not a port of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// VRF in which clients and backends live.
    pub vrf: VrfName,
    /// The ClusterIP.
    pub address: IpAddr,
    /// What the service answers on.
    pub ports: Vec<ServicePort>,
    /// The pods behind it.
    pub backends: Vec<Backend>,
    /// Whether a client's new flows go where its last ones went.
    pub affinity: Affinity,
    /// What becomes of TCP connections to a backend that is gone.
    pub on_backend_gone: OnBackendGone,
}

/// A pod behind a service. One whose vif is down counts as absent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Backend {
    /// The pod.
    pub to: HopTarget,
    /// Share of the flows relative to the other backends, at least 1.
    pub weight: u16,
    /// Whether it takes new flows.
    pub state: BackendState,
}

/// A next hop as a backend that is ready.
impl From<Hop> for Backend {
    fn from(Hop { to, weight }: Hop) -> Self {
        Self { to, weight, state: BackendState::Ready }
    }
}

/// Whether a backend takes new flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BackendState {
    /// It does.
    #[default]
    Ready,
    /// It is about to go: it keeps the flows it has, and takes new ones only while no backend is
    /// ready (as kube-proxy does with endpoints that are serving and terminating).
    Terminating,
}

/// Whether a client's new flows go to the backend that took its last ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Affinity {
    /// Each flow is placed by its own five-tuple.
    #[default]
    None,
    /// By client address, until this long after the client's last new flow
    /// (`sessionAffinity: ClientIP` of Kubernetes).
    ClientAddress(Millis),
}

/// What becomes of TCP connections to a backend that is gone. Other flows are always placed anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnBackendGone {
    /// The next segment goes to another backend, which resets a connection that it does not know.
    #[default]
    Rechoose,
    /// The next segment from either end is answered with a reset.
    Reset,
}

/// Ports that a service answers on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServicePort {
    /// Transport.
    pub protocol: Transport,
    /// Ports on the ClusterIP.
    pub ports: PortRange,
    /// Ports on the pod.
    pub target: TargetPort,
}

impl ServicePort {
    /// A single port.
    pub const fn single(protocol: Transport, port: u16, target_port: u16) -> Self {
        Self { protocol, ports: PortRange::single(port), target: TargetPort::One(target_port) }
    }

    /// Port on the pod for a port of the service.
    pub fn target_for(&self, port: u16) -> u16 {
        match self.target {
            TargetPort::One(target) => target,
            TargetPort::From(first) => first.saturating_add(port.saturating_sub(self.ports.first())),
        }
    }

    /// Whether a port of a protocol is in both.
    pub fn shares_a_port(&self, other: &Self) -> bool {
        self.protocol == other.protocol && self.ports.overlaps(other.ports)
    }

    /// Ports on the pod.
    pub fn targets(&self) -> PortRange {
        let (first, last) = (self.target_for(self.ports.first()), self.target_for(self.ports.last()));
        PortRange { first, last }
    }
}

/// Which ports of the pod stand behind a range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TargetPort {
    /// One for all.
    One(u16),
    /// As many from here on, in order.
    From(u16),
}

/// Ports in a row, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// All but the well-known ports.
    pub const UNPRIVILEGED: Self = Self { first: 1024, last: u16::MAX };
    /// Those that are assigned to nobody (RFC 6335 section 6).
    pub const DYNAMIC: Self = Self { first: 49152, last: u16::MAX };

    /// One port.
    pub const fn single(port: u16) -> Self {
        Self { first: port, last: port }
    }

    /// From `first` to `last`, both included; none if they are the wrong way round.
    pub const fn new(first: u16, last: u16) -> Option<Self> {
        if first <= last { Some(Self { first, last }) } else { None }
    }

    /// Lowest port.
    pub const fn first(self) -> u16 {
        self.first
    }

    /// Highest port.
    pub const fn last(self) -> u16 {
        self.last
    }

    /// How many ports, 1 to 65536.
    pub const fn count(self) -> u32 {
        self.last as u32 - self.first as u32 + 1
    }

    /// Whether a port is in it.
    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }

    /// Whether a port is in both.
    pub const fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// A number, or text like `30000-30500`.
impl serde::Serialize for PortRange {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.first == self.last {
            true => serializer.serialize_u16(self.first),
            false => serializer.collect_str(self),
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

/// Transports that have ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP, protocol 6.
    Tcp,
    /// UDP, protocol 17.
    Udp,
    /// SCTP, protocol 132.
    Sctp,
}

impl Transport {
    /// IP protocol number (IANA).
    pub const fn number(self) -> u8 {
        match self {
            Transport::Tcp => 6,
            Transport::Udp => 17,
            Transport::Sctp => 132,
        }
    }

    /// The word of the configuration and of the JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
            Transport::Sctp => "sctp",
        }
    }
}
