//! Series of the control side: durations and the flow table.

use std::fmt::Error;

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, counter::Counter, family::Family};
use prometheus_client::registry::{Registry, Unit};

use super::counter;
use crate::view::{ExportView, FlowTableView, LatencyView, TimingsView};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Cause {
    cause: &'static str,
}

/// Distributions of one kind, each with a label of its own; none if there is but one.
#[derive(Debug)]
struct Distributions {
    label: Option<&'static str>,
    of: Vec<(&'static str, LatencyView)>,
}

impl EncodeMetric for Distributions {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), Error> {
        for (name, latency) in &self.of {
            match self.label {
                Some(label) => histogram(&mut encoder.encode_family(&[(label, *name)])?, latency)?,
                None => histogram(&mut encoder, latency)?,
            }
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

fn histogram(encoder: &mut MetricEncoder<'_>, latency: &LatencyView) -> Result<(), Error> {
    let buckets: Vec<_> = latency
        .buckets
        .iter()
        .map(|bucket| (bucket.at_most_seconds.unwrap_or(f64::INFINITY), bucket.count))
        .collect();
    encoder.encode_histogram::<NoLabelSet>(latency.total_seconds, latency.count, &buckets, None)
}

pub(super) fn register_timings(registry: &mut Registry, timings: TimingsView) {
    let phases = Distributions {
        label: Some("phase"),
        of: vec![("compile", timings.compile), ("publish", timings.publish)],
    };
    let help = "Time from a new desired state to a snapshot, and on to the workers";
    registry.register_with_unit("publication", help, Unit::Seconds, phases);
    let lag = Distributions { label: None, of: vec![("", timings.control_lag)] };
    let help = "How much later than due the control loop got to its tick";
    registry.register_with_unit("control_lag", help, Unit::Seconds, lag);
    let classes = timings.requests.into_iter().map(|times| (times.class, times.latency)).collect();
    let requests = Distributions { label: Some("class"), of: classes };
    let help = "Time from a request to its answer, by class";
    registry.register_with_unit("http_request", help, Unit::Seconds, requests);
}

pub(super) fn register_flow_table(registry: &mut Registry, table: &FlowTableView) {
    counter(registry, "flows_created", "Flow pairs made", table.created);
    let family = |causes: &[(&'static str, u64)]| {
        let family = Family::<Cause, Counter>::default();
        for (cause, count) in causes {
            family.get_or_create(&Cause { cause }).inc_by(*count);
        }
        family
    };
    let ended = [("expired", table.expired), ("evicted", table.evicted), ("purged", table.purged)];
    registry.register("flows_ended", "Flow pairs that are gone, by cause", family(&ended));
    let refused =
        [("table", table.refused_full), ("vif", table.refused_vif), ("bucket", table.refused_bucket)];
    let help = "Flow pairs refused, by what was full: the table, the vif's share, the places for its keys";
    registry.register("flows_refused", help, family(&refused));
}

pub(super) fn register_export(registry: &mut Registry, export: Option<ExportView>) {
    let Some(export) = export else { return };
    counter(registry, "export_records", "Flow records sent to the collector", export.records);
    let help = "Flow records left out because the second was full";
    counter(registry, "export_skipped_records", help, export.skipped_records);
    let help = "Messages to the collector that could not be sent";
    counter(registry, "export_failed_messages", help, export.failed_messages);
}
