//! The control side: how fast it is, and what became of the flows.

use super::{ExportView, FlowTableView, TimingsView, ViewSource};

/// The page `/control`.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ControlView {
    /// Number of the published snapshot.
    pub generation: u64,
    /// Durations.
    pub timings: TimingsView,
    /// Flow pairs.
    pub flow_table: FlowTableView,
    /// Flow export, where it is on.
    pub export: Option<ExportView>,
}

impl ControlView {
    /// Reads it.
    pub fn read(source: &dyn ViewSource) -> Self {
        Self {
            generation: source.node().generation,
            timings: source.timings().read(),
            flow_table: source.flow_table(),
            export: source.export(),
        }
    }
}
