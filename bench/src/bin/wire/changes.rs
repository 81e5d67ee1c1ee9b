//! What route changes under traffic cost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;
use tests::Api;

use crate::course::Course;
use crate::frames::Size;
use crate::ground::{NODE_B, dotted};

/// Changes in a second.
const RATE: u32 = 100;
/// Flows of the traffic.
const FLOWS: u64 = 1_000;
/// Runs with and without, in turn.
const ROUNDS: u32 = 3;

/// Throughput with and without changes.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Changes {
    /// Made in a second, as counted.
    pub(crate) per_second: f64,
    /// Packets per second that arrived, client side, 64-byte frames, under flood: medians.
    pub(crate) without: f64,
    pub(crate) with: f64,
}

/// Measures on a course of the client side, whose daemon has that API.
pub(crate) fn measure(course: &mut Course, api: &Api, duration: Duration) -> Changes {
    course.choose(Size::Fixed(64));
    let round = duration / 2;
    let mut flood = || course.trial(f64::INFINITY, FLOWS, round).received;
    flood();
    let (mut with, mut without, mut made) = (Vec::new(), Vec::new(), 0);
    let mut changing = Duration::ZERO;
    for _ in 0..ROUNDS {
        without.push(flood());
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let begin = Instant::now();
            let changer = scope.spawn(|| change(api, &stop));
            with.push(flood());
            stop.store(true, Ordering::Relaxed);
            made += changer.join().expect("the API takes every change");
            changing += begin.elapsed();
        });
    }
    Changes {
        per_second: f64::from(made) / changing.as_secs_f64(),
        without: median(without),
        with: median(with),
    }
}

/// Puts and deletes a route of the VRF that the traffic uses, until it is told to stop; gives how many times.
fn change(api: &Api, stop: &AtomicBool) -> u32 {
    let body = json!({ "via": [{ "tunnel": dotted(NODE_B.ip), "label": 99 }] });
    let begin = Instant::now();
    let mut made = 0;
    while !stop.load(Ordering::Relaxed) {
        if made % 2 == 0 {
            api.ok("PUT /v1/routes/blue/10.9.0.0%2F24", Some(&body));
        } else {
            api.ok("DELETE /v1/routes/blue/10.9.0.0%2F24", None);
        }
        made += 1;
        thread::sleep(
            (begin + Duration::from_secs(1) * made / RATE).saturating_duration_since(Instant::now()),
        );
    }
    made
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
