#![no_main]
//! The hot parser against the model's and against etherparse.

use std::net::IpAddr;

use dataplane::fib::ip_addr;
use dataplane::packet::ip::{Fragment, Ip};
use dataplane::packet::l4::L4;
use etherparse::{SlicedPacket, TransportSlice};
use flow_table::Family;
use libfuzzer_sys::fuzz_target;
use model_router::packet;

fuzz_target!(|bytes: &[u8]| {
    for (family, version) in [(Family::V4, 4), (Family::V6, 6)] {
        let ours = Ip::parse(family, bytes);
        let naive = packet::parse(version, bytes);
        let key = |src: IpAddr, dst: IpAddr, protocol: u8, ports: (u16, u16)| (src, dst, protocol, ports);
        let ours_says = ours.map(|ip| {
            let tuple = ip.tuple;
            let [src, dst] = [tuple.src, tuple.dst].map(|address| ip_addr(family, address));
            let piece = match ip.fragment {
                Fragment::Whole => None,
                Fragment::First(piece) | Fragment::Later(piece) => {
                    Some((piece.id, usize::from(piece.start), usize::from(piece.end), piece.more))
                }
            };
            let key = key(src, dst, tuple.protocol, (tuple.sport, tuple.dport));
            (key, ip.l4_offset, ip.len, (ip.ttl, ip.tos), piece)
        });
        let naive_says = naive.map(|packet| {
            let tuple = packet.tuple;
            let key = key(tuple.src, tuple.dst, tuple.protocol, (tuple.sport, tuple.dport));
            let piece = packet.piece.map(|piece| (piece.id, piece.start, piece.end, piece.more));
            (key, packet.l4, packet.bytes.len(), (packet.ttl, packet.tos), piece)
        });
        assert_eq!(ours_says, naive_says);
        if let Ok(ip) = ours
            && ip.fragment == Fragment::Whole
        {
            agree_with_etherparse(&ip, &bytes[..ip.len]);
        }
    }
});

/// Where both see a TCP or UDP header, they see the same.
fn agree_with_etherparse(ip: &Ip, packet: &[u8]) {
    let sliced = SlicedPacket::from_ip(packet);
    let ports = match sliced.ok().and_then(|sliced| sliced.transport) {
        Some(TransportSlice::Tcp(tcp)) if matches!(ip.l4, L4::Tcp(_)) => {
            (tcp.source_port(), tcp.destination_port())
        }
        Some(TransportSlice::Udp(udp)) if ip.l4 == L4::Udp => (udp.source_port(), udp.destination_port()),
        _ => return,
    };
    assert_eq!(ports, (ip.tuple.sport, ip.tuple.dport));
}
