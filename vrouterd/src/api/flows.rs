//! Removing flow pairs.

use axum::Json;
use axum::extract::{RawQuery, State};
use utoipa::ToSchema;

use super::Api;
use super::problem::{Code, Problem};
use crate::http::{FLOW_FILTERS, Query, flow_filter};

/// What was removed.
#[derive(Debug, serde::Serialize, ToSchema)]
pub(super) struct Flushed {
    /// Flow pairs that are gone.
    removed: u64,
}

#[utoipa::path(delete, path = "/v1/flows", tag = "flow", operation_id = "flush_flows",
    summary = "Remove the flow pairs that match all filters",
    description = "The next packet of such a flow is judged and placed anew. `all=true` stands for no filter.",
    params(("vif" = Option<String>, Query), ("vrf" = Option<String>, Query), ("proto" = Option<String>, Query),
        ("addr" = Option<String>, Query), ("src" = Option<String>, Query), ("dst" = Option<String>, Query),
        ("port" = Option<u16>, Query), ("state" = Option<String>, Query), ("all" = Option<bool>, Query)),
    responses((status = 200, body = Flushed),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "There is no filter, or a bad one")))]
pub(super) async fn flush(State(api): State<Api>, RawQuery(raw): RawQuery) -> Result<Json<Flushed>, Problem> {
    let bad = |detail: String| Problem::new(Code::BadRequest, detail);
    let known: Vec<&str> = FLOW_FILTERS.iter().copied().chain(["all"]).collect();
    let query = Query::parse(raw.as_deref(), &known).map_err(|problem| bad(problem.detail()))?;
    let filter = flow_filter(&query).map_err(|problem| bad(problem.detail()))?;
    match (query.text("all"), filter.is_open()) {
        (None | Some("false"), true) => {
            return Err(bad("Name a filter, or write all=true to remove every flow.".to_owned()));
        }
        (Some("true"), false) => return Err(bad("all=true and a filter contradict each other.".to_owned())),
        (None | Some("true" | "false"), _) => {}
        (Some(other), _) => return Err(bad(format!("all={other:?}: write true or false."))),
    }
    let turn = api.flushes.clone().try_acquire_owned();
    let turn =
        turn.map_err(|_| Problem::new(Code::Busy, "Flows are being removed already; ask again later."))?;
    let state = api.state.clone();
    // A thread that may take its time: workers only ever wait for the lock of one bucket.
    let task = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        state.flush_flows(&filter)
    });
    match task.await {
        Ok(removed) => Ok(Json(Flushed { removed })),
        Err(_) => Err(Problem::new(Code::Internal, "The daemon's log says why.")),
    }
}
