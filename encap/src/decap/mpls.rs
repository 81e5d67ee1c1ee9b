//! The label stack (RFC 3032), down to its bottom.

use super::DecapError;
use crate::label::{Label, LabelStackEntry, Stack};

/// Entries read before the stack counts as too deep.
const MAX_LABELS: u8 = 16;

/// A stack popped to its bottom.
pub(super) struct Popped<'a> {
    /// The entry that says where the packet goes.
    pub(super) entry: LabelStackEntry,
    /// Entries popped.
    pub(super) labels: u8,
    /// What follows the bottom entry.
    pub(super) payload: &'a [u8],
}

/// Pops every entry. Of padding, explicit nulls and entropy pairs there may be several; of ordinary labels
/// there is one at most, and then it decides; without one the lowest explicit null does.
#[inline(always)]
pub(super) fn pop(stack: &[u8]) -> Result<Popped<'_>, DecapError> {
    if let Some((bytes, payload)) = stack.split_first_chunk() {
        let entry = LabelStackEntry::decode(*bytes);
        if entry.stack == Stack::Bottom && !entry.label.is_reserved() {
            return Ok(Popped { entry, labels: 1, payload });
        }
    }
    pop_all(stack)
}

/// The same for any stack, apart from that of one label, as nearly all are.
#[inline(never)]
fn pop_all(stack: &[u8]) -> Result<Popped<'_>, DecapError> {
    let mut rest = stack;
    let mut labels = 0;
    let mut decides: Option<LabelStackEntry> = None;
    loop {
        let entry = pop_entry(&mut rest, &mut labels)?;
        let stack = match (entry.label, entry.stack) {
            // Old releases put this label, with S = 0, in front of the real one.
            (Label::MAX, Stack::More) => Stack::More,
            // RFC 6790 section 4.2: the entry after the indicator is entropy, skipped whatever its value; the
            // pair sits below the label it belongs to, so it may hold the bottom.
            (Label::ENTROPY_INDICATOR, Stack::More) => pop_entry(&mut rest, &mut labels)?.stack,
            // RFC 4182 allows explicit null anywhere in the stack. An ordinary label above another entry is not ours.
            (label, stack) if label.is_explicit_null() || !label.is_reserved() => {
                if decides.is_some_and(|above| !above.label.is_reserved()) {
                    return Err(DecapError::NotBottom);
                }
                decides = Some(entry);
                stack
            }
            _ => return Err(DecapError::ReservedLabel),
        };
        match stack {
            Stack::More => {}
            Stack::Bottom => {
                let entry = decides.ok_or(DecapError::ReservedLabel)?;
                return Ok(Popped { entry, labels, payload: rest });
            }
        }
    }
}

fn pop_entry(rest: &mut &[u8], labels: &mut u8) -> Result<LabelStackEntry, DecapError> {
    if *labels == MAX_LABELS {
        return Err(DecapError::StackTooDeep);
    }
    let (bytes, below) = rest.split_first_chunk().ok_or(DecapError::MplsTruncated)?;
    *rest = below;
    *labels += 1;
    Ok(LabelStackEntry::decode(*bytes))
}
