//! Armed traces, and what every tap is asked by.

use std::net::IpAddr;

use axum::Json;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::StatusCode;
use dataplane::fib::family_and_addr;
use dataplane::tap::{Catch, Filter, Order};
use flow_table::Millis;
use serde_json::Value;
use utoipa::ToSchema;

use super::problem::{Code, Problem};
use super::{Api, body, query};
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

/// Which packets, how many, and how long they are waited for. What is left out does not matter.
#[derive(Debug, Default, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Sent or received by this vif.
    vif: Option<String>,
    /// `tcp`, `udp`, `sctp`, `icmp`, `icmp6` or a number.
    proto: Option<String>,
    /// As the packet comes.
    #[schema(value_type = Option<String>)]
    src: Option<IpAddr>,
    /// As the packet comes.
    #[schema(value_type = Option<String>)]
    dst: Option<IpAddr>,
    /// Source or destination port, or echo identifier.
    port: Option<u16>,
    /// Packets; 10 when nothing is said.
    #[schema(minimum = 1, maximum = 1000)]
    count: Option<u64>,
    /// 60 when nothing is said.
    #[schema(minimum = 1, maximum = 600)]
    seconds: Option<u64>,
}

#[utoipa::path(post, path = "/v1/traces", tag = "trace", operation_id = "arm_trace",
    summary = "Record what happens to the next packets that match all filters",
    request_body = Wanted,
    responses((status = 201, body = Armed),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "There are too many traces and captures")))]
pub(super) async fn arm(
    State(api): State<Api>,
    RawQuery(raw): RawQuery,
    request: Request,
) -> Result<(StatusCode, Json<Armed>), Problem> {
    query::none(raw.as_deref())?;
    let wanted = body::json(request, body::RESOURCE).await?;
    let wanted: Wanted = serde_json::from_value(wanted)
        .map_err(|error| Problem::new(Code::BadRequest, format!("The body is no filter: {error}.")))?;
    let count = within("count", wanted.count, (10, MOST_PACKETS))?;
    let seconds = within("seconds", wanted.seconds, SECONDS)?;
    let order = Order {
        filter: filter(&api, &wanted)?,
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
pub(super) fn wanted(query: &Query) -> Result<Wanted, Problem> {
    let bad = |problem: crate::http::Problem| Problem::new(Code::BadRequest, problem.detail());
    let text = |key| query.text(key).map(str::to_owned);
    Ok(Wanted {
        vif: text("vif"),
        proto: text("proto"),
        src: query.value("src").map_err(bad)?,
        dst: query.value("dst").map_err(bad)?,
        port: query.value("port").map_err(bad)?,
        count: None,
        seconds: None,
    })
}

/// The filter of a tap.
pub(super) fn filter(api: &Api, wanted: &Wanted) -> Result<Filter, Problem> {
    let slot = |name: &String| {
        let snapshot = api.state.snapshot.load();
        let vif = snapshot.vifs().find(|vif| vif.name.as_str() == name);
        vif.map(|vif| vif.slot)
            .ok_or_else(|| Problem::new(Code::NotFound, format!("There is no vif {name:?} on this node.")))
    };
    let number = |text: &String| {
        let protocol: Result<Protocol, _> = text.parse();
        protocol
            .map(|protocol| protocol.0)
            .map_err(|error| Problem::new(Code::BadRequest, format!("proto {text:?} is {error}.")))
    };
    Ok(Filter {
        vif: wanted.vif.as_ref().map(slot).transpose()?,
        protocol: wanted.proto.as_ref().map(number).transpose()?,
        src: wanted.src.map(family_and_addr),
        dst: wanted.dst.map(family_and_addr),
        port: wanted.port,
    })
}

/// A number from 1 on of the query, with what it is when nothing is said and the most it can be.
pub(super) fn number(query: &Query, key: &str, bounds: (u64, u64)) -> Result<u64, Problem> {
    let given = query.value(key).map_err(|problem| Problem::new(Code::BadRequest, problem.detail()))?;
    within(key, given, bounds)
}

fn within(key: &str, given: Option<u64>, (usual, most): (u64, u64)) -> Result<u64, Problem> {
    match given.unwrap_or(usual) {
        number if (1..=most).contains(&number) => Ok(number),
        other => {
            Err(Problem::new(Code::BadRequest, format!("{key}={other}: write a number from 1 to {most}.")))
        }
    }
}
