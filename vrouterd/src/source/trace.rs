//! What would happen to a packet.

use dataplane::trace::{Probe, ProbeError};

use super::Reading;
use crate::view::{TraceStepView, TraceView};

impl Reading<'_> {
    pub(super) fn trace(&self, probe: &Probe) -> Result<TraceView, ProbeError> {
        let trace = self.state.tracer.trace(&self.snapshot, probe, self.now())?;
        Ok(TraceView {
            generation: self.snapshot.generation,
            outcome: crate::view::outcome(&self.snapshot, trace.verdict),
            steps: trace.steps.into_iter().map(TraceStepView::new).collect(),
        })
    }
}
