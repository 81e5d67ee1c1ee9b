//! What changes, as it changes: server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::response::Sse;
use axum::response::sse::{Event as Message, KeepAlive};
use futures::Stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::event::Event;
use super::exchange::Exchange;
use super::problem::{Code, Problem};
use super::{Api, query};

/// A word between events, so that both ends notice when the other is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

#[utoipa::path(get, path = "/v1/watch", tag = "watch", operation_id = "watch",
    summary = "What changes from now on, as server-sent events",
    description = "First `hello` with the generation in force, then `change` for each new one. A watcher who is too slow \
        gets `lagged` with the number of events it has missed, and reads the state again. The stream ends after at most \
        ten minutes; who wants more asks again.",
    responses((status = 200, body = Event, content_type = "text/event-stream"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "There are too many watchers")))]
pub(super) async fn watch(
    State(api): State<Api>,
    RawQuery(raw): RawQuery,
) -> Result<Sse<impl Stream<Item = Result<Message, Infallible>>>, Problem> {
    query::none(raw.as_deref())?;
    let place = api.watchers.clone().try_acquire_owned();
    let place =
        place.map_err(|_| Problem::new(Code::Busy, "There are too many watchers; end one of them."))?;
    let events = api.exchange.events();
    let generation = api.state.snapshot.load().generation;
    let watcher = Watcher { exchange: api.exchange, events, hello: Some(generation), _place: place };
    let stream = futures::stream::unfold(watcher, |mut watcher| async move {
        let message = watcher.next().await?;
        Some((Ok(message), watcher))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

struct Watcher {
    exchange: Arc<Exchange>,
    events: Receiver<Arc<Event>>,
    hello: Option<u64>,
    _place: OwnedSemaphorePermit,
}

impl Watcher {
    /// The next message; none when the daemon ends.
    async fn next(&mut self) -> Option<Message> {
        if let Some(generation) = self.hello.take() {
            return Some(message("hello", &serde_json::json!({ "generation": generation })));
        }
        let event = tokio::select! {
            event = self.events.recv() => event,
            () = self.exchange.ended() => return None,
        };
        match event {
            Ok(event) => Some(message("change", event.as_ref())),
            Err(RecvError::Lagged(missed)) => {
                Some(message("lagged", &serde_json::json!({ "missed": missed })))
            }
            Err(RecvError::Closed) => None,
        }
    }
}

fn message(name: &str, data: &impl serde::Serialize) -> Message {
    let message = Message::default().event(name);
    message.json_data(data).unwrap_or_else(|_| Message::default().event("lagged").data("{}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Documents;
    use tokio::sync::Semaphore;

    fn event(generation: u64) -> Event {
        Event { generation, changed: Vec::new(), links: Vec::new(), truncated: false }
    }

    /// Name and data of a message, as it is written.
    fn text(message: Message) -> String {
        format!("{message:?}")
    }

    #[tokio::test]
    async fn who_is_too_slow_is_told_so_and_goes_on() {
        let (exchange, commands) = Exchange::new(Documents::default());
        assert!(!exchange.is_watched());
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let events = exchange.events();
        let mut watcher = Watcher { exchange: Arc::clone(&exchange), events, hello: Some(7), _place: place };
        assert!(exchange.is_watched());
        (8..8 + 300).for_each(|generation| exchange.announce(generation, Some(event(generation))));
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(text(watcher.next().await.unwrap()));
        }
        assert!(seen[0].contains("hello") && seen[0].contains("{\\\"generation\\\":7}"), "{seen:?}");
        assert!(seen[1].contains("lagged") && seen[1].contains("missed\\\":44"), "{seen:?}");
        assert!(seen[2].contains("change") && seen[2].contains("generation\\\":52"), "{seen:?}");
        drop(commands);
        while watcher.next().await.is_some() {}
    }
}
