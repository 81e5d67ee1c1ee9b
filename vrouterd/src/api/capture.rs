//! Packets as a pcapng file that is written while they come.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use dataplane::tap::{Catch, Order, SNAP};
use flow_table::Millis;

use super::problem::{Code, Problem};
use super::traces::{FILTERS, filter, number, wanted};
use super::{Api, query};
use crate::capture::{Bounds, Capture};

/// Time between two looks at what the workers have recorded.
const PAUSE: Duration = Duration::from_millis(10);
/// Packets when nothing is said, and at most.
const PACKETS: (u64, u64) = (10_000, 1_000_000);
/// Seconds, likewise; the server ends a connection after ten minutes.
const SECONDS: (u64, u64) = (60, 590);
/// Bytes of the file, likewise.
const BYTES: (u64, u64) = (64 << 20, 1 << 30);

#[utoipa::path(get, path = "/v1/capture", tag = "trace", operation_id = "capture",
    summary = "Packets as vifs send and receive them, as a pcapng file that is written while they come",
    description = "Ends after so many packets, bytes or seconds, or when the caller goes. A dropped packet has the reason as \
        its comment. Packets that came too fast to be recorded are counted in an interface statistics block at the end.",
    params(("vif" = Option<String>, Query), ("proto" = Option<String>, Query), ("src" = Option<String>, Query),
        ("dst" = Option<String>, Query), ("port" = Option<u16>, Query),
        ("drops" = Option<bool>, Query, description = "Packets that are dropped on their way to the vif as well, and the reasons of drops"),
        ("snap" = Option<u64>, Query, description = "Bytes of each packet, at most 1664"),
        ("limit" = Option<u64>, Query, description = "Packets; 10000 when nothing is said"),
        ("bytes" = Option<u64>, Query, description = "Bytes of the file; 64 MiB when nothing is said"),
        ("seconds" = Option<u64>, Query, description = "60 when nothing is said")),
    responses((status = 200, content_type = "application/x-pcapng"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "There are too many traces and captures")))]
pub(super) async fn capture(State(api): State<Api>, RawQuery(raw): RawQuery) -> Result<Response, Problem> {
    let own = ["drops", "snap", "limit", "bytes", "seconds"];
    let known: Vec<&str> = FILTERS.into_iter().chain(own).collect();
    let query = query::parse(raw.as_deref(), &known)?;
    let catch = match query.text("drops") {
        None | Some("false") => Catch::Wire,
        Some("true") => Catch::WireAndDrops,
        Some(other) => {
            let detail = format!("drops={other:?}: write true or false.");
            return Err(Problem::new(Code::BadRequest, detail));
        }
    };
    let snap = number(&query, "snap", (SNAP as u64, SNAP as u64))? as usize;
    let (count, seconds) = (number(&query, "limit", PACKETS)?, number(&query, "seconds", SECONDS)?);
    let bounds = Bounds { snap, bytes: number(&query, "bytes", BYTES)? };
    let until = Millis(api.state.now().0 + seconds * 1000);
    let order = Order { filter: filter(&api, &wanted(&query)?)?, catch, count, until };
    let tap = api.state.taps.arm(order).map_err(|error| Problem::new(Code::Busy, format!("{error}.")))?;
    let capture = Capture::new(api.state.clone(), tap, bounds);
    let body = Body::from_stream(futures::stream::unfold(Stage::Head(api, capture), next));
    Ok(([(header::CONTENT_TYPE, "application/x-pcapng")], body).into_response())
}

/// How far the file is.
enum Stage {
    Head(Api, Capture),
    Packets(Api, Capture),
    Done,
}

async fn next(stage: Stage) -> Option<(Result<Vec<u8>, Infallible>, Stage)> {
    let (api, mut capture) = match stage {
        Stage::Head(api, mut capture) => return Some((Ok(capture.head()), Stage::Packets(api, capture))),
        Stage::Packets(api, capture) => (api, capture),
        Stage::Done => return None,
    };
    loop {
        let is_over = capture.is_over();
        let mut blocks = capture.read();
        if is_over {
            blocks.extend(capture.end());
            return Some((Ok(blocks), Stage::Done));
        }
        if !blocks.is_empty() {
            return Some((Ok(blocks), Stage::Packets(api, capture)));
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = api.exchange.ended() => return Some((Ok(capture.end()), Stage::Done)),
        }
    }
}
