//! Counters at one moment, and the rates between two.

use std::time::Instant;

use serde_json::{Value, json};

use crate::failure::Failure;
use crate::noun::drops;
use crate::query;
use crate::session::Session;
use crate::value::{Mismatch, at, cell, list, number};

/// What the daemon counts.
#[derive(Debug)]
pub(super) struct Sample {
    taken: Instant,
    node: Value,
    vifs: Value,
    drops: Value,
    workers: Value,
}

impl Sample {
    /// Asks the daemon.
    ///
    /// # Errors
    /// [`Failure`]
    pub(super) fn take(session: &Session) -> Result<Self, Failure> {
        let page = |path: &str| session.read(&query::page(path, &[]));
        Ok(Self {
            taken: Instant::now(),
            node: page("/")?,
            vifs: page("/vifs")?,
            drops: page("/drops")?,
            workers: page("/workers")?,
        })
    }
}

/// Rates per second between two samples. A vif that has come between them has none yet.
pub(super) fn rates(before: &Sample, after: &Sample) -> Result<Value, Mismatch> {
    let seconds = after.taken.duration_since(before.taken).as_secs_f64().max(0.001);
    let mut vifs = Vec::new();
    for vif in list(&after.vifs, "")? {
        let same = |other: &&Value| other["name"] == vif["name"];
        if let Some(then) = list(&before.vifs, "")?.iter().find(same) {
            let mut rates = port(at(then, "/traffic")?, at(vif, "/traffic")?, seconds)?;
            rates["name"] = at(vif, "/name")?.clone();
            rates["state"] = at(vif, "/state")?.clone();
            vifs.push(rates);
        }
    }
    let mut workers = Vec::new();
    for worker in list(&after.workers, "")? {
        let same = |other: &&Value| other["worker"] == worker["worker"];
        if let Some(then) = list(&before.workers, "")?.iter().find(same) {
            workers.push(load(then, worker, seconds)?);
        }
    }
    let mut drops = drops::since(&before.drops, &after.drops)?;
    for drop in drops.as_array_mut().into_iter().flatten() {
        let count = number(drop, "/count")?;
        drop["per_second"] = json!(per_second(count, seconds));
    }
    let uplink = port(at(&before.node, "/uplink/traffic")?, at(&after.node, "/uplink/traffic")?, seconds)?;
    Ok(json!({
        "node": cell(&after.node, "/name")?,
        "seconds": seconds,
        "flows": number(&after.node, "/counts/flows")?,
        "flow_capacity": number(&after.node, "/counts/flow_capacity")?,
        "uplink": uplink,
        "vifs": vifs,
        "drops": drops,
        "workers": workers,
    }))
}

fn port(before: &Value, after: &Value, seconds: f64) -> Result<Value, Mismatch> {
    let rate = |pointer: &str| Ok(per_second(grown(before, after, pointer)?, seconds));
    Ok(json!({
        "rx_packets": rate("/rx/packets")?,
        "tx_packets": rate("/tx/packets")?,
        "rx_bits": rate("/rx/bytes")? * 8.0,
        "tx_bits": rate("/tx/bytes")? * 8.0,
        "drops": rate("/dropped")?,
    }))
}

fn load(before: &Value, after: &Value, seconds: f64) -> Result<Value, Mismatch> {
    let busy = |of: &Value| {
        let share = at(of, "/busy_seconds")?.as_f64();
        share.ok_or_else(|| Mismatch::Kind("/busy_seconds".to_owned(), "number"))
    };
    let rate = |pointer: &str| Ok(per_second(grown(before, after, pointer)?, seconds));
    Ok(json!({
        "worker": number(after, "/worker")?,
        "busy_share": ((busy(after)? - busy(before)?) / seconds).clamp(0.0, 1.0),
        "batches": rate("/batches")?,
        "flow_hits": rate("/flow_hits")?,
        "flow_misses": rate("/flow_misses")?,
    }))
}

/// A daemon that has started again counts from zero.
fn grown(before: &Value, after: &Value, pointer: &str) -> Result<u64, Mismatch> {
    let (then, now) = (number(before, pointer)?, number(after, pointer)?);
    Ok(now.checked_sub(then).unwrap_or(now))
}

#[expect(clippy::cast_precision_loss, reason = "rates are shown with three digits")]
fn per_second(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn sample(taken: Instant, packets: u64, busy: f64) -> Sample {
        let totals = json!({ "packets": packets, "bytes": packets * 100 });
        let traffic = json!({ "rx": totals, "tx": { "packets": 0, "bytes": 0 }, "dropped": packets });
        let node = json!({ "name": "n", "counts": { "flows": 3, "flow_capacity": 9 }, "uplink": { "traffic": traffic } });
        let vifs = json!([{ "name": "a", "state": "up", "traffic": traffic }]);
        let drops = json!([{ "reason": "no_route", "meaning": "m", "count": packets, "ports": [] }]);
        let counts = json!({ "worker": 0, "busy_seconds": busy, "batches": packets, "flow_hits": 0, "flow_misses": 0 });
        Sample { taken, node, vifs, drops, workers: json!([counts]) }
    }

    #[test]
    fn rates_are_per_second_and_a_restart_begins_at_zero() {
        let now = Instant::now();
        let found = rates(&sample(now, 100, 1.0), &sample(now + Duration::from_secs(2), 300, 1.5)).unwrap();
        assert_eq!(found["vifs"][0]["rx_packets"], 100.0);
        assert_eq!(found["uplink"]["rx_bits"], 80_000.0);
        assert_eq!(
            (&found["drops"][0]["per_second"], &found["drops"][0]["count"]),
            (&json!(100.0), &json!(200))
        );
        assert_eq!(
            (&found["workers"][0]["busy_share"], &found["workers"][0]["batches"]),
            (&json!(0.25), &json!(100.0))
        );
        let restarted =
            rates(&sample(now, 100, 1.0), &sample(now + Duration::from_secs(1), 50, 0.5)).unwrap();
        assert_eq!(
            (&restarted["vifs"][0]["drops"], &restarted["workers"][0]["busy_share"]),
            (&json!(50.0), &json!(0.0))
        );
    }
}
