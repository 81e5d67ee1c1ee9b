//! How long the control side takes: distributions that are noted and read without waiting.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::view::{BucketView, LatencyView, RequestTimesView, TimingsView};

/// Upper bounds of the buckets in microseconds; a last bucket takes the rest.
const BOUNDS: [u64; 11] =
    [100, 500, 1000, 2500, 5000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000];

/// A distribution of durations.
#[derive(Debug, Default)]
pub struct Latency {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
    last: AtomicU64,
    longest: AtomicU64,
}

impl Latency {
    /// Notes one duration.
    pub fn note(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let place = BOUNDS.partition_point(|bound| bound * 1000 < nanos);
        if let Some(bucket) = self.buckets.get(place) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
        self.last.store(nanos, Ordering::Relaxed);
        self.longest.fetch_max(nanos, Ordering::Relaxed);
    }

    /// What was noted so far; each number is read on its own.
    pub fn read(&self) -> LatencyView {
        let seconds = |nanos: &AtomicU64| nanos.load(Ordering::Relaxed) as f64 / 1e9;
        let bounds = BOUNDS.iter().map(|micros| Some(*micros as f64 / 1e6)).chain([None]);
        let buckets: Vec<_> = bounds
            .zip(&self.buckets)
            .map(|(at_most_seconds, count)| BucketView {
                at_most_seconds,
                count: count.load(Ordering::Relaxed),
            })
            .collect();
        LatencyView {
            count: buckets.iter().map(|bucket| bucket.count).sum(),
            total_seconds: seconds(&self.nanos),
            last_seconds: seconds(&self.last),
            longest_seconds: seconds(&self.longest),
            buckets,
        }
    }
}

/// What kind of request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestClass {
    /// A page for people.
    Page,
    /// The same for programs.
    Json,
    /// `/metrics`.
    Metrics,
    /// `/healthz` and `/readyz`.
    Probe,
    /// Style sheet and icon.
    File,
    /// Reading from the API.
    ApiRead,
    /// Declaring state.
    ApiChange,
    /// Attaching a vif, which waits until its packets flow.
    ApiAttach,
}

impl RequestClass {
    const ALL: [Self; 8] = [
        Self::Page,
        Self::Json,
        Self::Metrics,
        Self::Probe,
        Self::File,
        Self::ApiRead,
        Self::ApiChange,
        Self::ApiAttach,
    ];

    /// The word of the metric.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Json => "json",
            Self::Metrics => "metrics",
            Self::Probe => "probe",
            Self::File => "file",
            Self::ApiRead => "api_read",
            Self::ApiChange => "api_change",
            Self::ApiAttach => "api_attach",
        }
    }
}

/// All that is timed.
#[derive(Debug, Default)]
pub struct Timings {
    /// From the desired state to a snapshot.
    pub compile: Latency,
    /// From a snapshot to workers that may load it.
    pub publish: Latency,
    /// How much later than due the control loop got to its tick: what a change has to wait.
    pub control_lag: Latency,
    requests: [Latency; RequestClass::ALL.len()],
}

impl Timings {
    /// Requests of a class, from header to answer.
    pub fn requests(&self, class: RequestClass) -> &Latency {
        let [page, json, metrics, probe, file, read, change, attach] = &self.requests;
        match class {
            RequestClass::Page => page,
            RequestClass::Json => json,
            RequestClass::Metrics => metrics,
            RequestClass::Probe => probe,
            RequestClass::File => file,
            RequestClass::ApiRead => read,
            RequestClass::ApiChange => change,
            RequestClass::ApiAttach => attach,
        }
    }

    /// What was noted so far.
    pub fn read(&self) -> TimingsView {
        let requests = RequestClass::ALL
            .map(|class| RequestTimesView { class: class.name(), latency: self.requests(class).read() });
        TimingsView {
            compile: self.compile.read(),
            publish: self.publish.read(),
            control_lag: self.control_lag.read(),
            requests: requests.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_first_bucket_that_holds_it() {
        let latency = Latency::default();
        for micros in [0, 100, 101, 5_000_000, 5_000_001, 60_000_000] {
            latency.note(Duration::from_micros(micros));
        }
        let view = latency.read();
        let counts: Vec<_> = view.buckets.iter().map(|bucket| bucket.count).collect();
        assert_eq!(counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!((view.count, view.last_seconds, view.longest_seconds), (6, 60.0, 60.0));
        assert!((view.total_seconds - 70.000202).abs() < 1e-9, "{}", view.total_seconds);
    }

    #[test]
    fn classes_do_not_mix() {
        let timings = Timings::default();
        for class in RequestClass::ALL {
            timings.requests(class).note(Duration::from_secs(1));
        }
        assert!(timings.read().requests.iter().all(|view| view.latency.count == 1));
    }
}
