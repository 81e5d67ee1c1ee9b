//! Counters of one worker: written by that worker alone, read by anyone.
//!
//! Each is a relaxed atomic that only its worker adds to, so adding is a load and a store and
//! no locked instruction. Readers see values that may be a batch old.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::drop::{DropReason, REASONS};
use crate::ids::VifSlot;

/// A count with one writer.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds; only the owning worker may call this.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Value now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A level with one writer.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Sets the level; only the owning worker may call this.
    pub fn set(&self, level: u64) {
        self.0.store(level, Relaxed);
    }

    /// Value now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Packets and bytes.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Packets.
    pub packets: Counter,
    /// Bytes of the frames as they are on the port (trunk: without the vrouter's VLAN tag).
    pub bytes: Counter,
}

impl Traffic {
    /// Counts one packet.
    pub fn count(&self, bytes: usize) {
        self.packets.add(1);
        self.bytes.add(bytes as u64);
    }

    /// Value now.
    pub fn totals(&self) -> TrafficTotals {
        TrafficTotals { packets: self.packets.get(), bytes: self.bytes.get() }
    }
}

/// Packets and bytes, read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct TrafficTotals {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What one port of the node (a vif or the uplink) has seen from the worker's view.
#[derive(Debug)]
pub struct PortCounters {
    /// Taken in from the port.
    pub rx: Traffic,
    /// Sent out of the port.
    pub tx: Traffic,
    drops: [Counter; REASONS],
}

impl Default for PortCounters {
    fn default() -> Self {
        Self {
            rx: Traffic::default(),
            tx: Traffic::default(),
            drops: [const { Counter(AtomicU64::new(0)) }; REASONS],
        }
    }
}

impl PortCounters {
    /// Counts a drop.
    pub fn drop(&self, reason: DropReason) {
        if let Some(counter) = self.drops.get(reason.index()) {
            counter.add(1);
        }
    }

    /// Drops for one reason.
    pub fn drops(&self, reason: DropReason) -> u64 {
        self.drops.get(reason.index()).map_or(0, Counter::get)
    }

    /// Adds what this port has seen to `totals`.
    pub fn add_to(&self, totals: &mut PortTotals) {
        let (rx, tx) = (self.rx.totals(), self.tx.totals());
        totals.rx.packets += rx.packets;
        totals.rx.bytes += rx.bytes;
        totals.tx.packets += tx.packets;
        totals.tx.bytes += tx.bytes;
        for (total, counter) in totals.drops.iter_mut().zip(&self.drops) {
            *total += counter.get();
        }
    }
}

/// Counters of a port, summed over workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortTotals {
    /// Taken in from the port.
    pub rx: TrafficTotals,
    /// Sent out of the port.
    pub tx: TrafficTotals,
    /// Drops, a row indexed by [`DropReason::index`].
    pub drops: [u64; REASONS],
}

impl Default for PortTotals {
    fn default() -> Self {
        Self { rx: TrafficTotals::default(), tx: TrafficTotals::default(), drops: [0; REASONS] }
    }
}

impl PortTotals {
    /// Drops for all reasons together.
    pub fn dropped(&self) -> u64 {
        self.drops.iter().sum()
    }

    /// The reasons with a count, in the order of [`DropReason::ALL`].
    pub fn nonzero_drops(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL
            .iter()
            .zip(&self.drops)
            .filter(|(_, count)| **count > 0)
            .map(|(reason, count)| (*reason, *count))
    }

    /// Adds another port's totals.
    pub fn add(&mut self, other: &PortTotals) {
        self.rx.packets += other.rx.packets;
        self.rx.bytes += other.rx.bytes;
        self.tx.packets += other.tx.packets;
        self.tx.bytes += other.tx.bytes;
        self.drops.iter_mut().zip(&other.drops).for_each(|(total, count)| *total += count);
    }

    /// What has come since `base`, which was read earlier from the same port.
    pub fn since(&self, base: &PortTotals) -> PortTotals {
        let traffic = |now: TrafficTotals, then: TrafficTotals| TrafficTotals {
            packets: now.packets.saturating_sub(then.packets),
            bytes: now.bytes.saturating_sub(then.bytes),
        };
        let mut drops = self.drops;
        for (count, before) in drops.iter_mut().zip(&base.drops) {
            *count = count.saturating_sub(*before);
        }
        PortTotals { rx: traffic(self.rx, base.rx), tx: traffic(self.tx, base.tx), drops }
    }
}

/// All counters of one worker.
///
/// Every packet is counted exactly once on each side of
/// `rx + generated = tx + consumed + sum(drops) + held`, summed over all ports.
#[derive(Debug)]
pub struct WorkerCounters {
    uplink: PortCounters,
    ports: Box<[PortCounters]>,
    /// Packets the vrouter has made itself: ARP and neighbour answers, ICMP errors, of a packet that
    /// it has fragmented all fragments but one, and of a broadcast all copies but one, made or not.
    pub generated: Counter,
    /// Packets that were meant for the vrouter itself and ended there (answered requests).
    pub consumed: Counter,
    /// Fragments that wait for the first one of their datagram.
    pub held: Gauge,
    /// ICMP errors and resets not sent because their vif had caused too many.
    pub answers_suppressed: Counter,
    /// Flow lookups that found a pair.
    pub flow_hits: Counter,
    /// Flow lookups that went through the slow path.
    pub flow_misses: Counter,
    /// Flows that were derived again because a snapshot changed what they depend on.
    pub flow_revalidations: Counter,
    /// Batches processed.
    pub batches: Counter,
    /// Times the worker went to sleep in `poll`.
    pub sleeps: Counter,
    /// Time spent on batches that held packets, in nanoseconds.
    pub busy_nanos: Counter,
}

/// Row of the trunk itself: VLAN 0 names no vif.
const TRUNK: usize = 0;

impl WorkerCounters {
    /// Counters for the uplink and every possible vif, all zero.
    pub fn new() -> Self {
        Self {
            uplink: PortCounters::default(),
            ports: (0..VifSlot::TABLE).map(|_| PortCounters::default()).collect(),
            generated: Counter::default(),
            consumed: Counter::default(),
            held: Gauge::default(),
            answers_suppressed: Counter::default(),
            flow_hits: Counter::default(),
            flow_misses: Counter::default(),
            flow_revalidations: Counter::default(),
            batches: Counter::default(),
            sleeps: Counter::default(),
            busy_nanos: Counter::default(),
        }
    }

    /// The uplink's counters, and drops of its packets that can not be laid at a vif's door.
    pub fn uplink(&self) -> &PortCounters {
        &self.uplink
    }

    /// Frames from the trunk that name no vif.
    pub fn trunk(&self) -> &PortCounters {
        &self.ports[TRUNK]
    }

    /// A vif's counters.
    pub fn vif(&self, slot: VifSlot) -> &PortCounters {
        &self.ports[slot.index()]
    }

    /// Sum over the uplink, the trunk and all vifs.
    pub fn all_ports(&self) -> PortTotals {
        let mut totals = PortTotals::default();
        self.uplink.add_to(&mut totals);
        self.ports.iter().for_each(|port| port.add_to(&mut totals));
        totals
    }
}

impl Default for WorkerCounters {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_sum_over_ports_and_differ_from_a_base() {
        let counters = WorkerCounters::new();
        let slot = VifSlot::new(7).unwrap();
        counters.vif(slot).rx.count(60);
        counters.uplink().tx.count(110);
        counters.vif(slot).drop(DropReason::NoRoute);
        let base = counters.all_ports();
        counters.vif(slot).drop(DropReason::NoRoute);
        let totals = counters.all_ports();
        assert_eq!(totals.rx, TrafficTotals { packets: 1, bytes: 60 });
        assert_eq!(totals.dropped(), 2);
        assert_eq!(totals.since(&base).nonzero_drops().collect::<Vec<_>>(), [(DropReason::NoRoute, 1)]);
        assert_eq!(totals.since(&base).rx, TrafficTotals::default());
    }
}
