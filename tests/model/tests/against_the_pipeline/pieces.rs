//! Fragments: those that a host makes, and those that only an attacker makes.

use model_router::bytes::{checksum, put};

use crate::dice::Dice;

/// Sizes of fragments, all but the last.
const SIZES: [usize; 6] = [8, 16, 24, 40, 320, 640];

/// A packet in fragments, few enough to come to an end. Now and then they overlap, one is missing, or the last one
/// says that others follow.
pub(crate) fn cut(packet: &[u8], dice: &mut Dice<'_>) -> Vec<Vec<u8>> {
    let v4 = packet[0] >> 4 == 4;
    let header = if v4 { usize::from(packet[0] & 15) * 4 } else { 40 };
    let Some(payload) = packet.get(header..).filter(|payload| !payload.is_empty()) else { return Vec::new() };
    let id = dice.roll(4) as u8;
    let size = dice.pick(&SIZES).max(payload.len().div_ceil(5).next_multiple_of(8));
    let hostile = dice.roll(8);
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < payload.len() {
        let mut end = (at + size).min(payload.len());
        let last = end == payload.len();
        if hostile == 5 && !last && pieces.len() == 1 {
            end = (end + 8).min(payload.len());
        }
        let more = !last || hostile == 6;
        if hostile != 7 || pieces.len() != 1 {
            pieces.push(piece(packet, header, id, (at, &payload[at..end], more)));
        }
        at += size;
    }
    pieces
}

fn piece(packet: &[u8], header: usize, id: u8, (start, part, more): (usize, &[u8], bool)) -> Vec<u8> {
    let mut head = packet[..header].to_vec();
    let start = start as u16;
    if packet[0] >> 4 == 4 {
        put(&mut head, 2, &((header + part.len()) as u16).to_be_bytes());
        put(&mut head, 4, &[0, id]);
        let more = if more { 0x2000 } else { 0 };
        put(&mut head, 6, &((start / 8) | more).to_be_bytes());
        put(&mut head, 10, &[0, 0]);
        let sum = checksum(&[&head]);
        put(&mut head, 10, &sum.to_be_bytes());
    } else {
        let [high, low] = (start | u16::from(more)).to_be_bytes();
        head.extend([packet[6], 0, high, low, 0, 0, 0, id]);
        put(&mut head, 4, &((8 + part.len()) as u16).to_be_bytes());
        put(&mut head, 6, &[44]);
    }
    [&head, part].concat()
}
