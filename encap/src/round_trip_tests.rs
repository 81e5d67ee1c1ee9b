//! What a template writes, read by etherparse and by `decapsulate`.

use core::net::IpAddr;

use etherparse::{LinkExtSlice, NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;

use crate::*;

fn addresses() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    prop_oneof![
        any::<([u8; 4], [u8; 4])>().prop_map(|(src, dst)| (src.into(), dst.into())),
        any::<([u8; 16], [u8; 16])>().prop_map(|(src, dst)| (src.into(), dst.into())),
    ]
}

prop_compose! {
    fn outer_header()(
        (src, dst) in addresses(),
        macs: ([u8; 6], [u8; 6]),
        vlan in prop::option::of(1..=4094_u16),
        ports in prop_oneof![Just(MPLS_UDP_PORT), Just(LEGACY_MPLS_UDP_PORT)],
        ttl: u8,
        df in prop_oneof![Just(DontFragment::Clear), Just(DontFragment::Set)],
        dscp in prop_oneof![Just(DscpMode::Copy), (0..64_u8).prop_map(DscpMode::Fixed)],
        udp6_checksum in prop_oneof![Just(Udp6Checksum::Compute), Just(Udp6Checksum::Zero)],
    ) -> OuterHeader {
        let (src_mac, dst_mac) = macs;
        OuterHeader { src_mac, dst_mac, vlan, src, dst, udp_port: ports, ttl, df, dscp, udp6_checksum }
    }
}

prop_compose! {
    fn fields()(label in 16..=0xf_ffff_u32, ttl: u8, hash: u32, inner_tos: u8, ip_id: u16) -> Fields {
        let label = Label::new(label).unwrap();
        Fields { label, ttl, source_port: entropy::source_port(hash), inner_tos, ip_id }
    }
}

/// Bytes that start like IPv4 or IPv6.
fn inner() -> impl Strategy<Value = Vec<u8>> {
    (prop_oneof![0x40..=0x4f_u8, 0x60..=0x6f_u8], prop::collection::vec(any::<u8>(), 0..200)).prop_map(
        |(first, mut bytes)| {
            bytes.insert(0, first);
            bytes
        },
    )
}

fn outer_tos(outer: &OuterHeader, inner_tos: u8) -> u8 {
    match outer.dscp {
        DscpMode::Copy => inner_tos,
        DscpMode::Fixed(dscp) => dscp * 4 + inner_tos % 4,
    }
}

fn write(outer: &OuterHeader, fields: &Fields, inner: &[u8]) -> (Vec<u8>, usize) {
    let template = Template::new(outer).unwrap();
    let mut frame = vec![0xee; template.len()];
    frame.extend_from_slice(inner);
    template.write(&mut frame, fields).unwrap();
    (frame, template.len() - template.overhead())
}

fn check_link(packet: &SlicedPacket<'_>, outer: &OuterHeader) {
    let ethernet = packet.link.as_ref().unwrap().to_header().unwrap().ethernet2().unwrap();
    assert_eq!((ethernet.source, ethernet.destination), (outer.src_mac, outer.dst_mac));
    let vlan = packet.link_exts.first().map(|ext| match ext {
        LinkExtSlice::Vlan(tag) => tag.to_header(),
        other => panic!("{other:?}"),
    });
    assert_eq!(vlan.as_ref().map(|tag| tag.vlan_id.value()), outer.vlan);
    assert!(vlan.is_none_or(|tag| tag.pcp.value() == 0 && !tag.drop_eligible_indicator));
}

fn check_network(packet: &SlicedPacket<'_>, outer: &OuterHeader, fields: &Fields) {
    let tos = outer_tos(outer, fields.inner_tos);
    match packet.net.as_ref().unwrap() {
        NetSlice::Ipv4(ip) => {
            let header = ip.header().to_header();
            assert_eq!(
                (IpAddr::from(header.source), IpAddr::from(header.destination)),
                (outer.src, outer.dst)
            );
            assert_eq!(header.header_checksum, header.calc_header_checksum());
            assert_eq!(header.dscp.value() << 2 | header.ecn.value(), tos);
            assert_eq!((header.time_to_live, header.identification), (outer.ttl, fields.ip_id));
            assert_eq!(header.dont_fragment, outer.df == DontFragment::Set);
            assert!(!header.is_fragmenting_payload() && header.options.is_empty());
        }
        NetSlice::Ipv6(ip) => {
            let header = ip.header().to_header();
            assert_eq!(
                (IpAddr::from(header.source), IpAddr::from(header.destination)),
                (outer.src, outer.dst)
            );
            assert_eq!((header.traffic_class, header.hop_limit), (tos, outer.ttl));
            assert_eq!(header.flow_label.value(), 0);
        }
        NetSlice::Arp(arp) => panic!("{arp:?}"),
    }
}

fn check_udp(packet: &SlicedPacket<'_>, outer: &OuterHeader, fields: &Fields, inner: &[u8]) {
    let Some(TransportSlice::Udp(udp)) = &packet.transport else { panic!("{packet:?}") };
    let header = udp.to_header();
    assert_eq!((header.source_port, header.destination_port), (fields.source_port, outer.udp_port));
    let checksum = match (outer.src, outer.dst, outer.udp6_checksum) {
        (IpAddr::V6(src), IpAddr::V6(dst), Udp6Checksum::Compute) => {
            header.calc_checksum_ipv6_raw(src.octets(), dst.octets(), udp.payload()).unwrap()
        }
        _ => 0,
    };
    assert_eq!(header.checksum, checksum);
    let entry = fields.label.get() << 12 | 1 << 8 | u32::from(fields.ttl);
    assert_eq!(udp.payload(), [&entry.to_be_bytes()[..], inner].concat());
}

proptest! {
    #[test]
    fn etherparse_reads_what_was_asked_for(outer in outer_header(), fields in fields(), inner in inner()) {
        let (frame, _) = write(&outer, &fields, &inner);
        let packet = SlicedPacket::from_ethernet(&frame).unwrap();
        check_link(&packet, &outer);
        check_network(&packet, &outer, &fields);
        check_udp(&packet, &outer, &fields, &inner);
    }

    #[test]
    fn decapsulation_gives_back_the_packet(
        outer in outer_header(), fields in fields(), inner in inner(), padding in 0..20_usize,
    ) {
        let (mut frame, link) = write(&outer, &fields, &inner);
        frame.resize(frame.len() + padding, 0);
        let packet = &frame[link..];
        let back = decapsulate(packet, &Ports::default(), ZeroChecksum6::Accept).unwrap();
        prop_assert_eq!((back.src, back.dst), (outer.src, outer.dst));
        prop_assert_eq!(back.tos, outer_tos(&outer, fields.inner_tos));
        prop_assert_eq!((back.source_port, back.label, back.ttl), (fields.source_port, fields.label, fields.ttl));
        prop_assert_eq!((back.traffic_class, back.labels), (0, 1));
        prop_assert_eq!(&packet[back.payload.clone()], &inner[..]);
        let inner_ecn = Ecn::from_tos(fields.inner_tos);
        prop_assert_eq!(ecn::decapsulate(inner_ecn, back.ecn()), Ok(inner_ecn));
    }

    #[test]
    fn a_cut_packet_is_never_taken(
        outer in outer_header(), fields in fields(), inner in inner(), cut: prop::sample::Index,
    ) {
        let (frame, link) = write(&outer, &fields, &inner);
        let packet = &frame[link..];
        let cut = cut.index(packet.len());
        prop_assert!(decapsulate(&packet[..cut], &Ports::default(), ZeroChecksum6::Accept).is_err());
    }

    /// No panic, and whatever is taken lies within the packet.
    #[test]
    fn any_bytes_are_read_safely(
        outer in outer_header(), fields in fields(), inner in inner(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let (mut frame, link) = write(&outer, &fields, &inner);
        for (at, byte) in changes {
            let at = link + at.index(frame.len() - link);
            frame[at] = byte;
        }
        if frame[link] >> 4 == 4 {
            let end = (usize::from(frame[link] & 0xf) * 4).min(frame.len() - link);
            frame[link + 10..link + 12].fill(0);
            let checksum = Sum::of(&frame[link..link + end]).finish();
            frame[link + 10..link + 12].copy_from_slice(&checksum.to_be_bytes());
        }
        let packet = &frame[link..];
        if let Ok(outer) = decapsulate(packet, &Ports::default(), ZeroChecksum6::Accept) {
            prop_assert!(matches!(packet[outer.payload.clone()].first().unwrap() >> 4, 4 | 6));
            prop_assert!(!outer.label.is_reserved() || outer.label.is_explicit_null());
        }
    }

    #[test]
    fn random_bytes_are_read_safely(bytes: Vec<u8>) {
        let _ = decapsulate(&bytes, &Ports::default(), ZeroChecksum6::Accept);
    }
}
