//! Worker threads, their frames and rings.

use af_xdp::Statistics;
use dataplane::io::Side;

use super::Reading;
use crate::engine::{IoGauge, SocketGauge};
use crate::kernel::devices::TrunkPlan;
use crate::state::WorkerState;
use crate::view::{RingFrames, RingView, UmemView, WorkerView};

impl Reading<'_> {
    pub(super) fn workers(&self) -> Vec<WorkerView> {
        let shares = self.state.busy_shares();
        let workers = (0..).zip(&self.state.workers).zip(shares);
        workers.map(|((number, worker), busy_share)| self.worker(number, worker, busy_share)).collect()
    }

    fn worker(&self, number: u32, worker: &WorkerState, busy_share: f64) -> WorkerView {
        let (counters, gauge) = (&worker.counters, worker.gauges.read());
        WorkerView {
            worker: number,
            cpu: worker.cpu.map(u32::from),
            batches: counters.batches.get(),
            sleeps: counters.sleeps.get(),
            busy_seconds: counters.busy_nanos.get() as f64 / 1e9,
            busy_share,
            flow_hits: counters.flow_hits.get(),
            flow_misses: counters.flow_misses.get(),
            flow_revalidations: counters.flow_revalidations.get(),
            umem: umem(&gauge),
            rings: gauge.sockets.iter().filter_map(|socket| self.ring(socket)).collect(),
        }
    }

    /// None while the kernel has not told the statistics.
    fn ring(&self, socket: &SocketGauge) -> Option<RingView> {
        let Statistics { kernel, frames, .. } = socket.statistics?;
        let interface = match socket.side {
            Side::Trunk => TrunkPlan::ENGINE_END,
            Side::Uplink => self.control.config.node.uplink.value.as_str(),
        };
        Some(RingView {
            interface: interface.to_owned(),
            queue: socket.queue,
            frames: RingFrames {
                fill: frames.fill_ring.into(),
                rx: frames.rx_ring.into(),
                tx: frames.tx_ring.into(),
                completion: frames.completion_ring.into(),
            },
            rx_dropped: kernel.rx_dropped,
            rx_ring_full: kernel.rx_ring_full,
            fill_ring_empty: kernel.rx_fill_ring_empty,
            tx_ring_empty: kernel.tx_ring_empty,
            rx_invalid_descriptors: kernel.rx_invalid_descriptors,
            tx_invalid_descriptors: kernel.tx_invalid_descriptors,
        })
    }
}

/// Spare frames are the worker's own, so they are free; what the kernel has taken from a fill
/// ring it may still receive into.
fn umem(gauge: &IoGauge) -> UmemView {
    let mut view = UmemView { total: gauge.frames, free: gauge.free, ..UmemView::default() };
    for frames in gauge.in_rings() {
        view.free += u64::from(frames.spare);
        view.fill += u64::from(frames.fill_ring) + u64::from(frames.receiving);
        view.rx += u64::from(frames.rx_ring);
        view.tx += u64::from(frames.tx_ring) + u64::from(frames.sending);
        view.completion += u64::from(frames.completion_ring);
    }
    view
}
