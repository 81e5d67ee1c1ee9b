//! `/metrics`: OpenMetrics text, which Prometheus reads.
//!
//! Built anew for each scrape from the views, so that a series can not go stale.

mod control;
mod traffic;

use std::sync::atomic::AtomicU64;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info};
use prometheus_client::registry::{Registry, Unit};

use super::VifSeries;
use super::problem::Problem;
use super::query::{Format, Query};
use super::render::Reader;
use crate::view::{NodeView, PortView, ViewSource, WorkerView};

/// Media type of OpenMetrics 1.0.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The page for Prometheus.
pub(super) fn routes(reader: Reader, series: VifSeries) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state((reader, series))
}

async fn metrics(State((reader, series)): State<(Reader, VifSeries)>, RawQuery(raw): RawQuery) -> Response {
    if let Err(problem) = Query::parse(raw.as_deref(), &[]) {
        return problem.respond(Format::Html);
    }
    match reader.read(move |source| text(source, series)).await {
        Ok(Ok(text)) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Ok(Err(_)) => Problem::internal().respond(Format::Html),
        Err(problem) => problem.respond(Format::Html),
    }
}

fn text(source: &dyn ViewSource, series: VifSeries) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("vrouter");
    let node = source.node();
    register_node(&mut registry, &node);
    register_drops(&mut registry, source);
    register_programs(&mut registry, source);
    register_workers(&mut registry, &source.workers());
    register_tunnels(&mut registry, source);
    control::register_flow_table(&mut registry, &source.flow_table());
    control::register_timings(&mut registry, source.timings().read());
    traffic::register(&mut registry, &source.traffic());
    control::register_export(&mut registry, source.export());
    match series {
        VifSeries::Hidden => {}
        VifSeries::Shown => register_vifs(&mut registry, source),
    }
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Version {
    version: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Port {
    port: &'static str,
    direction: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ProgramOutcome {
    program: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Worker {
    worker: u32,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FrameState {
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RingLabels {
    interface: String,
    queue: u32,
    cause: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RingFrames {
    interface: String,
    queue: u32,
    ring: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct VifLabels {
    vif: String,
    vrf: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct VifDirection {
    vif: String,
    vrf: String,
    direction: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct VifReason {
    vif: String,
    vrf: String,
    reason: &'static str,
}

/// Both directions of a port, by the word that names them.
fn directions(port: &PortView) -> [(&'static str, u64, u64); 2] {
    [("rx", port.rx.packets, port.rx.bytes), ("tx", port.tx.packets, port.tx.bytes)]
}

fn counter(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let counter: Counter = Counter::default();
    counter.inc_by(value);
    registry.register(name, help, counter);
}

/// Sets a gauge; counts above 2^63 can not occur.
fn gauge(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let gauge: Gauge = Gauge::default();
    gauge.set(value.cast_signed());
    registry.register(name, help, gauge);
}

fn register_node(registry: &mut Registry, node: &NodeView) {
    let version = Version { version: node.version.clone() };
    registry.register("build", "Version of the daemon", Info::new(version));
    gauge(registry, "generation", "Number of the published snapshot", node.generation);
    let uptime: Gauge = Gauge::default();
    uptime.set(node.uptime_seconds.cast_signed());
    registry.register_with_unit("uptime", "Time since the daemon started", Unit::Seconds, uptime);
    let packets = Family::<Port, Counter>::default();
    let bytes = Family::<Port, Counter>::default();
    for (port, view) in [("trunk", &node.trunk), ("uplink", &node.uplink.traffic)] {
        for (direction, count, size) in directions(view) {
            packets.get_or_create(&Port { port, direction }).inc_by(count);
            bytes.get_or_create(&Port { port, direction }).inc_by(size);
        }
    }
    registry.register("packets", "Packets taken in (rx) and sent (tx)", packets);
    registry.register("bytes", "Bytes of frames taken in (rx) and sent (tx)", bytes);
    counter(registry, "generated_packets", "Packets the vrouter made itself", node.generated);
    counter(registry, "consumed_packets", "Packets meant for the vrouter itself", node.consumed);
    gauge(registry, "held_packets", "Fragments that wait for the first of their datagram", node.held);
    gauge(registry, "uplink_up", "Whether the uplink carries packets", u64::from(node.uplink.link.is_up()));
    gauge(registry, "vifs", "Interfaces", node.counts.vifs);
    gauge(registry, "vifs_down", "Interfaces that are down", node.counts.vifs_down);
    gauge(registry, "routes", "Routes of all VRFs", node.counts.routes);
    gauge(registry, "services", "Services", node.counts.services);
    gauge(registry, "flows", "Flow pairs in the table", node.counts.flows);
    gauge(registry, "flow_table_capacity", "Flow pairs there is room for", node.counts.flow_capacity);
}

fn register_drops(registry: &mut Registry, source: &dyn ViewSource) {
    let drops = Family::<Reason, Counter>::default();
    for drop in source.drops() {
        drops.get_or_create(&Reason { reason: drop.reason }).inc_by(drop.count);
    }
    registry.register("drops", "Packets dropped, by reason", drops);
}

fn register_programs(registry: &mut Registry, source: &dyn ViewSource) {
    let packets = Family::<ProgramOutcome, Counter>::default();
    for view in source.programs() {
        let labels = ProgramOutcome { program: view.program, outcome: view.outcome };
        packets.get_or_create(&labels).inc_by(view.packets);
    }
    registry.register(
        "program_packets",
        "Frames seen by the BPF programs, by what happened to them",
        packets,
    );
}

fn register_workers(registry: &mut Registry, workers: &[WorkerView]) {
    let total = |of: fn(&WorkerView) -> u64| workers.iter().map(of).sum();
    counter(registry, "flow_hits", "Flow lookups that found a pair", total(|worker| worker.flow_hits));
    counter(
        registry,
        "flow_misses",
        "Flow lookups through the slow path",
        total(|worker| worker.flow_misses),
    );
    let help = "Flows derived again after a change";
    counter(registry, "flow_revalidations", help, total(|worker| worker.flow_revalidations));

    let busy = Family::<Worker, Counter<f64, AtomicU64>>::default();
    let batches = Family::<Worker, Counter>::default();
    let sleeps = Family::<Worker, Counter>::default();
    let frames = Family::<FrameState, Gauge>::default();
    let missed = Family::<RingLabels, Counter>::default();
    let in_rings = Family::<RingFrames, Gauge>::default();
    for view in workers {
        let worker = Worker { worker: view.worker };
        busy.get_or_create(&worker).inc_by(view.busy_seconds);
        batches.get_or_create(&worker).inc_by(view.batches);
        sleeps.get_or_create(&worker).inc_by(view.sleeps);
        for (state, count) in view.umem.states() {
            frames.get_or_create(&FrameState { state }).inc_by(count.cast_signed());
        }
        for ring in &view.rings {
            for (name, count) in ring.frames.rings() {
                let labels = RingFrames { interface: ring.interface.clone(), queue: ring.queue, ring: name };
                in_rings.get_or_create(&labels).set(count.cast_signed());
            }
            let causes = [("rx_ring_full", ring.rx_ring_full), ("other", ring.rx_dropped)];
            for (cause, count) in causes {
                let labels = RingLabels { interface: ring.interface.clone(), queue: ring.queue, cause };
                missed.get_or_create(&labels).inc_by(count);
            }
        }
    }
    registry.register_with_unit(
        "worker_busy",
        "Time spent on batches that held packets",
        Unit::Seconds,
        busy,
    );
    registry.register("worker_batches", "Batches processed", batches);
    registry.register("worker_sleeps", "Times a worker went to sleep", sleeps);
    registry.register("umem_frames", "Frames of the UMEM, by where they are", frames);
    gauge(registry, "umem_size_frames", "Frames of the UMEM in all", total(|worker| worker.umem.total));
    registry.register("ring_frames", "Frames in the rings of each socket", in_rings);
    registry.register("ring_missed_packets", "Packets the kernel dropped before a worker saw them", missed);
}

fn register_tunnels(registry: &mut Registry, source: &dyn ViewSource) {
    let tunnels = source.tunnels();
    let unreachable = tunnels.iter().filter(|tunnel| tunnel.reach.problem().is_some()).count();
    gauge(registry, "tunnels", "Tunnel endpoints", tunnels.len() as u64);
    gauge(
        registry,
        "tunnels_unreachable",
        "Tunnel endpoints that packets can not be sent to",
        unreachable as u64,
    );
}

fn register_vifs(registry: &mut Registry, source: &dyn ViewSource) {
    let up = Family::<VifLabels, Gauge>::default();
    let packets = Family::<VifDirection, Counter>::default();
    let bytes = Family::<VifDirection, Counter>::default();
    let drops = Family::<VifReason, Counter>::default();
    for view in source.vifs() {
        let (vif, vrf) = (view.name.to_string(), view.vrf.to_string());
        up.get_or_create(&VifLabels { vif: vif.clone(), vrf: vrf.clone() })
            .set(i64::from(view.state.is_up()));
        for (direction, count, size) in directions(&view.traffic) {
            let labels = VifDirection { vif: vif.clone(), vrf: vrf.clone(), direction };
            packets.get_or_create(&labels).inc_by(count);
            bytes.get_or_create(&labels).inc_by(size);
        }
        for drop in &view.traffic.drops {
            let labels = VifReason { vif: vif.clone(), vrf: vrf.clone(), reason: drop.reason };
            drops.get_or_create(&labels).inc_by(drop.count);
        }
    }
    registry.register("vif_up", "Whether packets can reach the vif", up);
    registry.register("vif_packets", "Packets from (rx) and to (tx) the vif", packets);
    registry.register("vif_bytes", "Bytes from (rx) and to (tx) the vif", bytes);
    registry.register("vif_drops", "Packets of the vif that were dropped, by reason", drops);
}
