//! Dropped packets: counted by reason, and the last ones to look at.

use std::fmt::Write;
use std::time::Duration;

use dataplane::drop::DropReason;
use dataplane::ids::VifName;

use super::decode;

/// One drop reason over all ports.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DropView {
    /// Stable name.
    pub reason: &'static str,
    /// One line: what it means and what to look at.
    pub meaning: &'static str,
    /// Packets dropped.
    pub count: u64,
    /// Where they came in: ports with a count above zero.
    pub ports: Vec<PortDrops>,
}

impl DropView {
    /// A row for `reason`; its count is the sum over `ports`.
    pub fn new(reason: DropReason, ports: Vec<PortDrops>) -> Self {
        let count = ports.iter().map(|port| port.count).sum();
        Self { reason: reason.name(), meaning: reason.meaning(), count, ports }
    }
}

/// Drops of one reason at one port.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PortDrops {
    /// The port.
    #[serde(flatten)]
    pub port: PortName,
    /// Packets dropped.
    pub count: u64,
}

/// Where a packet came in.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "port", rename_all = "snake_case")]
pub enum PortName {
    /// From another node.
    Uplink,
    /// From the trunk, in a frame that names no vif.
    Trunk,
    /// From a vif.
    Vif {
        /// Its name.
        vif: VifName,
    },
    /// From vifs that have been removed since.
    RemovedVifs,
}

/// Bytes of a dropped packet that are shown.
const SHOWN: usize = 64;

/// A packet that was dropped, kept to be looked at.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DroppedPacket {
    /// Milliseconds since it was dropped.
    pub age_ms: u64,
    /// Stable name of the reason.
    pub reason: &'static str,
    /// Length in bytes when it was dropped; headers taken off before that are gone.
    pub length: u32,
    /// The first 64 bytes at most, two hexadecimal digits each.
    pub head: String,
    /// What the packet was, in one line.
    pub decoded: String,
}

impl DroppedPacket {
    /// A record of a packet of `length` bytes that begins with `head`, dropped `age` ago. It begins
    /// with its Ethernet header or, when the worker had taken that off already, with an IP header.
    pub fn new(age: Duration, reason: DropReason, length: u32, head: &[u8]) -> Self {
        let mut hex = String::with_capacity(2 * SHOWN);
        for octet in head.iter().take(SHOWN) {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{octet:02x}");
        }
        Self {
            age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
            reason: reason.name(),
            length,
            head: hex,
            decoded: decode::one_line(head),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_packet_shows_64_bytes_in_hexadecimal() {
        let packet = DroppedPacket::new(Duration::from_millis(1500), DropReason::NoRoute, 1514, &[0xab; 90]);
        assert_eq!(packet.head, "ab".repeat(64));
        assert_eq!((packet.age_ms, packet.reason, packet.length), (1500, "no_route", 1514));
    }

    #[test]
    fn a_reason_counts_the_sum_of_its_ports() {
        let ports = vec![
            PortDrops { port: PortName::Uplink, count: 2 },
            PortDrops { port: PortName::Vif { vif: "web".into() }, count: 3 },
        ];
        assert_eq!(DropView::new(DropReason::NoRoute, ports).count, 5);
        assert_eq!(DropView::new(DropReason::NoRoute, vec![]).count, 0);
    }
}
