//! How long the control side takes.

/// Durations of one kind since the start.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct LatencyView {
    /// How many there were.
    pub count: u64,
    /// Their sum.
    pub total_seconds: f64,
    /// The last one.
    pub last_seconds: f64,
    /// The longest one.
    pub longest_seconds: f64,
    /// How they are spread; each is in the first bucket that holds it.
    pub buckets: Vec<BucketView>,
}

impl LatencyView {
    /// Their mean, seconds; 0 when there was none.
    pub fn mean_seconds(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.total_seconds / self.count as f64 }
    }
}

/// How many durations fell into a range.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct BucketView {
    /// Upper end of the range; none for the last.
    pub at_most_seconds: Option<f64>,
    /// Durations in it.
    pub count: u64,
}

/// Requests of one class.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct RequestTimesView {
    /// `page`, `json`, `metrics`, `probe`, `file`, `api_read`, `api_change` or `api_attach`.
    pub class: &'static str,
    /// From header to answer.
    pub latency: LatencyView,
}

/// All that is timed.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct TimingsView {
    /// From the desired state to a snapshot.
    pub compile: LatencyView,
    /// From a snapshot to workers that may load it.
    pub publish: LatencyView,
    /// How much later than due the control loop got to its tick.
    pub control_lag: LatencyView,
    /// Answers of this server.
    pub requests: Vec<RequestTimesView>,
}

/// What became of the flow pairs. `created = now + expired + evicted + purged`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct FlowTableView {
    /// Pairs in the table.
    pub now: u64,
    /// Pairs there is room for.
    pub capacity: u64,
    /// Pairs made.
    pub created: u64,
    /// Pairs that went because they were idle.
    pub expired: u64,
    /// Idle pairs that gave way to a new one in a full table.
    pub evicted: u64,
    /// Pairs removed because what they rested on is gone.
    pub purged: u64,
    /// Flows refused because the table was full.
    pub refused_full: u64,
    /// Flows refused because a vif had its share.
    pub refused_vif: u64,
    /// Flows refused because the places that their keys may take were full.
    pub refused_bucket: u64,
}
