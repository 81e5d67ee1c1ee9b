//! What a worker tells about its frames and sockets, once a second.

use std::sync::Mutex;

use af_xdp::{FrameCounts, Statistics};
use dataplane::io::Side;

/// One AF_XDP socket of a worker.
#[derive(Clone, Debug)]
pub struct SocketGauge {
    /// What it is bound to.
    pub side: Side,
    /// Device.
    pub ifindex: u32,
    /// Queue of the device.
    pub queue: u32,
    /// Zero-copy or copy.
    pub mode: af_xdp::Mode,
    /// Kernel's and our own counters; absent when the kernel did not answer.
    pub statistics: Option<Statistics>,
}

/// Frames and sockets of a worker.
#[derive(Clone, Debug, Default)]
pub struct IoGauge {
    /// Frames the worker was given.
    pub frames: u64,
    /// Frames in its pool.
    pub free: u64,
    /// Its sockets.
    pub sockets: Vec<SocketGauge>,
}

impl IoGauge {
    /// Frames in the rings of all sockets, by ring.
    pub fn in_rings(&self) -> impl Iterator<Item = FrameCounts> + '_ {
        self.sockets
            .iter()
            .filter_map(|socket| socket.statistics.as_ref())
            .map(|statistics| statistics.frames)
    }
}

/// The board a worker writes to. The worker never waits: when a reader holds the board, it writes
/// a second later.
#[derive(Debug, Default)]
pub struct GaugeBoard(Mutex<IoGauge>);

impl GaugeBoard {
    /// Writes by `update`, unless somebody reads just now. The vector of sockets is written in
    /// place, so that nothing is allocated after the first time.
    pub fn try_write(&self, update: impl FnOnce(&mut IoGauge)) {
        if let Ok(mut gauge) = self.0.try_lock() {
            update(&mut gauge);
        }
    }

    /// The newest values.
    pub fn read(&self) -> IoGauge {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}
