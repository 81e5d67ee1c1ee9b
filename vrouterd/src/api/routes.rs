//! Routes: named by VRF and prefix.

use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use ipnet::IpNet;
use serde_json::Value;

use super::path::Names;
use super::problem::{Code, Problem};
use super::resources::{self, Item, Outcome};
use super::{Api, query, shape};
use crate::declared::{Key, Kind};

fn key(vrf: &str, prefix: &str) -> Result<Key, Problem> {
    let unfit = |_| {
        let detail =
            format!("{prefix:?} is no prefix: write it like 10.0.2.0%2F24, the slash percent-encoded.");
        Problem::new(Code::BadRequest, detail)
    };
    Ok(Key::route(vrf, prefix.parse::<IpNet>().map_err(unfit)?))
}

#[utoipa::path(get, path = "/v1/routes", tag = "route", operation_id = "list_route",
    summary = "Every route of the file and of programs, without those that vifs and services bring",
    responses((status = 200, body = Vec<Item>)))]
pub(super) async fn list(
    State(api): State<Api>,
    RawQuery(raw): RawQuery,
) -> Result<Json<Vec<Item>>, Problem> {
    query::none(raw.as_deref())?;
    Ok(Json(resources::list(&api, Kind::Route)))
}

#[utoipa::path(get, path = "/v1/routes/{vrf}/{prefix}", tag = "route", operation_id = "get_route",
    summary = "One route, as PUT takes it",
    params(("vrf" = String, Path), ("prefix" = String, Path, description = "With the slash as %2F")),
    responses((status = 200, body = shape::Route), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn get(
    State(api): State<Api>,
    Names((vrf, prefix)): Names<(String, String)>,
    RawQuery(raw): RawQuery,
) -> Result<Json<Value>, Problem> {
    query::none(raw.as_deref())?;
    resources::get(&api, &key(&vrf, &prefix)?)
}

#[utoipa::path(put, path = "/v1/routes/{vrf}/{prefix}", tag = "route", operation_id = "put_route",
    summary = "Create or replace a route",
    params(("vrf" = String, Path), ("prefix" = String, Path, description = "With the slash as %2F"),
        ("dry_run" = Option<bool>, Query, description = "Judge it and change nothing")),
    request_body = shape::Route,
    responses((status = 201, body = Outcome), (status = 200, body = Outcome),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn put(
    State(api): State<Api>,
    Names((vrf, prefix)): Names<(String, String)>,
    RawQuery(raw): RawQuery,
    request: Request,
) -> Result<Response, Problem> {
    resources::put(&api, key(&vrf, &prefix)?, raw, request).await
}

#[utoipa::path(delete, path = "/v1/routes/{vrf}/{prefix}", tag = "route", operation_id = "delete_route",
    summary = "Take a route away that a program has declared",
    params(("vrf" = String, Path), ("prefix" = String, Path, description = "With the slash as %2F")),
    responses((status = 204), (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete(
    State(api): State<Api>,
    Names((vrf, prefix)): Names<(String, String)>,
    RawQuery(raw): RawQuery,
) -> Result<StatusCode, Problem> {
    resources::delete(&api, key(&vrf, &prefix)?, raw).await
}
