//! What would happen to a packet, and why. Nothing is sent and nothing changes: the stages of the
//! pipeline run over a frame in memory, on the snapshot in force, with tables of their own that
//! hold copies of what the stages would find in the real ones.
//!
//! ```text
//! probe -> frame -> prepare, finish on scratch tables -> verdict and bytes -> explain: steps
//! ```

mod explain;
mod names;
mod probe;
mod run;
mod step;

use std::sync::Arc;

use ahash::RandomState;
use flow_table::{FlowTable, Millis};

use crate::affinity::AffinityTable;
use crate::io::Side;
use crate::snapshot::Snapshot;
use crate::verdict::Verdict;

pub use probe::{Origin, Probe, ProbeError, Question};
pub use step::{Choice, TraceStep};

/// The tables of the node that a traced packet looks into.
#[derive(Clone, Debug)]
pub struct Tracer {
    /// The flows.
    pub flows: Arc<FlowTable>,
    /// Hash for the choice of members, as the workers have it.
    pub spread: RandomState,
    /// Which backend served a client last.
    pub affinity: Arc<AffinityTable>,
}

/// What would happen.
#[derive(Clone, Debug)]
pub struct Trace {
    /// How the packet would end.
    pub verdict: Verdict,
    /// The frame as it would leave, or as it was when it was dropped. The identification of an
    /// outer IPv4 header is 0.
    pub bytes: Vec<u8>,
    /// Why, in the order in which it is decided.
    pub steps: Vec<TraceStep>,
}

impl Tracer {
    /// Traces a packet that a vif or another node could send.
    ///
    /// # Errors
    /// [`ProbeError`] when there is no such packet.
    pub fn trace(&self, snapshot: &Snapshot, probe: &Probe, now: Millis) -> Result<Trace, ProbeError> {
        let (side, frame) = probe.frame(snapshot)?;
        Ok(self.trace_frame(snapshot, (side, &frame), now))
    }

    /// Traces a frame as a worker would receive it.
    pub fn trace_frame(&self, snapshot: &Snapshot, (side, frame): (Side, &[u8]), now: Millis) -> Trace {
        let run = run::settle(self, snapshot, (side, frame), now);
        let steps = explain::steps(self, snapshot, &run);
        Trace { verdict: run.verdict, bytes: run.bytes, steps }
    }
}
