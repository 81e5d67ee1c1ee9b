//! Rates over the last minutes.

use super::VifView;

/// An interface and its last ten minutes: what its page shows.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct VifStatus {
    /// The interface.
    #[serde(flatten)]
    pub vif: VifView,
    /// Its rates.
    pub rates: RatesView,
}

/// Rates at equal distances in time, the oldest first; at most ten minutes of them.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct RatesView {
    /// Seconds from one sample to the next.
    pub seconds_between: u64,
    /// Fewer than fit after a start.
    pub samples: Vec<RateSample>,
}

/// Mean rates between two samples, each per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct RateSample {
    /// Packets from the pod.
    pub rx_packets: f64,
    /// Packets to the pod.
    pub tx_packets: f64,
    /// Bits from the pod.
    pub rx_bits: f64,
    /// Bits to the pod.
    pub tx_bits: f64,
    /// Drops.
    pub drops: f64,
}
