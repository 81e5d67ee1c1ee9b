use super::*;
use crate::checksum::Sum;

/// 8.0.0.3 -> 8.0.0.2, UDP 53363 -> 6635, label 42, TTL 63, ICMP echo reply 2.2.2.3 -> 1.1.1.3.
const V4: [u8; 60] = [
    0x45, 0x00, 0x00, 0x3c, 0x12, 0x34, 0x00, 0x00, 0x40, 0x11, 0x58, 0x79, 0x08, 0x00, 0x00, 0x03, 0x08,
    0x00, 0x00, 0x02, 0xd0, 0x73, 0x19, 0xeb, 0x00, 0x28, 0x00, 0x00, 0x00, 0x02, 0xa1, 0x3f, 0x45, 0x00,
    0x00, 0x1c, 0x00, 0x00, 0x00, 0x00, 0x3f, 0x01, 0x75, 0xd9, 0x02, 0x02, 0x02, 0x03, 0x01, 0x01, 0x01,
    0x03, 0x00, 0x00, 0xff, 0xf7, 0x00, 0x07, 0x00, 0x01,
];

/// The same over 2001:db8::3 -> 2001:db8::2, traffic class 0xb9, with a UDP checksum.
const V6: [u8; 80] = [
    0x6b, 0x90, 0x00, 0x00, 0x00, 0x28, 0x11, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0xd0, 0x73, 0x19, 0xeb, 0x00, 0x28, 0x18, 0x87, 0x00, 0x02, 0xa1,
    0x3f, 0x45, 0x00, 0x00, 0x1c, 0x00, 0x00, 0x00, 0x00, 0x3f, 0x01, 0x75, 0xd9, 0x02, 0x02, 0x02, 0x03,
    0x01, 0x01, 0x01, 0x03, 0x00, 0x00, 0xff, 0xf7, 0x00, 0x07, 0x00, 0x01,
];

fn decap(packet: &[u8]) -> Result<Outer, DecapError> {
    decapsulate(packet, &Ports::default(), ZeroChecksum6::Refuse)
}

/// [`V4`] with bytes replaced at an offset and the IPv4 header checksum made right again.
fn v4_with(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut packet = V4.to_vec();
    packet[at..at + bytes.len()].copy_from_slice(bytes);
    fix_header_checksum(&mut packet, 20);
    packet
}

fn v6_with(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut packet = V6.to_vec();
    packet[at..at + bytes.len()].copy_from_slice(bytes);
    packet
}

fn fix_header_checksum(packet: &mut [u8], header_len: usize) {
    packet[10..12].fill(0);
    let checksum = Sum::of(&packet[..header_len]).finish();
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
}

/// An IPv4 packet whose UDP data is `data`.
fn v4_around(data: &[u8]) -> Vec<u8> {
    let udp_length = u16::try_from(data.len() + 8).unwrap();
    let mut packet = [&V4[..28], data].concat();
    packet[2..4].copy_from_slice(&(udp_length + 20).to_be_bytes());
    packet[24..26].copy_from_slice(&udp_length.to_be_bytes());
    fix_header_checksum(&mut packet, 20);
    packet
}

/// Label and S bit.
type Entry = (u32, u32);

/// The bytes of the entries, TTL = 100 + position, then `payload`.
fn stack(entries: &[Entry], payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (position, (label, bottom)) in (0..).zip(entries) {
        bytes.extend_from_slice(&(label << 12 | bottom << 8 | (100 + position)).to_be_bytes());
    }
    bytes.extend_from_slice(payload);
    bytes
}

#[test]
fn valid_ipv4() {
    let outer = decap(&V4).unwrap();
    let expected = Outer {
        src: "8.0.0.3".parse().unwrap(),
        dst: "8.0.0.2".parse().unwrap(),
        tos: 0,
        source_port: 53363,
        label: Label::new(42).unwrap(),
        traffic_class: 0,
        ttl: 63,
        labels: 1,
        payload: 32..60,
    };
    assert_eq!(outer, expected);
    assert_eq!(outer.ecn(), Ecn::NotEct);
}

#[test]
fn valid_ipv6() {
    let outer = decap(&V6).unwrap();
    let expected = Outer {
        src: "2001:db8::3".parse().unwrap(),
        dst: "2001:db8::2".parse().unwrap(),
        tos: 0xb9,
        source_port: 53363,
        label: Label::new(42).unwrap(),
        traffic_class: 0,
        ttl: 63,
        labels: 1,
        payload: 52..80,
    };
    assert_eq!(outer, expected);
    assert_eq!(outer.ecn(), Ecn::Ect1);
}

#[test]
fn cut_at_every_byte() {
    for len in 0..V4.len() {
        assert_eq!(decap(&V4[..len]), Err(DecapError::Truncated), "IPv4 {len}");
    }
    for len in 0..V6.len() {
        assert_eq!(decap(&V6[..len]), Err(DecapError::Truncated), "IPv6 {len}");
    }
}

/// Shortened with the outer lengths made to agree, so that the inner headers are reached.
#[test]
fn shortened_at_every_byte_of_the_udp_data() {
    for len in 0..=4 {
        let expected = if len < 4 { DecapError::MplsTruncated } else { DecapError::InnerUnknown };
        assert_eq!(decap(&v4_around(&V4[28..28 + len])), Err(expected), "{len}");
    }
    for len in 5..=32 {
        assert_eq!(decap(&v4_around(&V4[28..28 + len])).unwrap().payload, 32..28 + len, "{len}");
    }
}

#[test]
fn padding_after_the_packet_and_after_the_datagram_is_left_out() {
    let padded = [&V4[..], &[0xff; 9]].concat();
    assert_eq!(decap(&padded), decap(&V4));
    let padded = [&V6[..], &[0xff; 9]].concat();
    assert_eq!(decap(&padded), decap(&V6));
    // UDP length 37 in an IP payload of 40.
    assert_eq!(decap(&v4_with(24, &[0x00, 0x25])).unwrap().payload, 32..57);
}

#[test]
fn ipv4_options_are_stepped_over() {
    let mut packet = [&V4[..20], &[0x94, 0x04, 0x00, 0x00], &V4[20..]].concat();
    packet[0] = 0x46;
    packet[3] += 4;
    fix_header_checksum(&mut packet, 24);
    assert_eq!(decap(&packet).unwrap().payload, 36..64);
    // The checksum covers the options.
    packet[22] ^= 1;
    assert_eq!(decap(&packet), Err(DecapError::HeaderChecksum));
}

#[test]
fn bad_ipv4_headers() {
    let table: [(&str, usize, &[u8], DecapError); 14] = [
        ("version 0", 0, &[0x05], DecapError::BadHeader),
        ("version 5", 0, &[0x55], DecapError::BadHeader),
        ("version 6", 0, &[0x65], DecapError::Truncated),
        ("IHL 4", 0, &[0x44], DecapError::BadHeader),
        ("IHL 0", 0, &[0x40], DecapError::BadHeader),
        ("total length 0", 2, &[0x00, 0x00], DecapError::BadHeader),
        ("total length 19", 2, &[0x00, 0x13], DecapError::BadHeader),
        ("total length 61 of 60", 2, &[0x00, 0x3d], DecapError::Truncated),
        ("total length 65535", 2, &[0xff, 0xff], DecapError::Truncated),
        ("total length 20, no UDP", 2, &[0x00, 0x14], DecapError::UdpLength),
        ("more fragments", 6, &[0x20, 0x00], DecapError::Fragment),
        ("last fragment", 6, &[0x00, 0x01], DecapError::Fragment),
        ("offset with DF", 6, &[0x50, 0x00], DecapError::Fragment),
        ("TCP", 9, &[0x06], DecapError::NotUdp),
    ];
    for (name, at, bytes, error) in table {
        assert_eq!(decap(&v4_with(at, bytes)), Err(error), "{name}");
    }
    assert!(decap(&v4_with(6, &[0x40, 0x00])).is_ok(), "DF alone is no fragment");
}

#[test]
fn ihl_beyond_the_total_length() {
    // IHL 15 (60 bytes) in a total length of 59.
    let mut packet = V4;
    packet[0] = 0x4f;
    packet[3] = 59;
    assert_eq!(decap(&packet), Err(DecapError::BadHeader));
}

#[test]
fn every_flipped_bit_of_an_ipv4_header_is_refused() {
    for bit in 0..20 * 8 {
        let mut packet = V4;
        packet[bit / 8] ^= 1 << (bit % 8);
        assert!(decap(&packet).is_err(), "bit {bit}");
    }
    let mut packet = V4;
    packet[8] ^= 1;
    assert_eq!(decap(&packet), Err(DecapError::HeaderChecksum));
}

#[test]
fn bad_ipv6_headers() {
    let table: [(&str, usize, &[u8], DecapError); 7] = [
        ("version 5", 0, &[0x5b], DecapError::BadHeader),
        ("payload length 0", 4, &[0x00, 0x00], DecapError::UdpLength),
        ("payload length 39 of 40", 4, &[0x00, 0x27], DecapError::UdpLength),
        ("payload length 41 of 40", 4, &[0x00, 0x29], DecapError::Truncated),
        ("fragment header", 6, &[44], DecapError::Fragment),
        ("hop-by-hop options", 6, &[0], DecapError::NotUdp),
        ("TCP", 6, &[6], DecapError::NotUdp),
    ];
    for (name, at, bytes, error) in table {
        assert_eq!(decap(&v6_with(at, bytes)), Err(error), "{name}");
    }
}

#[test]
fn udp_lengths() {
    let table = [
        (0, Err(DecapError::UdpLength)),
        (7, Err(DecapError::UdpLength)),
        (8, Err(DecapError::MplsTruncated)),
        (11, Err(DecapError::MplsTruncated)),
        (12, Err(DecapError::InnerUnknown)),
        (13, Ok(32..33)),
        (40, Ok(32..60)),
        (41, Err(DecapError::UdpLength)),
        (0xffff, Err(DecapError::UdpLength)),
    ];
    for (length, expected) in table {
        let packet = v4_with(24, &u16::to_be_bytes(length));
        assert_eq!(decap(&packet).map(|outer| outer.payload), expected, "{length}");
    }
}

#[test]
fn destination_ports() {
    let with_port = |port| v4_with(22, &u16::to_be_bytes(port));
    let current = Ports { current: 6635, legacy: None };
    let both = Ports { current: 6635, legacy: Some(51234) };
    let other = Ports { current: 7000, legacy: None };
    let table = [
        (6635, current, true),
        (6635, both, true),
        (6635, other, false),
        (51234, current, false),
        (51234, both, true),
        (7000, other, true),
        (6636, both, false),
        (0, both, false),
    ];
    for (port, ports, taken) in table {
        let result = decapsulate(&with_port(port), &ports, ZeroChecksum6::Refuse);
        if taken {
            assert_eq!(result, decap(&V4), "{port} {ports:?}");
        } else {
            assert_eq!(result, Err(DecapError::WrongPort), "{port} {ports:?}");
        }
    }
    assert_eq!(Ports::default(), both);
}

#[test]
fn udp_checksums() {
    let udp = &V4[20..];
    let right = Sum::pseudo_v4([8, 0, 0, 3].into(), [8, 0, 0, 2].into(), 17, 40).add_bytes(udp).finish();
    assert_eq!(decap(&v4_with(26, &right.to_be_bytes())), decap(&V4));
    assert_eq!(decap(&v4_with(26, &(right ^ 1).to_be_bytes())), Err(DecapError::UdpChecksum));

    let zero = v6_with(46, &[0, 0]);
    assert_eq!(decap(&zero), Err(DecapError::UdpChecksum));
    assert_eq!(decapsulate(&zero, &Ports::default(), ZeroChecksum6::Accept), decap(&V6));
    // Accepting zero does not accept wrong ones.
    let wrong = v6_with(46, &[0x18, 0x88]);
    assert_eq!(decapsulate(&wrong, &Ports::default(), ZeroChecksum6::Accept), Err(DecapError::UdpChecksum));
}

#[test]
fn every_flipped_bit_of_addresses_and_datagram_is_refused_over_ipv6() {
    for bit in 8 * 8..V6.len() * 8 {
        let mut packet = V6;
        packet[bit / 8] ^= 1 << (bit % 8);
        assert!(decap(&packet).is_err(), "bit {bit}");
    }
}

#[test]
fn stacks_that_are_taken() {
    // (entries, the label that decides, its TTL, entries popped)
    let table: [(&[Entry], u32, u8, u8); 12] = [
        (&[(16, 1)], 16, 100, 1),
        (&[(0xf_ffff, 1)], 0xf_ffff, 100, 1),
        (&[(0xf_ffff, 0), (42, 1)], 42, 101, 2),
        (&[(0xf_ffff, 0), (0xf_ffff, 0), (42, 1)], 42, 102, 3),
        (&[(0, 1)], 0, 100, 1),
        (&[(2, 1)], 2, 100, 1),
        (&[(0, 0), (42, 1)], 42, 101, 2),
        (&[(0, 0), (2, 1)], 2, 101, 2),
        (&[(7, 0), (99_999, 0), (42, 1)], 42, 102, 3),
        (&[(42, 0), (7, 0), (99_999, 1)], 42, 100, 3),
        (&[(0, 0), (7, 0), (5, 1)], 0, 100, 3),
        (&[(42, 0), (0xf_ffff, 0), (7, 0), (16, 1)], 42, 100, 4),
    ];
    for (entries, label, ttl, labels) in table {
        let outer = decap(&v4_around(&stack(entries, &[0x60, 0xab]))).unwrap();
        assert_eq!((outer.label.get(), outer.ttl, outer.labels), (label, ttl, labels), "{entries:?}");
        let start = 28 + 4 * entries.len();
        assert_eq!(outer.payload, start..start + 2, "{entries:?}");
    }
}

#[test]
fn traffic_class_is_reported() {
    // Label 42, class 5, S = 1, TTL 63.
    assert_eq!(decap(&v4_with(28, &[0x00, 0x02, 0xab, 0x3f])).unwrap().traffic_class, 5);
}

#[test]
fn stacks_that_are_refused() {
    let table: [(&[Entry], DecapError); 9] = [
        (&[(42, 0), (43, 1)], DecapError::NotBottom),
        (&[(42, 0), (0, 1)], DecapError::NotBottom),
        (&[(42, 0), (0xf_ffff, 1)], DecapError::NotBottom),
        (&[(42, 0), (7, 0), (99_999, 0), (43, 1)], DecapError::NotBottom),
        (&[(7, 1)], DecapError::ReservedLabel),
        (&[(7, 0), (99_999, 1)], DecapError::ReservedLabel),
        (&[(0xf_ffff, 0), (1, 1)], DecapError::ReservedLabel),
        (&[(42, 0), (14, 1)], DecapError::ReservedLabel),
        (&[(0, 0), (3, 1)], DecapError::ReservedLabel),
    ];
    for (entries, error) in table {
        assert_eq!(decap(&v4_around(&stack(entries, &[0x45; 20]))), Err(error), "{entries:?}");
    }
    for label in [1, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15] {
        for bottom in [0, 1] {
            let packet = v4_around(&stack(&[(label, bottom)], &[0x45; 20]));
            assert_eq!(decap(&packet), Err(DecapError::ReservedLabel), "{label} S = {bottom}");
        }
    }
}

#[test]
fn stacks_without_an_end() {
    for label in [0, 2, 0xf_ffff] {
        let cut = v4_around(&stack(&[(label, 0); 5], &[]));
        assert_eq!(decap(&cut), Err(DecapError::MplsTruncated), "{label}");
        let deep = v4_around(&stack(&[(label, 0); 17], &[]));
        assert_eq!(decap(&deep), Err(DecapError::StackTooDeep), "{label}");
    }
    let cut_pair = v4_around(&stack(&[(42, 0), (7, 0)], &[0, 0, 0]));
    assert_eq!(decap(&cut_pair), Err(DecapError::MplsTruncated));
}

#[test]
fn sixteen_entries_are_taken_and_seventeen_are_not() {
    let mut entries = [(0xf_ffff, 0); 17];
    entries[15] = (42, 1);
    assert_eq!(decap(&v4_around(&stack(&entries[..16], &[0x45]))).unwrap().labels, 16);
    entries[15] = (0xf_ffff, 0);
    entries[16] = (42, 1);
    assert_eq!(decap(&v4_around(&stack(&entries, &[0x45]))), Err(DecapError::StackTooDeep));
    // The second entry of the pair is the seventeenth.
    entries[15] = (7, 0);
    assert_eq!(decap(&v4_around(&stack(&entries, &[0x45]))), Err(DecapError::StackTooDeep));
}

#[test]
fn inner_nibbles() {
    for nibble in 0..16_u8 {
        let result = decap(&v4_with(32, &[nibble << 4 | 5]));
        match nibble {
            4 | 6 => assert_eq!(result, decap(&V4)),
            _ => assert_eq!(result, Err(DecapError::InnerUnknown), "{nibble}"),
        }
    }
}
