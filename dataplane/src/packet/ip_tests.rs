use etherparse::PacketBuilder;

use super::*;

fn udp4() -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ipv4([1, 1, 1, 1], [2, 2, 2, 2], 64).udp(7936, 80).write(&mut bytes, b"payload").unwrap();
    bytes
}

fn udp6() -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ipv6([1; 16], [2; 16], 64).udp(7936, 80).write(&mut bytes, b"payload").unwrap();
    bytes
}

fn fix_checksum(packet: &mut [u8]) {
    let len = usize::from(packet[0] & 15) * 4;
    packet[10..12].fill(0);
    let sum = encap::Sum::of(&packet[..len]).finish();
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

#[test]
fn a_plain_packet_is_read_and_padding_ignored() {
    let mut bytes = udp4();
    let len = bytes.len();
    bytes.extend([0; 11]);
    let ip = Ip::parse(Family::V4, &bytes).unwrap();
    assert_eq!((ip.len, ip.l4_offset, ip.ttl, ip.l4), (len, 20, 64, L4::Udp));
    assert_eq!((ip.tuple.sport, ip.tuple.dport), (7936, 80));
    assert_eq!(ip.tuple.src, Addr::from_v4([1, 1, 1, 1]));
    let ip = Ip::parse(Family::V6, &udp6()).unwrap();
    assert_eq!((ip.l4_offset, ip.tuple.dst), (40, Addr::from_v6([2; 16])));
}

#[test]
fn every_truncation_is_malformed() {
    for (family, bytes, reason) in
        [(Family::V4, udp4(), DropReason::MalformedIpv4), (Family::V6, udp6(), DropReason::MalformedIpv6)]
    {
        for len in 0..bytes.len() {
            assert_eq!(Ip::parse(family, &bytes[..len]), Err(reason), "{family:?} {len}");
        }
    }
}

#[test]
fn header_lies_have_their_reason() {
    let row = |change: fn(&mut Vec<u8>)| {
        let mut bytes = udp4();
        change(&mut bytes);
        fix_checksum(&mut bytes);
        Ip::parse(Family::V4, &bytes).map(|ip| ip.fragment)
    };
    assert_eq!(row(|b| b[0] = 0x55), Err(DropReason::MalformedIpv4));
    assert_eq!(row(|b| b[0] = 0x44), Err(DropReason::MalformedIpv4));
    assert_eq!(row(|b| b[3] = 19), Err(DropReason::MalformedIpv4));
    assert_eq!(row(|b| b[3] = 200), Err(DropReason::MalformedIpv4));
    assert_eq!(row(|b| b[6] = 0x20), Err(DropReason::MalformedIpv4));
    let mut corrupt = udp4();
    corrupt[10] ^= 1;
    assert_eq!(Ip::parse(Family::V4, &corrupt), Err(DropReason::Ipv4Checksum));
}

#[test]
fn options_are_walked_and_source_routes_refused() {
    let with_options = |options: [u8; 4]| {
        let mut bytes = udp4();
        bytes.splice(20..20, options);
        bytes[0] = 0x46;
        bytes[3] += 4;
        fix_checksum(&mut bytes);
        Ip::parse(Family::V4, &bytes).map(|ip| ip.l4_offset)
    };
    assert_eq!(with_options([1, 1, 1, 0]), Ok(24));
    assert_eq!(with_options([7, 4, 0, 0]), Ok(24));
    assert_eq!(with_options([7, 1, 0, 0]), Err(DropReason::MalformedIpv4));
    assert_eq!(with_options([7, 9, 0, 0]), Err(DropReason::MalformedIpv4));
    assert_eq!(with_options([1, 1, 1, 7]), Err(DropReason::MalformedIpv4));
    assert_eq!(with_options([131, 4, 4, 0]), Err(DropReason::SourceRoute));
    assert_eq!(with_options([137, 4, 4, 0]), Err(DropReason::SourceRoute));
}

#[test]
fn ipv6_extensions_are_walked_in_bounded_time() {
    let with_chain = |first: u8, chain: &[u8]| {
        let mut bytes = udp6();
        bytes.splice(40..40, chain.iter().copied());
        bytes[6] = first;
        let payload = (bytes.len() - 40) as u16;
        bytes[4..6].copy_from_slice(&payload.to_be_bytes());
        Ip::parse(Family::V6, &bytes).map(|ip| (ip.l4, ip.l4_offset, ip.fragment))
    };
    assert_eq!(with_chain(0, &[17, 0, 1, 4, 0, 0, 0, 0]), Ok((L4::Udp, 48, Fragment::Whole)));
    assert_eq!(with_chain(43, &[17, 0, 0, 0, 0, 0, 0, 0]), Err(DropReason::SourceRoute));
    assert_eq!(with_chain(44, &[17, 0, 0, 0, 0, 0, 0, 1]), Ok((L4::Udp, 48, Fragment::Whole)));
    assert_eq!(with_chain(44, &[17, 0, 0, 1, 0, 0, 0, 1]), Err(DropReason::MalformedIpv6));
    let last = Piece { id: 0x1020304, start: 8, end: 8 + 15, more: false };
    assert_eq!(with_chain(44, &[17, 0, 0, 8, 1, 2, 3, 4]), Ok((L4::Absent, 48, Fragment::Later(last))));
    let twice = [44, 0, 0, 1, 0, 0, 0, 1, 17, 0, 0, 1, 0, 0, 0, 1, 0];
    assert_eq!(with_chain(44, &twice), Err(DropReason::MalformedIpv6));
    assert_eq!(with_chain(60, &[17, 200, 0, 0, 0, 0, 0, 0]), Err(DropReason::MalformedIpv6));
    assert_eq!(with_chain(0, &[0; 800]), Err(DropReason::MalformedIpv6));
    let mut jumbo = udp6();
    jumbo[4..6].fill(0);
    assert_eq!(Ip::parse(Family::V6, &jumbo), Err(DropReason::MalformedIpv6));
}

/// An IPv4 packet of protocol `protocol` whose flags and offset are `field`.
fn fragment4(protocol: u8, field: u16, payload: &[u8]) -> Result<Fragment, DropReason> {
    let mut bytes = udp4();
    bytes.truncate(20);
    bytes.extend(payload);
    let len = bytes.len() as u16;
    bytes[2..4].copy_from_slice(&len.to_be_bytes());
    bytes[4..8].copy_from_slice(&[0x12, 0x34, (field >> 8) as u8, field as u8]);
    bytes[9] = protocol;
    fix_checksum(&mut bytes);
    Ip::parse(Family::V4, &bytes).map(|ip| ip.fragment)
}

#[test]
fn fragments_know_their_place() {
    let udp = [0, 1, 0, 2, 0x10, 0, 0, 0];
    let piece = |start, end, more| Piece { id: 0x1234, start, end, more };
    assert_eq!(fragment4(17, 0x2000, &udp), Ok(Fragment::First(piece(0, 8, true))));
    assert_eq!(fragment4(17, 0x2001, &udp), Ok(Fragment::Later(piece(8, 16, true))));
    assert_eq!(fragment4(17, 0x0001, &udp[..3]), Ok(Fragment::Later(piece(8, 11, false))));
    assert_eq!(fragment4(17, 0x2001, &udp[..3]), Err(DropReason::MalformedIpv4));
    assert_eq!(fragment4(17, 0x0001, &[]), Err(DropReason::MalformedIpv4));
    // The last byte of the longest datagram is byte 65535 - 20 of the payload.
    assert_eq!(fragment4(17, 0x1ffc, &[0; 11]), Ok(Fragment::Later(piece(65504, 65515, false))));
    assert_eq!(fragment4(17, 0x1ffc, &[0; 12]), Err(DropReason::FragmentOverflow));
}

#[test]
fn tiny_fragments_are_refused() {
    let tcp = [&[0; 12][..], &[5 << 4], &[0; 11]].concat();
    assert!(matches!(fragment4(6, 0x2000, &tcp), Ok(Fragment::First(_))));
    assert_eq!(fragment4(6, 0x2000, &tcp[..16]), Err(DropReason::FragmentTiny));
    assert_eq!(fragment4(6, 0x2000, &tcp[..8]), Err(DropReason::FragmentTiny));
    assert_eq!(fragment4(6, 0x2001, &tcp), Err(DropReason::FragmentTiny));
    assert_eq!(fragment4(6, 0x2002, &tcp), Err(DropReason::FragmentTiny));
    assert!(matches!(fragment4(6, 0x2003, &tcp), Ok(Fragment::Later(_))));
}

#[test]
fn icmp_of_the_other_family_is_no_icmp() {
    let mut bytes = udp4();
    bytes[9] = 58;
    bytes[20] = 135;
    fix_checksum(&mut bytes);
    assert_eq!(Ip::parse(Family::V4, &bytes).map(|ip| ip.l4), Ok(L4::Other));
    let mut bytes = udp6();
    bytes[6] = 1;
    bytes[40] = 8;
    assert_eq!(Ip::parse(Family::V6, &bytes).map(|ip| ip.l4), Ok(L4::Other));
}
