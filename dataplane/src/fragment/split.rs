//! Fragmenting an inner IPv4 packet that the way out does not take whole (RFC 791 section 3.2).

use encap::{DontFragment, Sum};
use flow_table::{Family, FlowHash, Output};

use crate::drop::DropReason;
use crate::ids::VifSlot;
use crate::packet::ip::{Fragment, Ip};
use crate::packet::{Packet, array_at, write_at};

/// Fragments that one packet is cut into at most.
pub(crate) const MAX_PIECES: usize = 128;
const MORE: u16 = 0x2000;
const FIXED_HEADER: usize = 20;
/// The longest IPv4 header.
const MAX_HEADER: usize = 60;

/// A packet that leaves in pieces: it has been rewritten and has its IP header in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// The vif that drops are laid to.
    pub(crate) vif: Option<VifSlot>,
    /// Where all pieces go.
    pub(crate) output: Output,
    /// Hash of the flow: every piece gets the same outer source port.
    pub(crate) hash: FlowHash,
    /// Largest IP packet the way out takes.
    pub(crate) mtu: usize,
}

/// Whether a packet may be fragmented on the way (IPv4 without DF), and `mtu` leaves room to.
pub(crate) fn is_allowed(ip: &Ip, mtu: usize) -> bool {
    let room = mtu.saturating_sub(ip.l4_offset) & !7;
    let may = ip.tuple.family == Family::V4 && ip.dont_fragment == DontFragment::Clear;
    may && room > 0 && (ip.len - ip.l4_offset).div_ceil(room) <= MAX_PIECES
}

/// How a packet is cut. Piece 0 keeps the packet's own header; the others get the options that
/// are to be copied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    /// Header of piece 0 and of the others, and the payload each has room for.
    header: usize,
    room: usize,
    later: LaterHeader,
    later_room: usize,
    /// Payload of the packet.
    payload: usize,
    /// Place of the packet in its own datagram: it may be a fragment itself.
    start: usize,
    more: bool,
}

impl Cut {
    /// How to cut `packet`, which [`is_allowed`].
    ///
    /// # Errors
    /// A reason to drop it, if the packet is not what it was.
    pub(crate) fn new(packet: &[u8], mtu: usize) -> Result<Self, DropReason> {
        let ip = Ip::parse(Family::V4, packet)?;
        if !is_allowed(&ip, mtu) {
            return Err(DropReason::FrameTooBig);
        }
        let later = LaterHeader::new(packet, ip.l4_offset);
        let (start, more) = match ip.fragment {
            Fragment::Whole => (0, false),
            Fragment::First(piece) | Fragment::Later(piece) => (usize::from(piece.start), piece.more),
        };
        Ok(Self {
            header: ip.l4_offset,
            room: room(mtu, ip.l4_offset),
            later,
            later_room: room(mtu, later.len),
            payload: ip.len.saturating_sub(ip.l4_offset),
            start,
            more,
        })
    }

    /// How many pieces there are.
    pub(crate) fn pieces(&self) -> usize {
        1 + self.payload.saturating_sub(self.room).div_ceil(self.later_room)
    }

    /// Writes piece `n`, not 0, into an empty packet. False when it does not fit there.
    #[must_use]
    pub(crate) fn write(&self, n: usize, packet: &[u8], into: &mut Packet<'_>) -> bool {
        let from = self.room + (n - 1) * self.later_room;
        let until = (from + self.later_room).min(self.payload);
        let Some(part) = packet.get(self.header + from..self.header + until) else { return false };
        if !into.extend(self.later.len + part.len()) {
            return false;
        }
        let bytes = into.bytes_mut();
        let (header, payload) = bytes.split_at_mut(self.later.len);
        header.copy_from_slice(self.later.bytes.get(..self.later.len).unwrap_or_default());
        payload.copy_from_slice(part);
        let more = until < self.payload || self.more;
        seal(bytes, self.later.len, self.start + from, more);
        true
    }

    /// Cuts the packet down to piece 0.
    pub(crate) fn keep_first(&self, packet: &mut Packet<'_>) {
        packet.truncate(self.header + self.room);
        let more = self.room < self.payload || self.more;
        seal(packet.bytes_mut(), self.header, self.start, more);
    }
}

/// Payload that fits behind a header: a multiple of 8, and never nothing.
fn room(mtu: usize, header: usize) -> usize {
    (mtu.saturating_sub(header) & !7).max(8)
}

/// Makes a header fit its fragment: length, place and checksum. `start` counts bytes.
fn seal(bytes: &mut [u8], header: usize, start: usize, more: bool) {
    let len = bytes.len() as u16;
    let flags = if more { MORE } else { 0 };
    write_at(bytes, 2, len.to_be_bytes());
    write_at(bytes, 6, ((start >> 3) as u16 | flags).to_be_bytes());
    write_at(bytes, 10, [0, 0]);
    let checksum = Sum::of(bytes.get(..header).unwrap_or_default()).finish();
    write_at(bytes, 10, checksum.to_be_bytes());
}

/// A header with the options that every fragment carries.
#[derive(Clone, Copy, Debug)]
struct LaterHeader {
    bytes: [u8; MAX_HEADER],
    len: usize,
}

impl LaterHeader {
    /// The options were walked when the packet was parsed, so their lengths hold.
    fn new(packet: &[u8], header: usize) -> Self {
        let mut bytes = [0; MAX_HEADER];
        let fixed: [u8; FIXED_HEADER] = array_at(packet, 0).unwrap_or_default();
        write_at(&mut bytes, 0, fixed);
        let mut len = FIXED_HEADER;
        let mut options = packet.get(FIXED_HEADER..header).unwrap_or_default();
        while let Some((&kind, rest)) = options.split_first() {
            let size = match kind {
                0 => break,
                1 => 1,
                _ => usize::from(rest.first().copied().unwrap_or_default()).max(2),
            };
            let (Some(option), Some(next)) = (options.get(..size), options.get(size..)) else { break };
            // RFC 791 section 3.1: the top bit says that the option is copied into all fragments.
            if kind & 0x80 != 0
                && let Some(room) = bytes.get_mut(len..len + size)
            {
                room.copy_from_slice(option);
                len += size;
            }
            options = next;
        }
        // Zeros end the options.
        let len = len.next_multiple_of(4);
        write_at(&mut bytes, 0, [0x40 | (len / 4) as u8]);
        Self { bytes, len }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Extent;

    /// A packet with these options, flags and offset in 8 bytes, and payload 0, 1, 2 ...
    fn packet(options: &[u8], field: u16, payload: usize) -> Vec<u8> {
        let header = 20 + options.len();
        let mut bytes = vec![0x40 | (header / 4) as u8, 0, 0, 0, 0x12, 0x34, 0, 0, 64, 17, 0, 0];
        bytes.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        bytes.extend(options);
        bytes.extend((0..payload).map(|n| n as u8));
        let len = bytes.len() as u16;
        write_at(&mut bytes, 2, len.to_be_bytes());
        seal(&mut bytes, header, usize::from(field & 0x1fff) * 8, field & MORE != 0);
        if header + 6 <= bytes.len() && field & 0x1fff == 0 {
            write_at(&mut bytes, header + 4, (payload as u16).to_be_bytes());
        }
        bytes
    }

    fn cut(bytes: &[u8], mtu: usize) -> Vec<Vec<u8>> {
        let cut = Cut::new(bytes, mtu).unwrap();
        let mut buffer = bytes.to_vec();
        let mut first = Packet::new(&mut buffer, Extent { start: 0, len: bytes.len() });
        cut.keep_first(&mut first);
        let mut pieces = vec![first.bytes().to_vec()];
        for n in 1..cut.pieces() {
            let mut buffer = [0xee; 2048];
            let mut piece = Packet::new(&mut buffer, Extent { start: 100, len: 0 });
            assert!(cut.write(n, bytes, &mut piece));
            pieces.push(piece.bytes().to_vec());
        }
        pieces
    }

    #[test]
    fn pieces_put_together_are_the_packet() {
        for (field, mtu, payload) in [
            (0, 600, 1480),
            (0, 68, 1480),
            (MORE, 576, 1200),
            (MORE | 185, 600, 1480),
            (185, 576, 1111),
            (0, 1499, 1480),
        ] {
            let whole = packet(&[], field, payload);
            let pieces = cut(&whole, mtu);
            let mut next = usize::from(field & 0x1fff) * 8;
            let mut joined = Vec::new();
            for (n, piece) in pieces.iter().enumerate() {
                assert!(piece.len() <= mtu);
                let (Fragment::First(at) | Fragment::Later(at)) =
                    Ip::parse(Family::V4, piece).unwrap().fragment
                else {
                    panic!("whole")
                };
                assert_eq!((at.id, usize::from(at.start)), (0x1234, next));
                assert_eq!(at.more, n + 1 < pieces.len() || field & MORE != 0);
                next = usize::from(at.end);
                joined.extend_from_slice(&piece[20..]);
            }
            assert_eq!(joined, whole[20..], "{field:x} {mtu} {payload}");
        }
    }

    #[test]
    fn only_copied_options_are_copied() {
        // Record route (7) stays in the first fragment, router alert (148) goes into all.
        let options = [7, 7, 4, 0, 0, 0, 0, 148, 4, 0, 0, 0];
        let pieces = cut(&packet(&options, 0, 200), 100);
        assert_eq!(pieces[0][..1], [0x48]);
        assert_eq!(pieces[0][20..32], options);
        for piece in &pieces[1..] {
            assert_eq!(piece[..1], [0x46]);
            assert_eq!(piece[20..24], [148, 4, 0, 0]);
        }
        let joined: Vec<u8> = [&pieces[0][32..], &pieces[1][24..], &pieces[2][24..]].concat();
        assert_eq!(joined, packet(&options, 0, 200)[32..]);
    }

    #[test]
    fn what_may_not_be_cut() {
        let whole = packet(&[], 0, 1000);
        let ip = Ip::parse(Family::V4, &whole).unwrap();
        assert!(is_allowed(&ip, 28));
        assert!(!is_allowed(&ip, 27), "no room for 8 bytes");
        assert!(!is_allowed(&Ip { dont_fragment: DontFragment::Set, ..ip }, 600));
        let long = packet(&[], 0, 8 * MAX_PIECES + 1);
        assert!(!is_allowed(&Ip::parse(Family::V4, &long).unwrap(), 28), "too many");
    }
}
