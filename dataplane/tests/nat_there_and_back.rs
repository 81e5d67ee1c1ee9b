//! Packets with anything in them, out through a public VRF and back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it goes wrong"
)]

mod support;

use std::net::{IpAddr, SocketAddr};

use dataplane::desired::{Desired, Mapping};
use dataplane::io::Side;
use proptest::prelude::*;
use support::Node;
use support::frames::{error4, error6, tagged, udp4, udp6};
use support::realm::{HOST, ONE, floating, pooled, read, to_pod};

/// A pool whose ports are never the senders' own, or a floating IP.
fn states() -> [Desired; 3] {
    let pool = ["192.0.2.1", "2001:db8::1"];
    let mut named = pooled(&pool, (1024, 65535), Mapping::AddressAndPortDependent);
    named.nat.floating_ips = vec![floating("one", "192.0.2.10"), floating("one", "2001:db8::10")];
    [
        pooled(&pool, (60000, 60999), Mapping::AddressAndPortDependent),
        pooled(&pool, (60000, 60999), Mapping::EndpointIndependent),
        named,
    ]
}

/// Source and destination of a packet.
fn ends(packet: &[u8]) -> (SocketAddr, SocketAddr) {
    let text = read(packet);
    let [_, src, _, dst] = text.split(' ').collect::<Vec<_>>()[..] else { panic!("{text}") };
    (src.parse().unwrap(), dst.parse().unwrap())
}

/// An answer to the packet, of as many bytes.
fn turned(seen: &[u8], payload: usize) -> Vec<u8> {
    let (src, dst) = ends(seen);
    let ports = (dst.port(), src.port());
    match (dst.ip(), src.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => udp4(from.octets(), to.octets(), ports, 64, payload),
        (from, to) => udp6(&from.to_string(), &to.to_string(), ports, 64, payload),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn payloads_are_not_touched_and_errors_quote_what_was_sent(
        which in 0usize..3, v6: bool, sport in 1u16..60000, dport in 1u16.., len in 0usize..1200, router: u8,
    ) {
        let (pod, server) = if v6 { ("[fd00::1]", "[2001:db8:9::9]") } else { ("10.0.0.1", "198.51.100.9") };
        let sent_text = format!("udp {pod}:{sport} > {server}:{dport}");
        let sent = match v6 {
            true => udp6("fd00::1", "2001:db8:9::9", (sport, dport), 64, len),
            false => udp4([10, 0, 0, 1], [198, 51, 100, 9], (sport, dport), 64, len),
        };
        let header = if v6 { 48 } else { 28 };
        let mut node = Node::new(&states()[which]);
        let output = node.step(Side::Trunk, &tagged(ONE.0, ONE.1, &sent));
        let seen = to_pod(&output.trunk[0]).1.to_vec();
        let (us, them) = ends(&seen);
        prop_assert_eq!(them.to_string(), format!("{server}:{dport}"));
        prop_assert_ne!(us.ip(), ends(&sent).0.ip());
        prop_assert_eq!(&seen[header..], &sent[header..]);

        let output = node.step(Side::Trunk, &tagged(HOST.0, HOST.1, &turned(&seen, len)));
        let back = to_pod(&output.trunk[0]).1;
        prop_assert_eq!(read(back), format!("udp {server}:{dport} > {pod}:{sport}"));

        let quote = &seen[..seen.len().min(1200)];
        let error = match us.ip() {
            IpAddr::V4(ours) => error4([198, 51, 100, router], ours.octets(), (11, 0), quote),
            ours => error6(&format!("2001:db8:9::1{router:x}"), &ours.to_string(), (3, 0), quote),
        };
        let output = node.step(Side::Trunk, &tagged(HOST.0, HOST.1, &error));
        let (_, error) = to_pod(&output.trunk[0]);
        prop_assert_eq!(ends(error).1.ip(), ends(&sent).0.ip());
        if seen.len() <= 1200 {
            let quote = &error[if v6 { 48 } else { 28 }..];
            prop_assert_eq!(read(quote), sent_text);
        }
    }
}
