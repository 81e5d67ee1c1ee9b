//! Maximum segment size of TCP (RFC 9293 section 3.7.1), lowered so that segments fit the tunnel.

use encap::Delta;
use flow_table::Family;

use crate::packet::ip::Ip;
use crate::packet::{u16_at, write_at};

const KIND_END: u8 = 0;
const KIND_NOP: u8 = 1;
const KIND_MSS: u8 = 2;
/// Flag of a segment that opens a direction; only such carry the option.
pub(crate) const SYN: u8 = 0x02;

/// Lowers the option of a SYN to what an IP packet of `mtu` bytes can carry. A segment without
/// the option stays as it is: its sender then gets the default of RFC 9293, which always fits.
pub(crate) fn clamp(packet: &mut [u8], ip: &Ip, mtu: usize) {
    // RFC 6691: the option counts neither IP nor TCP options.
    let headers = match ip.tuple.family {
        Family::V4 => 20 + 20,
        Family::V6 => 40 + 20,
    };
    let limit = u16::try_from(mtu.saturating_sub(headers)).unwrap_or(u16::MAX);
    let segment = packet.get_mut(ip.l4_offset..).unwrap_or_default();
    let Some(at) = find(segment) else { return };
    let mss = u16_at(segment, at).unwrap_or_default();
    if mss <= limit {
        return;
    }
    write_at(segment, at, limit.to_be_bytes());
    // An option may stand at an odd offset: its bytes then count swapped (RFC 1071 section 2 B).
    let delta = match at % 2 {
        0 => Delta::NONE.replace_u16(mss, limit),
        _ => Delta::NONE.replace_u16(mss.swap_bytes(), limit.swap_bytes()),
    };
    let checksum = u16_at(segment, 16).unwrap_or_default();
    write_at(segment, 16, delta.apply(checksum).to_be_bytes());
}

/// Offset of the option's value in the segment.
fn find(segment: &[u8]) -> Option<usize> {
    let header = usize::from(segment.get(12)? >> 4) * 4;
    let mut at = 20;
    while at < header {
        match (*segment.get(at)?, *segment.get(at + 1)?) {
            (KIND_END, _) => return None,
            (KIND_NOP, _) => at += 1,
            (KIND_MSS, 4) => return (at + 4 <= header).then_some(at + 2),
            (_, len) if len < 2 => return None,
            (_, len) => at += usize::from(len),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use etherparse::{Ipv4HeaderSlice, PacketBuilder, TcpOptionElement, TcpSlice};

    use super::*;

    fn syn(options: &[TcpOptionElement]) -> Vec<u8> {
        let builder = PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .tcp(1000, 80, 7, 65535)
            .syn()
            .options(options)
            .unwrap();
        let mut packet = Vec::new();
        builder.write(&mut packet, &[]).unwrap();
        packet
    }

    fn clamped(mut packet: Vec<u8>, mtu: usize) -> Option<u16> {
        let ip = Ip::parse(Family::V4, &packet).unwrap();
        clamp(&mut packet, &ip, mtu);
        let header = Ipv4HeaderSlice::from_slice(&packet).unwrap().to_header();
        let tcp = TcpSlice::from_slice(&packet[20..]).unwrap();
        assert_eq!(tcp.checksum(), tcp.to_header().calc_checksum_ipv4(&header, &[]).unwrap());
        tcp.options_iterator().flatten().find_map(|option| match option {
            TcpOptionElement::MaximumSegmentSize(mss) => Some(mss),
            _ => None,
        })
    }

    #[test]
    fn the_option_is_lowered_and_never_raised_at_any_offset() {
        use TcpOptionElement::{MaximumSegmentSize, Noop, WindowScale};
        assert_eq!(clamped(syn(&[MaximumSegmentSize(1460)]), 1468), Some(1428));
        assert_eq!(clamped(syn(&[MaximumSegmentSize(1200)]), 1468), Some(1200));
        assert_eq!(clamped(syn(&[Noop, MaximumSegmentSize(1460)]), 1468), Some(1428));
        assert_eq!(clamped(syn(&[WindowScale(7), MaximumSegmentSize(1460)]), 1468), Some(1428));
        assert_eq!(clamped(syn(&[WindowScale(7)]), 1468), None);
        assert_eq!(clamped(syn(&[]), 1468), None);
    }

    #[test]
    fn options_that_lie_are_left_alone() {
        for lie in [[1, 1, 2, 4], [2, 0, 5, 5], [9, 1, 2, 4], [2, 3, 5, 5], [9, 40, 2, 4], [1, 1, 1, 2]] {
            let mut packet = syn(&[TcpOptionElement::MaximumSegmentSize(1460)]);
            packet[40..44].copy_from_slice(&lie);
            let ip = Ip::parse(Family::V4, &packet).unwrap();
            // The payload begins where a lie may point to.
            packet.extend([0xff; 4]);
            let before = packet.clone();
            clamp(&mut packet, &ip, 576);
            assert_eq!(packet, before, "{lie:?}");
        }
    }
}
