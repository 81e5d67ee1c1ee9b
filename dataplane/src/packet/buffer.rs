//! The buffer a packet lives in, with room before it for headers.

use crate::io::Extent;

/// A packet inside its buffer. Headers are taken off and put on at the front without moving bytes.
#[derive(Debug)]
pub struct Packet<'a> {
    buffer: &'a mut [u8],
    start: usize,
    end: usize,
}

impl<'a> Packet<'a> {
    /// A packet at `extent` of `buffer`; an extent outside the buffer gives an empty packet.
    pub fn new(buffer: &'a mut [u8], extent: Extent) -> Self {
        let end = extent.start.saturating_add(extent.len);
        let (start, end) = if end <= buffer.len() { (extent.start, end) } else { (0, 0) };
        Self { buffer, start, end }
    }

    /// Where the packet lies now.
    pub fn extent(&self) -> Extent {
        Extent { start: self.start, len: self.end - self.start }
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The packet.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// The packet, to change.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.start..self.end).unwrap_or_default()
    }

    /// Takes `n` bytes off the front; all of them if there are fewer.
    pub fn pull(&mut self, n: usize) {
        self.start = self.start.saturating_add(n).min(self.end);
    }

    /// Puts `n` bytes on at the front, their content being whatever was there.
    /// False when there is no room; the packet is unchanged then.
    #[must_use]
    pub fn push(&mut self, n: usize) -> bool {
        match self.start.checked_sub(n) {
            Some(start) => {
                self.start = start;
                true
            }
            None => false,
        }
    }

    /// Adds `n` bytes at the end, their content being whatever was there.
    /// False when there is no room; the packet is unchanged then.
    #[must_use]
    pub fn extend(&mut self, n: usize) -> bool {
        match self.end.checked_add(n).filter(|end| *end <= self.buffer.len()) {
            Some(end) => {
                self.end = end;
                true
            }
            None => false,
        }
    }

    /// Cuts the packet to `len` bytes; a shorter one stays as it is.
    pub fn truncate(&mut self, len: usize) {
        self.end = self.end.min(self.start.saturating_add(len));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_off_and_go_on() {
        let mut buffer = [0, 1, 2, 3, 4, 5, 6, 7];
        let mut packet = Packet::new(&mut buffer, Extent { start: 2, len: 4 });
        packet.pull(1);
        assert_eq!(packet.bytes(), [3, 4, 5]);
        assert!(packet.push(3));
        assert_eq!(packet.bytes(), [0, 1, 2, 3, 4, 5]);
        assert!(!packet.push(1));
        packet.truncate(2);
        assert_eq!(packet.bytes(), [0, 1]);
        assert!(packet.extend(1));
        assert_eq!(packet.bytes(), [0, 1, 2]);
        assert!(!packet.extend(6));
        packet.pull(9);
        assert!(packet.is_empty());
    }

    #[test]
    fn an_extent_outside_the_buffer_is_empty() {
        let mut buffer = [0; 4];
        assert!(Packet::new(&mut buffer, Extent { start: 3, len: 2 }).is_empty());
        assert!(Packet::new(&mut buffer, Extent { start: usize::MAX, len: 2 }).is_empty());
    }
}
