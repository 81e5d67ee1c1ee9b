//! The program itself, on literal frames (BPF_PROG_TEST_RUN). Needs CAP_BPF and CAP_NET_ADMIN and fails without.

use std::net::Ipv4Addr;
use std::os::fd::AsFd;

use aya::{TestRun, TestRunOptions};
use rustix::net::{AddressFamily, SocketType, socket};

use super::*;
use crate::QUEUES;

const XDP_PASS: u32 = 2;
const XDP_REDIRECT: u32 = 4;

const V4: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 2);
const V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);

const MACS: &[u8] = &[0x02, 0, 0, 0, 0, 0x02, 0x02, 0, 0, 0, 0, 0x01];
const IPV4: &[u8] = &[0x08, 0x00];
const IPV6: &[u8] = &[0x86, 0xdd];
/// 10.1.1.3 -> 10.1.1.2, UDP, 20 bytes of header, 13 of UDP.
const IPV4_UDP: &[u8] = &[0x45, 0, 0, 33, 0, 7, 0, 0, 64, 17, 0x64, 0xbf, 10, 1, 1, 3, 10, 1, 1, 2];
/// The same with IHL 6 and a router alert option.
const IPV4_UDP_OPTION: &[u8] =
    &[0x46, 0, 0, 37, 0, 7, 0, 0, 64, 17, 0, 0, 10, 1, 1, 3, 10, 1, 1, 2, 0x94, 4, 0, 0];
/// fd00::3 -> fd00::2, UDP.
const IPV6_UDP: &[u8] = &[
    0x60, 0, 0, 0, 0, 13, 17, 64, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0xfd, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 2,
];
/// 49152 -> 6635, length 13, label 48 with S and TTL 63, one byte of payload.
const UDP_6635: &[u8] = &[0xc0, 0, 0x19, 0xeb, 0, 13, 0, 0, 0, 0x03, 0x01, 63, 0x45];
/// 49152 -> 51234.
const UDP_51234: &[u8] = &[0xc0, 0, 0xc8, 0x22, 0, 13, 0, 0, 0, 0x03, 0x01, 63, 0x45];
const UDP_53: &[u8] = &[0xc0, 0, 0, 53, 0, 13, 0, 0, 0, 0x03, 0x01, 63, 0x45];
const UDP_0: &[u8] = &[0xc0, 0, 0, 0, 0, 13, 0, 0, 0, 0x03, 0x01, 63, 0x45];
const TAG_100: &[u8] = &[0x81, 0, 0x20, 100];
const TAG_100_AD: &[u8] = &[0x88, 0xa8, 0x00, 100];
const TAG_7: &[u8] = &[0x81, 0, 0, 7];
const PRIORITY_TAG: &[u8] = &[0x81, 0, 0xe0, 0];

fn frame(parts: &[&[u8]]) -> Vec<u8> {
    [&[MACS], parts].concat().concat()
}

fn with(bytes: &[u8], at: usize, value: u8) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[at] = value;
    changed
}

fn both_families() -> FabricConfig {
    FabricConfig { v6: Some(V6), ..FabricConfig::new(IpAddr::V4(V4)) }
}

fn load(config: &FabricConfig) -> Fabric {
    let mut fabric = Fabric::load().unwrap_or_else(|error| panic!("{}", crate::error::chain(&error)));
    fabric.set_config(config).unwrap();
    fabric
}

fn run(fabric: &mut Fabric, frame: &[u8]) -> (u32, FabricCounters) {
    let before = fabric.counters().unwrap();
    let options = TestRunOptions { data_in: Some(frame), ..TestRunOptions::new() };
    let result = fabric.object.xdp(PROGRAM).unwrap().test_run(options).unwrap();
    let after = fabric.counters().unwrap();
    let moved = FabricCounters {
        redirected: after.redirected - before.redirected,
        no_socket: after.no_socket - before.no_socket,
        passed: after.passed - before.passed,
        outer_fragment: after.outer_fragment - before.outer_fragment,
        too_short: after.too_short - before.too_short,
    };
    (result.return_value, moved)
}

const NONE: FabricCounters =
    FabricCounters { redirected: 0, no_socket: 0, passed: 0, outer_fragment: 0, too_short: 0 };
const REDIRECTED: (u32, FabricCounters) = (XDP_REDIRECT, FabricCounters { redirected: 1, ..NONE });
const NO_SOCKET: (u32, FabricCounters) = (XDP_PASS, FabricCounters { no_socket: 1, ..NONE });
const PASSED: (u32, FabricCounters) = (XDP_PASS, FabricCounters { passed: 1, ..NONE });
const FRAGMENT: (u32, FabricCounters) = (XDP_PASS, FabricCounters { outer_fragment: 1, ..NONE });
const TOO_SHORT: (u32, FabricCounters) = (XDP_PASS, FabricCounters { too_short: 1, ..NONE });

type Case<'a> = (&'a str, Vec<u8>, (u32, FabricCounters));

fn check(config: &FabricConfig, cases: &[Case<'_>]) {
    let mut fabric = load(config);
    let xsk = socket(AddressFamily::XDP, SocketType::RAW, None).unwrap();
    fabric.set_socket(0, xsk.as_fd()).unwrap();
    for (name, frame, expected) in cases {
        assert_eq!(run(&mut fabric, frame), *expected, "{name}: {frame:02x?}");
    }
}

#[test]
fn an_untagged_uplink_takes_its_tunnel_frames_only() {
    let fragment_6 = with(IPV6_UDP, 6, 44);
    check(
        &both_families(),
        &[
            ("ipv4", frame(&[IPV4, IPV4_UDP, UDP_6635]), REDIRECTED),
            ("ipv4 with an option", frame(&[IPV4, IPV4_UDP_OPTION, UDP_6635]), REDIRECTED),
            ("ipv6", frame(&[IPV6, IPV6_UDP, UDP_6635]), REDIRECTED),
            ("priority tag", frame(&[PRIORITY_TAG, IPV4, IPV4_UDP, UDP_6635]), REDIRECTED),
            ("don't fragment", frame(&[IPV4, &with(IPV4_UDP, 6, 0x40), UDP_6635]), REDIRECTED),
            ("tagged", frame(&[TAG_100, IPV4, IPV4_UDP, UDP_6635]), PASSED),
            ("priority tag over a tag", frame(&[PRIORITY_TAG, TAG_7, IPV4, IPV4_UDP, UDP_6635]), PASSED),
            ("legacy port, not enabled", frame(&[IPV4, IPV4_UDP, UDP_51234]), PASSED),
            ("port 53", frame(&[IPV4, IPV4_UDP, UDP_53]), PASSED),
            ("port 0", frame(&[IPV4, IPV4_UDP, UDP_0]), PASSED),
            ("tcp", frame(&[IPV4, &with(IPV4_UDP, 9, 6), UDP_6635]), PASSED),
            ("other ipv4 address", frame(&[IPV4, &with(IPV4_UDP, 19, 9), UDP_6635]), PASSED),
            ("other ipv6 address", frame(&[IPV6, &with(IPV6_UDP, 39, 9), UDP_6635]), PASSED),
            ("version 5", frame(&[IPV4, &with(IPV4_UDP, 0, 0x55), UDP_6635]), PASSED),
            ("ihl 4", frame(&[IPV4, &with(IPV4_UDP, 0, 0x44), UDP_6635]), PASSED),
            ("ipv4 in the ipv6 ethertype", frame(&[IPV6, IPV4_UDP, UDP_6635, UDP_6635]), PASSED),
            ("ipv6 hop-by-hop", frame(&[IPV6, &with(IPV6_UDP, 6, 0), UDP_6635]), PASSED),
            ("arp", frame(&[&[0x08, 0x06], &[0; 28]]), PASSED),
            ("more fragments", frame(&[IPV4, &with(IPV4_UDP, 6, 0x20), UDP_6635]), FRAGMENT),
            ("offset 8", frame(&[IPV4, &with(IPV4_UDP, 7, 1), UDP_6635]), FRAGMENT),
            ("fragment for another address", frame(&[IPV4, &with(&with(IPV4_UDP, 7, 1), 19, 9)]), PASSED),
            ("tcp fragment", frame(&[IPV4, &with(&with(IPV4_UDP, 7, 1), 9, 6)]), PASSED),
            ("ipv6 fragment", frame(&[IPV6, &fragment_6, &[17, 0, 0, 1, 0, 0, 0, 1], UDP_6635]), FRAGMENT),
            ("ipv6 tcp fragment", frame(&[IPV6, &fragment_6, &[6, 0, 0, 1, 0, 0, 0, 1]]), PASSED),
            ("ipv6 fragment cut", frame(&[IPV6, &fragment_6, &[17, 0, 0, 1, 0, 0, 0]]), TOO_SHORT),
        ],
    );
}

#[test]
fn a_tagged_uplink_takes_its_own_vlan_only() {
    let config = FabricConfig { vlan: VlanId::new(100), ..both_families() };
    check(
        &config,
        &[
            ("802.1Q", frame(&[TAG_100, IPV4, IPV4_UDP, UDP_6635]), REDIRECTED),
            ("802.1ad", frame(&[TAG_100_AD, IPV6, IPV6_UDP, UDP_6635]), REDIRECTED),
            ("other vlan", frame(&[TAG_7, IPV4, IPV4_UDP, UDP_6635]), PASSED),
            ("untagged", frame(&[IPV4, IPV4_UDP, UDP_6635]), PASSED),
            ("priority tag", frame(&[PRIORITY_TAG, IPV4, IPV4_UDP, UDP_6635]), PASSED),
            ("two tags", frame(&[TAG_100, TAG_7, IPV4, IPV4_UDP, UDP_6635]), PASSED),
        ],
    );
}

#[test]
fn the_configuration_changes_live() {
    let mut fabric = load(&both_families());
    let legacy = frame(&[IPV4, IPV4_UDP, UDP_51234]);
    let v6 = frame(&[IPV6, IPV6_UDP, UDP_6635]);
    assert_eq!(run(&mut fabric, &legacy), PASSED);
    assert_eq!(run(&mut fabric, &v6), NO_SOCKET);

    let changed = FabricConfig { legacy_port: NonZeroU16::new(51234), v6: None, ..both_families() };
    fabric.set_config(&changed).unwrap();
    assert_eq!(run(&mut fabric, &legacy), NO_SOCKET);
    assert_eq!(run(&mut fabric, &v6), PASSED);
}

#[test]
fn without_a_configuration_nothing_is_taken() {
    let mut fabric = Fabric::load().unwrap();
    assert_eq!(run(&mut fabric, &frame(&[IPV4, IPV4_UDP, UDP_6635])), PASSED);
    let zero_address = with(&with(&with(&with(IPV4_UDP, 16, 0), 17, 0), 18, 0), 19, 0);
    assert_eq!(run(&mut fabric, &frame(&[IPV4, &zero_address, UDP_0])), PASSED);
}

#[test]
fn a_cleared_socket_leaves_the_frames_to_the_kernel() {
    let mut fabric = load(&both_families());
    let tunnel = frame(&[IPV4, IPV4_UDP, UDP_6635]);
    let xsk = socket(AddressFamily::XDP, SocketType::RAW, None).unwrap();
    fabric.set_socket(0, xsk.as_fd()).unwrap();
    assert_eq!(run(&mut fabric, &tunnel), REDIRECTED);
    fabric.clear_socket(0).unwrap();
    assert_eq!(run(&mut fabric, &tunnel), NO_SOCKET);
    fabric.clear_socket(0).unwrap();
    assert!(matches!(fabric.set_socket(QUEUES, xsk.as_fd()), Err(Error::QueueOutOfRange { queue: QUEUES })));
    assert!(matches!(fabric.clear_socket(QUEUES), Err(Error::QueueOutOfRange { .. })));
}

#[test]
fn every_cut_of_a_tunnel_frame_is_passed_as_too_short() {
    for whole in [
        frame(&[IPV4, IPV4_UDP_OPTION, &UDP_6635[..8]]),
        frame(&[IPV6, IPV6_UDP, &UDP_6635[..8]]),
        frame(&[PRIORITY_TAG, IPV4, IPV4_UDP, &UDP_6635[..8]]),
    ] {
        let mut fabric = load(&both_families());
        // The kernel runs no test on less than an Ethernet header.
        for length in 14..whole.len() {
            assert_eq!(run(&mut fabric, &whole[..length]), TOO_SHORT, "{length} bytes of {whole:02x?}");
        }
        assert_eq!(run(&mut fabric, &whole), NO_SOCKET);
    }
}

#[test]
fn any_flipped_byte_ends_in_exactly_one_counter() {
    let mut fabric = load(&both_families());
    for whole in [frame(&[IPV4, IPV4_UDP_OPTION, UDP_6635]), frame(&[IPV6, IPV6_UDP, UDP_6635])] {
        for at in 0..whole.len() {
            for mask in [0x01, 0x0f, 0x80, 0xff] {
                let (action, moved) = run(&mut fabric, &with(&whole, at, whole[at] ^ mask));
                let sum = moved.redirected
                    + moved.no_socket
                    + moved.passed
                    + moved.outer_fragment
                    + moved.too_short;
                assert_eq!((action, sum), (XDP_PASS, 1), "byte {at} ^ {mask:#x}");
            }
        }
    }
}

#[test]
fn an_address_that_cannot_be_a_tunnel_is_refused() {
    let mut fabric = Fabric::load().unwrap();
    for address in ["0.0.0.0", "::", "224.0.0.1", "ff02::1"] {
        let config = FabricConfig::new(address.parse().unwrap());
        let refused = fabric.set_config(&config);
        assert!(matches!(refused, Err(Error::BadTunnelAddress { .. })), "{address}: {refused:?}");
    }
}

#[test]
fn the_configuration_has_the_layout_of_the_c_struct() {
    let config =
        FabricConfig { legacy_port: NonZeroU16::new(51234), vlan: VlanId::new(0x123), ..both_families() };
    let expected = [
        10, 1, 1, 2, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0x19, 0xeb, 0xc8, 0x22, 0x01, 0x23,
        0, 0,
    ];
    assert_eq!(config.bytes(), expected);
}
