//! How long a pair may be idle, by protocol, port and state.

use std::ops::RangeInclusive;

use thiserror::Error;

/// Coarse monotonic time, or a span of it, in milliseconds. The origin is the caller's.
///
/// Moments are kept in 40 bits: 34 years after the origin time stands still for the table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Millis(pub u64);

impl Millis {
    /// The span from `earlier` to this moment; 0 if it lies later, as workers may read the clock in any order.
    #[must_use]
    pub const fn since(self, earlier: Millis) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}

/// What a pair is doing, for the purpose of ageing and for the operator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FlowState {
    /// Its forward action is a drop.
    Dropped,
    /// TCP before both ends have acknowledged each other.
    TcpOpening,
    /// TCP with both ends agreed; also with one end closed.
    TcpEstablished,
    /// TCP with a FIN from both ends.
    TcpClosing,
    /// TCP after an acceptable RST, or with both FINs acknowledged.
    TcpClosed,
    /// Anything but TCP.
    Stateless,
}

impl FlowState {
    /// Stable name, lower_snake_case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            FlowState::Dropped => "dropped",
            FlowState::TcpOpening => "tcp_opening",
            FlowState::TcpEstablished => "tcp_established",
            FlowState::TcpClosing => "tcp_closing",
            FlowState::TcpClosed => "tcp_closed",
            FlowState::Stateless => "stateless",
        }
    }
}

/// Idle timeout of the flows to some ports. For TCP it stands for that of established flows alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortTimeout {
    /// IP protocol number.
    pub protocol: u8,
    /// Destination ports of the forward key.
    pub ports: RangeInclusive<u16>,
    /// Idle time after which the pair goes.
    pub idle: Millis,
}

/// Why a list of port timeouts is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum TimeoutError {
    /// More entries than [`Timeouts::MAX_OVERRIDES`].
    #[error("{0} timeouts by port; at most {max} are possible: merge ranges", max = Timeouts::MAX_OVERRIDES)]
    TooMany(usize),
    /// A range that holds no port.
    #[error(
        "timeout for protocol {protocol}: the port range {first}-{last} is empty: give the lower port first"
    )]
    Empty {
        /// IP protocol number.
        protocol: u8,
        /// First port given.
        first: u16,
        /// Last port given.
        last: u16,
    },
    /// Two ranges of one protocol share a port.
    #[error("timeouts for protocol {protocol}: port {port} is in two ranges: make them disjoint")]
    Overlap {
        /// IP protocol number.
        protocol: u8,
        /// First port they share.
        port: u16,
    },
}

/// Idle timeouts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// TCP before the handshake is complete.
    pub tcp_opening: Millis,
    /// TCP before the handshake is complete, while the table is full or the owner of the pair has its share.
    pub tcp_opening_full: Millis,
    /// Anything but TCP as long as no answer has come, at such times: floods in one direction then make
    /// room, and whoever has been answered keeps its place.
    pub unanswered_full: Millis,
    /// TCP once both ends agreed.
    pub tcp_established: Millis,
    /// TCP after a FIN from both ends.
    pub tcp_closing: Millis,
    /// TCP after an acceptable RST, or with both FINs acknowledged.
    pub tcp_closed: Millis,
    /// UDP.
    pub udp: Millis,
    /// ICMP and ICMPv6.
    pub icmp: Millis,
    /// Every other protocol.
    pub other: Millis,
    /// Pairs whose forward action is a drop, whatever the protocol.
    pub dropped: Millis,
    overrides: Vec<PortTimeout>,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        const SECOND: u64 = 1000;
        const MINUTE: u64 = 60 * SECOND;
        Timeouts {
            // RFC 5382 REQ-5: transitory connections at least 4 minutes, established ones at least 2 h 4 min.
            tcp_opening: Millis(4 * MINUTE),
            tcp_opening_full: Millis(5 * SECOND),
            unanswered_full: Millis(10 * SECOND),
            tcp_established: Millis(126 * MINUTE),
            tcp_closing: Millis(4 * MINUTE),
            tcp_closed: Millis(10 * SECOND),
            // RFC 4787 REQ-5: not below 2 minutes, 5 minutes recommended.
            udp: Millis(5 * MINUTE),
            // RFC 5508 REQ-2: at least 60 seconds.
            icmp: Millis(60 * SECOND),
            other: Millis(5 * MINUTE),
            dropped: Millis(10 * SECOND),
            overrides: Vec::new(),
        }
    }
}

/// Whether there is room, in the table and for the owner of a pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pressure {
    Normal,
    Full,
}

impl Timeouts {
    /// Most port timeouts that can be given.
    pub const MAX_OVERRIDES: usize = 256;

    /// These timeouts with others for some ports, in any order.
    ///
    /// # Errors
    /// Too many, an empty range, or two ranges of a protocol that share a port.
    pub fn with_overrides(mut self, mut overrides: Vec<PortTimeout>) -> Result<Timeouts, TimeoutError> {
        if overrides.len() > Timeouts::MAX_OVERRIDES {
            return Err(TimeoutError::TooMany(overrides.len()));
        }
        overrides.sort_by_key(|entry| (entry.protocol, *entry.ports.start()));
        for PortTimeout { protocol, ports, .. } in &overrides {
            if ports.is_empty() {
                let (first, last) = (*ports.start(), *ports.end());
                return Err(TimeoutError::Empty { protocol: *protocol, first, last });
            }
        }
        for (before, after) in overrides.iter().zip(overrides.iter().skip(1)) {
            let port = *after.ports.start();
            if before.protocol == after.protocol && before.ports.contains(&port) {
                return Err(TimeoutError::Overlap { protocol: before.protocol, port });
            }
        }
        self.overrides = overrides;
        Ok(self)
    }

    /// Idle timeout of a pair, by protocol and destination port of its forward key.
    pub(crate) fn of(&self, state: FlowState, protocol: u8, port: u16) -> Millis {
        match state {
            FlowState::Dropped => self.dropped,
            FlowState::TcpOpening => self.tcp_opening,
            FlowState::TcpClosing => self.tcp_closing,
            FlowState::TcpClosed => self.tcp_closed,
            FlowState::TcpEstablished => self.by_port(protocol, port).unwrap_or(self.tcp_established),
            FlowState::Stateless => self.by_port(protocol, port).unwrap_or(match protocol {
                17 => self.udp,
                1 | 58 => self.icmp,
                _ => self.other,
            }),
        }
    }

    fn by_port(&self, protocol: u8, port: u16) -> Option<Millis> {
        let after = self.overrides.partition_point(|e| (e.protocol, *e.ports.start()) <= (protocol, port));
        let entry = self.overrides.get(after.checked_sub(1)?)?;
        (entry.protocol == protocol && entry.ports.contains(&port)).then_some(entry.idle)
    }
}

#[cfg(test)]
mod tests;
