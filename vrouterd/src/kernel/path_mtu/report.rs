//! Reads what a raw ICMP socket gives. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A tunnel packet did not get to its endpoint because it was too big.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Where it was sent.
    pub endpoint: IpAddr,
    /// Largest outer packet that would get through, in bytes.
    pub mtu: u16,
}

/// Less is no link of today but somebody who wants tiny packets (RFC 1191 section 7 has 576 on its list).
const LEAST_V4: u16 = 576;
/// Every IPv6 link carries this (RFC 8200 section 5; RFC 8201 section 4: less is not believed).
const LEAST_V6: u16 = 1280;
const UDP: u8 = 17;
/// Our outer source ports begin here (RFC 7510 section 3).
const FIRST_SOURCE_PORT: u16 = 49152;

/// The report in `message`, if it is one about a packet that `own` has sent to UDP port `port`. Over IPv4 the
/// message begins with the IP header, over IPv6 with the ICMP header (raw(7)).
pub fn read(message: &[u8], own: IpAddr, port: u16) -> Option<Report> {
    let report = match own {
        IpAddr::V4(own) => read_v4(message, own, port)?,
        IpAddr::V6(own) => read_v6(message, own, port)?,
    };
    let least = if own.is_ipv4() { LEAST_V4 } else { LEAST_V6 };
    (report.mtu >= least).then_some(report)
}

fn read_v4(message: &[u8], own: Ipv4Addr, port: u16) -> Option<Report> {
    let icmp = message.get(header_v4(message)?..)?;
    // Destination unreachable, fragmentation needed; the MTU is in the last two bytes (RFC 1191 section 4).
    if icmp.get(..2)? != [3, 4] {
        return None;
    }
    let mtu = u16_at(icmp, 6)?;
    let quote = icmp.get(8..)?;
    let udp = quote.get(header_v4(quote)?..)?;
    let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(quote.get(at..at + 4)?).ok()?));
    let sent = *quote.get(9)? == UDP && address(12)? == own && is_ours(udp, port)?;
    sent.then_some(Report { endpoint: address(16)?.into(), mtu })
}

fn read_v6(icmp: &[u8], own: Ipv6Addr, port: u16) -> Option<Report> {
    // Packet too big; the MTU has four bytes (RFC 4443 section 3.2).
    if *icmp.first()? != 2 {
        return None;
    }
    let mtu = u32::from(u16_at(icmp, 4)?) << 16 | u32::from(u16_at(icmp, 6)?);
    let quote = icmp.get(8..)?;
    let address = |at: usize| Some(Ipv6Addr::from(<[u8; 16]>::try_from(quote.get(at..at + 16)?).ok()?));
    let sent = *quote.get(6)? == UDP && address(8)? == own && is_ours(quote.get(40..)?, port)?;
    sent.then_some(Report { endpoint: address(24)?.into(), mtu: u16::try_from(mtu).unwrap_or(u16::MAX) })
}

/// Length of an IPv4 header.
fn header_v4(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let length = usize::from(first & 0xf) * 4;
    (first >> 4 == 4 && length >= 20).then_some(length)
}

fn is_ours(udp: &[u8], port: u16) -> Option<bool> {
    Some(u16_at(udp, 0)? >= FIRST_SOURCE_PORT && u16_at(udp, 2)? == port)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 1);

    /// What a router sends about a packet of ours from port 50000 to 172.30.0.2:6635.
    fn needed(mtu: u16) -> Vec<u8> {
        let mut bytes = vec![0x45, 0, 0, 56, 0, 0, 0, 0, 64, 1, 0, 0, 172, 30, 0, 9, 172, 30, 0, 1];
        bytes.extend([3, 4, 0, 0, 0, 0]);
        bytes.extend(mtu.to_be_bytes());
        bytes.extend([0x45, 0, 5, 220, 0, 0, 0x40, 0, 63, 17, 0, 0, 172, 30, 0, 1, 172, 30, 0, 2]);
        bytes.extend([0xc3, 0x50, 0x19, 0xeb, 5, 200, 0, 0]);
        bytes
    }

    fn too_big(mtu: u32) -> Vec<u8> {
        let mut bytes = vec![2, 0, 0, 0];
        bytes.extend(mtu.to_be_bytes());
        bytes.extend([0x60, 0, 0, 0, 5, 180, 17, 63]);
        bytes.extend("fd00:30::1".parse::<Ipv6Addr>().unwrap().octets());
        bytes.extend("fd00:30::2".parse::<Ipv6Addr>().unwrap().octets());
        bytes.extend([0xc3, 0x50, 0x19, 0xeb, 5, 180, 0, 0]);
        bytes
    }

    #[test]
    fn a_report_names_endpoint_and_size() {
        let report = read(&needed(1400), OWN.into(), 6635).unwrap();
        assert_eq!(report, Report { endpoint: "172.30.0.2".parse().unwrap(), mtu: 1400 });
        let own: IpAddr = "fd00:30::1".parse().unwrap();
        let report = read(&too_big(1400), own, 6635).unwrap();
        assert_eq!(report, Report { endpoint: "fd00:30::2".parse().unwrap(), mtu: 1400 });
        assert_eq!(read(&too_big(70_000), own, 6635).unwrap().mtu, u16::MAX);
    }

    #[test]
    fn what_is_not_about_our_tunnels_is_ignored() {
        assert_eq!(read(&needed(575), OWN.into(), 6635), None);
        assert_eq!(read(&needed(0), OWN.into(), 6635), None);
        assert_eq!(read(&needed(1400), OWN.into(), 51234), None);
        assert_eq!(read(&needed(1400), Ipv4Addr::new(172, 30, 0, 3).into(), 6635), None);
        assert_eq!(read(&too_big(1279), "fd00:30::1".parse().unwrap(), 6635), None);
        // Offset and value of a byte that makes it something else.
        for (at, value) in [(20, 8), (21, 3), (28, 0x65), (37, 6), (48, 0x80)] {
            let mut other = needed(1400);
            other[at] = value;
            assert_eq!(read(&other, OWN.into(), 6635), None, "byte {at}");
        }
    }

    #[test]
    fn a_message_that_is_cut_is_ignored() {
        let whole = needed(1400);
        for length in 0..whole.len() - 4 {
            assert_eq!(read(&whole[..length], OWN.into(), 6635), None);
        }
        let whole = too_big(1400);
        for length in 0..whole.len() - 4 {
            assert_eq!(read(&whole[..length], "fd00:30::1".parse().unwrap(), 6635), None);
        }
    }
}
