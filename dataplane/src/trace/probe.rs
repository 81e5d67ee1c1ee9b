//! A packet to be traced, and the frame that a vif or another node would send.

use std::net::IpAddr;

use encap::{DontFragment, DscpMode, Fields, Label, OuterHeader, Sum, Template, Udp6Checksum};

use crate::fib::family_and_addr;
use crate::ids::{Mac, VifName};
use crate::io::Side;
use crate::packet::crc32c;
use crate::packet::ethernet::{TYPE_IPV4, TYPE_IPV6, TYPE_VLAN};
use crate::packet::l4::protocol;
use crate::snapshot::{Snapshot, Vif};

/// TTL of what hosts send (RFC 1700, "IP time to live parameter").
const TTL: u8 = 64;
/// Outer UDP source port of a packet from another node; any will do (RFC 7510 section 3).
const OUTER_PORT: u16 = 49152;
const MOST_PACKET: usize = u16::MAX as usize;

/// A packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Who sends it.
    pub origin: Origin,
    /// What it asks.
    pub question: Question,
    /// Its source address.
    pub src: IpAddr,
    /// Its destination address.
    pub dst: IpAddr,
    /// Length of the IP packet in bytes; made as long as its headers are if it is shorter.
    pub size: usize,
}

/// Who sends a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The pod behind a vif of this node.
    Vif(VifName),
    /// Another node, with a label of this one.
    Node {
        /// Its tunnel address.
        tunnel: IpAddr,
        /// The label.
        label: Label,
    },
}

/// What a packet carries: the first packet of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// TCP, a SYN.
    Tcp {
        /// Source port.
        sport: u16,
        /// Destination port.
        dport: u16,
    },
    /// UDP.
    Udp {
        /// Source port.
        sport: u16,
        /// Destination port.
        dport: u16,
    },
    /// SCTP.
    Sctp {
        /// Source port.
        sport: u16,
        /// Destination port.
        dport: u16,
    },
    /// An ICMP or ICMPv6 echo request.
    Echo {
        /// Its identifier.
        id: u16,
    },
}

/// Why there is no such packet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// No vif has this name.
    #[error("there is no vif \"{0}\" on this node")]
    NoVif(VifName),
    /// The addresses do not go together.
    #[error("{src} and {dst} are of two families: write two IPv4 or two IPv6 addresses")]
    TwoFamilies {
        /// Source.
        src: IpAddr,
        /// Destination.
        dst: IpAddr,
    },
    /// The node of origin speaks another family than this one.
    #[error("{0} is no tunnel address that can reach this node's: both are IPv4 or both are IPv6")]
    NoTunnel(IpAddr),
    /// The uplink has no Ethernet address yet.
    #[error("the uplink is not known yet, so nothing can come from another node")]
    NoUplink,
    /// It does not fit an IP packet.
    #[error("a packet has at most 65535 bytes")]
    TooLong,
}

impl Probe {
    /// The frame as a worker would receive it, and where.
    ///
    /// # Errors
    /// [`ProbeError`].
    pub fn frame(&self, snapshot: &Snapshot) -> Result<(Side, Vec<u8>), ProbeError> {
        let packet = self.packet()?;
        match &self.origin {
            Origin::Vif(name) => {
                let vif = snapshot.vifs().find(|vif| vif.name == *name);
                let vif = vif.ok_or_else(|| ProbeError::NoVif(name.clone()))?;
                Ok((Side::Trunk, from_vif(vif, &packet)))
            }
            Origin::Node { tunnel, label } => {
                Ok((Side::Uplink, from_node(snapshot, *tunnel, *label, &packet)?))
            }
        }
    }

    fn packet(&self) -> Result<Vec<u8>, ProbeError> {
        let (header, number) = match (self.src, self.dst) {
            (IpAddr::V4(_), IpAddr::V4(_)) => (20, self.question.protocol(protocol::ICMP)),
            (IpAddr::V6(_), IpAddr::V6(_)) => (40, self.question.protocol(protocol::ICMPV6)),
            (src, dst) => return Err(ProbeError::TwoFamilies { src, dst }),
        };
        let mut segment = self.question.header(number);
        segment.resize(segment.len().max(self.size.saturating_sub(header)), 0);
        if header + segment.len() > MOST_PACKET {
            return Err(ProbeError::TooLong);
        }
        self.seal(number, &mut segment);
        let mut packet = self.ip_header(number, segment.len() as u16);
        packet.append(&mut segment);
        Ok(packet)
    }

    fn ip_header(&self, number: u8, len: u16) -> Vec<u8> {
        match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let [high, low] = (len.saturating_add(20)).to_be_bytes();
                // DF, as hosts set it (RFC 1191).
                let mut header = vec![0x45, 0, high, low, 0, 0, 0x40, 0, TTL, number, 0, 0];
                header.extend(src.octets());
                header.extend(dst.octets());
                let sum = Sum::of(&header).finish();
                crate::packet::write_at(&mut header, 10, sum.to_be_bytes());
                header
            }
            (src, dst) => {
                let [high, low] = len.to_be_bytes();
                let mut header = vec![0x60, 0, 0, 0, high, low, number, TTL];
                for address in [src, dst] {
                    header.extend(family_and_addr(address).1.v6_bytes());
                }
                header
            }
        }
    }

    /// Writes the right checksum.
    fn seal(&self, number: u8, segment: &mut [u8]) {
        let pseudo = match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => Sum::pseudo_v4(src, dst, number, segment.len() as u16),
            (IpAddr::V6(src), IpAddr::V6(dst)) => Sum::pseudo_v6(src, dst, number, segment.len() as u32),
            _ => return,
        };
        let sum = match number {
            protocol::ICMP => Sum::of(segment),
            _ => pseudo.add_bytes(segment),
        };
        match self.question {
            Question::Tcp { .. } => crate::packet::write_at(segment, 16, sum.finish().to_be_bytes()),
            Question::Udp { .. } => {
                let len = (segment.len() as u16).to_be_bytes();
                crate::packet::write_at(segment, 4, len);
                let sum = pseudo.add_bytes(segment);
                crate::packet::write_at(segment, 6, sum.finish_udp().to_be_bytes());
            }
            Question::Sctp { .. } => {
                let crc = crc32c::of(segment);
                crate::packet::write_at(segment, 8, crc.to_le_bytes());
            }
            Question::Echo { .. } => crate::packet::write_at(segment, 2, sum.finish().to_be_bytes()),
        }
    }
}

impl Question {
    fn protocol(self, icmp: u8) -> u8 {
        match self {
            Question::Tcp { .. } => protocol::TCP,
            Question::Udp { .. } => protocol::UDP,
            Question::Sctp { .. } => protocol::SCTP,
            Question::Echo { .. } => icmp,
        }
    }

    /// The transport header with a checksum of zero.
    fn header(self, number: u8) -> Vec<u8> {
        let ports = |sport: u16, dport: u16| [sport.to_be_bytes(), dport.to_be_bytes()].concat();
        match self {
            // Data offset 5, SYN, and a window (RFC 9293 section 3.1).
            Question::Tcp { sport, dport } => {
                [ports(sport, dport), vec![0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0]]
                    .concat()
            }
            Question::Udp { sport, dport } => [ports(sport, dport), vec![0; 4]].concat(),
            // A common header alone (RFC 9260 section 3).
            Question::Sctp { sport, dport } => [ports(sport, dport), vec![0; 8]].concat(),
            Question::Echo { id } => {
                let kind = if number == protocol::ICMP { 8 } else { 128 };
                let [high, low] = id.to_be_bytes();
                vec![kind, 0, 0, 0, high, low, 0, 1]
            }
        }
    }
}

fn ethertype(packet: &[u8]) -> u16 {
    if packet.first().is_some_and(|first| first >> 4 == 6) { TYPE_IPV6 } else { TYPE_IPV4 }
}

fn from_vif(vif: &Vif, packet: &[u8]) -> Vec<u8> {
    let mut frame = [Mac::GATEWAY.0, vif.mac.0].concat();
    for word in [TYPE_VLAN, vif.slot.get(), ethertype(packet)] {
        frame.extend(word.to_be_bytes());
    }
    frame.extend_from_slice(packet);
    frame
}

fn from_node(
    snapshot: &Snapshot,
    tunnel: IpAddr,
    label: Label,
    packet: &[u8],
) -> Result<Vec<u8>, ProbeError> {
    let fabric = &snapshot.fabric;
    let outer = OuterHeader {
        src_mac: [2, 0, 0, 0, 0, 0],
        dst_mac: fabric.mac.ok_or(ProbeError::NoUplink)?.0,
        vlan: None,
        src: tunnel,
        dst: fabric.address,
        udp_port: fabric.ports.current,
        ttl: TTL,
        df: DontFragment::Clear,
        dscp: DscpMode::Copy,
        udp6_checksum: Udp6Checksum::Compute,
    };
    let template = Template::new(&outer).map_err(|_| ProbeError::NoTunnel(tunnel))?;
    let mut frame = vec![0; template.len()];
    frame.extend_from_slice(packet);
    // RFC 3443 section 3.1: the TTL of the label is that of the packet, which the sender's node has routed.
    let fields = Fields { label, ttl: TTL - 1, source_port: OUTER_PORT, inner_tos: 0, ip_id: 0 };
    template.write(&mut frame, &fields).map_err(|_| ProbeError::TooLong)?;
    Ok(frame)
}
