//! The packet I/O a worker is driven by. `dataplane` names no socket; it sees this trait.

/// Which side of the node a frame comes from or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The trunk: all vifs, told apart by VLAN id.
    Trunk,
    /// The uplink: the other nodes.
    Uplink,
}

/// Where a frame lies in its buffer, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// First byte of the frame.
    pub start: usize,
    /// Length of the frame.
    pub len: usize,
}

/// A source and sink of frames with buffers of its own.
///
/// A frame is owned by exactly one place: the I/O, or the caller between `receive` (or
/// `allocate`) and `send` or `recycle`. Nothing here may allocate, and only [`PacketIo::wait`] may wait.
pub trait PacketIo {
    /// An owned buffer; neither `Clone` nor `Copy`.
    type Frame;

    /// Appends at most `max` received frames to `into` and says how many.
    fn receive(&mut self, side: Side, into: &mut Vec<Self::Frame>, max: usize) -> usize;

    /// A frame's whole buffer and where in it the frame lies; the room before it is headroom.
    fn open<'a>(&'a self, frame: &'a mut Self::Frame) -> (&'a mut [u8], Extent);

    /// Says where the frame lies now. An extent outside the buffer makes the frame empty.
    fn set_extent(&self, frame: &mut Self::Frame, extent: Extent);

    /// A free buffer, empty, with headroom before it.
    fn allocate(&mut self) -> Option<Self::Frame>;

    /// Queues a frame for sending, or gives it back when the ring is full.
    fn send(&mut self, side: Side, frame: Self::Frame) -> Result<(), Self::Frame>;

    /// Takes a buffer back.
    fn recycle(&mut self, frame: Self::Frame);

    /// Hands what was queued to the kernel and collects what it has sent. Once per batch.
    fn flush(&mut self);

    /// Called once a second: the place for gauges and health, off the path of packets.
    fn tick(&mut self);

    /// Sleeps until a frame may be there, the worker is woken, or `timeout` is over.
    fn wait(&mut self, timeout: core::time::Duration);
}
