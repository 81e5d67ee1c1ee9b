//! All that programs have declared, as one document.

use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use super::problem::{Code, Problem};
use super::resources::{self, Outcome};
use super::{Api, body, query, shape};
use crate::declared::{self, Change, Revision};

#[utoipa::path(get, path = "/v1/config", tag = "config", operation_id = "get_config",
    summary = "All that programs have declared",
    responses((status = 200, body = shape::Document, headers(("etag" = String, description = "Its revision")))))]
pub(super) async fn get(State(api): State<Api>, RawQuery(raw): RawQuery) -> Result<Response, Problem> {
    query::none(raw.as_deref())?;
    let declared = api.exchange.documents.load().declared.clone();
    let tag = [(header::ETAG, format!("\"{}\"", declared.revision()))];
    Ok((tag, Json(declared::whole_json(&declared))).into_response())
}

#[utoipa::path(put, path = "/v1/config", tag = "config", operation_id = "put_config",
    summary = "Put a document in the place of all that is declared: all of it or nothing",
    params(("dry_run" = Option<bool>, Query, description = "Judge it, say what it would change, and change nothing"),
        ("if-match" = Option<String>, Header, description = "The ETag of the document that it was made from")),
    request_body = shape::Document,
    responses((status = 200, body = Outcome),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It has resources of the operator's file"),
        (status = 412, body = Problem, content_type = "application/problem+json", description = "Somebody else has changed it since"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "It has mistakes; each is named")))]
pub(super) async fn put(
    State(api): State<Api>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    let mode = query::mode(raw.as_deref())?;
    let seen = seen(&headers)?;
    // No wait is longer than those before it: each has its time for arriving and for being done.
    let _turn =
        api.documents.acquire().await.map_err(|_| Problem::new(Code::Busy, "The daemon is ending."))?;
    let body = body::json(request, body::DOCUMENT).await?;
    let read = tokio::task::spawn_blocking(move || declared::document(body)).await;
    let document = match read {
        Ok(document) => document.map_err(Problem::refused)?,
        Err(_) => {
            return Err(Problem::new(
                Code::Internal,
                "The body could not be read; the daemon's log says why.",
            ));
        }
    };
    let done = api.exchange.ask(Change::Replace { document, seen }, mode).await.map_err(Problem::from)?;
    Ok(resources::answer(done, mode))
}

/// The revision that the caller has seen (RFC 9110 section 13.1.1).
fn seen(headers: &HeaderMap) -> Result<Option<Revision>, Problem> {
    let Some(tag) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = tag.to_str().unwrap_or_default().trim();
    match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        _ if text == "*" => Ok(None),
        Some(revision) => Ok(Some(Revision(revision.to_owned()))),
        None => Err(Problem::new(
            Code::BadRequest,
            "If-Match is no entity tag: send back the ETag of GET /v1/config.",
        )),
    }
}
