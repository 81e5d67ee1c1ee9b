use encap::Sum;
use proptest::prelude::*;

use super::*;

fn tuple(family: Family, protocol: u8, ends: [(u128, u16); 2]) -> Tuple {
    let mask = match family {
        Family::V4 => u128::from(u32::MAX),
        Family::V6 => u128::MAX,
    };
    let [(src, sport), (dst, dport)] = ends;
    Tuple { family, protocol, src: Addr(src & mask), dst: Addr(dst & mask), sport, dport }
}

fn addresses(tuple: &Tuple) -> Vec<u8> {
    match tuple.family {
        Family::V4 => [tuple.src.v4_bytes(), tuple.dst.v4_bytes()].concat(),
        Family::V6 => [tuple.src.v6_bytes(), tuple.dst.v6_bytes()].concat(),
    }
}

/// The IPv4 header checksum, over a header with some other fields that are not 0.
fn header_checksum(tuple: &Tuple) -> u16 {
    Sum::of(&[0x45, 0, 0, 60, 0x12, 0x34, 0, 0, 64, tuple.protocol]).add_bytes(&addresses(tuple)).finish()
}

/// The transport checksum computed anew from everything it covers.
fn transport_checksum(tuple: &Tuple, payload: &[u8]) -> u16 {
    let pseudo = Sum::of(&addresses(tuple)).add_u16(tuple.protocol.into()).add_u16(100);
    let sum = match tuple.protocol {
        TCP | UDP => pseudo.add_u16(tuple.sport).add_u16(tuple.dport),
        ICMP => Sum::of(&[8, 0]).add_u16(tuple.sport),
        _ => pseudo.add_u16(128 << 8).add_u16(tuple.sport),
    };
    sum.add_bytes(payload).finish()
}

fn assert_checksums(old: &Tuple, other: &Tuple, payload: &[u8]) {
    let rewrite = Rewrite::between(old, other);
    let new =
        Tuple { src: rewrite.src, dst: rewrite.dst, sport: rewrite.sport, dport: rewrite.dport, ..*old };
    assert_eq!(new, other.reversed());
    let l4 = Delta::from_raw(rewrite.l4_delta);
    assert_eq!(l4.apply(transport_checksum(old, payload)), transport_checksum(&new, payload));
    match old.family {
        Family::V4 => {
            let l3 = Delta::from_raw(rewrite.l3_delta);
            assert_eq!(l3.apply(header_checksum(old)), header_checksum(&new));
        }
        Family::V6 => assert_eq!(rewrite.l3_delta, 0),
    }
}

#[test]
fn a_cluster_ip_becomes_the_pod() {
    // WIRE case 5: 12.1.1.3:1000 -> 14.1.1.100:80 reaches the pod as 12.1.1.3:1000 -> 11.1.1.1:1080.
    let client = (Addr::from_v4([12, 1, 1, 3]).0, 1000);
    let forward = tuple(Family::V4, TCP, [client, (Addr::from_v4([14, 1, 1, 100]).0, 80)]);
    let reverse = tuple(Family::V4, TCP, [(Addr::from_v4([11, 1, 1, 1]).0, 1080), client]);
    let rewrite = Rewrite::between(&forward, &reverse);
    assert_eq!(rewrite.kind, RewriteKind::Translate);
    assert_eq!((rewrite.src, rewrite.sport), (Addr::from_v4([12, 1, 1, 3]), 1000));
    assert_eq!((rewrite.dst, rewrite.dport), (Addr::from_v4([11, 1, 1, 1]), 1080));
    // 0e01 -> 0b01 and 0164 -> 0101 take 0x0363 off, 80 -> 1080 adds 0x03e8.
    assert_eq!(rewrite.l3_delta, 0xffff - 0x0363);
    assert_eq!(rewrite.l4_delta, 0x03e8 - 0x0363);
    let back = Rewrite::between(&reverse, &forward);
    assert_eq!((back.src, back.sport), (Addr::from_v4([14, 1, 1, 100]), 80));
    assert_eq!((back.dst, back.dport), (Addr::from_v4([12, 1, 1, 3]), 1000));
}

#[test]
fn a_tuple_and_its_reverse_need_no_translation() {
    let forward = tuple(Family::V4, UDP, [(1, 2), (3, 4)]);
    let rewrite = Rewrite::between(&forward, &forward.reversed());
    assert_eq!((rewrite.kind, rewrite.l3_delta, rewrite.l4_delta), (RewriteKind::None, 0, 0));
    assert_eq!((rewrite.src, rewrite.dst, rewrite.sport, rewrite.dport), (Addr(1), Addr(3), 2, 4));
}

#[test]
fn sctp_and_gre_have_no_internet_checksum() {
    for protocol in [132, 47, 50] {
        let forward = tuple(Family::V4, protocol, [(1, 2), (3, 4)]);
        let reverse = tuple(Family::V4, protocol, [(5, 6), (1, 2)]);
        let rewrite = Rewrite::between(&forward, &reverse);
        assert_eq!((rewrite.l3_delta, rewrite.l4_delta), (2, 0));
    }
}

#[test]
fn no_change_has_no_negative_zero() {
    assert_eq!(Deltas { l3: 0, l4: 0 }.inverse(), Deltas { l3: 0, l4: 0 });
}

fn family() -> impl Strategy<Value = Family> {
    prop_oneof![Just(Family::V4), Just(Family::V6)]
}

proptest! {
    #[test]
    fn deltas_equal_full_recomputation(
        family in family(),
        protocol in prop_oneof![Just(TCP), Just(UDP)],
        ends: [(u128, u16); 4],
        payload in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let [a, b, c, d] = ends;
        let (forward, reverse) = (tuple(family, protocol, [a, b]), tuple(family, protocol, [c, d]));
        assert_checksums(&forward, &reverse, &payload);
        assert_checksums(&reverse, &forward, &payload);
    }

    #[test]
    fn identifiers_equal_full_recomputation(
        family in family(),
        hosts: [u128; 4],
        ids: [u16; 2],
        payload in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let protocol = match family {
            Family::V4 => ICMP,
            Family::V6 => ICMPV6,
        };
        let [a, b, c, d] = hosts;
        let forward = tuple(family, protocol, [(a, ids[0]), (b, ids[0])]);
        let reverse = tuple(family, protocol, [(c, ids[1]), (d, ids[1])]);
        assert_checksums(&forward, &reverse, &payload);
    }

    #[test]
    fn the_other_direction_has_the_inverse_deltas(
        family in family(),
        protocol in prop_oneof![Just(TCP), Just(UDP), Just(132)],
        ends: [(u128, u16); 4],
    ) {
        let [a, b, c, d] = ends;
        let (forward, reverse) = (tuple(family, protocol, [a, b]), tuple(family, protocol, [c, d]));
        let there = Deltas::between(&forward, &reverse.reversed());
        let back = Deltas::between(&reverse, &forward.reversed());
        prop_assert_eq!(there.inverse(), back);
        prop_assert_eq!(back.inverse(), there);
    }
}
