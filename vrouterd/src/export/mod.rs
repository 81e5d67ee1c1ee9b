//! Flow export: records of what flows have carried, as IPFIX over UDP (RFC 7011), from the control thread.
//!
//! Sampled by flow and bounded by records a second: what does not fit is counted and left out, and a collector that
//! does not listen costs nothing.

mod message;

#[cfg(test)]
mod tests;

pub use message::{End, Message, Record};

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dataplane::counters::TrafficTotals;
use flow_table::{DirectionView, FlowView};

use crate::account::Delta;
use crate::config::Export;
use crate::view::ExportView;

/// Time between two sendings of the templates: over UDP they may get lost (RFC 7011 section 8.4).
const TEMPLATES: Duration = Duration::from_secs(60);

/// Sends records to a collector.
#[derive(Debug)]
pub struct Exporter {
    socket: UdpSocket,
    config: Export,
    message: Message,
    /// Data records sent.
    sequence: u32,
    /// Records that may still be sent in this second.
    left: u32,
    second: Instant,
    templates: Option<Instant>,
    counts: ExportView,
}

impl Exporter {
    /// Opens a socket of its own; nothing is sent yet.
    ///
    /// # Errors
    /// The kernel's, when there is no route to the collector.
    pub fn start(config: Export) -> io::Result<Self> {
        let any: SocketAddr = match config.collector {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.set_nonblocking(true)?;
        socket.connect(config.collector)?;
        Ok(Self {
            socket,
            left: config.records_per_second,
            config,
            message: Message::new(),
            sequence: 0,
            second: Instant::now(),
            templates: None,
            counts: ExportView::new(config.collector),
        })
    }

    /// What was sent and what was not.
    pub fn view(&self) -> ExportView {
        self.counts
    }

    /// Before records of a pass: a new second has new room, and templates go first.
    pub fn begin(&mut self, now: Instant) {
        if now.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            (self.second, self.left) = (now, self.config.records_per_second);
        }
        if self.templates.is_none_or(|sent| now.saturating_duration_since(sent) >= TEMPLATES) {
            self.templates = Some(now);
            self.send(Message::templates());
        }
    }

    /// Takes up to two records, one for each direction that has carried something since.
    pub fn note(&mut self, flow: &FlowView, delta: &Delta, vrfs: (u16, u16)) {
        // By the place of the pair, so that all records of a flow are sent or none.
        if !flow.pair.index().is_multiple_of(self.config.sampling) {
            return;
        }
        let (from, to) = (u32::from(vrfs.0), u32::from(vrfs.1));
        let sides = [
            (&flow.forward, &flow.reverse, delta.forward, (from, to)),
            (&flow.reverse, &flow.forward, delta.reverse, (to, from)),
        ];
        let now = unix_time().as_millis() as u64;
        for (side, answers, traffic, vrfs) in sides {
            if traffic.packets > 0 {
                let times = (now.saturating_sub(flow.age.0), now.saturating_sub(side.idle.0));
                self.push(&record(side, answers, traffic, times, vrfs));
            }
        }
    }

    fn push(&mut self, record: &Record) {
        if self.left == 0 {
            self.counts.skipped_records += 1;
            return;
        }
        self.left -= 1;
        if !self.message.push(record, self.config.sampling) {
            self.flush();
            // An empty message has room.
            self.message.push(record, self.config.sampling);
        }
    }

    /// Sends what has been taken so far.
    pub fn flush(&mut self) {
        if self.message.records() > 0 {
            let message = std::mem::take(&mut self.message);
            self.send(message);
        }
    }

    fn send(&mut self, message: Message) {
        let records = message.records();
        let seconds = unix_time().as_secs() as u32;
        let bytes = message.finish(seconds, self.sequence, self.config.domain);
        // The sequence counts what was sent, lost or not: that is how a collector sees what it misses.
        self.sequence = self.sequence.wrapping_add(records);
        match self.socket.send(&bytes) {
            Ok(_) => {
                self.counts.records += u64::from(records);
                self.counts.messages += 1;
            }
            // Nobody listens (ECONNREFUSED), or the socket's buffer is full.
            Err(_) => self.counts.failed_messages += 1,
        }
    }
}

fn record(
    side: &DirectionView,
    answers: &DirectionView,
    traffic: TrafficTotals,
    (start, end): (u64, u64),
    (ingress_vrf, egress_vrf): (u32, u32),
) -> Record {
    let (sent, seen) = (side.key.tuple, answers.key.tuple.reversed());
    Record {
        family: sent.family,
        protocol: sent.protocol,
        source: [(sent.src, sent.sport), (seen.src, seen.sport)],
        destination: [(sent.dst, sent.dport), (seen.dst, seen.dport)],
        packets: traffic.packets,
        bytes: traffic.bytes,
        start,
        end,
        ingress_vrf,
        egress_vrf,
    }
}

fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
