use core::net::{Ipv4Addr, Ipv6Addr};

use super::*;
use crate::outer::{DontFragment, Udp6Checksum};

const ETHERNET4: [u8; 14] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00];
const ETHERNET6: [u8; 14] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xdd];
const INNER: [u8; 4] = [0x45, 0xb9, 0xde, 0xad];

fn v4() -> OuterHeader {
    OuterHeader {
        src_mac: [2, 0, 0, 0, 0, 1],
        dst_mac: [2, 0, 0, 0, 0, 2],
        vlan: None,
        src: Ipv4Addr::new(1, 1, 2, 2).into(),
        dst: Ipv4Addr::new(2, 2, 1, 1).into(),
        udp_port: 6635,
        ttl: 64,
        df: DontFragment::Clear,
        dscp: DscpMode::Copy,
        udp6_checksum: Udp6Checksum::Compute,
    }
}

fn v6() -> OuterHeader {
    let address = |last| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).into();
    OuterHeader { src: address(3), dst: address(2), ..v4() }
}

fn fields() -> Fields {
    Fields { label: Label::new(48).unwrap(), ttl: 63, source_port: 0xd073, inner_tos: 0xb9, ip_id: 0xbeef }
}

fn encapsulate(outer: &OuterHeader, inner: &[u8]) -> Vec<u8> {
    let template = Template::new(outer).unwrap();
    // Old bytes in the headroom must not show.
    let mut frame = vec![0xee; template.len()];
    frame.extend_from_slice(inner);
    template.write(&mut frame, &fields()).unwrap();
    frame
}

#[test]
fn ipv4_on_literal_bytes() {
    let packet = [
        0x45, 0xb9, 0x00, 0x24, 0xbe, 0xef, 0x00, 0x00, 0x40, 0x11, 0xb5, 0x1b, 0x01, 0x01, 0x02, 0x02, 0x02,
        0x02, 0x01, 0x01, 0xd0, 0x73, 0x19, 0xeb, 0x00, 0x10, 0x00, 0x00, 0x00, 0x03, 0x01, 0x3f, 0x45, 0xb9,
        0xde, 0xad,
    ];
    assert_eq!(encapsulate(&v4(), &INNER), [&ETHERNET4[..], &packet].concat());
}

#[test]
fn ipv4_with_dont_fragment() {
    let frame = encapsulate(&OuterHeader { df: DontFragment::Set, ..v4() }, &INNER);
    let start = [0x45, 0xb9, 0x00, 0x24, 0xbe, 0xef, 0x40, 0x00, 0x40, 0x11, 0x75, 0x1b];
    assert_eq!(frame[14..26], start);
}

#[test]
fn ipv6_on_literal_bytes() {
    let packet = [
        0x6b, 0x90, 0x00, 0x00, 0x00, 0x10, 0x11, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0xd0, 0x73, 0x19, 0xeb, 0x00, 0x10, 0x94, 0x4f, 0x00, 0x03, 0x01,
        0x3f, 0x45, 0xb9, 0xde, 0xad,
    ];
    assert_eq!(encapsulate(&v6(), &INNER), [&ETHERNET6[..], &packet].concat());

    let mut no_checksum = packet;
    no_checksum[46..48].fill(0);
    let zero = OuterHeader { udp6_checksum: Udp6Checksum::Zero, ..v6() };
    assert_eq!(encapsulate(&zero, &INNER), [&ETHERNET6[..], &no_checksum].concat());
}

#[test]
fn vlan_tag_sits_before_the_ethertype() {
    for (outer, ethertype) in [(v4(), [0x08, 0x00]), (v6(), [0x86, 0xdd])] {
        let plain = encapsulate(&outer, &INNER);
        let tagged = encapsulate(&OuterHeader { vlan: Some(0x0abc), ..outer }, &INNER);
        assert_eq!(tagged[..12], plain[..12]);
        assert_eq!(tagged[12..16], [0x81, 0x00, 0x0a, 0xbc]);
        assert_eq!(tagged[16..18], ethertype);
        assert_eq!(tagged[18..], plain[14..]);
    }
}

#[test]
fn fixed_dscp_keeps_the_inner_ecn() {
    let frame = encapsulate(&OuterHeader { dscp: DscpMode::Fixed(46), ..v4() }, &INNER);
    assert_eq!(frame[15], 46 << 2 | 0b01);
    let frame = encapsulate(&OuterHeader { dscp: DscpMode::Fixed(46), ..v6() }, &INNER);
    assert_eq!(frame[14..16], [0x6b, 0x90]);
}

#[test]
fn lengths_by_family_and_vlan() {
    let table = [
        (v4(), 46, 32),
        (OuterHeader { vlan: Some(1), ..v4() }, 50, 32),
        (v6(), 66, 52),
        (OuterHeader { vlan: Some(4094), ..v6() }, 70, 52),
    ];
    for (outer, len, overhead) in table {
        let template = Template::new(&outer).unwrap();
        assert_eq!((template.len(), template.overhead()), (len, overhead), "{outer:?}");
    }
}

#[test]
fn an_ipv6_udp_checksum_of_zero_is_sent_as_ones() {
    // The inner word that was 0 is set to the checksum: the sum becomes 0xffff, its complement 0.
    let frame = encapsulate(&v6(), &[0x45, 0xb9, 0x00, 0x00]);
    let mut inner = [0x45, 0xb9, 0x00, 0x00];
    inner[2..].copy_from_slice(&frame[60..62]);
    assert_eq!(encapsulate(&v6(), &inner)[60..62], [0xff, 0xff]);
}

#[test]
fn refused_descriptions() {
    let (src, dst) = (v4().src, v6().dst);
    let table = [
        (OuterHeader { dst, ..v4() }, TemplateError::MixedFamilies { src, dst }),
        (OuterHeader { vlan: Some(0), ..v4() }, TemplateError::Vlan(0)),
        (OuterHeader { vlan: Some(4095), ..v4() }, TemplateError::Vlan(4095)),
        (OuterHeader { vlan: Some(0x1001), ..v6() }, TemplateError::Vlan(0x1001)),
        (OuterHeader { dscp: DscpMode::Fixed(64), ..v4() }, TemplateError::Dscp(64)),
    ];
    for (outer, error) in table {
        assert_eq!(Template::new(&outer).unwrap_err(), error);
    }
    let mixed = OuterHeader { src: dst, ..v4() };
    assert!(matches!(Template::new(&mixed), Err(TemplateError::MixedFamilies { .. })));
}

#[test]
fn the_longest_packet_fits_and_one_byte_more_is_refused_untouched() {
    // IPv4 counts its header in the 16-bit length, IPv6 does not.
    for (outer, longest) in [(v4(), 65535 - 32), (v6(), 65535 - 12)] {
        let template = Template::new(&outer).unwrap();
        let mut frame = vec![0x45; template.len() + longest];
        assert_eq!(template.write(&mut frame, &fields()), Ok(()));

        let mut frame = vec![0x45; template.len() + longest + 1];
        assert_eq!(template.write(&mut frame, &fields()), Err(WriteError::TooLong));
        assert!(frame.iter().all(|&byte| byte == 0x45));
    }
}

#[test]
fn a_frame_without_room_is_refused_untouched() {
    for outer in [v4(), v6(), OuterHeader { vlan: Some(7), ..v4() }, OuterHeader { vlan: Some(7), ..v6() }] {
        let template = Template::new(&outer).unwrap();
        for len in 0..template.len() {
            let mut frame = vec![0xee; len];
            assert_eq!(template.write(&mut frame, &fields()), Err(WriteError::NoRoom), "{len}");
            assert!(frame.iter().all(|&byte| byte == 0xee));
        }
        assert_eq!(template.write(&mut vec![0xee; template.len()], &fields()), Ok(()));
    }
}
