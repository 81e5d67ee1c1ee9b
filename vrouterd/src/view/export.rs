//! Flow export.

use std::net::SocketAddr;

/// What was told to a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ExportView {
    /// The collector.
    pub collector: SocketAddr,
    /// Records sent.
    pub records: u64,
    /// Records left out because the second was full (`export.records_per_second`).
    pub skipped_records: u64,
    /// Messages sent, templates included.
    pub messages: u64,
    /// Messages that the kernel did not take: nobody listens, or its buffer is full.
    pub failed_messages: u64,
}

impl ExportView {
    /// Nothing was sent yet.
    pub fn new(collector: SocketAddr) -> Self {
        Self { collector, records: 0, skipped_records: 0, messages: 0, failed_messages: 0 }
    }
}
