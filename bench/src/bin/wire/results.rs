//! All that a run has found; what `wire.json` holds.

use serde::Serialize;

use crate::changes::Changes;
use crate::connections::Connections;
use crate::course::{System, Way};
use crate::idle::Idle;
use crate::latency::RoundTrips;
use crate::machine::Machine;
use crate::pps::Cell;
use crate::search;
use crate::tcp::Transfer;

/// A run.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    /// Length of the run.
    pub(crate) seconds: f64,
    /// Share that may be lost "without loss".
    pub(crate) loss_threshold: f64,
    pub(crate) pps: Vec<Cell>,
    pub(crate) tcp: Vec<Transfer>,
    pub(crate) latency: Vec<RoundTrips>,
    pub(crate) connections: Vec<Connections>,
    pub(crate) changes: Option<Changes>,
    pub(crate) idle: Option<Idle>,
}

impl Results {
    /// Nothing measured yet.
    pub(crate) fn new(machine: Machine) -> Self {
        Self {
            machine,
            seconds: 0.0,
            loss_threshold: search::LOSS,
            pps: Vec::new(),
            tcp: Vec::new(),
            latency: Vec::new(),
            connections: Vec::new(),
            changes: None,
            idle: None,
        }
    }

    /// Packets per second without loss, if measured and found.
    pub(crate) fn no_loss(&self, way: Way, system: System, frame: &str, flows: u64) -> Option<f64> {
        let is_it =
            |cell: &&Cell| (cell.way, cell.system, cell.flows) == (way, system, flows) && cell.frame == frame;
        self.pps.iter().find(is_it).map(|cell| cell.no_loss).filter(|rate| *rate > 0.0)
    }
}
