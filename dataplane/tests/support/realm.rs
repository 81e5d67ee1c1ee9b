//! A private VRF that leads into a public one, and packets written as text:
//! `udp 10.0.0.1:4000 > 198.51.100.9:53`.

use std::net::{IpAddr, SocketAddr};

use dataplane::desired::{Desired, FloatingIp, Mapping, PortRange, SourcePool, VifKind, Vrf};
use dataplane::io::Side;
use encap::{Label, Sum};
use etherparse::PacketBuilder;

use super::frames::{fabric, tagged};
use super::{Node, Output, desired, route, to_tunnel, to_vif, vif, vrf};

/// Slots and Ethernet addresses of the vifs, in their order.
pub(crate) const ONE: (u16, [u8; 6]) = (1, [2, 0, 0, 0, 0, 1]);
pub(crate) const TWO: (u16, [u8; 6]) = (2, [2, 0, 0, 0, 0, 2]);
pub(crate) const HOST: (u16, [u8; 6]) = (3, [2, 0, 0, 0, 0, 3]);
/// Label of the public VRF.
pub(crate) const PUBLIC: u32 = 600;
/// Label of the private VRF.
pub(crate) const BLUE: u32 = 500;

/// Pods `one` (10.0.0.1) and `two` (10.0.0.2) in `blue`, which leads into `public`. That leads to the
/// host, but for 203.0.113.0/24 and 2001:db8:113::/48 behind another node. Nothing is translated.
pub(crate) fn plain() -> Desired {
    let mut state = desired("172.30.0.1", &["172.30.0.2", "172.30.0.3"]);
    state.vrfs = vec![
        Vrf { label: Label::new(BLUE), ..vrf("blue") },
        Vrf { label: Label::new(PUBLIC), ..vrf("public") },
    ];
    state.vifs = vec![
        vif("one", "blue", &["10.0.0.1", "fd00::1"], "02:00:00:00:00:01", 17),
        vif("two", "blue", &["10.0.0.2", "fd00::2"], "02:00:00:00:00:02", 18),
        vif("vhost0", "public", &["192.0.2.254", "2001:db8::fe"], "02:00:00:00:00:03", 19),
    ];
    state.vifs[2].kind = VifKind::Host;
    let mut into_public = route("blue", "0.0.0.0/0", Vec::new());
    into_public.target = dataplane::desired::RouteTarget::Vrf("public".into());
    let mut into_public_v6 = into_public.clone();
    into_public_v6.prefix = "::/0".parse().unwrap();
    state.routes = vec![
        into_public,
        into_public_v6,
        route("blue", "10.0.9.0/24", vec![to_tunnel("172.30.0.2", 40)]),
        route("public", "0.0.0.0/0", vec![to_vif("vhost0")]),
        route("public", "::/0", vec![to_vif("vhost0")]),
        route("public", "203.0.113.0/24", vec![to_tunnel("172.30.0.2", 70)]),
        route("public", "2001:db8:113::/48", vec![to_tunnel("172.30.0.2", 70)]),
    ];
    state
}

/// The same with a pool.
pub(crate) fn pooled(addresses: &[&str], ports: (u16, u16), mapping: Mapping) -> Desired {
    let mut state = plain();
    state.nat.pools = vec![SourcePool {
        vrf: "public".into(),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        ports: PortRange::new(ports.0, ports.1).unwrap(),
        mapping,
    }];
    state
}

pub(crate) fn floating(vif: &str, address: &str) -> FloatingIp {
    FloatingIp { vif: vif.into(), vrf: "public".into(), address: address.parse().unwrap() }
}

/// A packet as text has it, with TTL 64 and some payload.
pub(crate) fn packet(text: &str) -> Vec<u8> {
    let words: Vec<&str> = text.split(' ').collect();
    let [kind, src, ">", dst] = words[..] else { panic!("{text}") };
    let [src, dst] = [src, dst].map(|end| end.parse::<SocketAddr>().unwrap());
    let builder = match (src.ip(), dst.ip()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => PacketBuilder::ipv4(src.octets(), dst.octets(), 64),
        (IpAddr::V6(src), IpAddr::V6(dst)) => PacketBuilder::ipv6(src.octets(), dst.octets(), 64),
        _ => panic!("{text}"),
    };
    let (mut packet, payload) = (Vec::new(), b"some payload");
    let (sport, dport, id) = (src.port(), dst.port(), src.port());
    let is_v4 = src.is_ipv4();
    match kind {
        "udp" => builder.udp(sport, dport).write(&mut packet, payload),
        "syn" => builder.tcp(sport, dport, 7, 1000).syn().write(&mut packet, b""),
        "ack" => builder.tcp(sport, dport, 8, 1000).ack(9).write(&mut packet, payload),
        "ping" if is_v4 => builder.icmpv4_echo_request(id, 1).write(&mut packet, payload),
        "ping" => builder.icmpv6_echo_request(id, 1).write(&mut packet, payload),
        "pong" if is_v4 => builder.icmpv4_echo_reply(id, 1).write(&mut packet, payload),
        "pong" => builder.icmpv6_echo_reply(id, 1).write(&mut packet, payload),
        "gre" => builder.write(&mut packet, etherparse::IpNumber::GRE, &[0, 0, 8, 0]),
        _ => panic!("{text}"),
    }
    .unwrap();
    packet
}

/// What a packet is, as text; its checksums must be right.
pub(crate) fn read(packet: &[u8]) -> String {
    let (addresses, protocol, l4) = match packet[0] >> 4 {
        4 => {
            assert_eq!(Sum::of(&packet[..20]).finish(), 0, "header checksum");
            let end = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
            let at = |at: usize| IpAddr::from(<[u8; 4]>::try_from(&packet[at..at + 4]).unwrap());
            ([at(12), at(16)], packet[9], &packet[20..end])
        }
        _ => {
            let at = |at: usize| IpAddr::from(<[u8; 16]>::try_from(&packet[at..at + 16]).unwrap());
            ([at(8), at(24)], packet[6], &packet[40..])
        }
    };
    let sum = match addresses {
        [IpAddr::V4(_), IpAddr::V4(_)] if protocol == 1 => Sum::of(l4),
        [IpAddr::V4(src), IpAddr::V4(dst)] => {
            Sum::pseudo_v4(src, dst, protocol, l4.len() as u16).add_bytes(l4)
        }
        [IpAddr::V6(src), IpAddr::V6(dst)] => {
            Sum::pseudo_v6(src, dst, protocol, l4.len() as u32).add_bytes(l4)
        }
        _ => panic!("two families"),
    };
    let word = |at: usize| u16::from_be_bytes([l4[at], l4[at + 1]]);
    let (kind, sport, dport) = match (protocol, l4[0]) {
        (17, _) => ("udp", word(0), word(2)),
        (6, _) if l4[13] == 0x02 => ("syn", word(0), word(2)),
        (6, _) if l4[13] & 0x04 != 0 => ("rst", word(0), word(2)),
        (6, _) => ("ack", word(0), word(2)),
        (1, 8) | (58, 128) => ("ping", word(4), word(4)),
        (1, 0) | (58, 129) => ("pong", word(4), word(4)),
        (47, _) => ("gre", 0, 0),
        (1 | 58, _) => ("error", u16::from(l4[0]), u16::from(l4[1])),
        _ => panic!("protocol {protocol}"),
    };
    let unchecked = protocol == 47 || protocol == 17 && word(6) == 0;
    assert!(unchecked || sum.finish() == 0, "{kind} checksum");
    let [src, dst] = addresses;
    format!("{kind} {} > {}", SocketAddr::new(src, sport), SocketAddr::new(dst, dport))
}

/// The IP packet in a frame to a vif, with its VLAN.
pub(crate) fn to_pod(frame: &[u8]) -> (u16, &[u8]) {
    (u16::from_be_bytes([frame[14], frame[15]]), &frame[18..])
}

/// The IP packet in a frame to another node, with label and outer destination.
pub(crate) fn to_node(frame: &[u8]) -> (u32, IpAddr, &[u8]) {
    let ports = encap::Ports::default();
    let outer = encap::decapsulate(&frame[14..], &ports, encap::ZeroChecksum6::Refuse).unwrap();
    let to = IpAddr::from(<[u8; 4]>::try_from(&frame[30..34]).unwrap());
    (outer.label.get(), to, &frame[14 + 32..])
}

impl Node {
    /// Sends a packet from a vif.
    pub(crate) fn send(&mut self, (slot, mac): (u16, [u8; 6]), text: &str) -> Output {
        self.step(Side::Trunk, &tagged(slot, mac, &packet(text)))
    }

    /// Sends a packet from node 172.30.0.2.
    pub(crate) fn arrive(&mut self, label: u32, text: &str) -> Output {
        self.step(Side::Uplink, &fabric(label, &packet(text)))
    }
}

impl Output {
    /// The single packet that came out to a vif.
    #[track_caller]
    pub(crate) fn at(&self, (slot, _): (u16, [u8; 6])) -> String {
        assert_eq!((self.trunk.len(), self.uplink.len()), (1, 0), "{:?}", self.moved);
        let (vlan, packet) = to_pod(&self.trunk[0]);
        assert_eq!(vlan, slot);
        read(packet)
    }

    /// The single packet that came out to another node.
    #[track_caller]
    pub(crate) fn at_node(&self, node: &str, label: u32) -> String {
        assert_eq!((self.trunk.len(), self.uplink.len()), (0, 1), "{:?}", self.moved);
        let (with, to, packet) = to_node(&self.uplink[0]);
        assert_eq!((with, to), (label, node.parse().unwrap()));
        read(packet)
    }

    /// That nothing came out, and why.
    #[track_caller]
    pub(crate) fn dropped(&self, counter: &str) {
        assert_eq!((self.trunk.len(), self.uplink.len()), (0, 0));
        assert_eq!(self.moved.get(counter), Some(&1), "{:?}", self.moved);
    }
}
