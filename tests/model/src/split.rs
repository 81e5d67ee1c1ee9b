//! Cutting an IPv4 packet into fragments (RFC 791 section 3.2).

use crate::bytes::{checksum, put, u16_at};
use crate::packet::Packet;

/// Pieces of one packet at most.
const MOST: usize = 128;

/// Whether a packet may be cut for a way out that takes `mtu` bytes.
pub fn is_allowed(packet: &Packet, mtu: usize) -> bool {
    let room = mtu.saturating_sub(packet.l4) / 8 * 8;
    let may = packet.tuple.src.is_ipv4() && packet.bytes[6] & 0x40 == 0;
    may && room > 0 && (packet.bytes.len() - packet.l4).div_ceil(room) <= MOST
}

/// The fragments of a packet, which may be one itself: the first with its whole header, the others with the options
/// that are to be copied.
pub fn cut(whole: &[u8], mtu: usize) -> Vec<Vec<u8>> {
    let (header, payload) = whole.split_at(usize::from(whole[0] & 15) * 4);
    let field = u16_at(whole, 6).unwrap_or(0);
    let (start, is_not_last) = (field & 0x1fff, field & 0x2000);
    let later = later_header(header);
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < payload.len() {
        let header = if at == 0 { header } else { &later };
        let end = (at + (mtu - header.len()) / 8 * 8).min(payload.len());
        let mut piece = [header, &payload[at..end]].concat();
        let more = if end < payload.len() { 0x2000 } else { is_not_last };
        let len = piece.len() as u16;
        put(&mut piece, 2, &len.to_be_bytes());
        put(&mut piece, 6, &((start + (at / 8) as u16) | more).to_be_bytes());
        put(&mut piece, 10, &[0, 0]);
        let sum = checksum(&[&piece[..header.len()]]);
        put(&mut piece, 10, &sum.to_be_bytes());
        pieces.push(piece);
        at = end;
    }
    pieces
}

fn later_header(header: &[u8]) -> Vec<u8> {
    let mut later = header[..20].to_vec();
    let mut at = 20;
    while at < header.len() && header[at] != 0 {
        let len =
            if header[at] == 1 { 1 } else { usize::from(u16_at(header, at).unwrap_or(0) & 0xff).max(1) };
        if header[at] & 0x80 != 0 {
            later.extend(&header[at..at + len]);
        }
        at += len;
    }
    later.resize(later.len().next_multiple_of(4), 0);
    later[0] = 0x40 | (later.len() / 4) as u8;
    later
}
