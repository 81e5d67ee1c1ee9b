//! A capture: what vifs send and receive, and what is dropped and why, as a pcapng file that grows.
//!
//! ```text
//! worker -> ring of the tap -> drained every few milliseconds -> pcapng blocks -> the caller
//! ```

mod pcapng;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use dataplane::ids::VifSlot;
use dataplane::packet::ethernet::TYPE_VLAN;
use dataplane::snapshot::Snapshot;
use dataplane::tap::{Record, Seen, Tap};
use flow_table::Millis;

use crate::state::NodeState;
use pcapng::{Direction, Packet, Writer};

/// What of a capture is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Most bytes of each packet.
    pub snap: usize,
    /// Most bytes of the file.
    pub bytes: u64,
}

/// A capture under way. The tap ends with it.
#[derive(Debug)]
pub struct Capture {
    state: Arc<NodeState>,
    tap: Arc<Tap>,
    bounds: Bounds,
    writer: Writer,
    interfaces: BTreeMap<Option<VifSlot>, u32>,
    /// Wall clock at zero of the flow table's time.
    start: SystemTime,
    written: u64,
    is_full: bool,
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.state.taps.disarm(&self.tap);
    }
}

impl Capture {
    /// A capture of what a tap records.
    pub fn new(state: Arc<NodeState>, tap: Arc<Tap>, bounds: Bounds) -> Self {
        let now = SystemTime::now();
        let start = now.checked_sub(state.epoch.elapsed()).unwrap_or(SystemTime::UNIX_EPOCH);
        let interfaces = BTreeMap::new();
        Self { state, tap, bounds, writer: Writer::default(), interfaces, start, written: 0, is_full: false }
    }

    /// The head of the file.
    pub fn head(&mut self) -> Vec<u8> {
        self.writer.section(concat!("vrouterd ", env!("CARGO_PKG_VERSION")));
        self.blocks()
    }

    /// The blocks of what has come since, perhaps none.
    pub fn read(&mut self) -> Vec<u8> {
        let snapshot = self.state.snapshot.load_full();
        let tap = Arc::clone(&self.tap);
        for record in std::iter::from_fn(|| tap.take()) {
            if !self.is_full {
                self.packet(&snapshot, &record);
            }
        }
        self.blocks()
    }

    /// Whether nothing more will come.
    pub fn is_over(&self) -> bool {
        self.is_full || self.tap.is_over(self.state.now())
    }

    /// The last block: how many packets there was no room for, on the first interface.
    pub fn end(&mut self) -> Vec<u8> {
        if self.tap.missed() > 0 {
            let at = self.time(self.state.now());
            let snapshot = self.state.snapshot.load_full();
            let interface = self.interfaces.values().next().copied();
            let interface = interface.unwrap_or_else(|| self.interface(&snapshot, None));
            self.writer.statistics(interface, at, self.tap.missed());
        }
        self.blocks()
    }

    fn blocks(&mut self) -> Vec<u8> {
        let blocks = self.writer.take();
        self.written += blocks.len() as u64;
        blocks
    }

    fn packet(&mut self, snapshot: &Snapshot, record: &Record) {
        let (vif, direction, reason) = match record.seen {
            Seen::Received { vif, dropped } => (Some(vif), Direction::Inbound, dropped),
            Seen::Sent { vif } => (Some(vif), Direction::Outbound, None),
            Seen::Lost { vif, reason } => (vif, Direction::Outbound, Some(reason)),
            Seen::Ended { .. } => return,
        };
        let (frame, tag) = untagged(record.head.bytes());
        let interface = self.interface(snapshot, vif);
        let comment = reason.map(|reason| format!("dropped, {}: {}", reason.name(), reason.meaning()));
        self.writer.packet(&Packet {
            interface,
            at: self.time(record.at),
            bytes: frame.get(..self.bounds.snap).unwrap_or(&frame),
            len: record.head.len.saturating_sub(tag),
            direction,
            comment: comment.as_deref(),
        });
        self.is_full = self.written + self.writer.len() as u64 >= self.bounds.bytes;
    }

    fn interface(&mut self, snapshot: &Snapshot, vif: Option<VifSlot>) -> u32 {
        if let Some(known) = self.interfaces.get(&vif) {
            return *known;
        }
        let name = match vif {
            None => "uplink".to_owned(),
            Some(slot) => snapshot.vif(slot).map_or_else(|| "gone".to_owned(), |vif| vif.name.to_string()),
        };
        let number = self.writer.interface(&name, self.bounds.snap);
        self.interfaces.insert(vif, number);
        number
    }

    /// Milliseconds since 1970 of a time of the flow table.
    fn time(&self, at: Millis) -> u64 {
        let start = self.start.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(start.as_millis()).unwrap_or(u64::MAX).saturating_add(at.0)
    }
}

/// A frame without the tag of the trunk, which no pod sees, and the length of that.
fn untagged(frame: &[u8]) -> (Vec<u8>, usize) {
    const TAG: usize = 4;
    match (frame.get(..12), frame.get(12..14), frame.get(12 + TAG..)) {
        (Some(addresses), Some(kind), Some(rest)) if kind == TYPE_VLAN.to_be_bytes() => {
            ([addresses, rest].concat(), TAG)
        }
        _ => (frame.to_vec(), 0),
    }
}
