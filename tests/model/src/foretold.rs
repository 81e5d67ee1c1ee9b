//! What a trace foretells of a frame, held against what the worker then does with it.

use dataplane::trace::{Trace, TraceStep};
use dataplane::verdict::{Verdict, Way};

use crate::masked::wire;
use crate::node::Observed;
use crate::router::{Moved, Side};

/// Checks that the frame has ended as foretold, with the same bytes.
///
/// # Errors
/// It has not.
pub fn check(trace: &Trace, observed: &Observed) -> Result<(), String> {
    if let Some(TraceStep::Parse { packet, .. }) = trace.steps.first()
        && packet.contains("a fragment")
    {
        // What came before it decides, and a trace knows only the packet itself.
        return Ok(());
    }
    let wrong = |what: &str| {
        let (moved, sent) = (&observed.moved, observed.sent.len());
        let steps: Vec<String> = trace.steps.iter().map(ToString::to_string).collect();
        Err(format!("{what}: foretold {:?} by {steps:#?}, but {sent} sent and {moved:?}", trace.verdict))
    };
    match trace.verdict {
        Verdict::Send(way) if !same_frame(trace, way, observed)? => wrong("not sent alike"),
        // What the vrouter says itself may have been said too often already.
        Verdict::Answer(way) if !limited(&observed.moved) && !same_frame(trace, way, observed)? => {
            wrong("not answered alike")
        }
        Verdict::Reject { reason, answer, .. }
            if !counted(&observed.moved, reason.name())
                || !limited(&observed.moved) && !same_frame(trace, answer, observed)? =>
        {
            wrong("not refused alike")
        }
        // A broadcast is judged after its sender's rate.
        Verdict::Drop { .. } if limited(&observed.moved) && observed.sent.is_empty() => Ok(()),
        Verdict::Drop { reason, .. }
            if !counted(&observed.moved, reason.name()) || !observed.sent.is_empty() =>
        {
            wrong("not dropped alike")
        }
        Verdict::Split(_) if observed.sent.len() < 2 => wrong("not sent in pieces"),
        Verdict::Consumed if !observed.sent.is_empty() => wrong("not consumed"),
        _ => Ok(()),
    }
}

fn counted(moved: &Moved, reason: &str) -> bool {
    moved.iter().any(|(name, by)| *by == 1 && name.ends_with(&format!(".{reason}")))
}

fn limited(moved: &Moved) -> bool {
    moved.keys().any(|name| name == "suppressed" || name.ends_with("ratelimited"))
}

fn same_frame(trace: &Trace, way: Way, observed: &Observed) -> Result<bool, String> {
    let side = match way {
        Way::Vif(_) => Side::Trunk,
        Way::Tunnel(_) => Side::Uplink,
    };
    let [(sent_to, sent)] = &observed.sent[..] else { return Ok(false) };
    // The identification of the outer header and what covers it are masked; the entropy port is not.
    Ok(*sent_to == side && wire(side, sent)? == wire(side, &trace.bytes)?)
}
