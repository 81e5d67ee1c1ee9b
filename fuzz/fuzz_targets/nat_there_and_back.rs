#![no_main]
//! A packet to a service and, as its answer, the same packet with its ends swapped: both are translated, and what
//! comes back is the packet that was sent, but for the TTL. The model recomputes every checksum in full beside it.
//!
//! The input: family, protocol, client port (2), checksum kept or made right, header fields (3), transport bytes.

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use model_router::bytes::{checksum, crc32c, octets, pseudo, put, u16_at};
use model_router::lockstep::Lockstep;
use model_router::packet;
use model_router::router::Side;

const CLIENT: u8 = 1;
const BACKEND: u8 = 2;

fuzz_target!(|input: &[u8]| {
    let Some((head, body)) = input.split_first_chunk::<8>() else { return };
    let v6 = head[0] % 2 == 1;
    let Some(sent) = request(v6, head, &body[..body.len().min(1200)]) else { return };
    let desired = vrouter_fuzz::desired(&[BACKEND]);
    let mut both = Lockstep::new(&desired).unwrap_or_else(|error| panic!("{error}"));
    let Some(there) = through(&mut both, CLIENT, &sent) else { return };
    let back = through(&mut both, BACKEND, &swapped(&there))
        .unwrap_or_else(|| panic!("the answer was not delivered"));
    assert_eq!(essence(&swapped(&back)), essence(&sent));
});

/// A packet from the client to the service; none if its transport is not well formed.
fn request(v6: bool, head: &[u8; 8], body: &[u8]) -> Option<Vec<u8>> {
    let [_, protocol, high, low, keep, tos, id, ttl] = *head;
    let (protocol, port) = [(6, 80u16), (17, 53), (132, 99)][usize::from(protocol % 3)];
    let (src, dst): (IpAddr, IpAddr) = if v6 {
        ([0xfd00, 0, 0, 0, 0, 0, 0, 1].into(), [0xfd96, 0, 0, 0, 0, 0, 0, 1].into())
    } else {
        ([10, 0, 0, CLIENT].into(), [10, 96, 0, 1].into())
    };
    let mut segment = [&[high, low], &port.to_be_bytes()[..], body].concat();
    match protocol {
        6 if segment.len() >= 20 => segment[12] = 5 << 4,
        17 if segment.len() >= 8 => {
            let len = (segment.len() as u16).to_be_bytes();
            put(&mut segment, 4, &len);
        }
        132 if segment.len() >= 12 => {}
        _ => return None,
    }
    if keep % 2 == 0 {
        seal(src, dst, protocol, &mut segment);
    }
    let addresses = [octets(src), octets(dst)].concat();
    let ttl = ttl.max(3);
    let len = segment.len() as u16;
    let mut header = if v6 {
        let [high, low] = len.to_be_bytes();
        [&[0x60 | tos >> 4, tos << 4, 0, id, high, low, protocol, ttl], &addresses[..]].concat()
    } else {
        let [high, low] = (len + 20).to_be_bytes();
        [&[0x45, tos, high, low, 0, id, 0x40, 0, ttl, protocol, 0, 0], &addresses[..]].concat()
    };
    if !v6 {
        let sum = checksum(&[&header]);
        put(&mut header, 10, &sum.to_be_bytes());
    }
    Some([header, segment].concat())
}

fn seal(src: IpAddr, dst: IpAddr, protocol: u8, segment: &mut [u8]) {
    let at = if protocol == 6 { 16 } else { 6 };
    if protocol == 132 {
        let crc = crc32c(segment);
        put(segment, 8, &crc.to_le_bytes());
        return;
    }
    put(segment, at, &[0, 0]);
    let sum = checksum(&[&pseudo(src, dst, protocol, segment.len()), segment]);
    put(segment, at, &(if sum == 0 && protocol == 17 { 0xffff } else { sum }).to_be_bytes());
}

/// Sends a packet from a pod and takes what another pod gets.
fn through(both: &mut Lockstep, pod: u8, packet: &[u8]) -> Option<Vec<u8>> {
    let ethertype = if packet[0] >> 4 == 6 { [0x86, 0xdd] } else { [0x08, 0x00] };
    let tag = [[0x81, 0], [0, pod], ethertype];
    let frame = [&[0, 0, 0x5e, 0, 1, 0, 2, 0, 0, 0, 0, pod], tag.as_flattened(), packet].concat();
    let sent = both.step(Side::Trunk, &frame).unwrap_or_else(|error| panic!("{error}"));
    let (_, delivered) = sent.first()?;
    // A message to the sender itself is no delivery.
    (delivered[5] != pod).then(|| delivered[18..].to_vec())
}

/// Source and destination, addresses and ports, change places: no checksum but the CRC of SCTP notices.
fn swapped(packet: &[u8]) -> Vec<u8> {
    let mut swapped = packet.to_vec();
    let (at, width) = if packet[0] >> 4 == 6 { (8, 16) } else { (12, 4) };
    let l4 = at + 2 * width;
    put(&mut swapped, at, &packet[at + width..l4]);
    put(&mut swapped, at + width, &packet[at..at + width]);
    put(&mut swapped, l4, &packet[l4 + 2..l4 + 4]);
    put(&mut swapped, l4 + 2, &packet[l4..l4 + 2]);
    if packet[if width == 4 { 9 } else { 6 }] == 132 {
        let crc: [u8; 4] = packet[l4 + 8..l4 + 12].try_into().unwrap_or_default();
        let changed = u32::from_le_bytes(crc) ^ crc32c(&packet[l4..]) ^ crc32c(&swapped[l4..]);
        put(&mut swapped, l4 + 8, &changed.to_le_bytes());
    }
    swapped
}

/// A packet without its TTL and the IPv4 header checksum, which must be right in itself. Of the two zeros of a
/// TCP checksum the translation may give the other.
fn essence(packet: &[u8]) -> Vec<u8> {
    let version = packet[0] >> 4;
    let parsed = packet::parse(version, packet).unwrap_or_else(|reason| panic!("{reason:?}"));
    let mut essence = packet.to_vec();
    if version == 4 {
        put(&mut essence, 8, &[0]);
        put(&mut essence, 10, &[0, 0]);
    } else {
        put(&mut essence, 7, &[0]);
    }
    if parsed.tuple.protocol == 6 && u16_at(packet, parsed.l4 + 16) == Some(0xffff) {
        put(&mut essence, parsed.l4 + 16, &[0, 0]);
    }
    essence
}
