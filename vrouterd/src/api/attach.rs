//! What a CNI plugin calls: a vif is declared and waited for, or taken away.

use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::http::StatusCode;
use dataplane::desired::Link;
use dataplane::ids::VifName;
use utoipa::ToSchema;

use super::exchange::{Mode, Refusal};
use super::path::Names;
use super::problem::{Code, Problem};
use super::{Api, body, query, resources, shape};
use crate::declared::{self, Change, Effect, Key, Kind};
use crate::view::{ViewSource as _, VifView};

/// A vif that packets can reach.
#[derive(Debug, serde::Serialize, ToSchema)]
pub(super) struct Attached {
    /// `created`, or `unchanged` when it was declared before.
    effect: Effect,
    /// A generation in which it is up.
    generation: u64,
    /// The vif as `/vif/{name}?format=json` shows it.
    #[schema(value_type = Object)]
    vif: Option<VifView>,
}

#[utoipa::path(post, path = "/v1/vifs/{name}/attach", tag = "vif", operation_id = "attach_vif",
    summary = "Declare a vif and answer when packets can reach it",
    description = "A vif that is declared already must be the same. When the deadline passes before it is up, a vif that \
        this call has declared is withdrawn again, and one that was declared before stays. The outcome does not depend on \
        whether the caller still waits for it.",
    params(("name" = String, Path),
        ("deadline_ms" = Option<u64>, Query, minimum = 1, maximum = 60_000, description = "Milliseconds; 5000 by default")),
    request_body = shape::Vif,
    responses((status = 201, body = Attached, description = "Declared by this call, and up"),
        (status = 200, body = Attached, description = "Declared before, and up"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Declared differently, or in the operator's file, or taken away meanwhile"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "It has mistakes"),
        (status = 504, body = Problem, content_type = "application/problem+json", description = "Not up within the deadline; the detail says what it waits for")))]
pub(super) async fn attach(
    State(api): State<Api>,
    Names(name): Names<String>,
    RawQuery(raw): RawQuery,
    request: Request,
) -> Result<(StatusCode, Json<Attached>), Problem> {
    let deadline = query::deadline(raw.as_deref())?;
    let turn = api.turns.clone().try_acquire_owned();
    let turn =
        turn.map_err(|_| Problem::new(Code::Busy, "Too many vifs are being attached; ask again later."))?;
    let key = Key::named(Kind::Vif, &name);
    let body = body::json(request, body::RESOURCE).await?;
    let table = declared::resource(&key, body).map_err(Problem::refused)?;
    // On its own, so that a caller who goes away does not leave half of it behind.
    let task = tokio::spawn(async move {
        let _turn = turn;
        attach_within(&api, key, table, deadline).await
    });
    task.await.unwrap_or_else(|_| Err(Problem::new(Code::Internal, "The daemon's log says why.")))
}

async fn attach_within(
    api: &Api,
    key: Key,
    table: toml::Table,
    deadline: Duration,
) -> Result<(StatusCode, Json<Attached>), Problem> {
    let ends = tokio::time::Instant::now() + deadline;
    let create = Change::Create { key: key.clone(), table: table.clone() };
    let done = api.exchange.ask(create, Mode::Apply).await.map_err(Problem::from)?;
    let name = VifName::from(key.name.as_str());
    match tokio::time::timeout_at(ends, until_up(api, &name)).await {
        Ok(Waited::Up { generation }) => {
            let status = if done.effect == Effect::Created { StatusCode::CREATED } else { StatusCode::OK };
            let vif = api.state.vif(&name);
            Ok((status, Json(Attached { effect: done.effect, generation, vif })))
        }
        Ok(Waited::Gone) => {
            Err(Problem::new(Code::Withdrawn, format!("{key} was taken away while it was waited for.")))
        }
        Ok(Waited::Ending) => Err(Problem::from(Refusal::Busy)),
        Err(_) => {
            let reason = reason(api, &name);
            let fate = if done.effect == Effect::Created {
                match api.exchange.ask(Change::Withdraw { key: key.clone(), table }, Mode::Apply).await {
                    Ok(_) => "the declaration is withdrawn".to_owned(),
                    Err(refusal) => format!("the declaration stays: {}", Problem::of_removal(refusal).detail),
                }
            } else {
                "the declaration stays, as it was there before".to_owned()
            };
            let waited = deadline.as_millis();
            Err(Problem::new(Code::Deadline, format!("{key} is not up after {waited} ms: {reason}; {fate}.")))
        }
    }
}

enum Waited {
    Up { generation: u64 },
    Gone,
    Ending,
}

/// Waits until the workers forward to the vif.
async fn until_up(api: &Api, name: &VifName) -> Waited {
    let mut generations = api.exchange.generation();
    loop {
        generations.mark_unchanged();
        let snapshot = api.state.snapshot.load_full();
        match snapshot.vifs().find(|vif| vif.name == *name) {
            Some(vif) if vif.is_up() => return Waited::Up { generation: snapshot.generation },
            Some(_) => {}
            None => return Waited::Gone,
        }
        tokio::select! {
            _ = generations.changed() => {}
            () = api.exchange.ended() => return Waited::Ending,
        }
    }
}

fn reason(api: &Api, name: &VifName) -> String {
    let snapshot = api.state.snapshot.load_full();
    match snapshot.vifs().find(|vif| vif.name == *name).map(|vif| &vif.link) {
        Some(Link::Down(reason)) => reason.clone(),
        Some(Link::Up) => "it has come up at the last moment".to_owned(),
        None => "it was taken away".to_owned(),
    }
}

#[utoipa::path(post, path = "/v1/vifs/{name}/detach", tag = "vif", operation_id = "detach_vif",
    summary = "Take a vif away and answer when its port is detached",
    params(("name" = String, Path)),
    responses((status = 204, description = "It is not declared now, whether it was or not"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is in the operator's file")))]
pub(super) async fn detach(
    State(api): State<Api>,
    Names(name): Names<String>,
    RawQuery(raw): RawQuery,
) -> Result<StatusCode, Problem> {
    query::none(raw.as_deref())?;
    // Whose caller goes away is done all the same: the loop has the command.
    resources::ask_removal(&api, Change::Forget(Key::named(Kind::Vif, &name))).await
}
