//! The right to touch one chunk.

use crate::config::ChunkSize;

/// Ownership of one chunk of one UMEM, with the extent of the packet in it.
///
/// There is never more than one `Frame` for a chunk, and none while the kernel has the chunk. Dropping a
/// `Frame` is safe and loses the chunk: put it back into a [`FramePool`](crate::FramePool) instead.
#[derive(Debug)]
#[must_use = "a dropped frame loses its chunk: transmit it or put it into a pool"]
pub struct Frame {
    pub(crate) umem: u16,
    chunk_size: u16,
    pub(crate) chunk: u32,
    /// Offset (16) | length (16). One word, because a frame is moved right after this is written, and a processor
    /// waits where a load is made up of several stores.
    extent: u32,
}

/// A packet that would leave its chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a packet of {len} bytes at offset {offset} does not fit a chunk of {chunk_size} bytes")]
pub struct ExtentError {
    /// Offset asked for, bytes from the start of the chunk.
    pub offset: usize,
    /// Length asked for, bytes.
    pub len: usize,
    /// Size of the chunk, bytes.
    pub chunk_size: usize,
}

impl Frame {
    /// Only the UMEM makes frames, one per chunk it has back from the kernel or hands out for the first time.
    pub(crate) fn new(umem: u16, chunk: u32, chunk_size: ChunkSize, offset: u16) -> Self {
        Self { umem, chunk_size: chunk_size.bytes_u16(), chunk, extent: u32::from(offset) << 16 }
    }

    /// Where the packet starts, in bytes from the start of the chunk.
    #[must_use]
    #[inline]
    pub fn offset(&self) -> usize {
        (self.extent >> 16) as usize
    }

    /// Length of the packet in bytes.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        (self.extent & 0xffff) as usize
    }

    /// Whether there is no packet in the chunk.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of the chunk in its UMEM, from 0.
    #[must_use]
    pub fn chunk(&self) -> u32 {
        self.chunk
    }

    /// Says where in the chunk the packet lies, in bytes.
    ///
    /// # Errors
    /// [`ExtentError`] if the packet would leave the chunk; the frame is unchanged then.
    #[inline]
    pub fn set_extent(&mut self, offset: usize, len: usize) -> Result<(), ExtentError> {
        let chunk_size = usize::from(self.chunk_size);
        let fits = offset.checked_add(len).is_some_and(|end| end <= chunk_size);
        match (u16::try_from(offset), u16::try_from(len)) {
            (Ok(offset), Ok(len)) if fits => {
                self.extent = u32::from(offset) << 16 | u32::from(len);
                Ok(())
            }
            _ => Err(ExtentError { offset, len, chunk_size }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_twelve_bytes() {
        assert_eq!(size_of::<Frame>(), 12);
        assert_eq!(size_of::<Option<Frame>>(), 16);
    }

    #[test]
    fn an_extent_stays_inside_the_chunk() {
        let table = [
            (0, 0, true),
            (0, 2048, true),
            (2048, 0, true),
            (256, 1792, true),
            (256, 1793, false),
            (2049, 0, false),
            (0, 2049, false),
            (65536, 0, false),
            (usize::MAX, 1, false),
            (1, usize::MAX, false),
        ];
        for (offset, len, fits) in table {
            let mut frame = Frame::new(1, 0, ChunkSize::Bytes2048, 256);
            frame.set_extent(300, 60).unwrap();
            assert_eq!(frame.set_extent(offset, len).is_ok(), fits, "{offset} {len}");
            let expected = if fits { (offset, len) } else { (300, 60) };
            assert_eq!((frame.offset(), frame.len()), expected);
        }
    }
}
