//! Blocks of a pcapng file (draft-ietf-opsawg-pcapng), little-endian. Times are in milliseconds.

/// Ethernet (LINKTYPE_ETHERNET).
const ETHERNET: u16 = 1;
const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

// Options.
const COMMENT: u16 = 1;
const IF_NAME: u16 = 2;
const EPB_FLAGS: u16 = 2;
const SHB_USERAPPL: u16 = 4;
const ISB_IFDROP: u16 = 5;
const IF_TSRESOL: u16 = 9;

/// Which way a packet goes, as the vrouter sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the pod.
    Inbound,
    /// To the pod.
    Outbound,
}

/// A packet to be written.
#[derive(Debug)]
pub(super) struct Packet<'a> {
    /// As [`Writer::interface`] has numbered it.
    pub(super) interface: u32,
    /// Milliseconds since 1970.
    pub(super) at: u64,
    /// What is kept of it.
    pub(super) bytes: &'a [u8],
    /// Its length.
    pub(super) len: usize,
    pub(super) direction: Direction,
    pub(super) comment: Option<&'a str>,
}

/// Writes blocks into memory.
#[derive(Debug, Default)]
pub(super) struct Writer {
    blocks: Vec<u8>,
    interfaces: u32,
}

impl Writer {
    /// Takes what was written.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.blocks)
    }

    /// Bytes that wait to be taken.
    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// The head of the file, of unknown length.
    pub(super) fn section(&mut self, application: &str) {
        let mut body = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
        body.extend(1u16.to_le_bytes());
        body.extend(0u16.to_le_bytes());
        body.extend(u64::MAX.to_le_bytes());
        option(&mut body, SHB_USERAPPL, application.as_bytes());
        end_of_options(&mut body);
        self.block(SECTION, &body);
    }

    /// Names an interface and numbers it.
    pub(super) fn interface(&mut self, name: &str, snap: usize) -> u32 {
        let mut body = ETHERNET.to_le_bytes().to_vec();
        body.extend(0u16.to_le_bytes());
        body.extend(length(snap).to_le_bytes());
        option(&mut body, IF_NAME, name.as_bytes());
        // Ten to the minus third of a second.
        option(&mut body, IF_TSRESOL, &[3]);
        end_of_options(&mut body);
        self.block(INTERFACE, &body);
        self.interfaces += 1;
        self.interfaces - 1
    }

    /// A packet.
    pub(super) fn packet(&mut self, packet: &Packet<'_>) {
        let mut body = packet.interface.to_le_bytes().to_vec();
        time(&mut body, packet.at);
        body.extend(length(packet.bytes.len()).to_le_bytes());
        body.extend(length(packet.len).to_le_bytes());
        padded(&mut body, packet.bytes);
        if let Some(comment) = packet.comment {
            option(&mut body, COMMENT, comment.as_bytes());
        }
        let flags: u32 = match packet.direction {
            Direction::Inbound => 1,
            Direction::Outbound => 2,
        };
        option(&mut body, EPB_FLAGS, &flags.to_le_bytes());
        end_of_options(&mut body);
        self.block(ENHANCED_PACKET, &body);
    }

    /// How many packets of an interface are not in the file, for want of room.
    pub(super) fn statistics(&mut self, interface: u32, at: u64, missed: u64) {
        let mut body = interface.to_le_bytes().to_vec();
        time(&mut body, at);
        option(&mut body, ISB_IFDROP, &missed.to_le_bytes());
        end_of_options(&mut body);
        self.block(STATISTICS, &body);
    }

    /// Type and length in front, the length once more behind.
    fn block(&mut self, kind: u32, body: &[u8]) {
        let total = length(body.len() + 12).to_le_bytes();
        self.blocks.extend(kind.to_le_bytes());
        self.blocks.extend(total);
        self.blocks.extend(body);
        self.blocks.extend(total);
    }
}

/// Lengths here are those of packets and of texts of our own.
fn length(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// The high half comes first.
fn time(body: &mut Vec<u8>, at: u64) {
    body.extend(((at >> 32) as u32).to_le_bytes());
    body.extend((at as u32).to_le_bytes());
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = value.get(..usize::from(u16::MAX)).unwrap_or(value);
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    padded(body, value);
}

fn end_of_options(body: &mut Vec<u8>) {
    body.extend([0; 4]);
}

/// Everything is a multiple of 32 bits long.
fn padded(body: &mut Vec<u8>, bytes: &[u8]) {
    body.extend(bytes);
    body.resize(body.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_block_is_laid_out_as_the_draft_says() {
        let mut writer = Writer::default();
        let comment = Some("why");
        let direction = Direction::Inbound;
        writer.packet(&Packet {
            interface: 1,
            at: 0x1_0000_0002,
            bytes: &[9; 5],
            len: 7,
            direction,
            comment,
        });
        let expected: &[&[u8]] = &[
            &[6, 0, 0, 0],
            &[60, 0, 0, 0],
            &[1, 0, 0, 0],
            &[1, 0, 0, 0, 2, 0, 0, 0],
            &[5, 0, 0, 0, 7, 0, 0, 0],
            &[9, 9, 9, 9, 9, 0, 0, 0],
            &[1, 0, 3, 0, b'w', b'h', b'y', 0],
            &[2, 0, 4, 0, 1, 0, 0, 0],
            &[0, 0, 0, 0],
            &[60, 0, 0, 0],
        ];
        assert_eq!(writer.take(), expected.concat());
        assert_eq!(writer.len(), 0);
    }

    #[test]
    fn interfaces_are_numbered_and_all_blocks_are_whole_words() {
        let mut writer = Writer::default();
        writer.section("x");
        assert_eq!((writer.interface("client", 100), writer.interface("web", 100)), (0, 1));
        writer.statistics(1, 5, 6);
        let blocks = writer.take();
        let mut rest = &blocks[..];
        let mut kinds = Vec::new();
        while !rest.is_empty() {
            let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
            let total = word(4) as usize;
            assert_eq!((total % 4, word(total - 4) as usize), (0, total));
            kinds.push(word(0));
            rest = &rest[total..];
        }
        assert_eq!(kinds, [SECTION, INTERFACE, INTERFACE, STATISTICS]);
    }
}
