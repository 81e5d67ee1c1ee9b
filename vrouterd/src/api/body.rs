//! Request bodies: how large, how slow, and that they are JSON.

use std::time::Duration;

use axum::body::Body;
use axum::http::header;
use serde_json::Value;

use super::problem::{Code, Problem};

/// Largest body of one resource. The longest that anybody needs, a policy of ten thousand rules, is below it.
pub(super) const RESOURCE: usize = 1 << 20;
/// Largest whole document: 300,000 routes. Judging one takes some eighty times its size in memory for a moment.
pub(super) const DOCUMENT: usize = 32 << 20;
/// Time in which a body must have arrived.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads a body of at most `most` bytes as JSON, off the thread that serves others.
///
/// # Errors
/// A [`Problem`] for the caller.
pub(super) async fn json(request: axum::extract::Request, most: usize) -> Result<Value, Problem> {
    let too_large = || {
        Problem::new(
            Code::TooLarge,
            format!("The body is larger than the {most} bytes that this path takes."),
        )
    };
    let length =
        request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: usize| length > most) {
        return Err(too_large());
    }
    let bytes = match tokio::time::timeout(PATIENCE, read(request.into_body(), most)).await {
        Ok(Read::Whole(bytes)) => bytes,
        Ok(Read::TooLarge) => return Err(too_large()),
        Err(_) | Ok(Read::Broken) => {
            return Err(Problem::new(Code::TooSlow, "The body has not arrived whole within 10 seconds."));
        }
    };
    let parsed = tokio::task::spawn_blocking(move || serde_json::from_slice(&bytes)).await;
    match parsed {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Problem::new(Code::BadRequest, format!("The body is no JSON: {error}."))),
        Err(_) => Err(Problem::new(Code::Internal, "The body could not be read; the daemon's log says why.")),
    }
}

enum Read {
    Whole(Vec<u8>),
    TooLarge,
    Broken,
}

async fn read(body: Body, most: usize) -> Read {
    use futures::StreamExt as _;
    let (mut parts, mut bytes) = (body.into_data_stream(), Vec::new());
    while let Some(part) = parts.next().await {
        let Ok(part) = part else { return Read::Broken };
        if bytes.len() + part.len() > most {
            return Read::TooLarge;
        }
        bytes.extend_from_slice(&part);
    }
    Read::Whole(bytes)
}
