//! What the underlay sees, captured between the nodes.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use encap::{Outer, Ports, ZeroChecksum6, decapsulate};
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use pnet::datalink::{self, Channel, Config, DataLinkReceiver};
use tests::{Lab, Namespace};

use crate::remote_backend;

const ETHERNET: usize = 14;

/// Sees every frame that passes `interface`.
fn capture(namespace: &Namespace, interface: &str) -> Box<dyn DataLinkReceiver> {
    namespace.within(|| {
        let found = datalink::interfaces().into_iter().find(|found| found.name == interface).unwrap();
        let config = Config { read_timeout: Some(Duration::from_millis(100)), ..Config::default() };
        match datalink::channel(&found, config).unwrap() {
            Channel::Ethernet(_, receiver) => receiver,
            _ => panic!("{interface} is no Ethernet device"),
        }
    })
}

/// Waits for `count` outer packets whose inner packet is UDP, and gives outer header and inner bytes of each.
fn outer_packets(receiver: &mut dyn DataLinkReceiver, count: usize) -> Vec<(Outer, Vec<u8>)> {
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut found = Vec::new();
    while found.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} outer packets within 5 s", found.len());
        let Some(packet) = receiver.next().ok().and_then(|frame| frame.get(ETHERNET..)) else { continue };
        let Ok(outer) = decapsulate(packet, &Ports::default(), ZeroChecksum6::Refuse) else { continue };
        let inner = packet[outer.payload.clone()].to_vec();
        if is_udp(&inner) {
            found.push((outer, inner));
        }
    }
    found
}

fn is_udp(packet: &[u8]) -> bool {
    matches!(SlicedPacket::from_ip(packet).unwrap().transport, Some(TransportSlice::Udp(_)))
}

fn check(lab: &Lab, to: &str, message: &[u8]) {
    let mut receiver = capture(lab.fabric(), "node-a");
    let own = if to.starts_with('[') { "[fd00:1::2]:0" } else { "10.0.1.2:0" };
    let socket = lab.pod("client").namespace.udp(own);
    (0..3).for_each(|_| assert_eq!(socket.send_to(message, to).unwrap(), message.len()));
    let packets = outer_packets(receiver.as_mut(), 3);
    for (outer, inner) in &packets {
        assert_eq!(outer.src, IpAddr::from([172, 30, 0, 1]));
        assert_eq!(outer.dst, IpAddr::from([172, 30, 0, 2]));
        assert_eq!(outer.label.get(), lab.pod("web").plan.label);
        assert_eq!((outer.labels, outer.ttl), (1, 63));
        assert!(outer.source_port >= 49152);
        assert_eq!(outer.source_port, packets[0].0.source_port, "one flow, one source port");

        let sliced = SlicedPacket::from_ip(inner).unwrap();
        let Some(TransportSlice::Udp(udp)) = sliced.transport else { panic!("no UDP inside") };
        assert_eq!(udp.source_port(), socket.local_addr().unwrap().port());
        assert_eq!(udp.payload(), message);
        match sliced.net {
            Some(NetSlice::Ipv4(ip)) => {
                assert_eq!(ip.header().ttl(), 63);
                assert_eq!(ip.header().header_checksum(), ip.header().to_header().calc_header_checksum());
                let checksum = udp.to_header().calc_checksum_ipv4(&ip.header().to_header(), message).unwrap();
                assert_eq!(udp.checksum(), checksum, "the pod's checksum is finished");
            }
            Some(NetSlice::Ipv6(ip)) => assert_eq!(ip.header().hop_limit(), 63),
            _ => panic!("no IP inside"),
        }
    }
}

#[test]
fn packets_between_nodes_are_mpls_over_udp() {
    let lab = Lab::start("wire", remote_backend());
    let web = &lab.pod("web").plan;
    check(&lab, &format!("{}:9999", web.ip), b"by a plain route");
    check(&lab, &format!("[{}]:9999", web.ip6), b"over IPv6");
    check(&lab, "10.96.0.10:80", b"to the service");
}
