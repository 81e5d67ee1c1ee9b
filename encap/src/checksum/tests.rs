use etherparse::UdpHeader;
use proptest::prelude::*;

use super::*;

/// RFC 1071 as written: 16-bit words, carries folded at the end.
fn naive(bytes: &[u8]) -> u16 {
    let mut sum: u64 = 0;
    for pair in bytes.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u64::from(pair[0]) * 256 + u64::from(low);
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[test]
fn literal_sums() {
    let table: [(&[u8], u16); 8] = [
        (&[], 0xffff),
        (&[0x00], 0xffff),
        (&[0x12], 0xedff),
        (&[0xff, 0xff], 0x0000),
        (&[0x12, 0x34, 0x56], 0x97cb),
        (&[0x80, 0x00, 0x80, 0x00], 0xfffe),
        // RFC 1071 section 3.
        (&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7], 0x220d),
        // An IPv4 header with its checksum 0xb861 left out.
        (
            &[
                0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0x00, 0x00, 0xc0, 0xa8, 0x00,
                0x01, 0xc0, 0xa8, 0x00, 0xc7,
            ],
            0xb861,
        ),
    ];
    for (bytes, checksum) in table {
        assert_eq!(Sum::of(bytes).finish(), checksum, "{bytes:02x?}");
    }
}

#[test]
fn the_longest_packet_of_all_ones_does_not_overflow() {
    assert_eq!(Sum::of(&[0xff; 65536]).finish(), 0);
    assert_eq!(Sum::of(&[0xff; 65536]).add_bytes(&[0xff; 65536]).add_u16(0xffff).finish(), 0);
}

#[test]
fn udp_never_sends_zero() {
    assert_eq!(Sum::of(&[0xff, 0xff]).finish_udp(), 0xffff);
    assert_eq!(Sum::of(&[0x12, 0x34]).finish_udp(), 0xedcb);
}

/// RFC 1624 section 4, the example that equation 2 gets wrong.
#[test]
fn the_rfc_1624_example() {
    let delta = Delta::NONE.replace_u16(0x5555, 0x3285);
    assert_eq!(delta.apply(0xdd2f), 0x0000);
    assert_eq!(delta.apply_udp(0xdd2f), 0xffff);
}

#[test]
fn no_change_is_the_identity_on_every_checksum() {
    for checksum in 0..=u16::MAX {
        assert_eq!(Delta::NONE.apply(checksum), checksum);
        assert_eq!(Delta::NONE.apply_udp(checksum), checksum);
    }
}

#[test]
fn replacing_a_word_by_itself_or_by_the_other_zero_is_no_change() {
    for word in 0..=u16::MAX {
        assert_eq!(Delta::NONE.replace_u16(word, word), Delta::NONE);
    }
    assert_eq!(Delta::NONE.replace_u16(0x0000, 0xffff), Delta::NONE);
    assert_eq!(Delta::NONE.replace_u16(0xffff, 0x0000), Delta::NONE);
    assert_eq!(Delta::from_raw(0xffff), Delta::NONE);
}

#[test]
fn an_absent_udp_checksum_stays_absent_and_a_present_one_present() {
    for raw in 0..=u16::MAX {
        assert_eq!(Delta::from_raw(raw).apply_udp(0), 0);
        assert_ne!(Delta::from_raw(raw).apply_udp(0xdd2f), 0);
        assert_ne!(Delta::from_raw(raw).apply_udp(0xffff), 0);
        assert_ne!(Delta::from_raw(raw).apply_udp(0x0001), 0);
    }
}

#[test]
fn replaced_bytes_of_other_and_odd_lengths() {
    let by_words = Delta::NONE.replace_u16(0x1234, 0xabcd).replace_u16(0x5600, 0);
    assert_eq!(Delta::NONE.replace_bytes(&[0x12, 0x34, 0x56], &[0xab, 0xcd]), by_words);
    assert_eq!(Delta::NONE.replace_bytes(&[], &[]), Delta::NONE);
}

/// Data whose sum is not zero, as that of every packet (its protocol number alone is not).
fn data() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 4..64).prop_map(|mut bytes| {
        bytes.extend_from_slice(&[0x00, 0x11]);
        if bytes.len() % 2 == 1 {
            bytes.insert(0, 0x45);
        }
        bytes
    })
}

/// Words that sit on the edges of one's complement, and others.
fn word() -> impl Strategy<Value = u16> {
    prop_oneof![
        Just(0x0000),
        Just(0x0001),
        Just(0x7fff),
        Just(0x8000),
        Just(0xfffe),
        Just(0xffff),
        any::<u16>()
    ]
}

proptest! {
    #[test]
    fn sums_equal_the_naive_one(bytes: Vec<u8>) {
        prop_assert_eq!(Sum::of(&bytes).finish(), naive(&bytes));
    }

    #[test]
    fn pieces_add_up(bytes: Vec<u8>, cut: prop::sample::Index) {
        let cut = cut.index(bytes.len() + 1) & !1;
        prop_assert_eq!(Sum::of(&bytes[..cut]).add_bytes(&bytes[cut..]).finish(), naive(&bytes));
    }

    #[test]
    fn pseudo_headers_equal_etherparse(
        src4: [u8; 4], dst4: [u8; 4], src6: [u8; 16], dst6: [u8; 16], ports: (u16, u16), data: Vec<u8>,
    ) {
        let length = u16::try_from(data.len() + 8).unwrap();
        let udp = UdpHeader { source_port: ports.0, destination_port: ports.1, length, checksum: 0 };
        let rest = |pseudo: Sum| pseudo.add_bytes(&udp.to_bytes()).add_bytes(&data).finish_udp();
        prop_assert_eq!(
            rest(Sum::pseudo_v4(src4.into(), dst4.into(), 17, length)),
            udp.calc_checksum_ipv4_raw(src4, dst4, &data).unwrap()
        );
        prop_assert_eq!(
            rest(Sum::pseudo_v6(src6.into(), dst6.into(), 17, length.into())),
            udp.calc_checksum_ipv6_raw(src6, dst6, &data).unwrap()
        );
    }

    #[test]
    fn a_replaced_word_equals_full_recomputation(
        mut bytes in data(), place: prop::sample::Index, old in word(), new in word(),
    ) {
        // Never the last word: it holds what keeps the sum from being zero.
        let at = place.index(bytes.len() / 2 - 1) * 2;
        bytes[at..at + 2].copy_from_slice(&old.to_be_bytes());
        let before = naive(&bytes);
        bytes[at..at + 2].copy_from_slice(&new.to_be_bytes());
        prop_assert_eq!(Delta::NONE.replace_u16(old, new).apply(before), naive(&bytes));
    }

    #[test]
    fn replaced_addresses_and_ports_equal_full_recomputation(
        mut bytes in prop::collection::vec(any::<u8>(), 40..80), new: ([u8; 16], [u8; 2]),
    ) {
        bytes[39] |= 1;
        let before = naive(&bytes);
        let address: [u8; 16] = bytes[4..20].try_into().unwrap();
        let port: [u8; 2] = bytes[20..22].try_into().unwrap();
        bytes[4..20].copy_from_slice(&new.0);
        bytes[20..22].copy_from_slice(&new.1);
        let both = Delta::NONE.replace_bytes(&address, &new.0).replace_bytes(&port, &new.1);
        prop_assert_eq!(both.apply(before), naive(&bytes));
        let apart = Delta::NONE.replace_bytes(&port, &new.1);
        prop_assert_eq!(apart.combine(Delta::NONE.replace_bytes(&address, &new.0)), both);
        prop_assert_eq!(Delta::from_raw(both.as_raw()), both);
    }

    #[test]
    fn there_and_back_is_no_change(old: [u8; 16], new: [u8; 16]) {
        let there = Delta::NONE.replace_bytes(&old, &new);
        prop_assert_eq!(there.replace_bytes(&new, &old), Delta::NONE);
    }

    #[test]
    fn a_corrupt_checksum_stays_corrupt(raw: u16, good in 0..0xffff_u16, bad in 0..0xffff_u16) {
        prop_assume!(good != bad);
        let delta = Delta::from_raw(raw);
        prop_assert_ne!(delta.apply(good), delta.apply(bad));
    }

    /// On the wire 0xffff stands for the computed 0.
    #[test]
    fn a_corrupt_udp_checksum_stays_corrupt(raw: u16, good in 1..=u16::MAX, bad in 1..=u16::MAX) {
        prop_assume!(good != bad);
        let delta = Delta::from_raw(raw);
        prop_assert_ne!(delta.apply_udp(good), delta.apply_udp(bad));
    }
}
