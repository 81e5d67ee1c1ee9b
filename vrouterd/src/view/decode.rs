//! A frame in one line, for people. Off the packet path; any bytes are fine.

use std::fmt::Write;

use etherparse::{Ipv4HeaderSlice, LaxNetSlice, LaxSlicedPacket, TransportSlice, UdpSlice};

/// UDP ports that carry MPLS (RFC 7510, and the port of old releases).
const MPLS_PORTS: [u16; 2] = [encap::MPLS_UDP_PORT, encap::LEGACY_MPLS_UDP_PORT];
/// Labels of one stack that are named; deeper ones are cut off.
const MAX_LABELS: usize = 4;

/// Describes a packet, of which the end may be cut off: an Ethernet frame, or an IP packet when
/// the worker had taken the headers before it off already.
pub(super) fn one_line(bytes: &[u8]) -> String {
    let ethernet = LaxSlicedPacket::from_ethernet(bytes);
    let is_frame = ethernet.as_ref().is_ok_and(|packet| packet.net.is_some()) && !is_whole_ipv4(bytes);
    let ip = LaxSlicedPacket::from_ip(bytes).ok().filter(|packet| packet.net.is_some() && !is_frame);
    match (ip, ethernet) {
        (Some(packet), _) | (None, Ok(packet)) => describe(&packet, bytes),
        (None, Err(_)) => format!("{} bytes, too short for an Ethernet header", bytes.len()),
    }
}

/// Whether the bytes begin with an IPv4 header whose checksum fits: no Ethernet header then.
fn is_whole_ipv4(bytes: &[u8]) -> bool {
    Ipv4HeaderSlice::from_slice(bytes)
        .is_ok_and(|header| header.to_header().calc_header_checksum() == header.header_checksum())
}

fn describe(packet: &LaxSlicedPacket<'_>, frame: &[u8]) -> String {
    let mut line = String::new();
    for vlan in packet.vlan_ids() {
        let _ = write!(line, "vlan {} ", vlan.value());
    }
    match &packet.net {
        Some(net) => describe_network(net, packet, &mut line),
        None => {
            let ether_type = frame.get(12..14).map_or(0, |at| u16::from_be_bytes([at[0], at[1]]));
            let _ = write!(line, "ethertype 0x{ether_type:04x}, cut short or not IP");
        }
    }
    if let Some(TransportSlice::Udp(udp)) = &packet.transport {
        describe_mpls(udp, &mut line);
    }
    line
}

fn describe_network(net: &LaxNetSlice<'_>, packet: &LaxSlicedPacket<'_>, line: &mut String) {
    let _ = match net {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            write!(line, "{} > {} ttl {}", header.source_addr(), header.destination_addr(), header.ttl())
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            let (source, destination) = (header.source_addr(), header.destination_addr());
            write!(line, "{source} > {destination} hop limit {}", header.hop_limit())
        }
        LaxNetSlice::Arp(arp) => return describe_arp(arp, line),
    };
    match &packet.transport {
        Some(transport) => describe_transport(transport, line),
        None => describe_payload(net, line),
    }
}

fn describe_arp(arp: &etherparse::ArpPacketSlice<'_>, line: &mut String) {
    let address = |octets: &[u8]| match <[u8; 4]>::try_from(octets) {
        Ok(octets) => std::net::Ipv4Addr::from(octets).to_string(),
        Err(_) => format!("address of {} bytes", octets.len()),
    };
    let (sender, target) = (address(arp.sender_protocol_addr()), address(arp.target_protocol_addr()));
    let _ = match arp.operation().0 {
        1 => write!(line, "ARP who has {target}, tell {sender}"),
        2 => write!(line, "ARP {sender} answers {target}"),
        other => write!(line, "ARP operation {other}, {sender} to {target}"),
    };
}

fn describe_transport(transport: &TransportSlice<'_>, line: &mut String) {
    let _ = match transport {
        TransportSlice::Tcp(tcp) => {
            let flags = [
                (tcp.syn(), " SYN"),
                (tcp.ack(), " ACK"),
                (tcp.fin(), " FIN"),
                (tcp.rst(), " RST"),
                (tcp.psh(), " PSH"),
            ];
            let flags: String = flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
            write!(line, " TCP {} > {}{flags}", tcp.source_port(), tcp.destination_port())
        }
        TransportSlice::Udp(udp) => {
            write!(line, " UDP {} > {}", udp.source_port(), udp.destination_port())
        }
        TransportSlice::Icmpv4(icmp) => {
            write!(line, " ICMP type {} code {}", icmp.type_u8(), icmp.code_u8())
        }
        TransportSlice::Icmpv6(icmp) => {
            write!(line, " ICMPv6 type {} code {}", icmp.type_u8(), icmp.code_u8())
        }
        TransportSlice::Igmp(_) => write!(line, " IGMP"),
    };
}

fn describe_payload(net: &LaxNetSlice<'_>, line: &mut String) {
    if let Some(payload) = net.ip_payload_ref() {
        let fragment = if payload.fragmented { " fragment" } else { "" };
        let _ = write!(line, " protocol {}{fragment}, {} bytes", payload.ip_number.0, payload.payload.len());
    }
}

/// The label stack and the inner packet, when the datagram is MPLS over UDP.
fn describe_mpls(udp: &UdpSlice<'_>, line: &mut String) {
    if !MPLS_PORTS.contains(&udp.destination_port()) {
        return;
    }
    let mut rest = udp.payload();
    for _ in 0..MAX_LABELS {
        let Some((entry, after)) = rest.split_first_chunk::<4>() else { return };
        let entry = u32::from_be_bytes(*entry);
        let _ = write!(line, " MPLS label {} ttl {}", entry >> 12, entry & 0xff);
        rest = after;
        // RFC 3032 section 2.1: the S bit marks the last entry of the stack.
        if entry & 0x100 != 0 {
            describe_inner(rest, line);
            return;
        }
    }
}

/// Only one level: a tunnel in a tunnel shows its UDP ports and no more.
fn describe_inner(bytes: &[u8], line: &mut String) {
    line.push_str(" | ");
    match LaxSlicedPacket::from_ip(bytes) {
        Ok(inner) => match &inner.net {
            Some(net) => describe_network(net, &inner, line),
            None => line.push_str("no IP packet"),
        },
        Err(_) => {
            let _ = write!(line, "{} bytes, no whole IP header", bytes.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;

    fn tcp() -> Vec<u8> {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([10, 0, 1, 2], [10, 96, 0, 10], 63)
            .tcp(4000, 80, 1, 1000)
            .syn()
            .write(&mut frame, b"")
            .unwrap();
        frame
    }

    fn tunnel() -> Vec<u8> {
        let inner = tcp().split_off(14);
        // Label 33, bottom of stack, TTL 62.
        let payload = [&[0x00, 0x02, 0x11, 0x3e][..], &inner].concat();
        let mut frame = Vec::new();
        PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([172, 30, 0, 1], [172, 30, 0, 2], 64)
            .udp(50000, 6635)
            .write(&mut frame, &payload)
            .unwrap();
        frame
    }

    #[test]
    fn tcp_names_addresses_ports_and_flags() {
        assert_eq!(one_line(&tcp()), "10.0.1.2 > 10.96.0.10 ttl 63 TCP 4000 > 80 SYN");
    }

    #[test]
    fn a_tunnel_shows_label_and_inner_packet() {
        assert_eq!(
            one_line(&tunnel()),
            "172.30.0.1 > 172.30.0.2 ttl 64 UDP 50000 > 6635 MPLS label 33 ttl 62 | \
             10.0.1.2 > 10.96.0.10 ttl 63 TCP 4000 > 80 SYN"
        );
    }

    #[test]
    fn a_packet_without_its_ethernet_header_is_described_too() {
        assert_eq!(one_line(&tcp()[14..]), "10.0.1.2 > 10.96.0.10 ttl 63 TCP 4000 > 80 SYN");
        assert_eq!(one_line(&tunnel()[14..]), one_line(&tunnel()));
        let mut six = Vec::new();
        // The third group of the source stands where a frame has its ethertype, and says IPv4.
        let source = [0xfd, 0, 0, 1, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
        PacketBuilder::ipv6(source, [0xfd; 16], 9).udp(1, 2).write(&mut six, b"").unwrap();
        let destination = "fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd";
        assert_eq!(one_line(&six), format!("fd00:1:800::2 > {destination} hop limit 9 UDP 1 > 2"));
    }

    #[test]
    fn a_source_address_that_looks_like_an_ethertype_does_not_confuse() {
        let mut packet = Vec::new();
        PacketBuilder::ipv4([8, 0, 0x45, 0], [10, 0, 1, 2], 64).udp(1, 2).write(&mut packet, b"").unwrap();
        assert_eq!(one_line(&packet), "8.0.69.0 > 10.0.1.2 ttl 64 UDP 1 > 2");
    }

    #[test]
    fn arp_says_who_asks() {
        let mut frame = vec![0xff; 6];
        frame.extend([2, 0, 0, 0, 10, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 10, 1, 10, 0, 1, 2]);
        frame.extend([0, 0, 0, 0, 0, 0, 10, 0, 1, 1]);
        assert_eq!(one_line(&frame), "ARP who has 10.0.1.1, tell 10.0.1.2");
    }

    #[test]
    fn short_and_foreign_frames_are_named() {
        assert_eq!(one_line(&[]), "0 bytes, too short for an Ethernet header");
        assert_eq!(one_line(&[0; 14]), "ethertype 0x0000, cut short or not IP");
    }

    #[test]
    fn any_cut_of_a_tunnel_packet_gives_one_line() {
        let whole = tunnel();
        for length in 0..whole.len() {
            let line = one_line(&whole[..length]);
            assert!(!line.is_empty() && !line.contains('\n'), "{length}: {line}");
        }
    }
}
