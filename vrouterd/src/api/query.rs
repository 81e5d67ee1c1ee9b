//! The part of a URL behind the question mark.

use std::time::Duration;

use super::exchange::Mode;
use super::problem::{Code, Problem};
use crate::http::Query;

/// Milliseconds that an attach waits when nothing is asked for.
const DEADLINE: u64 = 5_000;
/// Most milliseconds that an attach waits.
const LONGEST: u64 = 60_000;

pub(super) fn parse(raw: Option<&str>, known: &[&str]) -> Result<Query, Problem> {
    Query::parse(raw, known).map_err(|problem| Problem::new(Code::BadRequest, problem.detail()))
}

/// Refuses every parameter.
pub(super) fn none(raw: Option<&str>) -> Result<(), Problem> {
    parse(raw, &[]).map(drop)
}

/// `dry_run`
pub(super) fn mode(raw: Option<&str>) -> Result<Mode, Problem> {
    match parse(raw, &["dry_run"])?.text("dry_run") {
        None | Some("false") => Ok(Mode::Apply),
        Some("true") => Ok(Mode::DryRun),
        Some(other) => {
            Err(Problem::new(Code::BadRequest, format!("dry_run={other:?}: write true or false.")))
        }
    }
}

/// `deadline_ms`
pub(super) fn deadline(raw: Option<&str>) -> Result<Duration, Problem> {
    let value = parse(raw, &["deadline_ms"])?.value("deadline_ms");
    let given = value.map_err(|problem| Problem::new(Code::BadRequest, problem.detail()))?;
    match given.unwrap_or(DEADLINE) {
        millis @ 1..=LONGEST => Ok(Duration::from_millis(millis)),
        other => {
            let detail = format!("deadline_ms={other}: write milliseconds from 1 to {LONGEST}.");
            Err(Problem::new(Code::BadRequest, detail))
        }
    }
}
