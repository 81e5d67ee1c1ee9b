//! Resources by name: read, create or replace, delete.

use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use utoipa::ToSchema;

use super::exchange::{Done, Mode};
use super::path::Names;
use super::problem::{Code, Problem};
use super::{Api, body, query, shape};
use crate::config::Awaited;
use crate::declared::{self, Change, Effect, Key, Kind};

/// Vifs in one answer.
const MOST_AWAITED: usize = 1000;

/// Who has asked for a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Origin {
    /// The operator's file; it is changed there.
    File,
    /// A program, through the API.
    Declared,
}

/// A resource of a collection.
#[derive(Debug, serde::Serialize, ToSchema)]
pub(super) struct Item {
    /// Its name; of a route VRF and prefix, of a broadcast its VRF.
    pub(super) name: String,
    /// Who has asked for it.
    pub(super) origin: Origin,
    /// Where it is written, for one of the file: `/etc/vrouter/vrouter.toml:12`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) place: Option<String>,
    /// Its keys.
    #[schema(value_type = Object)]
    pub(super) resource: Value,
}

/// What came of a change.
#[derive(Debug, serde::Serialize, ToSchema)]
pub(super) struct Outcome {
    /// What it did, or would do.
    pub(super) effect: Effect,
    /// Generation in which it is in force; of a dry run, the one that it was judged in.
    pub(super) generation: u64,
    /// Resources that are declared differently now.
    pub(super) changed: Vec<super::event::Changed>,
    /// Vifs that declared resources name and that are not there: those ways count for nothing until they come.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) awaited: Vec<Awaited>,
}

impl From<Done> for Outcome {
    fn from(done: Done) -> Self {
        let Done { effect, generation, changed, mut awaited } = done;
        awaited.truncate(MOST_AWAITED);
        Self { effect, generation, changed, awaited }
    }
}

/// All resources of a kind, by name.
pub(super) fn list(api: &Api, kind: Kind) -> Vec<Item> {
    let documents = api.exchange.documents.load_full();
    let of_file = documents.file.of_kind(kind).map(|(key, found)| Item {
        name: key.name.clone(),
        origin: Origin::File,
        place: Some(documents.file.place(found)),
        resource: declared::resource_json(&found.table),
    });
    let others = documents.declared.of(kind).map(|(key, table)| Item {
        name: key.name.clone(),
        origin: Origin::Declared,
        place: None,
        resource: declared::resource_json(table),
    });
    let mut items: Vec<Item> = of_file.chain(others).collect();
    items.sort_by(|one, other| one.name.cmp(&other.name));
    items
}

/// A resource of the file or of a program.
pub(super) fn get(api: &Api, key: &Key) -> Result<Json<Value>, Problem> {
    let documents = api.exchange.documents.load_full();
    let of_file = documents.file.get(key).map(|found| &found.table);
    match of_file.or_else(|| documents.declared.get(key)) {
        Some(table) => Ok(Json(declared::resource_json(table))),
        None => Err(Problem::new(
            Code::NotFound,
            format!("There is no {key}; GET /v1/{} lists what there is.", key.kind.collection()),
        )),
    }
}

/// Creates or replaces a resource.
pub(super) async fn put(
    api: &Api,
    key: Key,
    raw: Option<String>,
    request: Request,
) -> Result<Response, Problem> {
    let mode = query::mode(raw.as_deref())?;
    let body = body::json(request, body::RESOURCE).await?;
    let table = declared::resource(&key, body).map_err(Problem::refused)?;
    let done = api.exchange.ask(Change::Put { key, table }, mode).await.map_err(Problem::from)?;
    Ok(answer(done, mode))
}

/// The answer to a change that was made, or judged.
pub(super) fn answer(done: Done, mode: Mode) -> Response {
    let status = match (mode, done.effect) {
        (Mode::Apply, Effect::Created) => StatusCode::CREATED,
        (Mode::Apply, Effect::Replaced | Effect::Unchanged | Effect::Deleted) | (Mode::DryRun, _) => {
            StatusCode::OK
        }
    };
    (status, Json(Outcome::from(done))).into_response()
}

/// Takes a resource away that a program has declared.
pub(super) async fn delete(api: &Api, key: Key, raw: Option<String>) -> Result<StatusCode, Problem> {
    query::none(raw.as_deref())?;
    ask_removal(api, Change::Delete(key)).await
}

/// Asks for a change that takes something away.
pub(super) async fn ask_removal(api: &Api, change: Change) -> Result<StatusCode, Problem> {
    let done = api.exchange.ask(change, Mode::Apply).await;
    done.map(|_| StatusCode::NO_CONTENT).map_err(Problem::of_removal)
}

macro_rules! named {
    ($module:ident, $kind:expr, $all:literal, $one:literal, $noun:literal, $shape:ty) => {
        #[doc = concat!("The handlers of `", $all, "`.")]
        pub(super) mod $module {
            use super::*;

            #[utoipa::path(
                get, path = $all, tag = $noun, operation_id = concat!("list_", $noun),
                summary = concat!("Every ", $noun, " of the file and of programs"),
                responses((status = 200, body = Vec<Item>)),
            )]
            pub(in crate::api) async fn list(
                State(api): State<Api>,
                RawQuery(raw): RawQuery,
            ) -> Result<Json<Vec<Item>>, Problem> {
                query::none(raw.as_deref())?;
                Ok(Json(super::list(&api, $kind)))
            }

            #[utoipa::path(
                get, path = $one, tag = $noun, operation_id = concat!("get_", $noun),
                summary = concat!("One ", $noun, ", as PUT takes it"),
                params(("name" = String, Path)),
                responses(
                    (status = 200, body = $shape),
                    (status = 404, body = Problem, content_type = "application/problem+json"),
                ),
            )]
            pub(in crate::api) async fn get(
                State(api): State<Api>,
                Names(name): Names<String>,
                RawQuery(raw): RawQuery,
            ) -> Result<Json<Value>, Problem> {
                query::none(raw.as_deref())?;
                super::get(&api, &Key::named($kind, &name))
            }

            #[utoipa::path(
                put, path = $one, tag = $noun, operation_id = concat!("put_", $noun),
                summary = concat!("Create or replace a ", $noun),
                params(
                    ("name" = String, Path),
                    ("dry_run" = Option<bool>, Query, description = "Judge it and change nothing"),
                ),
                request_body = $shape,
                responses(
                    (status = 201, body = Outcome, description = "It is new, and in force"),
                    (status = 200, body = Outcome, description = "It was there and is now as asked for, or a dry run"),
                    (status = 409, body = Problem, content_type = "application/problem+json",
                        description = "It is in the operator's file"),
                    (status = 422, body = Problem, content_type = "application/problem+json",
                        description = "It has mistakes; each is named"),
                ),
            )]
            pub(in crate::api) async fn put(
                State(api): State<Api>,
                Names(name): Names<String>,
                RawQuery(raw): RawQuery,
                request: Request,
            ) -> Result<Response, Problem> {
                super::put(&api, Key::named($kind, &name), raw, request).await
            }

            #[utoipa::path(
                delete, path = $one, tag = $noun, operation_id = concat!("delete_", $noun),
                summary = concat!("Take a ", $noun, " away that a program has declared"),
                params(("name" = String, Path)),
                responses(
                    (status = 204, description = "It is gone"),
                    (status = 404, body = Problem, content_type = "application/problem+json",
                        description = "No program has declared it"),
                    (status = 409, body = Problem, content_type = "application/problem+json",
                        description = "It is in the operator's file, or others refer to it"),
                ),
            )]
            pub(in crate::api) async fn delete(
                State(api): State<Api>,
                Names(name): Names<String>,
                RawQuery(raw): RawQuery,
            ) -> Result<StatusCode, Problem> {
                super::delete(&api, Key::named($kind, &name), raw).await
            }
        }
    };
}

named!(vrfs, Kind::Vrf, "/v1/vrfs", "/v1/vrfs/{name}", "vrf", shape::Vrf);
named!(policies, Kind::Policy, "/v1/policies", "/v1/policies/{name}", "policy", shape::Policy);
named!(vifs, Kind::Vif, "/v1/vifs", "/v1/vifs/{name}", "vif", shape::Vif);
named!(broadcasts, Kind::Broadcast, "/v1/broadcasts", "/v1/broadcasts/{name}", "broadcast", shape::Broadcast);
named!(services, Kind::Service, "/v1/services", "/v1/services/{name}", "service", shape::Service);
