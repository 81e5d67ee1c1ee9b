//! Armed traces, and what every tap is asked by.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use dataplane::fib::family_and_addr;
use dataplane::tap::{Catch, Filter, Order};
use flow_table::Millis;
use serde_json::Value;
use std::net::IpAddr;
use utoipa::ToSchema;

use super::problem::{Code, Problem};
use super::{Api, query};
use crate::http::Query;
use crate::traces::MOST_PACKETS;
use crate::view::Protocol;

/// Parameters that say which packets are meant.
pub(super) const FILTERS: [&str; 5] = ["vif", "proto", "src", "dst", "port"];
/// Seconds that a trace waits when nothing is said, and at most.
const SECONDS: (u64, u64) = (60, 600);

/// The name of a trace.
#[derive(Debug, serde::Serialize, ToSchema)]
pub(super) struct Armed {
    /// For GET and DELETE /v1/traces/{id}.
    id: u64,
}

#[utoipa::path(post, path = "/v1/traces", tag = "trace", operation_id = "arm_trace",
    summary = "Record what happens to the next packets that match all filters",
    params(("vif" = Option<String>, Query), ("proto" = Option<String>, Query), ("src" = Option<String>, Query),
        ("dst" = Option<String>, Query), ("port" = Option<u16>, Query),
        ("count" = Option<u64>, Query, description = "Packets, at most 1000; 10 when nothing is said"),
        ("seconds" = Option<u64>, Query, description = "Longest wait, at most 600; 60 when nothing is said")),
    responses((status = 201, body = Armed),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "There are too many traces and captures")))]
pub(super) async fn arm(
    State(api): State<Api>,
    RawQuery(raw): RawQuery,
) -> Result<(StatusCode, Json<Armed>), Problem> {
    let known: Vec<&str> = FILTERS.iter().copied().chain(["count", "seconds"]).collect();
    let query = query::parse(raw.as_deref(), &known)?;
    let count = number(&query, "count", (10, MOST_PACKETS))?;
    let seconds = number(&query, "seconds", SECONDS)?;
    let order = Order {
        filter: filter(&api, &query)?,
        catch: Catch::Ends,
        count,
        until: Millis(api.state.now().0 + seconds * 1000),
    };
    let id = api.state.traces.arm(order).map_err(|error| Problem::new(Code::Busy, format!("{error}.")))?;
    Ok((StatusCode::CREATED, Json(Armed { id })))
}

#[utoipa::path(get, path = "/v1/traces/{id}", tag = "trace", operation_id = "get_trace",
    summary = "What a trace has recorded so far",
    params(("id" = u64, Path)),
    responses((status = 200, description = "`state` is `armed` or `done`; `packets` in the order of each worker"),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn read(
    State(api): State<Api>,
    Path(id): Path<String>,
    RawQuery(raw): RawQuery,
) -> Result<Json<Value>, Problem> {
    query::none(raw.as_deref())?;
    let snapshot = api.state.snapshot.load_full();
    let view = id.parse().ok().and_then(|id| api.state.traces.read(id, &snapshot, api.state.now()));
    let view = view.ok_or_else(|| unknown(&id))?;
    serde_json::to_value(view).map(Json).map_err(|error| Problem::new(Code::Internal, error.to_string()))
}

#[utoipa::path(delete, path = "/v1/traces/{id}", tag = "trace", operation_id = "end_trace",
    summary = "End a trace and forget it",
    params(("id" = u64, Path)),
    responses((status = 204), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn end(
    State(api): State<Api>,
    Path(id): Path<String>,
    RawQuery(raw): RawQuery,
) -> Result<StatusCode, Problem> {
    query::none(raw.as_deref())?;
    match id.parse().is_ok_and(|id| api.state.traces.end(id)) {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(unknown(&id)),
    }
}

fn unknown(id: &str) -> Problem {
    let detail =
        format!("There is no trace {id:?}: a few are kept after their end, and older ones forgotten.");
    Problem::new(Code::NotFound, detail)
}

/// Reads [`FILTERS`].
pub(super) fn filter(api: &Api, query: &Query) -> Result<Filter, Problem> {
    let bad = |problem: crate::http::Problem| Problem::new(Code::BadRequest, problem.detail());
    let address = |key| query.value::<IpAddr>(key).map_err(bad).map(|given| given.map(family_and_addr));
    let vif = match query.text("vif") {
        None => None,
        Some(name) => {
            let snapshot = api.state.snapshot.load();
            let slot = snapshot.vifs().find(|vif| vif.name.as_str() == name).map(|vif| vif.slot);
            let missing = || Problem::new(Code::NotFound, format!("There is no vif {name:?} on this node."));
            Some(slot.ok_or_else(missing)?)
        }
    };
    Ok(Filter {
        vif,
        protocol: query.value::<Protocol>("proto").map_err(bad)?.map(|protocol| protocol.0),
        src: address("src")?,
        dst: address("dst")?,
        port: query.value("port").map_err(bad)?,
    })
}

/// A number from 1 on, with what it is when nothing is said and the most it can be.
pub(super) fn number(query: &Query, key: &str, (usual, most): (u64, u64)) -> Result<u64, Problem> {
    let given = query.value(key).map_err(|problem| Problem::new(Code::BadRequest, problem.detail()))?;
    match given.unwrap_or(usual) {
        number if (1..=most).contains(&number) => Ok(number),
        other => {
            Err(Problem::new(Code::BadRequest, format!("{key}={other}: write a number from 1 to {most}.")))
        }
    }
}
